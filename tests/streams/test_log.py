"""Commits: everything of a batch or nothing, once."""

import pytest

from streams.connection import connect
from streams.errors import Refused, Stale, Unavailable
from streams.records import ZERO, Commit
from tests.conftest import Server
from tests.streams.committing import a_commit, produce
from tests.streams.conftest import Maker


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
