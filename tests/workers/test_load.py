"""What a worker tells of its shards, and what the fleet makes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.load import COST_FLOOR, Pace, ShardLoad, backlogs_s, costs, demand
from workers.membership import Peer, View
from workers.scaling import Required, Sizing, Unknown, required
from workers.settings import ScalingSettings
from workers.sizing import Sizer

BUSY = ShardLoad(arrival=900.0, backlog=300.0, rate=1_000.0)
IDLE = ShardLoad(arrival=0.0, backlog=0.0)


def test_a_shard_that_trickles_is_not_taken_for_one_that_needs_a_worker() -> None:
    pace = Pace()
    for rows in [1, 3, 2, 1, 4, 900, 2, 1, 2_000, 3] * 20:
        pace = pace.observe(rows, 0.0002 + rows * 1e-5)
    assert pace.per_s == pytest.approx(1 / (1e-5 + 0.0002 / 2_000), rel=0.01)


@given(st.lists(st.tuples(st.integers(0, 5_000), st.floats(0, 0.1)), max_size=60))
def test_a_pace_is_never_slower_than_the_mean_and_never_negative(
    batches: list[tuple[int, float]],
) -> None:
    pace = Pace()
    for rows, busy_s in batches:
        pace = pace.observe(rows, busy_s)
    if pace.per_s is not None:
        assert pace.per_s >= pace.rows / pace.busy_s * (1 - 1e-9)


def test_a_load_reads_back_as_it_was_told_and_leaves_out_what_a_newer_worker_adds() -> None:
    told = ShardLoad(arrival=1.5, level=2, reason="x", hot="AAA", hot_share=0.5).as_json()
    assert ShardLoad.parse(told | {"of_tomorrow": 1}).as_json() == told
    assert ShardLoad().as_json() == {}


def test_costs_and_backlogs_are_in_busy_seconds_and_unknown_ones_are_left_out() -> None:
    loads = {"0": BUSY, "1": IDLE, "2": ShardLoad(arrival=5.0)}
    assert costs(loads) == {"0": COST_FLOOR + 0.9, "1": COST_FLOOR}
    assert backlogs_s(loads) == {"0": 0.3, "1": 0.0}


def test_the_demand_is_unknown_until_every_shard_was_measured() -> None:
    sizing = Sizing(workers_max=4)
    whole = required(demand({"0": BUSY, "1": IDLE}, ["0", "1"], 0.0), sizing)
    assert isinstance(whole, Required)
    assert whole.arrivals == pytest.approx(0.9 / 0.75)
    assert isinstance(required(demand({"0": BUSY}, ["0", "1"], 0.0), sizing), Unknown)


def test_a_slow_shard_weighs_by_what_it_is_asked_to_do() -> None:
    slow = ShardLoad(arrival=100.0, backlog=0.0, rate=100.0)
    asked = demand({"0": BUSY, "1": slow}, ["0", "1"], 0.0)
    assert asked.rate_per_worker == pytest.approx((1_200 + 100) / (1.2 + 1.0))


def test_a_handover_leaves_no_hole_in_what_is_known() -> None:
    sizer = Sizer(ScalingSettings(), ["0"])
    sizer.observe({"0": BUSY})
    fresh = {"0": ShardLoad(moved_ms=7)}
    sizer.observe(fresh)
    assert isinstance(sizer.required(), Required)
    known = sizer.known(fresh)["0"]
    assert (known.arrival, known.moved_ms) == (BUSY.arrival, 7)


def test_a_shard_on_its_way_belongs_to_its_taker_if_that_one_lives() -> None:
    one = Peer("one", 0, ("0", "1", "2"), giving={"0": "two", "1": "gone"})
    two = Peer("two", 0, ())
    view = View(0, [one, two])
    assert view.owners == {"0": "two", "1": "one", "2": "one"}
    assert view.given == {"0": "two"}
    taken = View(0, [Peer("one", 0, (), giving={"0": "two"}), Peer("two", 0, ("0",))])
    assert taken.owners == {"0": "two"}
