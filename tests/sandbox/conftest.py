"""One zygote for the whole run, bars to run on, and the shared corpus where it is there."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sandbox.crew import Crew
from sandbox.limits import Limits
from sandbox.pool import JailPool
from sandbox.results import Results
from sandbox.runner import Runner
from sandbox.script import Bars, Script

START_S = 1_700_000_000
SHARED = Path(__file__).resolve().parents[3] / "shared"


def make_bars(rows: int = 60, slots: int = 2, *, seed: int = 7, first: int = 0) -> Bars:
    """A seeded walk of a few instruments, one-minute bars, rows in turn."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, first + rows)))[first:]
    spread = 1.0 + rng.uniform(0.001, 0.01, rows)
    minute = (first + np.arange(rows)) // slots
    return Bars(
        slots=np.arange(rows) % slots,
        ts=(START_S + 60 * minute) * 10**9,
        columns={
            "open": close / spread,
            "high": close * spread,
            "low": close / spread / spread,
            "close": close,
            "volume": np.full(rows, 5.0),
        },
        symbols={slot: f"SYM{slot}" for slot in range(slots)},
    )


def together(work: Mapping[Runner, Bars], at_once: int | None = None) -> dict[Runner, Results]:
    """A batch for each script, side by side."""
    crew = Crew(at_once)
    jobs = {runner: crew.add(runner, bars) for runner, bars in work.items()}
    return {runner: crew.finish(job) for runner, job in jobs.items()}


def corpus(name: str) -> list[dict[str, Any]]:
    """Cases of the shared corpus; none where it is not beside this checkout."""
    path = SHARED / "corpus" / f"{name}.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def cases(name: str) -> list[Any]:
    """The corpus as parameters, or one that skips and says why."""
    found = corpus(name)
    if found:
        return [pytest.param(case, id=case["id"]) for case in found]
    return [pytest.param(None, marks=pytest.mark.skip("the corpus is not beside this checkout"))]


@pytest.fixture(scope="session")
def pool() -> Iterator[JailPool]:
    with JailPool() as made:
        yield made


@pytest.fixture(scope="session")
def neighbour(pool: JailPool) -> Iterator[Callable[[], None]]:
    """A healthy script beside the hostile ones; call it to prove that it still is."""
    source = (
        "def on_bar(bar, state):\n    state['n'] = state.get('n', 0) + 1\n    return state['n']\n"
    )
    runner = pool.load(Script("neighbour", source, limits=Limits(batch_ms_max=60_000)))
    said = 0

    def check() -> None:
        nonlocal said
        results = runner.run(make_bars(4, 1))
        assert results.outcome == "done"
        assert results.numbers.tolist() == [said + 1, said + 2, said + 3, said + 4]
        said += 4

    yield check
    runner.close()


@pytest.fixture
def attack(pool: JailPool, neighbour: Callable[[], None]) -> Iterator[Callable[..., Results]]:
    """Run unrestricted Python in a jail; afterwards the neighbour must be well."""
    runners = []

    def run(source: str, **limits: int) -> Results:
        script = Script("attack", source, limits=Limits(**limits), vetted=False)
        runner = pool.load(script)
        runners.append(runner)
        return runner.run(make_bars(1, 1))

    yield run
    for runner in runners:
        runner.close()
    neighbour()


@pytest.fixture
def outside() -> Callable[[], Any]:
    """What an escaped script could have touched: files in common places, our own children."""

    def look() -> Any:
        made = [sorted(path.iterdir()) for path in (Path("/dev/shm"), Path("/"), Path.cwd())]
        made.append(list(Path("/tmp").glob("x*")))
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        return made, len(children)

    return look


def resident_kib() -> int:
    """This process's memory."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def running(pid: int) -> bool:
    return process_state(pid) not in ("", "Z")


def process_state(pid: int) -> str:
    """Its letter in `ps`, empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def await_that(holds: Callable[[], bool], what: str) -> None:
    """Poll what no event announces: the state of processes that are others' children."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.01)
