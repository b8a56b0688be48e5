"""Lag by our own count, where the server's is nil or wrong."""

import time

import pytest

from streams.log import ShardLog
from streams.records import Commit, EntryId, Lease, Snapshot
from tests.conftest import Server
from tests.streams.conftest import Maker


@pytest.fixture
def half_read(any_server: Server, open_log: Maker) -> tuple[ShardLog, Lease, list[EntryId]]:
    """Ten entries, four of them committed."""
    log = open_log(any_server.url)
    ids = add(any_server, 10)
    lease = log.acquire("w1", lease_ms=60_000)
    log.commit(Commit("0", lease.fence, lease.cursor, ids[3], 4))
    return log, lease, ids


def add(server: Server, count: int) -> list[EntryId]:
    with server.client() as client:
        return [
            EntryId.parse(client.xadd("ticks:{0}", {"symbol": "A", "price": "1"}))
            for _ in range(count)
        ]


def server_lag(server: Server) -> int | None:
    with server.client() as client:
        lag: int | None = client.xinfo_groups("ticks:{0}")[0]["lag"]
        return lag


type Half = tuple[ShardLog, Lease, list[EntryId]]


def test_lag_counts_what_waits_and_for_how_long(any_server: Server, half_read: Half) -> None:
    log, lease, ids = half_read
    time.sleep(0.05)
    lag = log.lag()
    assert (lag.entries, lag.lost) == (6, 0)
    assert 0.05 <= lag.seconds < 30
    log.commit(Commit("0", lease.fence, ids[3], ids[9], 6))
    assert log.lag() == type(lag)(0, 0.0, 0)
    assert server_lag(any_server) == 0


def test_an_entry_that_was_deleted_ahead_does_not_wait(any_server: Server, half_read: Half) -> None:
    log, lease, ids = half_read
    with any_server.client() as client:
        client.xdel("ticks:{0}", str(ids[6]), str(ids[7]))
    assert server_lag(any_server) is None
    assert log.lag().entries == 4
    log.commit(Commit("0", lease.fence, ids[3], ids[9], 4))
    assert log.lag().entries == 0
    log.trim(lease.fence, retention_ms=0)  # at the end of the stream the count is set right
    add(any_server, 3)
    assert log.lag().entries == 3
    assert server_lag(any_server) == 3


def test_a_group_that_was_moved_by_hand_does_not_change_the_lag(
    any_server: Server, half_read: Half
) -> None:
    log, lease, ids = half_read
    with any_server.client() as client:
        client.xgroup_setid("ticks:{0}", "fleet", str(ids[5]))
    assert log.lag().entries == 6
    log.commit(Commit("0", lease.fence, ids[3], ids[4], 1))
    assert server_lag(any_server) == log.lag().entries == 5


def test_entries_that_were_trimmed_before_they_were_read_are_told_as_lost(
    any_server: Server, half_read: Half
) -> None:
    log, lease, ids = half_read
    with any_server.client() as client:
        client.xtrim("ticks:{0}", minid=str(ids[7]), approximate=False)
    lag = log.lag()
    assert (lag.entries, lag.lost) == (3, 3)
    log.commit(Commit("0", lease.fence, ids[3], ids[9], 3))
    assert log.lag().entries == 0


def test_a_stream_that_lost_entries_before_the_fleet_came_has_no_false_lag(
    any_server: Server, open_log: Maker
) -> None:
    ids = add(any_server, 10)
    with any_server.client() as client:
        client.xtrim("ticks:{0}", minid=str(ids[6]), approximate=False)
    log = open_log(any_server.url)
    lease = log.acquire("w1", lease_ms=60_000)
    lag = log.lag()
    assert (lag.entries, lag.lost) == (4, 0)
    assert server_lag(any_server) == 4
    log.commit(Commit("0", lease.fence, lease.cursor, ids[7], 2))
    assert (log.lag().entries, server_lag(any_server)) == (2, 2)


def test_our_own_trimming_behind_the_cursor_changes_no_lag(
    any_server: Server, open_log: Maker
) -> None:
    ids = add(any_server, 1000)
    log = open_log(any_server.url)
    lease = log.acquire("w1", lease_ms=60_000)
    log.commit(Commit("0", lease.fence, lease.cursor, ids[899], 900))
    log.save_snapshot(lease.fence, Snapshot(ids[899], 900, "d", 1, b""))
    assert log.trim(lease.fence, retention_ms=0) > 700
    assert (log.lag().entries, log.lag().lost, server_lag(any_server)) == (100, 0, 100)


def test_a_shard_without_a_stream_has_no_lag(any_server: Server, open_log: Maker) -> None:
    log = open_log(any_server.url)
    assert log.lag().entries == 0
    status = log.status()
    assert (status.owner, status.fence, status.lease_ms) == ("", 0, 0)
    log.acquire("w1", lease_ms=1000)
    assert log.lag().entries == 0
