"""Become a container of restricted Pod Security, then exec: `python pod.py COMMAND...` as root.

Uid 10001, no capabilities, no_new_privs, a read-only root, and a filter that refuses what the
default profile of container runtimes refuses to a container without capabilities. The code is
this test's own; it needs root because it builds what a container runtime builds.
"""

import ctypes
import errno
import os
import platform
import pwd
import struct
import sys
from pathlib import Path

UID = 10_001
LIBC = ctypes.CDLL(None, use_errno=True)
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
CLONE_NEWNS, CLONE_NEWPID, CLONE_NEW_ANY = 0x00020000, 0x20000000, 0x7E020000
CAPABILITIES = 64
# calls that need a capability, or that the default profile leaves out for everyone: x86-64
REFUSED = {
    "add_key": 248, "keyctl": 250, "request_key": 249, "bpf": 321, "perf_event_open": 298,
    "userfaultfd": 323, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "move_mount": 429,
    "open_tree": 428, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "mount_setattr": 442,
    "unshare": 272, "setns": 308, "open_by_handle_at": 304, "name_to_handle_at": 303,
    "init_module": 175, "finit_module": 313, "delete_module": 176, "kexec_load": 246,
    "kexec_file_load": 320, "reboot": 169, "swapon": 167, "swapoff": 168, "acct": 163,
    "settimeofday": 164, "clock_settime": 227, "adjtimex": 159, "quotactl": 179, "syslog": 103,
    "iopl": 172, "ioperm": 173, "vhangup": 153, "lookup_dcookie": 212, "nfsservctl": 180,
    "uselib": 134, "ustat": 136, "sysfs": 139, "personality": 135, "kcmp": 312,
    "move_pages": 279, "mbind": 237, "set_mempolicy": 238, "fanotify_init": 300,
    "pidfd_getfd": 438, "process_madvise": 440, "vmsplice_none": 999,
}  # fmt: skip
CLONE, CLONE3, SOCKET, AF_ALG, AF_VSOCK = 56, 435, 41, 38, 40


def check(result: int, what: str) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), what)


def read_only_root() -> None:
    """A private view of the files, all of it read-only; an interpreter in root's home stays."""
    check(LIBC.unshare(CLONE_NEWNS), "unshare")
    check(LIBC.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "private")
    home = os.path.realpath(sys.base_prefix)
    root_home = pwd.getpwuid(0).pw_dir  # closed to other users: show only the interpreter
    if Path(home).is_relative_to(root_home):
        check(LIBC.mount(home.encode(), b"/mnt", None, MS_BIND, None), "bind")
        check(LIBC.mount(b"none", root_home.encode(), b"tmpfs", 0, b"mode=755"), "tmpfs")
        Path(home).mkdir(parents=True)
        check(LIBC.mount(b"/mnt", home.encode(), None, MS_BIND, None), "bind back")
    check(LIBC.mount(b"none", b"/dev/shm", b"tmpfs", 0, b"size=64m,mode=1777"), "shm")
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    points = [line.split()[1].encode().decode("unicode_escape") for line in mounts]
    for point in points:
        if point != "/dev/shm" and not point.startswith(("/proc", "/sys")):
            flags = MS_REMOUNT | MS_BIND | MS_RDONLY
            if LIBC.mount(b"none", point.encode(), None, flags, None) < 0 and point == "/":
                check(-1, "read-only")


def drop_privileges() -> None:
    for capability in range(CAPABILITIES):
        LIBC.prctl(24, capability, 0, 0, 0)  # from the bounding set
    os.setgroups([])
    os.setresgid(UID, UID, UID)
    os.setresuid(UID, UID, UID)
    check(LIBC.prctl(38, 1, 0, 0, 0), "no_new_privs")


def filter_program() -> bytes:
    """EPERM for what is refused, ENOSYS for clone3, all else allowed."""
    allow, refuse, unknown = 0x7FFF0000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
    steps: list[tuple[int, int, int, int]] = [(0x20, 0, 0, 0)]
    for number in REFUSED.values():
        steps += [(0x15, 0, 1, number), (0x06, 0, 0, refuse)]
    steps += [(0x15, 0, 1, CLONE3), (0x06, 0, 0, unknown)]
    steps += [(0x15, 0, 4, CLONE), (0x20, 0, 0, 16), (0x45, 0, 1, CLONE_NEW_ANY),
              (0x06, 0, 0, refuse), (0x06, 0, 0, allow)]  # fmt: skip
    steps += [(0x15, 0, 5, SOCKET), (0x20, 0, 0, 16), (0x15, 1, 0, AF_ALG),
              (0x15, 0, 1, AF_VSOCK), (0x06, 0, 0, refuse), (0x06, 0, 0, allow)]  # fmt: skip
    steps.append((0x06, 0, 0, allow))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def install(program: bytes) -> None:
    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]

    steps = ctypes.create_string_buffer(program, len(program))
    wanted = Program(len(program) // 8, ctypes.addressof(steps))
    check(LIBC.prctl(22, 2, ctypes.byref(wanted), 0, 0), "filter")


def main() -> None:
    read_only_root()
    drop_privileges()
    if platform.machine() == "x86_64":
        install(filter_program())
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "TMPDIR": "/dev/shm",
    }
    if os.environ.get("NUMBA_CACHE_DIR"):
        environment["NUMBA_CACHE_DIR"] = os.environ["NUMBA_CACHE_DIR"]
    os.execve(sys.argv[1], sys.argv[1:], environment)


if __name__ == "__main__":
    main()
