"""The kernel walls of a script's process: Linux interfaces through ctypes, no privilege needed.

The order matters: limits on descriptors break Landlock, and seccomp forbids all that comes
before it. Everything is one-way; nothing here can be undone by the process it locks.
"""

import contextlib
import ctypes
import errno
import os
import platform
import resource
import signal
import struct
from typing import Final

from sandbox import seccomp
from sandbox.errors import SandboxUnavailable

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN = 65, 1
SECCOMP_MODE_FILTER = 2
SECCOMP_GET_ACTION_AVAIL = 2
SYS_SECCOMP: Final = {"x86_64": 317, "aarch64": 277}
SYS_LANDLOCK_CREATE, SYS_LANDLOCK_RESTRICT = 444, 446  # the same on every architecture
LANDLOCK_VERSION_FLAG = 1
# rights known to each Landlock version: files, then TCP, then scopes (abstract sockets, signals)
LANDLOCK_FILE_BITS: Final = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
LANDLOCK_TCP_FROM, LANDLOCK_SCOPE_FROM = 4, 6
DESCRIPTORS_MAX: Final = 3
STACK_BYTES: Final = 8 * 1024 * 1024
NICE: Final = 5
OOM_SCORE_MAX: Final = b"1000"

_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]


def landlock_version() -> int:
    """Landlock's version here; 0 where the kernel or an outer filter does not offer it."""
    version = _libc.syscall(
        ctypes.c_long(SYS_LANDLOCK_CREATE), None, ctypes.c_size_t(0), LANDLOCK_VERSION_FLAG
    )
    return max(int(version), 0)


def check_machine(*, landlock_required: bool = True) -> None:
    """Raise SandboxUnavailable, saying what is missing, where scripts cannot be held."""
    machine = platform.machine()
    if platform.system() != "Linux" or machine not in seccomp.MACHINES:
        raise SandboxUnavailable(
            f"scripts need Linux on x86-64 or aarch64, this is {platform.system()} on {machine}"
        )
    action = ctypes.c_uint32(seccomp.KILL_PROCESS)
    if _libc.syscall(
        ctypes.c_long(SYS_SECCOMP[machine]), SECCOMP_GET_ACTION_AVAIL, 0, ctypes.byref(action)
    ):
        raise SandboxUnavailable(
            f"seccomp filters are not available ({os.strerror(ctypes.get_errno())});"
            " scripts never run without them"
        )
    if landlock_required and not landlock_version():
        raise SandboxUnavailable(
            "Landlock is not available: enable it in the kernel (lsm=landlock,...) or in the"
            " container's seccomp profile, or opt out with landlock_required=False"
        )


def undumpable() -> None:
    """Close this process's memory and environment to others of the same user."""
    _prctl(PR_SET_DUMPABLE, 0)


def lock_down(parent_pid: int, *, memory_bytes: int, landlock_required: bool = True) -> None:
    """Give up everything but memory and descriptors 0 to 2; OSError if a wall cannot stand.

    `memory_bytes` come on top of what the process has mapped by now.
    """
    with contextlib.suppress(OSError):
        os.nice(NICE)
    with contextlib.suppress(OSError):
        _write_oom_score()
    address_space = _mapped_bytes() + memory_bytes
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)  # the parent died before the death signal was set
    undumpable()
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    with contextlib.suppress(OSError):  # before Linux 6.3; seccomp refuses the same
        _prctl(PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN)
    _landlock(required=landlock_required)
    _limits(address_space)
    _seccomp(os.getpid())


def _write_oom_score() -> None:
    """Ask the kernel to end this process first when memory is short."""
    file = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    try:
        os.write(file, OOM_SCORE_MAX)
    finally:
        os.close(file)


def _mapped_bytes() -> int:
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123  # one call, before the walls
        return int(file.read().split()[0]) * resource.getpagesize()


def _prctl(option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    if _libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero):
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def _landlock(*, required: bool) -> None:
    """Deny every file, TCP port, abstract socket and signal that this kernel's version knows."""
    version = landlock_version()
    if not version:
        if required:
            raise OSError(errno.ENOSYS, "Landlock is not available")
        return
    newest = max(LANDLOCK_FILE_BITS)
    files = (1 << LANDLOCK_FILE_BITS[min(version, newest)]) - 1
    tcp = 3 if version >= LANDLOCK_TCP_FROM else 0
    scopes = 3 if version >= LANDLOCK_SCOPE_FROM else 0
    fields = [files, tcp, scopes][: 1 + (version >= LANDLOCK_TCP_FROM) + (version >= 6)]
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    ruleset = _libc.syscall(
        ctypes.c_long(SYS_LANDLOCK_CREATE), attributes, ctypes.c_size_t(len(attributes)), 0
    )
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "landlock_create_ruleset")
    try:
        if _libc.syscall(ctypes.c_long(SYS_LANDLOCK_RESTRICT), ruleset, 0):
            raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    finally:
        os.close(ruleset)


def _limits(address_space: int) -> None:
    for kind, value in (
        (resource.RLIMIT_AS, address_space),
        (resource.RLIMIT_STACK, STACK_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, DESCRIPTORS_MAX),
    ):
        _, hard = resource.getrlimit(kind)
        bounded = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bounded, bounded))


def _seccomp(pid: int) -> None:
    code = seccomp.program(pid)
    steps = ctypes.create_string_buffer(code, len(code))
    filter_program = _Program(len(code) // 8, ctypes.addressof(steps))
    if _libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filter_program), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp filter")
