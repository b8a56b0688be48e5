"""What shedding does to a batch: less comes out, final rows are the same, any cut agrees."""

from itertools import pairwise

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.test_processor import ROWS, a_batch, a_state, as_fields, joined
from workers.processor import advance
from workers.program import Program
from workers.settings import PlanSettings
from workers.shedding import Shed, Tier
from workers.state import ShardState

PROGRAM = Program(
    {
        "live": PlanSettings(
            timeframe="10s",
            emit="forming",
            values={"c": "close", "e": "ema(close, 3)"},
            signals={"rise": "close > open"},
        ),
        "idle": PlanSettings(timeframe="5s", values={"e": "ema(close, 3)"}, priority="low"),
    }
)


def after(tier, rows, *more):
    """Output of the rows under the tier, then of `more` rows without one."""
    state = a_state(PROGRAM)
    state.shedding.enter(Tier(tier), ("B*",))
    first = advance(PROGRAM, state, a_batch(rows), now_ns=7)
    shed = state.shedding.shed
    state.shedding.enter(Tier.NOTHING, ())
    second = advance(PROGRAM, state, a_batch(more, first=len(rows) + 1), now_ns=7)
    return first, second, shed


def said(output, plan, status):
    entries = [as_fields(entry) for entry in output.values]
    return [
        (entry["symbol"], entry["ts"], entry["data"])
        for entry in entries
        if entry["source"].startswith(plan) and entry["status"] == status
    ]


TICKS = [(at % 3, at * 0.3, 10.0 + at * 7 % 5, 0) for at in range(150)]
LATER = [(at % 3, at * 0.3, 10.0 + at * 7 % 5, 0) for at in range(150, 250)]


@pytest.mark.parametrize("tier", [1, 2, 3])
def test_final_rows_of_a_plan_that_speaks_are_bit_equal_at_every_tier(tier):
    calm, shed = after(0, TICKS)[0], after(tier, TICKS)[0]
    assert said(calm, "live", "final")
    assert said(shed, "live", "final") == said(calm, "live", "final")


@pytest.mark.parametrize("tier", [1, 2, 3])
def test_all_that_follows_the_end_of_a_tier_is_bit_equal(tier):
    calm, shed = after(0, TICKS, *LATER)[1], after(tier, TICKS, *LATER)[1]
    for plan in ("live", "idle"):
        for status in ("final", "forming"):
            assert said(shed, plan, status) == said(calm, plan, status)
    assert said(calm, "idle", "final")


def test_tier_1_gives_one_forming_row_an_instrument_and_second_and_counts_the_others():
    first, _, shed = after(1, TICKS)
    rows = said(first, "live", "forming")
    seconds = {(slot, int(at)) for slot, at, *_ in TICKS}
    assert len(rows) == len(seconds)
    assert shed == Shed(forming=len(TICKS) - len(rows))


def test_tier_2_gives_no_forming_row_and_tier_3_silences_plans_of_low_priority():
    first, _, shed = after(2, TICKS)
    assert not said(first, "live", "forming")
    assert shed == Shed(forming=len(TICKS))
    third, _, shed = after(3, TICKS)
    assert not said(third, "idle", "final")
    assert shed.plans == len(said(after(0, TICKS)[0], "idle", "final"))


def test_tier_4_drops_ticks_of_low_symbols_counts_them_and_marks_what_they_touch():
    first, second, shed = after(4, TICKS, *LATER)
    low = sum(slot == 2 for slot, *_ in TICKS)
    assert first.counts["shed"] == shed.ticks == low
    assert sum(first.counts.values()) == len(TICKS)
    signals = [as_fields(entry) for entry in second.signals]
    assert {entry["symbol"] for entry in signals if entry.get("degraded") == "4"} == {"BBB"}
    assert not any("degraded" in entry for entry in signals if entry["symbol"] != "BBB")
    values = [as_fields(entry) for entry in second.values]
    assert {entry["symbol"] for entry in values if entry.get("degraded") == "4"} == {"BBB"}
    assert not any("degraded" in entry for entry in values if entry["symbol"] != "BBB")


def test_forming_signals_and_values_under_a_tier_say_which():
    first, second, _ = after(1, TICKS, *LATER)
    for kind in ("signals", "values"):
        entries = [as_fields(entry) for entry in getattr(first, kind)]
        marked = {entry["status"] for entry in entries if entry.get("degraded") == "1"}
        assert marked, kind
        assert "final" not in marked
        assert not any("degraded" in as_fields(entry) for entry in getattr(second, kind)), kind


@settings(max_examples=40)
@given(ROWS, st.lists(st.integers(0, 60), max_size=4), st.integers(1, 4))
def test_any_cut_of_the_log_gives_the_same_under_every_tier(rows, cuts, tier):
    def shedding():
        state = a_state(PROGRAM)
        state.shedding.enter(Tier(tier), ("B*",))
        return state

    state = shedding()
    whole = joined([advance(PROGRAM, state, a_batch(rows), now_ns=7)])
    expected, state, outputs = state.shedding.shed, shedding(), []
    edges = sorted({0, len(rows), *(min(cut, len(rows)) for cut in cuts)})
    for start, end in pairwise(edges):
        outputs.append(advance(PROGRAM, state, a_batch(rows[start:end], first=start + 1), 7))
        _, state = ShardState.load(state.save(PROGRAM), symbols_max=10)
    assert joined(outputs) == whole
    assert state.shedding.shed == expected


def test_a_plans_priority_is_no_reason_to_warm_it_up_again():
    plan = PlanSettings(values={"c": "close"})
    low = PlanSettings(values={"c": "close"}, priority="low")
    one, other = Program({"p": plan}), Program({"p": low})
    assert one.plans[0].digest == other.plans[0].digest
    assert one.digest != other.digest
    assert orjson.loads(other.payload)["p"]["priority"] == "low"
