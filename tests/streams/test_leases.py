"""Who owns a shard: leases, fences, hand-overs."""

import time

import pytest

from streams.connection import connect
from streams.errors import Fenced, Held
from streams.keys import Keys
from streams.log import renew_all
from streams.records import ZERO, Commit, Snapshot
from streams.symbols import SymbolTable
from streams.wire import Wire
from tests.conftest import Server
from tests.streams.committing import T0_S, a_commit, produce
from tests.streams.conftest import Maker


def test_a_worker_whose_fence_is_old_changes_nothing(any_server: Server, open_log: Maker) -> None:
    zombie, successor = open_log(any_server.url), open_log(any_server.url)
    ids = produce(any_server, 2)
    old = zombie.acquire("w1", lease_ms=1)
    time.sleep(0.01)  # the server's clock is what has to move
    new = successor.acquire("w2", lease_ms=5000)
    assert new.fence > old.fence
    assert new.previous == "w1"
    attempts = [
        lambda: zombie.commit(a_commit(old, ids[0], 1, signals=[["a", "b"]])),
        lambda: zombie.renew(old.fence, lease_ms=1),
        lambda: zombie.release(old.fence),
        lambda: zombie.add_clock(old.fence, T0_S * 10**9),
        lambda: zombie.add_deploy(old.fence, "plan", b""),
        lambda: zombie.save_snapshot(old.fence, Snapshot(ids[0], 1, "d", 1, b"x")),
        lambda: zombie.trim(old.fence, retention_ms=0),
    ]
    with any_server.client() as client:
        before = [client.dump(key) for key in sorted(client.keys())]
        for attempt in attempts:
            with pytest.raises(Fenced, match=f"shard 0: fence {new.fence} is with w2 now"):
                attempt()
        assert [client.dump(key) for key in sorted(client.keys())] == before


def test_a_release_wakes_its_successor_alone_and_keeps_others_out(
    any_server: Server, open_log: Maker
) -> None:
    log, other = open_log(any_server.url), open_log(any_server.url)
    lease = log.acquire("w1", lease_ms=60_000)
    with any_server.client() as client, client.pubsub() as channel:
        channel.subscribe("fleet:wake:w3")
        channel.subscribe("fleet:wake:w2")
        for _ in range(2):
            assert channel.get_message(timeout=60)["type"] == "subscribe"
        log.release(lease.fence, successor="w2", reserve_ms=60_000)
        message = channel.get_message(timeout=60)
        assert message["channel"] == "fleet:wake:w2"
        assert message["data"] == '{"shard":"0","next":"w2"}' or set(
            message["data"].strip("{}").split(",")
        ) == {'"shard":"0"', '"next":"w2"'}
    with pytest.raises(Held):
        other.acquire("w3", lease_ms=1000)
    assert other.acquire("w2", lease_ms=1000).fence > lease.fence + 1


def test_a_release_to_nobody_is_free_at_once(any_server: Server, open_log: Maker) -> None:
    log = open_log(any_server.url)
    log.release(log.acquire("w1", lease_ms=60_000).fence)
    assert log.acquire("w2", lease_ms=1000).previous == ""


def test_many_leases_are_renewed_in_one_round_trip_and_lost_ones_are_told(
    any_server: Server, open_log: Maker
) -> None:
    logs = [open_log(any_server.url, str(shard), shards=3) for shard in range(3)]
    fences = {log.shard: log.acquire("w1", lease_ms=50).fence for log in logs}
    fences["1"] += 1
    link = connect(any_server.url)
    lost = renew_all(link, Keys(), fences, lease_ms=60_000)
    link.close()
    assert set(lost) == {"1"}
    assert isinstance(lost["1"], Fenced)
    assert logs[0].status().lease_ms > 50_000


def test_one_shard_that_lost_its_fence_does_not_hold_up_the_others(
    any_server: Server, open_log: Maker
) -> None:
    link = connect(any_server.url)
    wire = Wire(link, Keys(), shards=3)
    commits, cursors = [], {}
    for shard in ("0", "1", "2"):
        log = open_log(any_server.url, shard, shards=3)
        ids = produce(any_server, 4, f"ticks:{{{shard}}}")
        lease = log.acquire("w1", lease_ms=5000)
        fence = lease.fence + (shard == "1")
        commits.append(Commit(shard, fence, ZERO, ids[1], 2, signals=[["a", "b"]]))
        cursors[shard] = ids[1]
        wire.open(shard, SymbolTable())
    got = wire.exchange(commits, cursors, block_ms=50)
    assert set(got.lost) == {"1"}
    assert isinstance(got.lost["1"], Fenced)
    assert set(got.batches) <= {"0", "2"}
    again = wire.exchange([commits[0], commits[2]], cursors)
    assert (again.repeated, dict(again.lost)) == (2, {})
    with any_server.client() as client:
        assert [client.xlen(f"signals:{{{shard}}}") for shard in (0, 1, 2)] == [1, 0, 1]
    wire.close()
    link.close()


def test_a_second_acquisition_under_the_same_name_gets_a_new_fence(
    any_server: Server, open_log: Maker
) -> None:
    log = open_log(any_server.url)
    first = log.acquire("w1", lease_ms=60_000)
    second = log.acquire("w1", lease_ms=60_000)
    assert second.fence > first.fence
    with any_server.client() as client:  # as after a failover that undid the second one
        client.hset("shard:{0}", "fence", first.fence)
    assert log.acquire("w1", lease_ms=60_000).fence > second.fence


def test_an_owner_of_any_name_is_told_in_full(any_server: Server, open_log: Maker) -> None:
    log, other = open_log(any_server.url), open_log(any_server.url)
    log.acquire("wörker 1 of pod", lease_ms=60_000)
    with pytest.raises(Held) as held:
        other.acquire("w2", lease_ms=1)
    assert held.value.owner == "wörker 1 of pod"
