"""The system calls a script's process may make: an allow-list, as a BPF program.

Numbers are the kernel's ABI and never change: `asm/unistd_64.h` for x86-64,
`asm-generic/unistd.h` for aarch64. A call in no table, today's or tomorrow's, kills.
"""

import errno
import platform
import struct
from dataclasses import dataclass
from typing import Final

ALLOW: Final = 0x7FFF0000
KILL_PROCESS: Final = 0x80000000
REFUSE: Final = 0x00050000 | errno.EPERM
PROT_EXEC: Final = 4
X32_BIT: Final = 0x40000000

# struct seccomp_data: nr at 0, arch at 4, instruction pointer at 8, args from 16, 8 bytes each
AT_NUMBER, AT_ARCH, AT_ARGUMENTS = 0, 4, 16
LOAD, EQUAL, AT_LEAST, BITS, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06

# name: (x86-64, aarch64); None where the architecture has no such call
ALLOWED: Final[dict[str, tuple[int | None, int | None]]] = {
    "read": (0, 63),
    "write": (1, 64),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "brk": (12, 214),
    "futex": (202, 98),
    "close": (3, 57),
    "rt_sigreturn": (15, 139),
    "rt_sigprocmask": (14, 135),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "gettimeofday": (96, 169),
    "sched_yield": (24, 124),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
WITHOUT_EXEC: Final = {"mmap": (9, 222), "mprotect": (10, 226)}
TO_SELF: Final = {"tgkill": (234, 131)}
REFUSED: Final[dict[str, tuple[int | None, int | None]]] = {
    "open": (2, None),
    "openat": (257, 56),
    "openat2": (437, 437),
    "stat": (4, None),
    "fstat": (5, 80),
    "lstat": (6, None),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "getcwd": (79, 17),
    "getdents64": (217, 61),
    "lseek": (8, 62),
    "ioctl": (16, 29),
    "fcntl": (72, 25),
    "dup": (32, 23),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    "getrandom": (318, 278),
    "prlimit64": (302, 261),
    "getrlimit": (97, 163),
    "setrlimit": (160, 164),
    "getrusage": (98, 165),
    "rt_sigaction": (13, 134),
    "sysinfo": (99, 179),
    "uname": (63, 160),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getppid": (110, 173),
    "sched_getaffinity": (204, 123),
    "time": (201, None),
}


@dataclass(frozen=True)
class Machine:
    """An architecture: its audit number, its column in the tables, whether it has x32."""

    audit: int
    column: int
    x32: bool


MACHINES: Final = {
    "x86_64": Machine(0xC000003E, 0, x32=True),
    "aarch64": Machine(0xC00000B7, 1, x32=False),
}


def program(pid: int, machine: str | None = None) -> bytes:
    """The filter for process `pid`: instructions of 8 bytes, KeyError on an unknown machine."""
    kind = MACHINES[machine or platform.machine()]
    code = [_step(LOAD, AT_ARCH), *_unless(EQUAL, kind.audit, KILL_PROCESS)]
    code.append(_step(LOAD, AT_NUMBER))
    if kind.x32:
        code += [_step(AT_LEAST, X32_BIT, 0, 1), _step(RETURN, KILL_PROCESS)]
    for table, verdict in ((ALLOWED, ALLOW), (REFUSED, REFUSE)):
        for numbers in table.values():
            number = numbers[kind.column]
            if number is not None:
                code += [_step(EQUAL, number, 0, 1), _step(RETURN, verdict)]
    for numbers in WITHOUT_EXEC.values():
        code += _argument(numbers[kind.column], 2)
        code += [_step(BITS, PROT_EXEC, 0, 1), _step(RETURN, REFUSE), _step(RETURN, ALLOW)]
    for numbers in TO_SELF.values():
        code += _argument(numbers[kind.column], 0)
        code += [_step(EQUAL, pid, 1, 0), _step(RETURN, KILL_PROCESS), _step(RETURN, ALLOW)]
    return b"".join([*code, _step(RETURN, KILL_PROCESS)])


def _step(code: int, value: int, when_true: int = 0, when_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, when_true, when_false, value)


def _unless(code: int, value: int, verdict: int) -> list[bytes]:
    return [_step(code, value, 1, 0), _step(RETURN, verdict)]


def _argument(number: int, index: int) -> list[bytes]:
    """Skip four instructions unless the call is `number`; else load its argument `index`."""
    return [_step(EQUAL, number, 0, 4), _step(LOAD, AT_ARGUMENTS + 8 * index)]
