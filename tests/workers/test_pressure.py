from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.pace import (
    DELAY_S_MAX,
    PACE_MIN,
    WINDOW_ROWS,
    WINDOW_ROWS_MAX,
    WINDOW_ROWS_MIN,
    Pace,
    Window,
    delay_s,
    pace,
)
from streams.records import EntryId
from workers.pressure import (
    Pressure,
    ReadSize,
    Strain,
    assess,
    assess_fleet,
    entries_max,
    rows_max,
)

CALM = Strain(0.0, 0.0, 0.0)
LAGS = st.none() | st.floats(0, 100)
STRAINS = st.builds(Strain, LAGS, LAGS, st.none() | st.floats(0, 1))


def after(strains, step_s=1.0):
    """Pressure after each of the strains, one a step."""
    value, seen = Pressure(), []
    for step, strain in enumerate(strains):
        value = assess(value, strain, step * step_s)
        seen.append(value)
    return seen


@pytest.mark.parametrize(
    ("strain", "level", "reason"),
    [
        (CALM, 0, "calm"),
        (Strain(1.0, 0.0, 0.0), 1, "event lag 1 s, from 1 s"),
        (Strain(0.0, 7.25, 0.0), 2, "arrival lag 7.25 s, from 5 s"),
        (Strain(2.0, 0.0, 0.96), 3, "memory 0.96, from 0.95"),
        (Strain(None, None, None), 0, "calm"),
    ],
)
def test_the_level_is_the_worst_measures_and_its_reason_names_it(strain, level, reason):
    pressure = assess(Pressure(), strain, 10.0)
    assert (pressure.level, pressure.reason) == (level, reason)


def test_a_level_rises_at_once_and_falls_by_one_after_each_calm_spell():
    levels = [one.level for one in after([Strain(40.0, 0.0, 0.0)] + [CALM] * 20)]
    assert levels == [3] * 6 + [2] * 6 + [1] * 6 + [0] * 3


def test_a_lag_that_trembles_about_a_threshold_gives_one_level():
    levels = [one.level for one in after([Strain(4.0 + n % 3, 0.0, 0.0) for n in range(60)])]
    assert levels == [1, *[2] * 59]


def test_an_unknown_measure_relieves_nothing():
    levels = [one.level for one in after([Strain(6.0, 0.0, 0.0)] + [Strain(None, 0.0, 0.0)] * 60)]
    assert set(levels) == {2}


@given(st.lists(STRAINS, max_size=60))
def test_a_level_never_falls_by_more_than_one_nor_before_the_calm_spell(strains):
    seen = after(strains)
    for before, now in pairwise(seen):
        assert 0 <= now.level <= 3
        assert now.level >= before.level - 1
        if now.level < before.level:
            assert now.since_s - before.since_s >= 5.0


@given(STRAINS, STRAINS)
def test_more_strain_is_never_less_pressure(one, other):
    def worse(a, b):
        return max((x for x in (a, b) if x is not None), default=None)

    both = Strain(
        worse(one.event_lag_s, other.event_lag_s),
        worse(one.arrival_lag_s, other.arrival_lag_s),
        worse(one.memory, other.memory),
    )
    assert assess(Pressure(), both, 0.0).level >= assess(Pressure(), one, 0.0).level


def test_the_fleet_is_at_the_level_of_a_tenth_of_its_shards_and_names_the_worst():
    shards = {f"ticks:{{{n}}}": Pressure() for n in range(20)}
    hot = Pressure(3, 0.0, "event lag 40 s, from 30 s")
    one = assess_fleet(Pressure(), shards | {"ticks:{7}": hot}, 5.0)
    assert one.level == 0
    assert one.reason == "worst ticks:{7} at 3: event lag 40 s, from 30 s"
    two = assess_fleet(one, shards | {"ticks:{7}": hot, "ticks:{3}": Pressure(2)}, 6.0)
    assert (two.level, two.since_s) == (2, 6.0)
    assert two.reason.startswith("2 of 20 shards at 2, worst ticks:{7} at 3")
    assert assess_fleet(two, shards, 7.0) == Pressure(0, 7.0, "calm")


def test_the_only_shard_of_a_fleet_is_the_fleet():
    assert assess_fleet(Pressure(), {"ticks:{0}": Pressure(2)}, 0.0).level == 2
    assert assess_fleet(Pressure(1, 3.0), {}, 9.0) == Pressure(1, 3.0)


def test_a_read_is_a_turn_of_work_within_bounds():
    free = 1 << 30
    assert rows_max(20_000.0, free) == 1_000
    assert rows_max(1e9, free) == ReadSize().rows_max
    assert rows_max(10.0, free) == ReadSize().rows_min
    assert rows_max(None, free) == ReadSize().rows_min


@given(st.none() | st.floats(0, 1e12), st.integers(0, 1 << 40))
def test_what_is_read_fits_in_the_free_memory_twice_and_is_never_nothing(rate, free):
    rows = rows_max(rate, free)
    assert rows >= 1
    assert rows == 1 or 2 * rows * ReadSize().row_bytes <= 0.25 * free


def test_reading_never_outruns_processing_at_any_backlog():
    """A worker that reads while it computes holds two reads at most, however long the queue."""
    size, rate, queue, in_hand, held_most = ReadSize(), 30_000.0, 10_000_000, 0, 0
    for _ in range(200):
        in_hand, queue = in_hand + rows_max(rate, 1 << 28), queue - rows_max(rate, 1 << 28)
        held_most = max(held_most, in_hand)
        in_hand = max(0, in_hand - int(rate * size.turn_s))
    assert held_most <= 2 * size.rows_max


def test_frames_are_read_by_the_rows_that_they_hold():
    assert entries_max(5_000, 1.0) == 5_000
    assert entries_max(5_000, 1_000.0) == 5
    assert entries_max(100, 1_000.0) == 1
    assert entries_max(100, 0.0) == 100


def paces(levels, step_s=1.0):
    value, seen = pace(Pace(), 0, 0.0), []
    for step, level in enumerate(levels, 1):
        value = pace(value, level, step * step_s)
        seen.append(value.share)
    return seen


def test_a_producer_halves_at_3_eases_at_2_holds_at_1_and_regains_at_0():
    assert paces([3, 3, 2, 1, None, 1]) == pytest.approx([0.5, 0.25, 0.2, 0.2, 0.2, 0.2])
    assert paces([3] + [0] * 20)[-1] == 1.0
    assert paces([3] * 100)[-1] == PACE_MIN


@given(st.lists(st.none() | st.integers(0, 3), max_size=50), st.floats(0.01, 10))
def test_a_pace_is_a_share_and_its_delay_is_bounded(levels, step_s):
    for share in paces(levels, step_s):
        assert PACE_MIN <= share <= 1.0
        assert 0.0 <= delay_s(Pace(share), 0.01) <= DELAY_S_MAX


def test_a_pace_does_not_depend_on_how_often_the_level_is_read():
    assert paces([2] * 40, 0.1)[-1] == pytest.approx(paces([2] * 4, 1.0)[-1])


def test_the_delay_brings_the_producer_to_its_share():
    assert delay_s(Pace(0.25), 0.1) == pytest.approx(0.3)
    assert delay_s(Pace(1.0), 0.1) == 0.0


def test_a_producer_that_heeds_the_level_brings_a_swamped_shard_back():
    """It may send five times what the shard can do; the backlog stays below what sheds."""
    capacity, full, backlog = 1_000.0, 5_000.0, 0.0
    pressure, own, lags = Pressure(), Pace(), []
    for second in range(600):
        own = pace(own, pressure.level, float(second))
        backlog = max(0.0, backlog + full * own.share - capacity)
        lags.append(backlog / capacity)
        pressure = assess(pressure, Strain(lags[-1], lags[-1], 0.1), float(second))
    assert max(lags[:60]) > 5.0
    assert max(lags[60:]) < 30.0
    assert max(lags[300:]) < 15.0


@given(st.floats(1e3, 1e8))
def test_a_producer_that_fills_its_window_is_bounded_however_slow_the_fleet(rate_per_s):
    window, done, sent, now_s = Window(), 0.0, 0, 0.0
    ahead_s = []
    for _ in range(3_000):
        if window.rows <= window.rows_max:
            sent += window.rows_max
            window.send(window.rows_max, {"a": EntryId(sent, 0)}, now_s)
        now_s += 0.01
        done = min(float(sent), done + 0.01 * rate_per_s)
        window.arrive({"a": EntryId(int(done), 0)}, now_s)
        ahead_s.append((sent - done) / rate_per_s)
    # Two windows may be on their way; a full one doubles what was done within half a second.
    assert max(ahead_s) <= max(4.0, 4 * WINDOW_ROWS / rate_per_s)
    assert sent >= min(0.3 * rate_per_s * now_s, 0.3 * WINDOW_ROWS_MAX / 0.02 * now_s)


def test_a_window_grows_with_what_is_done_soon_shrinks_with_what_is_not_and_forgets():
    window = Window()
    for _ in range(40):
        window.send(1, {"a": EntryId(5, 0)}, 0.0)
        window.arrive({"a": EntryId(5, 0)}, 0.1)
    assert window.rows_max == WINDOW_ROWS_MAX
    for _ in range(40):
        window.send(1, {"a": EntryId(5, 0)}, 0.0)
        window.arrive({"a": EntryId(4, 0), "b": EntryId(9, 0)}, 5.0)
        assert window.rows == 1
        window.arrive({"a": EntryId(5, 0)}, 5.0)
    assert window.rows_max == WINDOW_ROWS_MIN
    window.send(7, {"a": EntryId(6, 0)}, 0.0)
    window.forget()
    assert window.rows == 0
    window.send(7, {"a": EntryId(6, 0)}, 0.0)
    window.arrive({}, 1.0)  # the fleet does not have this stream
    assert window.rows == 0
