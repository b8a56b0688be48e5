"""A worker that is stopped or hangs leaves its jails alone: what spins ends by itself."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.conftest import running

# A spinner and a counter are at work while this process is stopped; then it goes on with both.
HOST = """
import sys
from sandbox.limits import Limits
from sandbox.crew import Crew
from sandbox.pool import JailPool
from sandbox.script import Script
from tests.sandbox.conftest import make_bars
pool, crew, bars = JailPool(), Crew(), make_bars(4, 1)
limits = Limits(batch_ms_max=400)
deaf = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {24})"
first = deaf if sys.argv[1] == "deaf" else "pass"
spin = f"def on_bar(bar, state):\\n    {first}\\n    while 1: 1\\n"
count = "def on_bar(bar, state):\\n    state['n'] = state.get('n', 0.0) + 1\\n    return state['n']"
spinner = pool.load(Script("spin", spin, limits=limits, vetted=False))
counter = pool.load(Script("count", count, limits=limits))
jobs = [crew.add(counter, bars), crew.add(spinner, bars)]
crew.work()
print(spinner.jail.pid, counter.jail.pid, flush=True)
sys.stdin.readline()
for job in jobs:
    print(crew.finish(job).outcome, *job.results.numbers.tolist(), flush=True)
print(crew.finish(crew.add(counter, bars)).numbers.tolist(), flush=True)
pool.close()
"""


@pytest.fixture
def host(request: pytest.FixtureRequest) -> "Iterator[subprocess.Popen[str]]":
    started = subprocess.Popen(
        [sys.executable, "-c", HOST, request.param], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    yield started
    started.kill()
    started.communicate()


@pytest.mark.parametrize(
    ("host", "cpu_s_max"), [("spin", 2.5), ("deaf", 9.0)], indirect=["host"], ids=["spin", "deaf"]
)
def test_a_spinner_ends_by_itself_while_its_worker_is_stopped(
    host: "subprocess.Popen[str]", cpu_s_max: float
) -> None:
    assert host.stdout is not None
    assert host.stdin is not None
    spinner, counter = map(int, host.stdout.readline().split())
    host.send_signal(signal.SIGSTOP)
    used_s, deadline = 0.0, time.monotonic() + 60
    while running(spinner):
        used_s = max(used_s, cpu_s(spinner))
        assert time.monotonic() < deadline, f"it has used {used_s} s of CPU"
        time.sleep(0.02)  # it belongs to the zygote: there is no event to await
    assert 0.0 < used_s < cpu_s_max
    assert running(counter)
    host.send_signal(signal.SIGCONT)
    host.stdin.write("go on\n")
    host.stdin.flush()
    said = [host.stdout.readline().strip() for _ in range(3)]
    assert said[0] == "done 1.0 2.0 3.0 4.0"  # it answered while nobody listened
    assert said[1] in ("deadline", "crashed")
    assert said[2] == "[5.0, 6.0, 7.0, 8.0]"


def cpu_s(pid: int) -> float:
    """CPU seconds of a process by its own clock, 0 when it is gone."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0
