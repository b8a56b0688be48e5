"""Every case of the shared corpus does what its line says, and the worker stays well."""

from collections.abc import Callable
from typing import Any

import pytest

from sandbox.errors import JailFailed
from sandbox.limits import Limits
from sandbox.local import columns_of
from sandbox.pool import JailPool
from sandbox.runner import Refused
from sandbox.script import Script
from sandbox.vetting import vet
from tests.sandbox.conftest import cases, make_bars

LIMITS = Limits(batch_ms_max=60, load_ms_max=1_000)
HARMLESS = {
    "cpu-12",  # a power of 6,000 bits comes to an end, on a machine that is fast enough in time
    "patch-09",  # renames what only it sees
    "stack-07",  # a partial of a partial is one partial: no chain, and in time on a fast machine
    "state-01",  # a state in a circle is refused where it is saved
}


@pytest.mark.parametrize("case", cases("benign"))
def test_a_benign_script_is_accepted_and_gives_plausible_output(
    case: dict[str, Any], pool: JailPool
) -> None:
    patient = Limits(batch_ms_max=60_000, load_ms_max=60_000)
    runner = pool.load(Script(case["id"], case["source"], limits=patient))
    bars = make_bars(480, 2)
    if runner.declared is None:
        results = runner.run(bars)
        assert (results.outcome, results.errors_total, results.limits) == ("done", 0, ())
        assert len(results.numbers) == 480
        assert abs(results.numbers[-60:]).max() < 1e4 or len(results.outputs)
        assert set(runner.save()) == {0, 1}
    else:
        plan = runner.declared.plan()
        columns = plan.run(plan.new_state(2), bars.slots, columns_of(bars))
        assert set(columns) == set(runner.declared.outputs)
        assert all((abs(column[-60:]) < 1e6).any() for column in columns.values())
    runner.close()


@pytest.mark.parametrize("case", cases("hostile"))
def test_a_hostile_script_is_refused_or_contained_as_its_line_says(
    case: dict[str, Any], pool: JailPool, neighbour: Callable[[], None]
) -> None:
    report = vet(case["source"])
    assert report.accepted == (case["expect"] == "contained-at-run"), report.findings
    if report.accepted:
        runner = pool.load(Script(case["id"], case["source"], limits=LIMITS))
        results = runner.run(make_bars(4, 1))
        cut = results.outcome != "done" or results.errors_total or results.log_dropped
        assert cut or case["id"] in HARMLESS
        runner.close()
    else:
        assert all(finding.seen and finding.instead for finding in report.findings)
    neighbour()


@pytest.mark.parametrize("case", cases("hostile"))
def test_without_vetting_the_same_script_is_contained_by_the_kernel(
    case: dict[str, Any], pool: JailPool, neighbour: Callable[[], None], outside: Callable[[], Any]
) -> None:
    before = outside()
    try:
        runner = pool.load(Script(case["id"], case["source"], limits=LIMITS, vetted=False))
    except (Refused, JailFailed):
        pass
    else:
        runner.run(make_bars(4, 1))
        runner.close()
    neighbour()
    assert outside() == before
