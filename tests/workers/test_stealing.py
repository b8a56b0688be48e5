from hypothesis import given
from hypothesis import strategies as st

from workers.stealing import Steal, StealPolicy, held, steal

POLICY = StealPolicy()


@st.composite
def fleets(draw):
    workers = [f"worker-{n}" for n in range(draw(st.integers(1, 6)))]
    shards = [str(n) for n in range(draw(st.integers(0, 15)))]
    owners = {shard: draw(st.sampled_from([*workers, "dead"])) for shard in shards}
    backlog_s = {
        shard: draw(st.floats(0, 100) | st.just(0.0))
        for shard in shards
        if draw(st.integers(0, 9)) > 0
    }
    cost = {shard: draw(st.floats(0, 2)) for shard in shards}
    moved_s = draw(st.dictionaries(st.sampled_from(shards), st.floats(0, 100))) if shards else {}
    return owners, backlog_s, workers, cost, moved_s


def work_s(owners, backlog_s, cost, worker):
    own = [shard for shard, owner in owners.items() if owner == worker]
    return sum(backlog_s.get(s, 0.0) + POLICY.horizon_s * cost[s] for s in own)


def backlog_of(owners, backlog_s, worker):
    return sum(backlog_s.get(shard, 0.0) for shard, owner in owners.items() if owner == worker)


@given(fleets(), st.floats(0, 100))
def test_an_idle_worker_takes_from_one_behind_and_both_are_better_off(fleet, now_s):
    owners, backlog_s, workers, cost, moved_s = fleet
    asked = steal(owners, backlog_s, workers, cost=cost, moved_s=moved_s, now_s=now_s)
    assert len({one.taker for one in asked}) == len(asked)
    assert len({one.shard for one in asked}) == len(asked)
    after = dict(owners)
    for one in asked:
        assert owners[one.shard] == one.giver
        assert one.shard in backlog_s
        assert now_s - moved_s.get(one.shard, -1e9) >= POLICY.window_s
        assert backlog_of(owners, backlog_s, one.giver) >= POLICY.behind_s
        assert backlog_of(owners, backlog_s, one.taker) <= POLICY.room_s
        before_s = work_s(after, backlog_s, cost, one.giver)
        after[one.shard] = one.taker
        for worker in (one.giver, one.taker):
            assert work_s(after, backlog_s, cost, worker) <= before_s - POLICY.gain_s + 1e-6


@given(fleets(), st.randoms(use_true_random=False))
def test_every_worker_computes_the_same_list(fleet, random):
    owners, backlog_s, workers, cost, moved_s = fleet
    mixed = dict(random.sample(sorted(owners.items()), len(owners)))
    assert steal(owners, backlog_s, workers, cost=cost, moved_s=moved_s) == steal(
        mixed, backlog_s, random.sample(workers, len(workers)), cost=cost, moved_s=moved_s
    )


def test_the_most_behind_gives_the_shard_that_evens_out():
    owners = {"a1": "a", "a2": "a", "a3": "a", "b1": "b"}
    asked = steal(owners, {"a1": 9.0, "a2": 6.0, "a3": 1.0, "b1": 5.0}, ["a", "b", "c"])
    assert asked == (Steal("a1", "a", "c"),)


def test_several_idle_workers_ask_for_different_shards():
    owners = {str(n): "a" for n in range(8)}
    asked = steal(owners, dict.fromkeys(owners, 3.0), ["a", "b", "c", "d"])
    assert [one.taker for one in asked] == ["b", "c", "d"]
    assert len({one.shard for one in asked}) == 3


def test_a_hot_shard_that_is_alone_is_not_moved_about():
    assert steal({"hot": "a"}, {"hot": 100.0}, ["a", "b"], cost={"hot": 2.0}) == ()


def test_the_small_neighbours_of_a_hot_shard_are_taken_from_it():
    owners = {"hot": "a", "mild": "a", "own": "b"}
    asked = steal(owners, {"hot": 100.0, "mild": 0.5, "own": 0.0}, ["a", "b"],
                  cost={"hot": 1.5, "mild": 0.3, "own": 0.5})  # fmt: skip
    assert asked == (Steal("mild", "a", "b"),)


def test_a_worker_that_does_not_know_its_backlog_takes_nothing():
    owners = {"a1": "a", "a2": "a", "b1": "b"}
    assert steal(owners, {"a1": 9.0, "a2": 9.0}, ["a", "b"]) == ()
    assert steal(owners, {"a1": 9.0, "a2": 9.0, "b1": 0.0}, ["a", "b"]) != ()


def test_a_shard_that_moved_within_the_window_is_held_then_free():
    owners, backlog_s = {"a1": "a", "a2": "a"}, {"a1": 9.0, "a2": 9.0}
    moved_s = {"a1": 100.0, "a2": 100.0}
    assert held(moved_s, 129.0, POLICY.window_s) == {"a1", "a2"}
    assert steal(owners, backlog_s, ["a", "b"], moved_s=moved_s, now_s=129.0) == ()
    assert held(moved_s, 130.0, POLICY.window_s) == frozenset()
    assert len(steal(owners, backlog_s, ["a", "b"], moved_s=moved_s, now_s=130.0)) == 1
