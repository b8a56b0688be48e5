"""Reading shards: many at once, foreign ones, waiting, and again."""

import threading
import time

import pytest

from streams.connection import connect
from streams.errors import Refused
from streams.keys import Keys
from streams.log import ShardLog
from streams.records import ZERO, Snapshot
from streams.symbols import SymbolTable
from streams.wire import Wire
from tests.conftest import Server
from tests.streams.committing import T0_S, a_commit, produce
from tests.streams.conftest import Maker


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


def test_a_blocked_read_wakes_up_for_a_tick_and_ends_at_its_time(
    any_server: Server, open_log: Maker
) -> None:
    log = open_log(any_server.url)
    log.open(SymbolTable())
    started = time.monotonic()
    assert log.read(ZERO, block_ms=100) == ()
    assert 0.09 <= time.monotonic() - started < 60
    late = threading.Timer(0.1, produce, (any_server, 1))
    late.start()
    (batch,) = log.read(ZERO, block_ms=120_000)
    late.join()
    assert batch.entries == 1
    assert time.monotonic() - started < 60


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
