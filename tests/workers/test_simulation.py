"""The simulation of `benchmarks`, small: the fleet's decision code in a closed loop."""

from dataclasses import replace
from functools import cache

import pytest

from benchmarks.fleet_model import Run, Scenario, run
from benchmarks.simulation import (
    MARKERS,
    absorbed_s,
    balances,
    disturbances,
    hasty_moves,
    memberships,
    ping_pongs,
    plot,
    shrink_end,
    stability,
    table,
    within,
    write,
)

SMALL = Scenario(
    shards=256,
    instruments=20_000,
    zipf=0.4,
    workers_start=9,
    workers_max=48,
    busy_workers=6.5,
    crash_workers=2,
)
WARM_S = 60
every_seed = pytest.mark.parametrize("seed", [0, 1, 2])


@cache
def seen(seed: int) -> Run:
    return run(replace(SMALL, seed=seed))


@every_seed
def test_a_burst_of_five_times_is_absorbed_by_growing(seed):
    samples = seen(seed).samples
    before, ended = within(samples, 0, 600)[-1], within(samples, 600, 1_800)[-1]
    assert before.workers <= 10
    assert 40 <= ended.workers <= SMALL.workers_max
    assert absorbed_s(samples, *SMALL.burst_s) <= 240
    assert ended.lag_s_worst <= 2


@every_seed
def test_a_fleet_does_not_flap_once_the_load_is_steady(seed):
    changes = seen(seed).changes
    warm = [one for one in changes if WARM_S <= one[0] < SMALL.burst_s[0]]
    steady_s = SMALL.burst_s[0] + absorbed_s(seen(seed).samples, *SMALL.burst_s)
    high = [one for one in changes if steady_s <= one[0] < SMALL.burst_s[1]]
    low = [one for one in changes if one[0] >= shrink_end(SMALL)]
    assert max(len(warm), len(high), len(low)) <= 3
    growing = [one[2] > one[1] for one in changes if SMALL.burst_s[0] <= one[0] < 2_400]
    assert growing == sorted(growing, reverse=True)  # all the way up, then all the way down
    assert abs(seen(seed).samples[-1].workers - within(seen(seed).samples, 0, 600)[-1].workers) <= 1


@every_seed
def test_no_shard_is_moved_twice_in_a_window_or_to_and_fro(seed):
    assert hasty_moves(seen(seed).moves) == 0
    assert ping_pongs(seen(seed).moves) == 0


@every_seed
def test_a_fleet_at_rest_is_balanced_and_moves_almost_nothing(seed):
    rest = within(seen(seed).samples, WARM_S, SMALL.burst_s[0])
    assert max(one.balance for one in rest) <= 1.3
    joins = sum(WARM_S < one[0] <= SMALL.burst_s[0] for one in seen(seed).changes)
    share = SMALL.shards / SMALL.workers_start
    assert sum(one.moves for one in rest) <= share / 4 + joins * share


@every_seed
def test_a_crash_costs_its_shards_a_lease_and_is_over_in_20_s(seed):
    spell = within(seen(seed).samples, SMALL.crash_s, SMALL.news_s[0])
    assert max(one.lag_s_worst for one in spell) <= SMALL.lease_s + 2
    assert max(one.lag_s_worst for one in spell[4:]) <= 2
    orphans = sum(move.kind == "orphaned" for move in seen(seed).moves
                  if move.second == SMALL.crash_s)  # fmt: skip
    assert 0 < orphans <= 2 * SMALL.crash_workers * SMALL.shards / 10


@every_seed
def test_an_instrument_that_grows_hot_gets_a_worker_nearly_to_itself(seed):
    spell = within(seen(seed).samples, *SMALL.news_s)
    assert max(one.lag_s_worst for one in spell) <= 15
    assert absorbed_s(seen(seed).samples, *SMALL.news_s) <= 60


@every_seed
def test_producers_are_told_of_the_burst_and_told_when_it_is_over(seed):
    samples = seen(seed).samples
    assert max(one.level for one in within(samples, 0, 600)) == 0
    assert max(one.level for one in within(samples, *SMALL.burst_s)) == 3
    assert within(samples, *SMALL.burst_s)[-1].level == 0


def test_at_full_size_balance_and_moves_hold_their_bounds():
    full = Scenario(instruments=100_000)
    rows = [*balances(full, 500), *memberships(full, 500)]
    assert [row for row in rows if not row.holds] == []
    assert sum(row.bound is not None for row in rows) == 7


def test_the_page_keeps_its_words_and_gets_the_new_table_and_plot(tmp_path):
    page = tmp_path / "simulation.md"
    page.write_text(f"before\n{MARKERS[0]}\nold\n{MARKERS[1]}\nafter\n")
    sections = {
        "disturbances": disturbances(SMALL, seen(0)),
        "stability": stability(SMALL, seen(0)),
    }
    write(tmp_path, table(sections), plot(SMALL, seen(0)))
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| scale events after the fleet has shrunk |" in text
    assert "old" not in text
    assert (tmp_path / "simulation.svg").read_text().count("<polyline") == 7
