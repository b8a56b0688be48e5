from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.shedding import (
    GIVES_UP,
    Objective,
    Priority,
    Shed,
    Shedding,
    Tier,
    computes_every_forming_row,
    computes_forming_rows,
    decide,
    runs_plan,
    runs_script,
    takes_ticks,
)

OBJECTIVE = Objective()
LOSSY = replace(OBJECTIVE, tier_max=Tier.TICKS)


def after(lags, objective=OBJECTIVE):
    """Shedding after each of the lags, one a second."""
    value, seen = Shedding(), []
    for second, lag_s in enumerate(lags):
        value = decide(value, lag_s, float(second), objective=objective)
        seen.append(value)
    return seen


def tiers(lags, objective=OBJECTIVE):
    return [int(one.tier) for one in after(lags, objective)]


def test_tiers_are_entered_in_order_and_left_in_reverse():
    seen = tiers([20.0] * 60 + [0.5] * 200, LOSSY)
    entered = [now for before, now in pairwise([0, *seen]) if now > before]
    left = [now for before, now in pairwise(seen) if now < before]
    assert entered == [1, 2, 3, 4]
    assert left == [3, 2, 1, 0]


def test_ticks_are_not_dropped_unless_that_is_switched_on():
    assert max(tiers([1000.0] * 600)) == Tier.PLANS
    assert max(tiers([1000.0] * 600, LOSSY)) == Tier.TICKS


def test_a_short_burst_sheds_nothing():
    assert set(tiers([6.0, 7.0, 0.0] * 50)) == {0}


def test_a_tier_that_works_is_given_time():
    lags = [20.0] * 3 + [20.0 * 0.95**n for n in range(100)]
    assert max(tiers(lags)) == Tier.CONFLATE


def test_a_lag_between_release_and_objective_changes_nothing():
    seen = tiers([20.0] * 4 + [4.0] * 500)
    assert set(seen[3:]) == {1}


def test_a_lag_that_trembles_about_the_objective_does_not_flap():
    seen = tiers([20.0] * 4 + [2.0 + n % 4 for n in range(600)])
    assert sum(now < before for before, now in pairwise(seen)) == 0


def test_an_unknown_lag_keeps_the_tier_and_breaks_the_calm():
    seen = tiers([20.0] * 4 + [None] * 500)
    assert set(seen[3:]) == {1}
    assert tiers([20.0] * 4 + [0.0] * 20 + [None] + [0.0] * 20)[-1] == 1


@given(st.lists(st.none() | st.floats(0, 100), max_size=300), st.sampled_from(list(Tier)))
def test_a_tier_changes_by_one_never_sooner_than_its_dwell(lags, tier_max):
    objective = replace(OBJECTIVE, tier_max=tier_max)
    seen = [Shedding(), *after(lags, objective)]
    for before, now in pairwise(seen):
        assert abs(now.tier - before.tier) <= 1
        assert now.tier <= tier_max
        if now.tier > before.tier > Tier.NOTHING:
            assert now.since_s - before.since_s >= objective.dwell_s
        if now.tier < before.tier:
            assert now.since_s - before.since_s >= objective.calm_s


def test_a_decision_carries_the_reason_and_what_the_ended_tier_gave_up():
    before = Shedding()
    for second in range(3):
        before = decide(before, 8.0, float(second))
    assert (before.tier, before.since_s) == (Tier.CONFLATE, 2.0)
    assert before.reason == "event lag 8 s over 5 s"
    for second in range(3, 33):
        before = decide(before, 1.0, float(second))
    ended = decide(before, 1.0, 33.0, shed=Shed(forming=12))
    assert (ended.tier, ended.shed) == (Tier.NOTHING, Shed(forming=12))
    assert ended.reason == "event lag below 2.5 s for 30 s"


def test_a_lower_tier_max_is_obeyed_at_once_one_tier_at_a_time():
    value = Shedding(Tier.TICKS)
    value = decide(value, 100.0, 1.0, objective=replace(OBJECTIVE, tier_max=Tier.FORMING))
    assert (value.tier, value.reason) == (Tier.PLANS, "a lower tier_max")


@pytest.mark.parametrize("tier", list(Tier))
def test_each_tier_gives_up_what_the_ones_before_it_do_and_more(tier):
    def given_up(at):
        return {
            *(["conflate"] if not computes_every_forming_row(at) else []),
            *(["forming"] if not computes_forming_rows(at) else []),
            *(f"script {p}" for p in Priority if not runs_script(at, p)),
            *(f"plan {p}" for p in Priority if not runs_plan(at, p)),
            *(f"ticks {p}" for p in Priority if not takes_ticks(at, p)),
        }

    assert bool(given_up(tier)) == bool(tier)
    if tier:
        assert given_up(Tier(tier - 1)) < given_up(tier)
    assert all(takes_ticks(tier, p) and runs_plan(tier, p) for p in Priority if p == Priority.HIGH)
    assert tier in GIVES_UP


def test_no_tier_below_4_drops_a_tick():
    assert all(takes_ticks(tier, Priority.LOW) for tier in Tier if tier < Tier.TICKS)
    assert not takes_ticks(Tier.TICKS, Priority.LOW)
    assert takes_ticks(Tier.TICKS, Priority.NORMAL)


def test_counts_add_up_by_kind():
    assert Shed(1, 2, 3, 4) + Shed(10, 20, 30, 40) == Shed(11, 22, 33, 44)
