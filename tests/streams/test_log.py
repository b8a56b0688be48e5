"""Lease, commit, snapshots, trimming, on the embedded Valkey and on Redis 7.0."""

import threading
import time

import pytest
import redis

from streams.connection import connect
from streams.errors import Fenced, Held, Malformed, Refused, Stale, Unavailable
from streams.keys import Keys
from streams.log import ShardLog, renew_all
from streams.records import ZERO, Commit, Decided, EntryId, Keep, Lease, Snapshot
from streams.symbols import SymbolTable
from streams.wire import Wire
from tests.conftest import Server
from tests.streams.conftest import Maker

T0_S = 1763823000


def produce(server: Server, count: int, key: str = "ticks:{0}") -> list[EntryId]:
    with server.client() as client:
        pipe = client.pipeline()
        for number in range(count):
            pipe.xadd(key, {"symbol": "BTC-USD", "price": "1", "ts": T0_S + number})
        return [EntryId.parse(name) for name in pipe.execute()]


def a_commit(lease: Lease, new: EntryId, entries: int, **more: object) -> Commit:
    return Commit(lease.shard, lease.fence, lease.cursor, new, entries, **more)  # type: ignore[arg-type]


def test_a_commit_publishes_everything_and_moves_the_group(
    any_server: Server, open_log: Maker
) -> None:
    log = open_log(any_server.url)
    ids = produce(any_server, 5)
    lease = log.acquire("w1", lease_ms=5000)
    log.commit(
        a_commit(
            lease,
            ids[2],
            3,
            signals=[["name", "s0"], ["name", "s1"]],
            values=[["data", "{}"]],
            deadletters=[["reason", "r"]],
            counts={"applied": 2, "dead": 1, "late": 0},
        )
    )
    with any_server.client() as client:
        assert [fields for _, fields in client.xrange("signals:{0}")] == [
            {"name": "s0"},
            {"name": "s1"},
        ]
        assert client.xlen("values:{0}") == client.xlen("deadletter:{0}") == 1
        group = client.xinfo_groups("ticks:{0}")[0]
        assert (group["name"], group["lag"], group["entries-read"]) == ("fleet", 2, 3)
        assert group["last-delivered-id"] == str(ids[2])
        consumers = client.xinfo_consumers("ticks:{0}", "fleet")
        assert [consumer["name"] for consumer in consumers] == ["w1"]
    status = log.status()
    assert (status.cursor, status.entries, status.seq, status.seq_values) == (ids[2], 3, 2, 1)
    assert status.counts == {"applied": 2, "dead": 1}


def test_a_thousand_outputs_of_many_fields_go_in_one_commit(
    any_server: Server, open_log: Maker
) -> None:
    log = open_log(any_server.url)
    ids = produce(any_server, 1)
    lease = log.acquire("w1", lease_ms=5000)
    wide = [part for number in range(400) for part in (f"f{number}", "x")]
    log.commit(a_commit(lease, ids[0], 1, signals=[wide] * 3, values=[["n", "1"]] * 5000))
    with any_server.client() as client:
        assert client.xlen("values:{0}") == 5000
        assert len(client.xrange("signals:{0}")[2][1]) == 400


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


def test_a_release_wakes_its_successor_and_keeps_others_out(
    any_server: Server, open_log: Maker
) -> None:
    log, other = open_log(any_server.url), open_log(any_server.url)
    lease = log.acquire("w1", lease_ms=60_000)
    with any_server.client() as client, client.pubsub() as channel:
        channel.subscribe("fleet:wake")
        assert channel.get_message(timeout=5)["type"] == "subscribe"
        log.release(lease.fence, successor="w2", reserve_ms=60_000)
        message = channel.get_message(timeout=5)
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


@pytest.mark.parametrize("broken", ["signals:{0}", "values:{0}", "deadletter:{0}"])
def test_a_key_of_another_type_refuses_the_commit_before_it_writes(
    any_server: Server, open_log: Maker, broken: str
) -> None:
    log = open_log(any_server.url)
    ids = produce(any_server, 1)
    lease = log.acquire("w1", lease_ms=5000)
    outputs = {
        "signals": [["a", "b"]],
        "values": [["a", "b"]],
        "deadletters": [["a", "b"]],
        "counts": {"x": 1},
    }
    with any_server.client() as client:
        client.set(broken, "not a stream")
        with pytest.raises(Refused, match="string stream"):
            log.commit(a_commit(lease, ids[0], 1, **outputs))
        assert sorted(client.keys()) == sorted(["ticks:{0}", "shard:{0}", broken])
        assert log.status().cursor == ZERO
        client.delete(broken)
    log.commit(a_commit(lease, ids[0], 1, **outputs))


def test_a_source_of_another_type_stops_its_shard_only(any_server: Server, open_log: Maker) -> None:
    produce(any_server, 3, "ticks:{1}")
    with any_server.client() as client:
        client.set("ticks:{0}", "not a stream")
    link = connect(any_server.url)
    wire = Wire(link, Keys(), shards=1)
    wire.open("0", SymbolTable())
    wire.open("1", SymbolTable())
    got = wire.exchange((), {"0": ZERO, "1": ZERO})
    assert isinstance(got.lost["0"], Refused)
    with pytest.raises(Refused, match=r"ticks:\{0\} string stream"):
        open_log(any_server.url).acquire("w1", lease_ms=5000)
    wire.close()
    link.close()


def test_a_group_that_someone_destroyed_comes_back_with_the_next_commit(
    any_server: Server, open_log: Maker
) -> None:
    log = open_log(any_server.url)
    ids = produce(any_server, 3)
    lease = log.acquire("w1", lease_ms=5000)
    with any_server.client() as client:
        client.xgroup_destroy("ticks:{0}", "fleet")
        log.commit(a_commit(lease, ids[1], 2))
        group = client.xinfo_groups("ticks:{0}")[0]
        assert (group["lag"], group["last-delivered-id"]) == (1, str(ids[1]))
        client.delete("ticks:{0}")
        log.commit(Commit("0", lease.fence, ids[1], ids[2], 1))
        assert client.xinfo_groups("ticks:{0}")[0]["last-delivered-id"] == str(ids[2])


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


def test_a_blocked_read_wakes_up_for_a_tick_and_ends_at_its_time(
    any_server: Server, open_log: Maker
) -> None:
    log = open_log(any_server.url)
    log.open(SymbolTable())
    started = time.monotonic()
    assert log.read(ZERO, block_ms=100) == ()
    assert 0.09 <= time.monotonic() - started < 5
    late = threading.Timer(0.1, produce, (any_server, 1))
    late.start()
    (batch,) = log.read(ZERO, block_ms=20_000)
    late.join()
    assert batch.entries == 1
    assert time.monotonic() - started < 10


def test_many_shards_are_read_in_one_exchange_each_from_its_cursor(
    any_server: Server, open_log: Maker
) -> None:
    link = connect(any_server.url)
    wire = Wire(link, Keys(), shards=1)
    cursors = {}
    for shard in ("trades-A", "trades-B", "trades-C"):
        ids = produce(any_server, 7000, shard)
        cursors[shard] = ids[999] if shard == "trades-B" else ZERO
        wire.open(shard, SymbolTable())
    first = wire.exchange((), cursors)
    assert set(first.batches) == set(cursors)
    assert all(batches[0].entries >= 1000 for batches in first.batches.values())
    total = dict.fromkeys(cursors, 0)
    while batches := wire.exchange((), cursors).batches:
        for shard, (batch,) in batches.items():
            total[shard] += batch.rows
            cursors[shard] = batch.upto
    assert total == {"trades-A": 7000, "trades-B": 6000, "trades-C": 7000}
    wire.close()
    link.close()


def test_a_foreign_source_has_its_own_keys_in_its_own_slot(
    any_server: Server, open_log: Maker
) -> None:
    source = "trades-COINBASE-BTC-USD"
    ids = produce(any_server, 2, source)
    log = open_log(any_server.url, source)
    lease = log.acquire("w1", lease_ms=5000)
    log.commit(a_commit(lease, ids[1], 2, signals=[["a", "b"]]))
    with any_server.client() as client:
        assert sorted(client.keys()) == [f"shard:{{{source}}}", f"signals:{{{source}}}", source]


def test_two_fleets_on_the_same_ticks_do_not_meet(any_server: Server, open_log: Maker) -> None:
    ids = produce(any_server, 1000)
    ours, theirs = open_log(any_server.url), open_log(any_server.url, name="staging")
    lease, their_lease = ours.acquire("w1", lease_ms=5000), theirs.acquire("w1", lease_ms=5000)
    ours.commit(a_commit(lease, ids[-1], 1000, signals=[["a", "b"]]))
    theirs.commit(a_commit(their_lease, ids[399], 400))
    ours.save_snapshot(lease.fence, Snapshot(ids[-1], 1000, "d", 1, b""))
    assert (ours.lag().entries, theirs.lag().entries) == (0, 600)
    assert ours.trim(lease.fence, retention_ms=0) == 0  # theirs has no snapshot
    theirs.save_snapshot(their_lease.fence, Snapshot(ids[299], 300, "d", 1, b""))
    assert 200 <= ours.trim(lease.fence, retention_ms=0) <= 299
    with any_server.client() as client:
        assert client.xrange("ticks:{0}", str(ids[299]), str(ids[299]))
        assert client.xlen("staging:signals:{0}") == 0


def test_trimming_waits_for_what_another_group_still_holds(
    any_server: Server, open_log: Maker
) -> None:
    log = open_log(any_server.url)
    ids = produce(any_server, 1000)
    lease = log.acquire("w1", lease_ms=5000)
    log.commit(a_commit(lease, ids[-1], 1000))
    log.save_snapshot(lease.fence, Snapshot(ids[-1], 1000, "d", 1, b""))
    with any_server.client() as client:
        client.xgroup_create("ticks:{0}", "audit", "0")
        assert log.trim(lease.fence, retention_ms=0) == 0
        client.xreadgroup("audit", "x", {"ticks:{0}": ">"}, count=1000)
        assert log.trim(lease.fence, retention_ms=0) == 0
        client.xack("ticks:{0}", "audit", *map(str, ids[:500]))
        assert 400 <= log.trim(lease.fence, retention_ms=0) <= 500
        client.xgroup_destroy("ticks:{0}", "audit")
        assert log.trim(lease.fence, retention_ms=60_000) == 0
        assert log.trim(lease.fence, retention_ms=0) > 300


def test_decisions_go_with_the_ticks_as_far_as_a_snapshot_knows_them(
    any_server: Server, open_log: Maker
) -> None:
    log, fence, made = open_log(any_server.url), 0, []
    lease = log.acquire("w1", lease_ms=5000)
    fence = lease.fence
    for number in range(200):
        (tick,) = produce(any_server, 1)
        rulings = log.add_script_decision(fence, tick, b"%d" % number)
        made.append((tick, rulings, log.add_shed(fence, tick, b"%d" % number)))
    last = made[-1][0]
    log.commit(a_commit(lease, last, 200))
    log.save_snapshot(fence, Snapshot(last, 200, "d", 1, b""))

    def kept() -> tuple[list[bytes], list[bytes]]:
        rulings, shedding = log.script_decisions(ZERO), log.shed_decisions(ZERO)
        return [each.payload for each in rulings], [each.payload for each in shedding]

    decided = Decided(made[150][1], made[120][2])
    everything = [b"%d" % number for number in range(200)]
    log.trim(fence, retention_ms=60_000, decided=decided)
    assert kept() == (everything, everything)  # a rebuild from the retained ticks needs them
    log.trim(fence, retention_ms=0)
    assert kept() == (everything, everything)  # no snapshot is known to have them
    log.trim(fence, retention_ms=0, decided=decided)
    assert kept() == (everything[150:], everything[120:])
    log.trim(fence, retention_ms=0, decided=Decided(made[-1][1], made[-1][2]))
    rulings, shedding = kept()
    assert rulings == shedding == everything[-1:]  # the newest says how things stand
    with pytest.raises(Fenced):
        log.trim(fence - 1, retention_ms=0, decided=decided)


def test_outputs_are_trimmed_by_time_and_size_when_asked(
    any_server: Server, open_log: Maker
) -> None:
    log = open_log(any_server.url)
    ids = produce(any_server, 3)
    lease = log.acquire("w1", lease_ms=5000)
    many = [["a", "b"]] * 1000
    log.commit(a_commit(lease, ids[0], 1, signals=many, values=many))
    with any_server.client() as client:
        last = EntryId.parse(client.xinfo_stream("signals:{0}")["last-generated-id"])
        after = EntryId(last.ms + 1, 0)
        everything = Keep(ZERO, 10_000)
        keeps = (Keep(after, 10_000), everything, everything)
        counts = {"seq": 1000, "seq_values": 1000}
        log.commit(Commit("0", lease.fence, ids[0], ids[1], 1, keeps=keeps, **counts))
        assert client.xlen("signals:{0}") < 200
        assert client.xlen("values:{0}") == 1000
        keeps = (everything, Keep(ZERO, 300), everything)
        log.commit(Commit("0", lease.fence, ids[1], ids[2], 1, keeps=keeps, **counts))
        assert 300 <= client.xlen("values:{0}") < 500


def test_a_snapshot_comes_back_whole_whatever_its_size(any_server: Server, open_log: Maker) -> None:
    log = open_log(any_server.url)
    lease = log.acquire("w1", lease_ms=60_000)
    assert log.load_snapshot() is None
    log.commit(a_commit(lease, EntryId(5, 0), 5))
    for number, size in enumerate([0, 1, (4 << 20) - 1, 4 << 20, (9 << 20) + 5], start=1):
        snapshot = Snapshot(
            EntryId(number, 0),
            number,
            "digest",
            3,
            bytes(range(256)) * (size // 256) + b"x" * (size % 256),
        )
        assert log.save_snapshot(lease.fence, snapshot)
        assert log.load_snapshot() == snapshot
    assert not log.save_snapshot(lease.fence, Snapshot(EntryId(2, 0), 2, "old", 3, b"old"))
    loaded = log.load_snapshot()
    assert loaded is not None
    assert loaded.entry == EntryId(5, 0)
    with any_server.client() as client:
        assert len(client.hkeys("snapshot:{0}")) == 8 + 3
    with pytest.raises(Stale):  # of entries that no commit has: a failover undid it
        log.save_snapshot(lease.fence, Snapshot(EntryId(6, 0), 6, "d", 3, b"ahead"))
    assert log.load_snapshot() == loaded


def test_a_damaged_snapshot_is_refused(any_server: Server, open_log: Maker) -> None:
    log = open_log(any_server.url)
    lease = log.acquire("w1", lease_ms=60_000)
    log.commit(a_commit(lease, EntryId(1, 0), 1))
    log.save_snapshot(lease.fence, Snapshot(EntryId(1, 0), 1, "d", 1, b"payload"))
    with any_server.client() as client:
        client.hset("snapshot:{0}", f"chunk:{lease.fence}:1-0:0", "paYload")
        with pytest.raises(Malformed, match="do not match"):
            log.load_snapshot()
        client.hdel("snapshot:{0}", f"chunk:{lease.fence}:1-0:0")
        with pytest.raises(Malformed, match="chunks are missing"):
            log.load_snapshot()


def test_replay_gives_the_committed_entries_and_none_more(
    any_server: Server, open_log: Maker
) -> None:
    log = open_log(any_server.url)
    log.open(SymbolTable())
    ids = produce(any_server, 5000)
    batches = list(log.replay(ids[9], ids[4009], count=700))
    rows = [int(ts) for batch in batches for ts in batch.ts]
    assert rows == [(T0_S + number) * 10**9 for number in range(10, 4010)]
    assert batches[-1].upto == ids[4009]
    assert list(log.replay(ids[9], ids[9])) == []


def test_a_server_that_lost_the_functions_gets_them_again(
    any_server: Server, open_log: Maker
) -> None:
    log = open_log(any_server.url)
    ids = produce(any_server, 1)
    lease = log.acquire("w1", lease_ms=5000)
    with any_server.client() as client:
        client.function_flush()
        with pytest.raises(Unavailable):
            log.commit(a_commit(lease, ids[0], 1))
        log.commit(a_commit(lease, ids[0], 1))
        client.function_flush()
    log.renew(lease.fence, lease_ms=5000)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="refused"):
        connect("redis://127.0.0.1:1/0")


def test_a_commit_into_a_full_server_goes_through_and_can_make_room(
    any_server: Server, open_log: Maker
) -> None:
    log = open_log(any_server.url)
    ids = produce(any_server, 5000)
    lease = log.acquire("w1", lease_ms=60_000)
    with any_server.client() as client:
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(redis.OutOfMemoryError):
                client.xadd("ticks:{0}", {"symbol": "A", "price": "1"})
            log.commit(a_commit(lease, ids[-1], 5000, signals=[["a", "b"]]))
            log.renew(lease.fence, lease_ms=60_000)
            with pytest.raises(Unavailable):
                log.add_clock(lease.fence, T0_S * 10**9)
            client.config_set("maxmemory", 0)
            log.save_snapshot(lease.fence, Snapshot(ids[-1], 5000, "d", 1, b""))
            client.config_set("maxmemory", 1)
            assert log.trim(lease.fence, retention_ms=0) > 4500
            log.release(lease.fence)
        finally:
            client.config_set("maxmemory", 0)


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


def test_a_stale_commit_tells_where_the_cursor_is(any_server: Server, open_log: Maker) -> None:
    log = open_log(any_server.url)
    ids = produce(any_server, 3)
    lease = log.acquire("w1", lease_ms=5000)
    log.commit(a_commit(lease, ids[0], 1))
    with pytest.raises(Stale, match=f"the cursor is at {ids[0]}"):
        log.commit(a_commit(lease, ids[1], 2))
    with pytest.raises(Stale, match="0 signals and 0 values are published"):
        log.commit(Commit("0", lease.fence, ids[0], ids[1], 1, seq=1))
    with pytest.raises(Stale, match="0 signals and 0 values are published"):
        log.commit(Commit("0", lease.fence, ids[0], ids[1], 1, seq_values=1))


def test_an_owner_of_any_name_is_told_in_full(any_server: Server, open_log: Maker) -> None:
    log, other = open_log(any_server.url), open_log(any_server.url)
    log.acquire("wörker 1 of pod", lease_ms=60_000)
    with pytest.raises(Held) as held:
        other.acquire("w2", lease_ms=1)
    assert held.value.owner == "wörker 1 of pod"


def test_two_logs_on_one_wire_are_kept_apart(any_server: Server) -> None:
    link = connect(any_server.url)
    wire = Wire(link, Keys(), shards=2)
    logs = [ShardLog(link, Keys(), shard, wire) for shard in ("0", "1")]
    for log in logs:
        log.open(SymbolTable())
        log.acquire("w", lease_ms=1000)
    produce(any_server, 2, "ticks:{1}")
    assert logs[0].read(ZERO) == ()
    (batch,) = logs[1].read(ZERO)
    assert batch.rejects[0].reason.startswith("symbol: ") or batch.rows == 2
    wire.close()
    link.close()
