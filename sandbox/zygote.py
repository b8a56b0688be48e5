"""The process that jails are forked from: clean environment, one thread, everything preloaded.

It is started by exec, never by forking the worker, so no secret of the worker is in its memory.
It sees no script: it forks, hands descriptors on, and reaps.
"""

import array
import gc
import os
import re
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, Final, NoReturn

import orjson

from sandbox import lockdown
from sandbox.child import Spawn, child_main, prepare
from sandbox.facades import warm_up
from sandbox.names import foreign_attributes

MESSAGE_BYTES_MAX: Final = 4_096
CHILD_DESCRIPTORS: Final = 4
DEAF_S: Final = 5.0  # between two looks for children that do not hear the end of their CPU time
_PENDING: Final = re.compile(rb"^ShdPnd:\s*([0-9a-f]+)$", re.MULTILINE)


def main(control_fd: int, host_pid: int, landlock_required: bool) -> NoReturn:
    """Serve spawn and reap requests on `control_fd` until the worker is gone."""
    control = socket.socket(fileno=control_fd)
    try:
        lockdown.check_machine(landlock_required=landlock_required)
    except Exception as error:  # noqa: BLE001  # told to the worker, who raises it
        control.send(orjson.dumps({"error": str(error)}))
        os._exit(1)
    prepare()
    warm_up()
    foreign_attributes()
    lockdown.undumpable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the worker
    gc.collect()
    gc.freeze()
    control.send(orjson.dumps({"ready": os.getpid()}))
    _serve(control, _watch(host_pid), landlock_required)
    os._exit(0)


def _watch(host_pid: int) -> int:
    """A descriptor that wakes when the worker dies, whoever else holds its sockets."""
    watch = os.pidfd_open(host_pid)
    if os.getppid() != host_pid:
        os._exit(1)
    return watch


def _serve(control: socket.socket, watch: int, landlock_required: bool) -> None:
    children: set[int] = set()
    looked_at = time.monotonic()
    while True:
        ready, _, _ = select.select([control.fileno(), watch], [], [], DEAF_S)
        if watch in ready:
            return  # every jail dies with this process
        if time.monotonic() - looked_at >= DEAF_S:
            looked_at = time.monotonic()
            _end_deaf(children)
        if not ready:
            continue
        message, descriptors = _receive(control)
        if not message:
            return
        request = orjson.loads(message)
        if request["op"] == "spawn":
            children.add(_spawn(control, request, descriptors, landlock_required))
        else:
            children.discard(request["pid"])
            control.send(orjson.dumps(_reap(request["pid"])))


def _end_deaf(children: set[int]) -> None:
    """End children that block the signal by which the kernel bounds their CPU time."""
    for pid in children:
        try:
            found = _PENDING.search(Path(f"/proc/{pid}/status").read_bytes())
        except OSError:
            continue
        if found and int(found.group(1), 16) >> (signal.SIGXCPU - 1) & 1:
            os.kill(pid, signal.SIGKILL)  # not reaped yet, so nobody else has this number


def _receive(control: socket.socket) -> tuple[bytes, list[int]]:
    size = array.array("i").itemsize
    message, ancillary, _, _ = control.recvmsg(
        MESSAGE_BYTES_MAX, socket.CMSG_LEN(CHILD_DESCRIPTORS * size)
    )
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % size])
    return message, descriptors.tolist()


def _spawn(
    control: socket.socket,
    request: dict[str, Any],
    descriptors: list[int],
    landlock_required: bool,
) -> int:
    spawn = Spawn(
        zygote_pid=os.getpid(),
        memory_bytes=request["memory_bytes"],
        inbound_bytes=request["inbound_bytes"],
        outbound_bytes=request["outbound_bytes"],
        landlock_required=landlock_required,
    )
    pid = os.fork()
    if pid == 0:
        child_main(spawn, descriptors)
    handle = os.pidfd_open(pid)
    for descriptor in descriptors:
        os.close(descriptor)
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [handle]))
    control.sendmsg([orjson.dumps({"pid": pid})], [rights])
    os.close(handle)
    return pid


def _reap(pid: int) -> dict[str, Any]:
    """Wait for a child that the worker has killed or seen die."""
    try:
        _, status, usage = os.wait4(pid, 0)
    except ChildProcessError:
        return {"status": None}
    return {
        "status": os.waitstatus_to_exitcode(status),
        "cpu_ms": round((usage.ru_utime + usage.ru_stime) * 1000),
        "rss_kib": usage.ru_maxrss,
    }


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1")
