"""Attacks on the kernel walls: unrestricted Python with ctypes, one function body each.

A probe ends with `return True` when it got what it must not get. `free` marks those that do
succeed in an ordinary process, so that a probe which proves nothing is found out. `worker` is
the process id of the worker (of a bystander, outside a jail).
"""

# ruff: noqa: E501  # scripts of strangers, as they are

from dataclasses import dataclass
from typing import Final

PRELUDE: Final = """
import ctypes, mmap, os, signal, socket, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.syscall.restype = ctypes.c_long
def syscall(number, *arguments):
    return libc.syscall(ctypes.c_long(number), *[
        ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
"""


@dataclass(frozen=True)
class Probe:
    """One attack."""

    name: str
    body: str
    free: bool = True

    @property
    def script(self) -> str:
        """The attack as a script."""
        body = "\n".join("    " + line for line in self.body.strip().splitlines())
        return (
            f"{PRELUDE}\ndef probe(worker):\n{body}\n"
            "def on_bar(bar, state):\n"
            "    try:\n"
            "        return 1.0 if probe(params['worker']) else 0.0\n"
            "    except (OSError, ValueError, MemoryError, ImportError, AttributeError):\n"
            "        return 0.0\n"
        )


def _sockets() -> list[Probe]:
    kinds = {
        "tcp": "AF_INET, socket.SOCK_STREAM",
        "udp": "AF_INET, socket.SOCK_DGRAM",
        "tcp6": "AF_INET6, socket.SOCK_STREAM",
        "unix": "AF_UNIX, socket.SOCK_STREAM",
        "unix_datagram": "AF_UNIX, socket.SOCK_DGRAM",
        "raw": "AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP",
        "netlink": "AF_NETLINK, socket.SOCK_RAW, 0",
        "packet": "AF_PACKET, socket.SOCK_RAW, 0",
        "vsock": "AF_VSOCK, socket.SOCK_STREAM",
        "alg": "AF_ALG, socket.SOCK_SEQPACKET",
    }
    unsure = {"vsock", "alg", "tcp6"}
    return [
        Probe(
            f"socket_{name}",
            f"return socket.socket(socket.{kind}).fileno() >= 0",
            name not in unsure,
        )
        for name, kind in kinds.items()
    ]


PROBES: Final = [
    Probe("open_read", "return os.open('/etc/passwd', os.O_RDONLY) >= 0"),
    Probe("open_write", "return os.open('/tmp/x_probe', os.O_CREAT | os.O_WRONLY) >= 0"),
    Probe("open_tmpfile", "return os.open('/tmp', os.O_TMPFILE | os.O_RDWR) >= 0"),
    Probe("openat2", "how = struct.pack('QQQ', 0, 0, 0)\nreturn syscall(437, -100, b'/etc/passwd', how, 24) >= 0"),
    Probe("open_by_handle", "return syscall(304, -100, b'x', 0) >= 0", False),
    Probe("stat", "return os.stat('/').st_ino > 0"),
    Probe("listdir", "return bool(os.listdir('/'))"),
    Probe("getcwd", "return bool(os.getcwd())"),
    Probe("chdir", "os.chdir('/')\nreturn True"),
    Probe("readlink", "return bool(os.readlink('/proc/self/exe'))"),
    Probe("mkdir", "os.mkdir('/tmp/x_probe_dir')\nreturn True"),
    Probe("unlink", "return libc.unlink(b'/tmp/x_nothing') == 0", False),
    Probe("chmod", "os.chmod('/tmp', 0o1777)\nreturn True"),
    Probe("chroot", "os.chroot('/')\nreturn True"),
    Probe("mount", "return libc.mount(b'none', b'/tmp', b'tmpfs', 0, 0) == 0", False),
    *_sockets(),
    Probe("socketpair", "return bool(socket.socketpair())"),
    Probe("connect_worker_abstract", "s = socket.socket(socket.AF_UNIX)\ns.connect('\\0x')\nreturn True", False),
    Probe("bind", "s = socket.socket()\ns.bind(('127.0.0.1', 0))\nreturn True"),
    Probe("send_descriptor", "return socket.socket(fileno=0).sendmsg([b'x'], [(1, 1, struct.pack('i', 0))]) > 0", False),
    Probe("fork", "return os.fork() >= 0"),
    Probe("vfork", "return syscall(58) >= 0", False),
    Probe("clone_thread", "import threading\nthreading.Thread(target=print).start()\nreturn True"),
    Probe("clone3", "a = struct.pack('8Q', 0, 0, 0, 0, 17, 0, 0, 0)\npid = syscall(435, a, 64)\nif pid == 0:\n    os._exit(0)\nreturn pid > 0"),
    Probe("unshare", "return libc.unshare(0x10000000) == 0", False),
    Probe("exec", "os.execv('/bin/true', ['true'])\nreturn True", False),
    Probe("execveat", "return syscall(322, -100, b'/bin/true', 0, 0, 0) == 0", False),
    Probe("system", "return os.system('true') == 0"),
    Probe("ptrace_attach", "return libc.ptrace(16, worker, 0, 0) == 0"),
    Probe("ptrace_seize", "return libc.ptrace(0x4206, worker, 0, 0) == 0"),
    Probe("ptrace_traceme", "return libc.ptrace(0, 0, 0, 0) == 0"),
    Probe("kill_nothing", "os.kill(worker, 0)\nreturn True"),
    Probe("kill_worker", "os.kill(worker, signal.SIGURG)\nreturn True"),
    Probe("kill_everyone", "os.kill(-1, 0)\nreturn True"),
    Probe("tgkill_worker", "return syscall(234, worker, worker, 0) == 0"),
    Probe("tkill_worker", "return syscall(200, worker, 0) == 0"),
    Probe("sigqueue", "return syscall(129, worker, 0, 0) == 0", False),
    Probe("pidfd_open", "return os.pidfd_open(worker) >= 0"),
    Probe("pidfd_getfd", "return syscall(438, 0, 0, 0) >= 0", False),
    Probe("process_vm_readv", "b = ctypes.create_string_buffer(8)\nl = struct.pack('QQ', ctypes.addressof(b), 8)\nr = struct.pack('QQ', ctypes.addressof(b), 8)\nreturn syscall(310, worker, l, 1, r, 1, 0) >= 0", False),
    Probe("process_vm_writev", "b = ctypes.create_string_buffer(8)\nl = struct.pack('QQ', ctypes.addressof(b), 8)\nr = struct.pack('QQ', ctypes.addressof(b), 8)\nreturn syscall(311, worker, l, 1, r, 1, 0) >= 0", False),
    Probe("process_madvise", "return syscall(440, 0, 0, 0, 4, 0) >= 0", False),
    Probe("proc_environ", "return bool(open(f'/proc/{worker}/environ', 'rb').read())"),
    Probe("proc_mem", "return bool(open(f'/proc/{worker}/mem', 'rb'))"),
    Probe("proc_maps", "return bool(open('/proc/self/maps').read())"),
    Probe("proc_fd", "return bool(os.listdir('/proc/self/fd'))"),
    Probe("shmget", "return libc.shmget(0, 4096, 0o1600) >= 0"),
    Probe("semget", "return libc.semget(0, 1, 0o1600) >= 0"),
    Probe("msgget", "return libc.msgget(0, 0o1600) >= 0"),
    Probe("mq_open", "return syscall(240, b'x', 0o102, 0o600, 0) >= 0", False),
    Probe("memfd", "return os.memfd_create('x') >= 0"),
    Probe("memfd_secret", "return syscall(447, 0) >= 0", False),
    Probe("eventfd", "return os.eventfd(0) >= 0"),
    Probe("pipe", "return bool(os.pipe())"),
    Probe("dup", "return os.dup(0) > 0"),
    Probe("epoll", "import select\nreturn bool(select.epoll())"),
    Probe("inotify", "return libc.inotify_init() >= 0"),
    Probe("prlimit_worker", "return syscall(302, worker, 7, 0, ctypes.create_string_buffer(16)) == 0"),
    Probe("raise_own_limit", "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\nreturn True"),
    Probe("io_uring", "return syscall(425, 4, ctypes.create_string_buffer(120)) >= 0", False),
    Probe("userfaultfd", "return syscall(323, 1) >= 0", False),
    Probe("bpf", "return syscall(321, 0, ctypes.create_string_buffer(64), 64) >= 0", False),
    Probe("perf_event", "return syscall(298, ctypes.create_string_buffer(120), 0, -1, -1, 0) >= 0", False),
    Probe("keyctl", "return syscall(250, 0, -3, 0) >= 0", False),
    Probe("tiocsti", "import fcntl\nfcntl.ioctl(0, 0x5412, b'x')\nreturn True", False),
    Probe("ioctl", "import fcntl\nfcntl.ioctl(0, 0x541B, b'0000')\nreturn True", False),
    Probe("x32_getpid", "return syscall(0x40000000 | 39) > 0", False),
    Probe("map_executable", "return libc.mmap(None, ctypes.c_size_t(4096), 7, 0x22, -1, 0) not in (None, 2**64 - 1)"),
    Probe("make_executable", "m = libc.mmap(None, ctypes.c_size_t(4096), 3, 0x22, -1, 0)\nreturn libc.mprotect(ctypes.c_void_p(m), ctypes.c_size_t(4096), 7) == 0"),
    Probe("pkey_mprotect", "m = libc.mmap(None, ctypes.c_size_t(4096), 3, 0x22, -1, 0)\nreturn syscall(329, ctypes.c_void_p(m), 4096, 7, -1) == 0"),
    Probe("personality", "return libc.personality(0x0400000) >= 0"),
    Probe("dumpable_again", "return libc.prctl(4, 1, 0, 0, 0) == 0"),
    Probe("no_death_signal", "return libc.prctl(1, 0, 0, 0, 0) == 0"),
    Probe("another_filter", "return libc.prctl(22, 2, ctypes.create_string_buffer(16), 0, 0) == 0", False),
    Probe("setuid", "os.setuid(0)\nreturn True"),
    Probe("setsid", "return os.setsid() > 0", False),
    Probe("setpriority", "return libc.setpriority(0, worker, 0) == 0"),
    Probe("affinity", "os.sched_setaffinity(0, {0})\nreturn True"),
    Probe("ignore_signal", "signal.signal(signal.SIGUSR1, signal.SIG_IGN)\nreturn True"),
    Probe("timer", "signal.setitimer(signal.ITIMER_REAL, 100)\nreturn True"),
    Probe("sleep", "t = time.monotonic()\ntime.sleep(0.01)\nreturn time.monotonic() - t >= 0.01"),
    Probe("entropy", "return len(os.urandom(8)) == 8"),
    Probe("settimeofday", "return libc.settimeofday(ctypes.create_string_buffer(16), 0) == 0", False),
    Probe("reboot", "return syscall(169, 0, 0, 0, 0) == 0", False),
    Probe("swapoff", "return libc.swapoff(b'/x') == 0", False),
    Probe("load_module", "return syscall(313, 0, b'', 0) == 0", False),
    Probe("name_to_self", "return bool(os.getlogin())", False),
]  # fmt: skip
