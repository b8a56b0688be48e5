"""Many batches under way at once: nobody waits for the slow, and nothing is left behind."""

import time
from collections.abc import Iterator
from concurrent.futures import Future

import numpy as np
import pytest

from sandbox.crew import PLACE_MS, Crew
from sandbox.errors import JailFailed
from sandbox.limits import Limits
from sandbox.pool import JailPool
from sandbox.runner import Runner
from sandbox.script import BATCH_BARS, Script
from tests.sandbox.conftest import make_bars

SPIN = "def on_bar(bar, state):\n    while bar.close > 0:\n        pass\n"
CLOSE = "def on_bar(bar, state):\n    return bar.close\n"
COUNT = "def on_bar(bar, state):\n    state['n'] = state.get('n', 0) + 1\n    return state['n']\n"
LONG_MS = 60_000  # the spinner is let go of by the test, not ended by its deadline


@pytest.fixture
def spinner(pool: JailPool) -> Iterator[Runner]:
    runner = pool.load(Script("spin", SPIN, limits=Limits(batch_ms_max=LONG_MS)))
    yield runner
    runner.close()


def test_work_returns_while_a_script_spins_and_the_others_have_answered(
    pool: JailPool, spinner: Runner
) -> None:
    crew, bars = Crew(at_once=1), make_bars(20, 2)
    others = [pool.load(Script(f"close{n}", CLOSE)) for n in range(4)]
    slow = crew.add(spinner, bars)
    jobs = [crew.add(other, bars) for other in others]
    started = time.monotonic()
    for job in jobs:
        assert crew.finish(job).numbers.tolist() == bars.columns["close"].tolist()
    assert not slow.done
    # The only place was the spinner's, for a moment.
    assert PLACE_MS / 1e3 <= time.monotonic() - started < LONG_MS / 2e3
    for _ in range(5):
        crew.work()
    assert not slow.done
    for other in others:
        other.close()


def test_who_is_let_go_of_is_forgotten_with_his_work(pool: JailPool, spinner: Runner) -> None:
    crew, bars = Crew(at_once=1), make_bars(4, 1)
    quick = pool.load(Script("close", CLOSE))
    slow, never = crew.add(spinner, bars), crew.add(pool.load(Script("never", CLOSE)), bars)
    crew.work()
    assert never.runner is not None
    never.runner.close()
    spinner.close()
    assert crew.finish(crew.add(quick, bars)).outcome == "done"
    assert not slow.done
    assert not spinner.jail.alive  # it was not started again
    assert not never.runner.jail.alive
    quick.close()


def test_a_long_batch_goes_in_parts_and_comes_back_whole(pool: JailPool) -> None:
    runner, bars = pool.load(Script("count", COUNT)), make_bars(2 * BATCH_BARS + 10, 1)
    crew = Crew()
    results = crew.finish(crew.add(runner, bars))
    assert results.numbers.tolist() == np.arange(1.0, len(bars) + 1).tolist()
    runner.close()


def test_a_script_whose_process_is_still_to_come_does_not_keep_others_waiting(
    pool: JailPool,
) -> None:
    crew, bars = Crew(at_once=1), make_bars(4, 1)
    coming: Future[Runner] = Future()
    failing: Future[Runner] = Future()
    late, never = crew.add(coming, bars), crew.add(failing, bars)
    quick = pool.load(Script("close", CLOSE))
    assert crew.finish(crew.add(quick, bars)).outcome == "done"
    assert not late.done
    coming.set_result(quick)
    failing.set_exception(JailFailed("deadline", "took too long to load"))
    assert crew.finish(late).numbers.tolist() == bars.columns["close"].tolist()
    assert crew.finish(never).outcome == "crashed"
    assert "took too long to load" in crew.finish(never).message
    quick.close()


def test_what_nobody_foresaw_is_raised_to_who_asked_and_to_nobody_else(pool: JailPool) -> None:
    crew, bars = Crew(), make_bars(4, 1)
    coming: Future[Runner] = Future()
    coming.set_exception(OSError("no descriptor is left"))
    wrong, well = crew.add(coming, bars), pool.load(Script("well", CLOSE))
    assert crew.finish(crew.add(well, bars)).outcome == "done"
    with pytest.raises(OSError, match="no descriptor is left"):
        crew.finish(wrong)
    well.close()
