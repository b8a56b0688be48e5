"""The worker's side of the zygote: one clean process that gives birth to jails."""

import array
import os
import select
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final

import orjson

from sandbox.errors import SandboxUnavailable
from sandbox.jail import Jail
from sandbox.limits import Limits

START_S_MAX: Final = 60.0
ANSWER_S_MAX: Final = 10.0
MESSAGE_BYTES_MAX: Final = 4_096
ROOT: Final = Path(__file__).resolve().parent.parent
ENVIRONMENT: Final = {
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "LC_ALL": "C.UTF-8",
}
_START: Final = (
    "import sys; sys.path[:0] = {path!r}; from sandbox.zygote import main; main({fd}, {host}, {ll})"
)


class Nursery:
    """Starts jails; safe to use from several threads. Close it, or let the worker die."""

    def __init__(self, *, landlock_required: bool = True) -> None:
        self.lock = threading.Lock()
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = [str(ROOT), *(item for item in sys.path if item.endswith("-packages"))]
        start = _START.format(path=path, fd=theirs.fileno(), host=os.getpid(), ll=landlock_required)
        try:
            self.process = subprocess.Popen(  # noqa: S603  # our own interpreter and code
                [sys.executable, "-s", "-P", "-c", start],
                pass_fds=[theirs.fileno()], env=ENVIRONMENT, cwd="/", start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        finally:
            theirs.close()
        answer = self._answer(START_S_MAX)
        if "error" in answer:
            self.close()
            raise SandboxUnavailable(answer["error"])

    @property
    def alive(self) -> bool:
        """True while the zygote runs."""
        return self.process.poll() is None

    def spawn(self, limits: Limits) -> Jail:
        """A locked-down process that holds no script yet."""
        jail = Jail(limits)
        request = {
            "op": "spawn",
            "memory_bytes": limits.memory_bytes_max,
            "inbound_bytes": jail.inbound.size,
            "outbound_bytes": jail.outbound.size,
        }
        rights = array.array("i", jail.ends.descriptors())
        try:
            with self.lock:
                self._send(request, [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
                pid, pidfd = self._birth()
        except BaseException:
            jail.discard()
            raise
        finally:
            jail.ends.release()
        jail.born(pid, pidfd, self._reap)
        return jail

    def _send(self, request: dict[str, Any], rights: list[tuple[int, int, Any]]) -> None:
        try:
            self.control.sendmsg([orjson.dumps(request)], rights)
        except OSError:
            raise self._gone() from None

    def close(self) -> None:
        """End the zygote, and with it every jail."""
        self.control.close()
        self.process.kill()
        self.process.wait()

    def _birth(self) -> tuple[int, int]:
        message, ancillary, _, _ = self._receive(ANSWER_S_MAX)
        descriptors = array.array("i")
        for _, _, data in ancillary:
            descriptors.frombytes(data)
        return int(orjson.loads(message)["pid"]), descriptors[0]

    def _reap(self, pid: int) -> dict[str, Any]:
        with self.lock:
            try:
                self._send({"op": "reap", "pid": pid}, [])
                return self._answer(ANSWER_S_MAX)
            except SandboxUnavailable:
                return {"status": None}  # the zygote is gone, and its children with it

    def _answer(self, timeout_s: float) -> dict[str, Any]:
        answer: dict[str, Any] = orjson.loads(self._receive(timeout_s)[0])
        return answer

    def _receive(self, timeout_s: float) -> Any:
        ready, _, _ = select.select([self.control], [], [], timeout_s)
        received = self.control.recvmsg(MESSAGE_BYTES_MAX, socket.CMSG_LEN(4)) if ready else None
        if not received or not received[0]:
            raise self._gone()
        return received

    def _gone(self) -> SandboxUnavailable:
        return SandboxUnavailable("the process that starts scripts is gone; start it again")
