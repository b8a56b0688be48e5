from collections import Counter
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workers.placement import DEFAULT_BALANCE, MEAN_WEIGHT, place, weights

# A worker that gave may fall below the floor itself, and ask in its turn.
CASCADE = 2
COSTS = st.floats(0, 1e3) | st.sampled_from([0.0, 1.0, 1e-300, 1e300, np.inf, np.nan, -1.0])


@st.composite
def fleets(draw, workers_min=1):
    """Shards with costs, workers, and an old placement that knows dead and unknown names."""
    shards = [f"ticks:{{{n}}}" for n in range(draw(st.integers(1, 40)))]
    workers = [f"worker-{n}" for n in range(draw(st.integers(workers_min, 12)))]
    cost = draw(st.dictionaries(st.sampled_from(shards), COSTS))
    current = draw(
        st.dictionaries(st.sampled_from(shards), st.sampled_from([*workers, "dead", ""]))
    )
    return shards, workers, cost, current


def load_of(placement, workers, cost):
    """Shard weights of every worker, lightest first."""
    shards = sorted(placement)
    weight = dict(zip(shards, weights(shards, cost).tolist(), strict=True))
    held = {worker: [] for worker in workers}
    for shard, worker in placement.items():
        held[worker].append(weight[shard])
    return {worker: sorted(of) for worker, of in held.items()}


def moves(before, after):
    return sum(after[shard] != before[shard] for shard in before)


@given(fleets())
def test_every_shard_is_on_exactly_one_live_worker(fleet):
    shards, workers, cost, current = fleet
    placement = place(shards, workers, cost=cost, current=current)
    assert sorted(placement) == sorted(shards)
    assert set(placement.values()) <= set(workers)


@given(fleets(), st.randoms(use_true_random=False))
def test_the_order_of_the_inputs_does_not_matter(fleet, random):
    shards, workers, cost, current = fleet
    expected = place(shards, workers, cost=cost, current=current)
    mixed = [random.sample(sorted(part), len(part)) for part in (shards, workers, cost, current)]
    assert expected == place(
        mixed[0],
        mixed[1],
        cost={name: cost[name] for name in mixed[2]},
        current={name: current[name] for name in mixed[3]},
    )


@given(fleets())
def test_placing_what_was_placed_moves_nothing(fleet):
    shards, workers, cost, current = fleet
    placement = place(shards, workers, cost=cost, current=current)
    assert place(shards, workers, cost=cost, current=placement) == placement


@given(fleets())
def test_no_worker_holds_more_than_its_bound(fleet):
    shards, workers, cost, current = fleet
    held = load_of(place(shards, workers, cost=cost, current=current), workers, cost)
    loads = sorted((sum(of), len(of)) for of in held.values())
    hot = 0
    total = sum(load for load, _ in loads)
    while hot < len(workers) - 1:
        load, count = loads[-1 - hot]
        if count != 1 or load * (len(workers) - hot) <= DEFAULT_BALANCE.capacity * total:
            break
        total, hot = total - load, hot + 1
    mean = total / (len(workers) - hot)
    for load in sorted(held.values(), key=sum)[: len(workers) - hot]:
        lightest = load[0] if load else 0
        bound = max(DEFAULT_BALANCE.capacity * mean, (1 + DEFAULT_BALANCE.margin) * mean + lightest)
        assert sum(load) <= bound + 2  # limits are cut to whole weights


def test_a_hot_shard_is_alone_on_its_worker_and_does_not_move_for_it():
    shards = [str(n) for n in range(40)]
    workers = ["a", "b", "c", "d"]
    before = place(shards, workers)
    after = place(shards, workers, cost={"7": 100.0, **{str(n): 1.0 for n in range(8, 40)}},
                  current=before)  # fmt: skip
    assert after["7"] == before["7"]
    assert Counter(after.values())[after["7"]] == 1


def test_of_two_hot_shards_on_one_worker_the_lighter_moves():
    cost = {"hot": 50.0, "hotter": 60.0} | {f"mild-{n}": 1.0 for n in range(12)}
    placement = place(list(cost), ["a", "b", "c"], cost=cost, current=dict.fromkeys(cost, "a"))
    assert placement["hotter"] == "a"
    assert placement["hot"] != "a"
    others = {placement[shard] for shard in cost if shard.startswith("mild")}
    assert others == {"a", "b", "c"} - {placement["hot"], placement["hotter"]}


@settings(max_examples=200)
@given(st.integers(1, 400), st.integers(1, 20))
@example(shards=4096, workers=500)
def test_equal_shards_move_only_to_the_worker_that_joins_and_fill_it(shards, workers):
    names = [str(n) for n in range(shards)]
    fleet = [f"worker-{n}" for n in range(workers)]
    before = place(names, fleet)
    after = place(names, [*fleet, "joins"], current=before)
    assert moves(before, after) <= ceil(shards / (workers + 1))
    assert all(after[shard] in (before[shard], "joins") for shard in names)
    assert list(after.values()).count("joins") >= floor(0.8 * shards / (workers + 1))


def moved_off_the_not_overloaded(before, after, cost, workers):
    """Shards that left a live worker which what it had and what it was given did not overload."""
    mean = rest_mean(load_of(after, workers, cost), len(workers))
    weight = dict(zip(before, weights(list(before), cost).tolist(), strict=True))
    peak = Counter()
    for shard in before:
        for worker in {before[shard], after[shard]}:
            peak[worker] += weight[shard]
    return {
        shard
        for shard, worker in before.items()
        if after[shard] != worker
        and worker in workers
        and peak[worker] <= DEFAULT_BALANCE.capacity * mean - 2
    }


@given(fleets())
def test_a_join_moves_at_most_a_fair_share_and_the_shards_of_the_overloaded(fleet):
    shards, workers, cost, _ = fleet
    before = place(shards, workers, cost=cost)
    grown = [*workers, "joins"]
    after = place(shards, grown, cost=cost, current=before)
    spared = moved_off_the_not_overloaded(before, after, cost, grown)
    assert len(spared) <= ceil(len(shards) / len(grown)) + CASCADE


def rest_mean(held, workers):
    """Mean load of the workers that no hot shard fills."""
    heaviest = sorted((weight for of in held.values() for weight in of), reverse=True)
    total = sum(heaviest)
    for weight in heaviest:
        if workers == 1 or weight * workers <= DEFAULT_BALANCE.capacity * total:
            break
        total, workers = total - weight, workers - 1
    return total / workers


@given(fleets(workers_min=2), st.data())
def test_a_leave_moves_its_own_shards_and_few_beside_those_of_the_overloaded(fleet, data):
    shards, workers, cost, _ = fleet
    leaves = data.draw(st.sampled_from(workers))
    before = place(shards, workers, cost=cost)
    rest = [worker for worker in workers if worker != leaves]
    after = place(shards, rest, cost=cost, current=before)
    spared = moved_off_the_not_overloaded(before, after, cost, rest)
    assert len(spared) <= ceil(len(shards) / len(rest)) + CASCADE


def test_a_restart_moves_the_shards_of_one_worker_out_and_as_many_back():
    shards, workers = [str(n) for n in range(512)], [f"worker-{n}" for n in range(32)]
    before = place(shards, workers)
    without = place(shards, workers[1:], current=before)
    others = [shard for shard in shards if before[shard] != workers[0]]
    assert sum(without[shard] != before[shard] for shard in others) <= 2
    back = place(shards, workers, current=without)
    assert moves(without, back) <= 16


def test_measured_costs_that_tremble_move_almost_nothing():
    random = np.random.default_rng(5)
    shards, workers = [str(n) for n in range(512)], [f"worker-{n}" for n in range(64)]
    true = random.pareto(1.5, len(shards)) + 0.1
    placement, moved = place(shards, workers, cost=dict(zip(shards, true, strict=True))), Counter()
    for _ in range(40):
        noisy = true * random.uniform(0.9, 1.1, len(shards))
        after = place(shards, workers, cost=dict(zip(shards, noisy, strict=True)),
                      current=placement)  # fmt: skip
        moved.update(shard for shard in shards if after[shard] != placement[shard])
        placement = after
    assert moved.total() <= 40  # of 20,480 chances
    assert max(moved.values(), default=0) <= 3


def test_a_held_shard_stays_with_its_live_owner_whatever_the_load():
    shards = [str(n) for n in range(30)]
    before = dict.fromkeys(shards, "a")
    after = place(shards, ["a", "b", "c"], current=before, held=set(shards[:20]))
    assert all(after[shard] == "a" for shard in shards[:20])
    assert all(after[shard] != "a" for shard in shards[20:])
    assert "a" not in place(shards, ["b"], current=before, held=set(shards)).values()


def test_a_worker_below_the_floor_is_not_given_dust():
    current = {"a1": "a", "a2": "a", "b1": "b", "b2": "b", "c1": "c"}
    dust = {f"dust-{n}": "a" for n in range(2)}
    cost = dict.fromkeys(current, 1.0) | dict.fromkeys(dust, 0.01)
    assert place(list(cost), ["a", "b", "c"], cost=cost, current=current | dust) == current | dust


def test_idle_shards_are_spread_too():
    shards = [str(n) for n in range(100)]
    cost = dict.fromkeys(shards, 0.0) | {"0": 1.0, "1": 1.0}
    counts = Counter(place(shards, ["a", "b", "c", "d"], cost=cost).values())
    assert max(counts.values()) <= 55
    assert sorted(Counter(place(shards, ["a", "b"], cost=dict.fromkeys(shards, 0.0)).values())
                  .values())[-1] <= 55  # fmt: skip


def test_an_unknown_cost_counts_as_the_mean_of_the_known():
    weight = weights(["a", "b", "c", "d"], {"a": 1.0, "b": 3.0, "c": float("nan")})
    assert weight[2] == weight[3] == (weight[0] + weight[1]) // 2
    assert weights(["a", "b"], {}).tolist() == [MEAN_WEIGHT, MEAN_WEIGHT]


def test_the_hash_is_the_same_in_every_process_and_release():
    shards = [f"ticks:{{{n}}}" for n in range(12)]
    owners = "".join(place(shards, ["a", "b", "c"])[shard] for shard in shards)
    assert owners == "ccaacbaabbcb"


def test_no_worker_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="no live worker to place 2 shards on"):
        place(["a", "b"], [])
