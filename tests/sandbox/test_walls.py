"""The kernel walls hold against unrestricted Python: nothing gets out, one test for each way."""

# ruff: noqa: BLE001, E501  # scripts of strangers, as they are

import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox import lockdown, seccomp
from sandbox.errors import SandboxUnavailable
from sandbox.pool import JailPool
from sandbox.script import Script
from tests.sandbox.conftest import make_bars
from tests.sandbox.probes import PROBES, Probe

REPOSITORY = Path(__file__).resolve().parents[2]


def python(code: str, *, timeout_s: float = 20.0) -> "subprocess.CompletedProcess[str]":
    """Run `code` in a plain interpreter of its own."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True,
        timeout=timeout_s, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_nothing_forbidden_succeeds_in_a_jail(
    probe: Probe, pool: JailPool, neighbour: Callable[[], None]
) -> None:
    script = Script(probe.name, probe.script, params={"worker": os.getpid()}, vetted=False)
    runner = pool.load(script)
    results = runner.run(make_bars(1, 1))
    assert results.outcome == "forbidden" or results.numbers.tolist() == [0.0], results
    assert results.errors_total == 0, results.errors
    runner.close()
    neighbour()


@pytest.fixture(scope="module")
def bystander() -> Iterator[int]:
    """A process that probes may touch outside a jail."""
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    yield process.pid
    process.kill()
    process.wait()


def test_the_probes_do_succeed_where_there_is_no_jail(bystander: int) -> None:
    if os.getuid() != 0:
        pytest.skip("several probes need root to succeed outside a jail")
    broken = []
    for probe in PROBES:
        if probe.free:
            child = os.fork()
            if child == 0:
                _probe_and_exit(probe, bystander)
            _, status = os.waitpid(child, 0)
            if status:
                broken.append(probe.name)
    for left in Path("/tmp").glob("x_probe*"):
        left.rmdir() if left.is_dir() else left.unlink()
    assert broken == []


def _probe_and_exit(probe: Probe, bystander: int) -> None:
    names: dict[str, object] = {"params": {"worker": bystander}}
    try:
        if probe.name in ("kill_everyone", "fork"):
            os._exit(0)  # would succeed all too well
        exec(compile(probe.script, probe.name, "exec"), names)
        os._exit(0 if names["on_bar"](None, None) == 1.0 else 1)  # type: ignore[operator]
    except BaseException:
        os._exit(2)


def test_a_thirty_two_bit_call_kills() -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("int 0x80 is of x86")
    done = python(
        "import ctypes, mmap, os\n"
        "from sandbox import lockdown\n"
        "code = mmap.mmap(-1, 4096, prot=7)\n"
        "code.write(bytes.fromhex('b814000000cd80c3'))\n"  # getpid, the 32-bit way
        "call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))\n"
        "assert call() == os.getpid()\n"
        "lockdown._prctl(38, 1); lockdown._seccomp(os.getpid())\n"
        "call()\n"
    )
    assert done.returncode == -signal.SIGSYS, done.stderr


@pytest.mark.parametrize("wall", ["landlock", "seccomp", "limits", "dumpable", "death signal"])
def test_each_wall_stands_by_itself(wall: str) -> None:
    attempts = {
        "landlock": ("lockdown._prctl(38, 1); lockdown._landlock(required=True)",
                     "open('/etc/passwd')", "PermissionError"),
        "seccomp": ("lockdown._prctl(38, 1); lockdown._seccomp(os.getpid())",
                    "os.open('/etc/passwd', 0)", "PermissionError"),
        "limits": ("lockdown._limits(lockdown._mapped_bytes() + 2**24)",
                   "bytearray(2**26)", "MemoryError"),
        "dumpable": ("lockdown.undumpable()",
                     "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)); 1 / 0", "ZeroDivisionError"),
        "death signal": ("lockdown._prctl(1, 9); p = ctypes.c_int()",
                         "ctypes.CDLL(None).prctl(2, ctypes.byref(p), 0, 0, 0); assert p.value != 9",
                         "AssertionError"),
    }  # fmt: skip
    wall_code, attempt, error = attempts[wall]
    prelude = "import ctypes, os\nfrom sandbox import lockdown\n"
    free = python(f"{prelude}p = ctypes.c_int()\n{attempt}\n")
    walled = python(f"{prelude}{wall_code}\n{attempt}\n")
    assert error in walled.stderr
    if wall == "dumpable":
        assert (free.stdout, walled.stdout) == ("1\n", "0\n")
    else:
        assert error not in free.stderr


def test_a_hole_in_the_filter_would_still_meet_landlock(tmp_path: Path) -> None:
    """Everything a jail does but seccomp: no file is made or cut, no port reached, none signalled."""
    (tmp_path / "kept").write_text("text")
    done = python(
        "import errno, os, socket, signal\n"
        "from sandbox import lockdown\n"
        "if lockdown.landlock_version() < 6:\n    raise SystemExit(77)\n"
        "lockdown._seccomp = lambda pid: None\n"
        "connection = socket.socket()\n"
        "lockdown.lock_down(os.getppid(), memory_bytes=2**30)\n"
        f"for attempt in (lambda: os.mkdir('{tmp_path}/made'), lambda: os.truncate('{tmp_path}/kept', 0),\n"
        "                lambda: connection.connect(('127.0.0.1', 9)),\n"
        "                lambda: os.kill(os.getppid(), 0)):\n"
        "    try:\n        attempt()\n        raise SystemExit('it got through')\n"
        "    except OSError as error:\n"
        "        assert error.errno in (errno.EACCES, errno.EPERM), error\n"
    )
    if done.returncode == 77:
        pytest.skip("this kernel's Landlock does not know signals yet")
    assert done.returncode == 0, done.stderr
    assert [path.read_text() for path in tmp_path.iterdir()] == ["text"]


def test_without_seccomp_no_script_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lockdown.SYS_SECCOMP, os.uname().machine, 1_000)  # no such call
    with pytest.raises(SandboxUnavailable, match="seccomp filters are not available"):
        JailPool()


def test_without_landlock_scripts_run_only_where_the_operator_opted_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lockdown, "landlock_version", lambda: 0)
    with pytest.raises(SandboxUnavailable, match="landlock_required=False"):
        lockdown.check_machine()
    lockdown.check_machine(landlock_required=False)


# --- the filter itself, run step by step, for both machines


def verdict(program: bytes, number: int, audit: int, arguments: tuple[int, ...] = ()) -> int:
    """What the filter answers, by its meaning in the kernel's documentation."""
    data = struct.pack("=iIQ6Q", number, audit, 0, *(*arguments, 0, 0, 0, 0, 0, 0)[:6])
    steps = list(struct.iter_unpack("=HBBI", program))
    accumulator = at = 0
    while True:
        code, when_true, when_false, value = steps[at]
        at += 1
        if code == 0x20:
            accumulator = struct.unpack_from("=I", data, value)[0]
        elif code == 0x06:
            return int(value)
        else:
            holds = {0x15: accumulator == value, 0x35: accumulator >= value,
                     0x45: bool(accumulator & value)}[code]  # fmt: skip
            at += when_true if holds else when_false


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_only_the_calls_in_the_tables_pass_the_filter(machine: str) -> None:
    kind = seccomp.MACHINES[machine]
    program = seccomp.program(4242, machine)
    allowed = {numbers[kind.column] for numbers in seccomp.ALLOWED.values()}
    allowed |= {numbers[kind.column] for numbers in seccomp.WITHOUT_EXEC.values()}
    refused = {numbers[kind.column] for numbers in seccomp.REFUSED.values()}
    to_self = seccomp.TO_SELF["tgkill"][kind.column]
    for number in range(1_000):
        answer = verdict(program, number, kind.audit)
        if number in allowed:
            assert answer == seccomp.ALLOW
        elif number in refused:
            assert answer == seccomp.REFUSE
        else:
            assert answer == seccomp.KILL_PROCESS, number
    assert verdict(program, to_self, kind.audit, (4242, 1)) == seccomp.ALLOW
    assert verdict(program, to_self, kind.audit, (4243, 1)) == seccomp.KILL_PROCESS


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_executable_memory_and_foreign_machines_never_pass(machine: str) -> None:
    kind = seccomp.MACHINES[machine]
    program = seccomp.program(4242, machine)
    for name in ("mmap", "mprotect"):
        number = seccomp.WITHOUT_EXEC[name][kind.column]
        assert verdict(program, number, kind.audit, (0, 0, 3)) == seccomp.ALLOW
        assert verdict(program, number, kind.audit, (0, 0, 7)) == seccomp.REFUSE
    read = seccomp.ALLOWED["read"][kind.column]
    assert read is not None
    for audit in (0x40000003, 0x40000028, 0, *(m.audit for m in seccomp.MACHINES.values())):
        wanted = seccomp.ALLOW if audit == kind.audit else seccomp.KILL_PROCESS
        assert verdict(program, read, audit) == wanted
    if kind.x32:
        assert verdict(program, read | seccomp.X32_BIT, kind.audit) == seccomp.KILL_PROCESS
