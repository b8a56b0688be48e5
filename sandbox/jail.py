"""The worker's side of one jail: its memory, its socket, its deadline, its end."""

import contextlib
import fcntl
import mmap
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sandbox.errors import JailFailed, SandboxError
from sandbox.limits import Limits
from sandbox.protocol import read_reply, read_traceback, violation
from sandbox.wire import (
    CELL_BYTES,
    REPLY_BYTES,
    Op,
    Reply,
    Request,
    inbound_bytes,
    outbound_bytes,
)

F_ADD_SEALS: Final = 1033
F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_FUTURE_WRITE = 1, 2, 4, 16
STARVED_TIMES: Final = 4  # so often a process that the machine starves gets its budget
TRACEBACK_MS: Final = 15  # what a doomed jail is given to say where it was
COMPLAINT_BYTES_MAX: Final = 16 * 1024
MS_NS: Final = 1_000_000
S_NS: Final = 1_000_000_000
READY: Final = (b"R", b"D")  # states of a process that would go on if the machine let it
CPU_TIMES: Final = 2  # of a budget: what no process uses that somebody watches


class SharedMemory:
    """Anonymous memory of fixed size, shared by descriptor; it cannot be cut off under us."""

    def __init__(self, size: int, *, read_only_there: bool) -> None:
        self.size = size
        self.fd = os.memfd_create("jail", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, size)
        self.map = mmap.mmap(self.fd, size)
        seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL
        fcntl.fcntl(self.fd, F_ADD_SEALS, seals | (F_SEAL_FUTURE_WRITE if read_only_there else 0))

    def release(self) -> None:
        """Close the descriptor; the mapping stays until `close`."""
        os.close(self.fd)

    def close(self) -> None:
        """Unmap."""
        self.map.close()


@dataclass(frozen=True)
class Ends:
    """What the zygote hands to the child: released as soon as it is sent."""

    control: socket.socket
    complaints: int
    inbound: SharedMemory
    outbound: SharedMemory

    def descriptors(self) -> list[int]:
        """In the order that the child expects."""
        return [self.control.fileno(), self.complaints, self.inbound.fd, self.outbound.fd]

    def release(self) -> None:
        """Close our copies."""
        self.control.close()
        os.close(self.complaints)
        self.inbound.release()
        self.outbound.release()


@dataclass(frozen=True)
class Answer:
    """A checked reply: the cells and the JSON, copied out of the jail's reach."""

    reply: Reply
    numbers: bytes
    blob: bytes
    cpu_ns: int
    wall_ns: int


class Jail:
    """One child process. Ask, then collect; whatever goes wrong ends the process and raises."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.inbound = SharedMemory(inbound_bytes(limits), read_only_there=True)
        self.outbound = SharedMemory(outbound_bytes(limits), read_only_there=False)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.complaints, complaints = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(complaints, True)
        self.ends = Ends(theirs, complaints, self.inbound, self.outbound)
        self.pid = 0
        self.pidfd = -1
        self.pending: Request | None = None
        self.sequence = 0
        self.limit = ""  # bounds the answer that is waited for
        self.started_ns = self.due_ns = self.cpu_before_ns = self.cpu_s_max = 0
        self.doomed = False  # it is too late: it was asked where it is, and will be killed
        self.reap: Callable[[int], dict[str, Any]] = _not_started
        self.usage: dict[str, Any] = {}
        self.born_bytes = 0

    def born(self, pid: int, pidfd: int, reap: Callable[[int], dict[str, Any]]) -> None:
        """The zygote has forked the process."""
        self.pid, self.pidfd, self.reap = pid, pidfd, reap
        self.born_bytes = self.memory_bytes()

    @property
    def alive(self) -> bool:
        """True until the process was killed or seen dead."""
        return self.pidfd >= 0

    # --- asking

    def ask(self, op: Op, limit: str, *, rows: int = 0, values: int = 0, length: int = 0) -> None:
        """Send one request, to be answered within the limit of that name, in ms.

        Its payload is already in the inbound memory.
        """
        if not self.alive or self.pending is not None:
            raise SandboxError("this jail is gone or busy")
        if self._readable(self.control.fileno()):
            raise self._unasked()
        self.sequence = (self.sequence + 1) % 2**32
        self.pending = Request(op, self.sequence, rows, values, length)
        self.started_ns, self.cpu_before_ns = time.monotonic_ns(), self._cpu_ns()
        self.limit = limit
        self.due_ns = self.started_ns + self._budget_ms() * MS_NS
        self._bound_cpu()
        try:
            self.control.send(self.pending.pack())
        except OSError:
            raise self._died() from None

    def _unasked(self) -> JailFailed:
        """Something came between two requests: its end, or words that nobody asked for."""
        try:
            said = self.control.recv(REPLY_BYTES)
        except OSError:
            said = b""
        if said:
            return self.end("protocol", "the script's process spoke without being asked")
        return self._died()

    def write(self, payload: bytes, offset: int = 0) -> None:
        """Put bytes into the inbound memory."""
        if offset + len(payload) > self.inbound.size:
            raise SandboxError(f"{len(payload)} bytes do not fit in the jail's memory")
        self.inbound.map[offset : offset + len(payload)] = payload

    def overdue(self) -> bool:
        """Whether it had its time, and was asked where it is: then `collect` ends it.

        Never waits. A process that the machine starves gets the budget again, a few times.
        """
        now_ns = time.monotonic_ns()
        if now_ns < self.due_ns:
            return False
        if self.doomed:
            return True
        budget_ns = self._budget_ms() * MS_NS
        if self.due_ns < self.started_ns + STARVED_TIMES * budget_ns and self._starves(budget_ns):
            self.due_ns += budget_ns
            return False
        self.doomed, self.due_ns = True, now_ns + TRACEBACK_MS * MS_NS
        self._signal(signal.SIGUSR1)
        return False

    def collect(self) -> Answer:
        """The answer, waited for as long as it is given; JailFailed names the limit if it is late.

        Returns or raises at once where the process has answered, has died, or is overdue.
        """
        request = self.pending
        assert request is not None
        while not self._wait(self.due_ns) and not self.overdue():
            pass
        if self.doomed:
            raise self._late()
        return self._read(request, time.monotonic_ns() - self.started_ns)

    def _budget_ms(self) -> int:
        return int(getattr(self.limits, self.limit))

    def _read(self, request: Request, wall_ns: int) -> Answer:
        try:
            raw = self.control.recv(REPLY_BYTES + 1)
        except OSError:
            raw = b""
        if not raw:
            raise self._died()
        cpu_ns = self._cpu_ns() - self.cpu_before_ns
        try:
            reply = read_reply(raw, request, self.outbound.size)
        except JailFailed as failed:
            raise self.end(failed.outcome, failed.message) from None
        cells = reply.rows * CELL_BYTES
        numbers = self.outbound.map[:cells]
        blob = self.outbound.map[cells : cells + reply.length]
        self.pending = None
        return Answer(reply, numbers, blob, cpu_ns, wall_ns)

    def _wait(self, deadline_ns: int) -> bool:
        """True when there is a reply or a death, False at the deadline."""
        poller = select.poll()
        poller.register(self.control, select.POLLIN)
        poller.register(self.pidfd, select.POLLIN)
        left_ms = max((deadline_ns - time.monotonic_ns()) / MS_NS, 0)
        ready = {fd for fd, _ in poller.poll(left_ms)}
        if ready == {self.pidfd}:
            raise self._died()
        return bool(ready)

    # --- ending

    def _late(self) -> JailFailed:
        told = self._readable(self.complaints)
        said = os.read(self.complaints, COMPLAINT_BYTES_MAX) if told else b""
        return self.end(
            "deadline",
            f"took longer than {self._budget_ms()} ms (limit {self.limit})",
            read_traceback(said),
        )

    def _died(self) -> JailFailed:
        """Why the process ended by itself."""
        self._signal(signal.SIGKILL)  # its socket may be closed while it lives on
        usage = self.close()
        status = usage.get("status")
        if status == -signal.SIGSYS:
            return JailFailed("forbidden", "made a system call that scripts may not make")
        if status == -signal.SIGXCPU:
            return JailFailed(
                "deadline",
                f"was ended by the kernel after {self.cpu_s_max} s of CPU, while nobody looked"
                f" (limit {self.limit})",
            )
        if status is not None and status < 0 and status != -signal.SIGKILL:
            name = signal.Signals(-status).name
            return JailFailed("crashed", f"the script's process crashed ({name})")
        if status == -signal.SIGKILL:
            return JailFailed("crashed", "the script's process was killed, or closed its socket")
        return JailFailed("crashed", f"the script's process ended by itself (status {status})")

    def end(self, outcome: str, message: str, traceback: tuple[str, ...] = ()) -> JailFailed:
        """Kill, reap, and return the error to raise."""
        self._signal(signal.SIGKILL)
        self.close()
        return JailFailed(outcome, message, traceback)

    def close(self) -> dict[str, Any]:
        """Kill and reap the process and give everything back; what it used is returned."""
        if self.alive:
            self._signal(signal.SIGKILL)
            try:
                self.usage = self.reap(self.pid)
            finally:
                os.close(self.pidfd)
                self.pidfd = -1
                self.discard()
        return self.usage

    def discard(self) -> None:
        """Give our ends back, of a process that is dead or was never born."""
        self.control.close()
        os.close(self.complaints)
        self.inbound.close()
        self.outbound.close()

    def memory_bytes(self) -> int:
        """What the process has in memory now; 0 if that cannot be read."""
        try:
            with open(f"/proc/{self.pid}/statm", "rb") as file:  # noqa: PTH123
                return int(file.read().split()[1]) * mmap.PAGESIZE
        except OSError:
            return 0

    def _signal(self, number: signal.Signals) -> None:
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            return

    def _bound_cpu(self) -> None:
        """Have the kernel end it, should this worker be stopped, or hang, while it runs on."""
        cpu_ns = self.cpu_before_ns + CPU_TIMES * self._budget_ms() * MS_NS
        if cpu_ns // S_NS + 1 == self.cpu_s_max:
            return
        self.cpu_s_max = cpu_ns // S_NS + 1
        with contextlib.suppress(ProcessLookupError):  # the next step will tell why
            hard = resource.prlimit(self.pid, resource.RLIMIT_CPU)[1]
            soft = self.cpu_s_max if hard == resource.RLIM_INFINITY else min(self.cpu_s_max, hard)
            resource.prlimit(self.pid, resource.RLIMIT_CPU, (soft, hard))

    def _starves(self, budget_ns: int) -> bool:
        """Whether it had less CPU than half of the budget, and does not wait for something else."""
        if self._cpu_ns() - self.cpu_before_ns >= budget_ns // 2:
            return False
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as file:  # noqa: PTH123
                return file.read().rpartition(b")")[2].split()[0] in READY
        except OSError:
            return True

    def _cpu_ns(self) -> int:
        """CPU time of the process so far, by its own clock: nothing it says is believed."""
        try:
            return time.clock_gettime_ns((~self.pid << 3) | 2)
        except OSError:
            return 0

    @staticmethod
    def _readable(fd: int) -> bool:
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        return bool(poller.poll(0))


def _not_started(_: int) -> dict[str, Any]:
    raise violation("no process was started")
