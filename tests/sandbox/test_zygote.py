"""What a jail is born from and with: nothing of the worker, three descriptors, every lock."""

# ruff: noqa: PTH208  # counting, not walking

import ctypes
import os
import threading
from pathlib import Path

import pytest

from sandbox.nursery import ENVIRONMENT
from sandbox.pool import JailPool
from sandbox.runner import Runner
from sandbox.script import Script
from tests.sandbox.conftest import make_bars

QUIET = "def on_bar(bar, state):\n    return 1\n"
needs_root = pytest.mark.skipif(
    os.getuid() != 0, reason="only root can look into a process that made itself undumpable"
)


def status(pid: int, field: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith(field + ":"))


def descriptors(pid: int) -> dict[int, str]:
    folder = Path(f"/proc/{pid}/fd")
    return {int(link.name): str(link.readlink()) for link in folder.iterdir()}


@pytest.fixture
def quiet(pool: JailPool) -> "Runner":
    runner = pool.load(Script("quiet", QUIET))
    assert runner.run(make_bars(1, 1)).outcome == "done"
    return runner


@needs_root
def test_the_zygote_holds_nothing_of_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_REDIS__PASSWORD", "secret")
    read, write = os.pipe()
    os.set_inheritable(read, True)
    with JailPool() as pool:
        zygote = pool.nursery.process.pid
        environment = Path(f"/proc/{zygote}/environ").read_bytes().decode().split("\0")
        assert {line.split("=")[0] for line in environment if line} == set(ENVIRONMENT)
        held = descriptors(zygote)
        assert not [target for target in held.values() if target.startswith("pipe:")]
        assert [held[number] for number in (0, 1, 2)] == ["/dev/null"] * 3
        assert len(held) <= 5  # the three, the socket to the worker, the watch on it
        assert status(zygote, "Threads") == "1"
        assert Path(f"/proc/{zygote}/cwd").readlink() == Path("/")
        pool.load(Script("quiet", QUIET)).close()
        assert len(descriptors(zygote)) <= 5  # none is left behind by a birth
    os.close(read)
    os.close(write)


@needs_root
def test_a_jail_has_three_descriptors_and_every_lock(quiet: Runner) -> None:
    pid = quiet.jail.pid
    held = descriptors(pid)
    assert sorted(held) == [0, 1, 2]
    assert held[0].startswith("socket:")
    assert held[1] == held[2]
    assert (status(pid, "Seccomp"), status(pid, "NoNewPrivs")) == ("2", "1")
    limits = Path(f"/proc/{pid}/limits").read_text()
    for line in ("Max file size             0", "Max processes             0",
                 "Max core file size        0", "Max open files            3"):  # fmt: skip
        assert line in limits
    quiet.close()


def test_the_worker_closes_its_memory_to_its_siblings(pool: JailPool) -> None:
    assert pool.nursery.alive
    assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0  # PR_GET_DUMPABLE


def test_births_and_deaths_leave_nothing_behind(pool: JailPool) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        pool.load(Script("brief", QUIET)).close()
    assert len(os.listdir("/proc/self/fd")) == before
    children = Path(f"/proc/{pool.nursery.process.pid}/task/{pool.nursery.process.pid}/children")
    left = children.read_text().split()
    assert not [pid for pid in left if status(int(pid), "State").startswith("Z")]


def test_scripts_can_be_started_from_several_threads(pool: JailPool) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(4):
                runner = pool.load(Script("threaded", QUIET))
                assert runner.run(make_bars(3, 1)).numbers.tolist() == [1, 1, 1]
                runner.close()
        except BaseException as error:  # noqa: BLE001  # told to the test below
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
