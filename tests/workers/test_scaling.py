from dataclasses import replace
from itertools import pairwise
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.scaling import (
    Arrivals,
    Behaviour,
    BusyRate,
    Demand,
    History,
    Required,
    Sizing,
    Unknown,
    combine,
    observe_arrivals,
    required,
    scale,
    total,
)

DEMAND = Demand(arrival=682.5, backlog=34_800.0, rate_per_worker=100.0, shards=64)
SIZING = Sizing(workers_min=1, workers_max=32, utilisation=0.75, drain_s=120.0)
RATES = st.floats(0, 1e9)


def test_required_is_arrivals_and_catch_up_and_says_so():
    answer = required(DEMAND, SIZING)
    assert answer == Required(12, pytest.approx(9.1), pytest.approx(2.9))
    assert answer.reason == "12: arrivals 9.1, catch-up 2.9"


def test_three_workers_worth_of_load_is_three_workers():
    assert required(replace(DEMAND, arrival=225.0, backlog=0.0), SIZING).workers == 3
    assert required(replace(DEMAND, arrival=226.0, backlog=0.0), SIZING).workers == 4


@given(RATES, RATES, RATES, st.floats(1, 1e6), st.integers(1, 4096))
def test_more_load_never_needs_fewer_workers(arrival, backlog, more, rate, shards):
    demand = Demand(arrival, backlog, rate, shards)
    least = required(demand, SIZING).workers
    assert least <= required(replace(demand, arrival=arrival + more), SIZING).workers
    assert least <= required(replace(demand, backlog=backlog + more), SIZING).workers
    assert min(SIZING.workers_min, shards) <= least <= min(SIZING.workers_max, shards)


@given(
    st.sampled_from(["arrival", "backlog", "rate_per_worker"]),
    st.sampled_from([None, nan, inf, -1.0]),
)
def test_what_is_not_known_is_unknown_and_never_a_number(name, value):
    answer = required(replace(DEMAND, **{name: value}), SIZING)
    assert isinstance(answer, Unknown)
    assert name.split("_")[0] in answer.reason
    assert not hasattr(answer, "workers")


def test_a_stale_measurement_is_unknown_and_every_gap_is_named():
    answer = required(replace(DEMAND, arrival=None, rate_per_worker=0.0, age_s=45.0), SIZING)
    assert answer.reason == (
        "unknown: arrival rate, rate per worker, measured 45 s ago, limit 30 s"
    )
    assert isinstance(required(replace(DEMAND, age_s=nan), SIZING), Unknown)


def test_a_rate_too_small_to_divide_by_is_unknown():
    assert isinstance(required(replace(DEMAND, rate_per_worker=1e-320), SIZING), Unknown)


def test_a_fleet_without_load_needs_the_minimum_whatever_its_rate():
    idle = Demand(arrival=0.0, backlog=0.0, rate_per_worker=None, shards=64)
    assert required(idle, replace(SIZING, workers_min=2)).reason == (
        "2: arrivals 0.0, catch-up 0.0, min 2"
    )


def test_limits_that_bind_are_named():
    assert required(DEMAND, replace(SIZING, workers_max=8)).bound == "max 8 of 12"
    assert required(replace(DEMAND, shards=4), SIZING).bound == "shards 4 of 12"


def test_arrivals_follow_a_step_by_half_in_a_half_life():
    rate = Arrivals()
    for second in range(101):
        rate = observe_arrivals(rate, 100 * second, float(second), half_life_s=10.0)
    assert rate.per_s == pytest.approx(100.0)
    for second in range(101, 111):
        rate = observe_arrivals(rate, 10_000 + 500 * (second - 100), float(second), 10.0)
    assert rate.per_s == pytest.approx(300.0)


@given(st.lists(st.floats(0.1, 30), min_size=2, max_size=20))
def test_a_steady_rate_is_measured_whenever_it_is_read(gaps):
    rate, at_s = Arrivals(), 0.0
    for gap in gaps:
        at_s += gap
        rate = observe_arrivals(rate, round(1e6 * at_s), at_s, half_life_s=10.0)
    assert rate.per_s == pytest.approx(1e6, rel=1e-4)


def test_arrivals_are_unknown_at_first_and_after_the_counter_went_back():
    first = observe_arrivals(Arrivals(), 1000, 1.0, 10.0)
    assert first.per_s is None
    known = observe_arrivals(first, 1100, 2.0, 10.0)
    assert known.per_s == 100.0
    assert observe_arrivals(known, 1200, 2.0, 10.0) == known
    assert observe_arrivals(known, 5, 3.0, 10.0).per_s is None


def test_workers_together_have_the_rate_of_all_rows_over_all_busy_time():
    assert combine([BusyRate(300, 1.0), BusyRate(100, 1.0), BusyRate()]).per_s == 200.0
    assert combine([]).per_s is None


def test_a_sum_with_an_unknown_in_it_is_unknown():
    assert total([1.0, 2.0]) == 3.0
    assert total([]) == 0.0
    assert total([1.0, None]) is None


def run(wanted, seconds, current=1, behaviour=None, step_s=5):
    """Workers over time in a fleet that wants `wanted(second)`."""
    history, workers = History(), []
    for second in range(0, seconds, step_s):
        answer = scale(
            current,
            wanted(second) if callable(wanted) else wanted,
            float(second),
            history,
            behaviour=behaviour or Behaviour(),
        )
        history, current = answer.history, answer.workers
        workers.append(current)
    return workers


def need(workers):
    return Required(workers, float(workers), 0.0)


def test_a_fleet_grows_at_once_by_double_or_by_four_each_half_minute():
    assert run(need(40), 100) == [5] * 6 + [10] * 6 + [20] * 6 + [40] * 2


def test_a_fleet_shrinks_after_the_window_by_a_quarter_a_minute():
    workers = run(need(2), 800, current=16, step_s=10)
    assert workers[:30] == [16] * 30
    assert workers[30:36] == [12] * 6
    assert workers[36:42] == [9] * 6
    assert workers[-1] == 2
    assert workers == sorted(workers, reverse=True)


def test_a_fleet_does_not_shrink_while_the_window_saw_a_higher_need():
    workers = run(lambda second: need(8 if second % 240 == 0 else 2), 3000, current=8)
    assert set(workers) == {8}


def test_a_need_within_the_tolerance_changes_nothing():
    assert set(run(need(11), 1000, current=10)) == {10}
    assert set(run(need(9), 1000, current=10)) == {10}
    assert run(need(12), 10, current=10)[-1] == 12


def test_a_need_that_trembles_gives_one_size_and_no_flapping():
    workers = run(lambda second: need(9 + (second // 5) % 4), 3000, current=9)
    changes = sum(a != b for a, b in pairwise(workers))
    assert changes <= 2
    assert workers[-1] == 12


def test_an_unknown_need_keeps_the_workers_and_says_why():
    answer = scale(7, Unknown("unknown: backlog"), 0.0, History())
    assert answer.workers == 7
    assert answer.reason == "7 kept, unknown: backlog"
    assert set(run(Unknown("unknown: backlog"), 2000, current=7)) == {7}


def test_a_decision_says_from_where_to_where_and_why():
    answer = scale(3, required(DEMAND, SIZING), 0.0, History())
    assert answer.reason == "3 -> 7, 12: arrivals 9.1, catch-up 2.9, held at 7 by the pace"


def test_the_history_does_not_grow_for_ever():
    history, current = History(), 4
    for second in range(2000):
        answer = scale(current, need(4 + second % 7), float(second), history)
        history, current = answer.history, answer.workers
    assert len(history.asked) <= 302
    assert len(history.added) <= 60


@given(st.lists(st.none() | st.integers(1, 64), min_size=1, max_size=60), st.integers(1, 64))
def test_a_fleet_stays_within_what_was_asked_for(needs, current):
    history, asked = History(), [current]
    for step, workers in enumerate(needs):
        wanted = Unknown("unknown") if workers is None else need(workers)
        asked += [] if workers is None else [workers]
        answer = scale(current, wanted, 20.0 * step, history)
        assert min(asked) <= answer.workers <= max(asked)
        history, current = answer.history, answer.workers
