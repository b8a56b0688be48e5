"""What is kept: trimming, snapshots, and a server that is full."""

import pytest
import redis

from streams.errors import Fenced, Malformed, Stale, Unavailable
from streams.records import ZERO, Commit, Decided, EntryId, Keep, Snapshot
from tests.conftest import Server
from tests.streams.committing import T0_S, a_commit, produce
from tests.streams.conftest import Maker


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
    newest = [(entry >= last, shed >= last) for _, entry, shed in made]  # the same millisecond
    assert kept() == (
        [number for number, (entry, _) in zip(everything, newest, strict=True) if entry],
        [number for number, (_, shed) in zip(everything, newest, strict=True) if shed],
    )
    assert all(newest[-1])  # the newest says how things stand
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
