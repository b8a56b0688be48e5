"""A primary is killed, or a slot moves, under running workers: they go on by themselves."""

from collections import Counter
from pathlib import Path

import pytest
import redis
from redis.exceptions import RedisClusterException

from streams.keys import Keys, shard_of
from tests.topology.market import CONFIG, SHARDS, SYMBOLS, Tick, ticks, write
from tests.topology.servers import HOST, Cluster, Node, Sentinels, killed
from tests.topology.test_rights import User, certified
from tests.workers.fleet import Fleet, fleet, same_content, wait_until


def push_until_told(running: Fleet, rows: list[Tick]) -> None:
    """As a producer would: it sends again what no server has taken."""

    def done() -> bool:
        try:
            running.push(rows)
        except (redis.RedisError, RedisClusterException):
            return False
        return True

    wait_until(done, "the servers take ticks again")


def caught_up(running: Fleet) -> set[int]:
    """Shards whose cursor stands at the end of their stream."""
    with running.server.client() as client:
        newest = {n: client.xrevrange(Keys().ticks(n), count=1) for n in range(SHARDS)}
    cursors = [fields.get("cursor") for fields in running.shard_hashes()]
    return {n for n in range(SHARDS) if newest[n] and newest[n][0][0] == cursors[n]}


def assert_published_once(running: Fleet, folder: Path, rows: list[Tick]) -> None:
    """Each value stands there once, as replay gives it, and `seq` has no hole."""
    running.assert_no_holes()
    expected = running.replayed([write(folder / "all.csv", rows)])
    for kind in ("values", "signals"):
        assert same_content(running.published(kind)) == same_content(expected[kind]), kind


def shards_of(cluster: Cluster, port: int) -> set[int]:
    return {n for n in range(SHARDS) if cluster.owner(Keys().ticks(n)).port == port}


def test_the_other_shards_go_on_while_a_primary_of_a_cluster_is_replaced(tmp_path: Path) -> None:
    with (
        killed(Cluster("valkey", tmp_path / "servers", replicas=1)) as cluster,
        fleet(cluster, tmp_path, CONFIG) as running,
    ):
        running.start("one")
        running.start("two")
        wait_until(lambda: len(running.owners()) == 2 and not running.owners()[""], "owners")
        running.push(ticks(0, 5))
        running.await_caught_up()
        victim = cluster.primaries[0]
        gone = shards_of(cluster, victim.port)
        assert cluster.owner(Keys().script_revisions) is victim
        assert 0 < len(gone) < SHARDS
        wait_until(lambda: offset_of(victim) == acknowledged(victim), "the replica has it all")
        victim.kill()
        others = [row for row in ticks(5, 5) if shard_of(row[0], SHARDS) not in gone]
        push_to_the_living(cluster, others)
        wait_until(lambda: cluster.owner(Keys().ticks(min(gone))).port != victim.port, "elected")
        push_until_told(running, [row for row in ticks(5, 5) if shard_of(row[0], SHARDS) in gone])
        running.await_caught_up()
        assert_published_once(running, tmp_path, ticks(0, 10))
        assert "crashed" not in running.log("one") + running.log("two")
        assert '"event": "shards away"' in running.log("one") + running.log("two")
        for name in running.workers:  # the revisions of scripts were on the server that is gone
            assert running.log(name).count("scripts not followed") == 1


def push_to_the_living(cluster: Cluster, rows: list[Tick]) -> None:
    """XADD and wait for the values, at the primaries that are left: no cluster client is asked."""
    ports = {n: cluster.owner(Keys().ticks(n)).port for n in range(SHARDS)}
    clients = {port: redis.Redis(port=port, decode_responses=True) for port in ports.values()}
    for symbol, price, ts in rows:
        n = shard_of(symbol, SHARDS)
        fields = {"symbol": symbol, "price": price, "size": 1, "ts": ts}
        clients[ports[n]].xadd(Keys().ticks(n), fields)
    for n in {shard_of(symbol, SHARDS) for symbol, _, _ in rows}:
        client = clients[ports[n]]
        newest, _ = client.xrevrange(Keys().ticks(n), count=1)[0]
        wait_until(
            lambda n=n, client=client, newest=newest: (
                client.hget(Keys().shard(n), "cursor") == newest
            ),
            f"shard {n} goes on",
        )
    for client in clients.values():
        client.close()


def offset_of(primary: Node) -> int:
    return int(primary.info("replication")["master_repl_offset"])


def acknowledged(primary: Node) -> int:
    return int(primary.info("replication")["slave0"]["offset"])


@pytest.mark.parametrize("kind", ["valkey", pytest.param("redis7", marks=pytest.mark.soak)])
def test_what_the_replica_lacked_is_published_again_with_the_same_ids(
    kind: str, tmp_path: Path
) -> None:
    with (
        killed(Sentinels(kind, tmp_path / "servers")) as servers,
        fleet(servers, tmp_path, CONFIG) as running,
    ):
        running.start("one")
        wait_until(lambda: set(running.owners()) == {"one"}, "the worker owns all")
        running.push(ticks(0, 5))
        running.await_caught_up()
        primary = servers.primary
        replica = next(node for node in servers.nodes if node is not primary)
        wait_until(lambda: offset_of(primary) == acknowledged(primary), "the replica has it all")
        kept = running.published("signals")
        # The replica hears no more, and nothing that the sentinels do would mend that.
        replica.call("CONFIG SET", "masteruser", "nobody", "masterauth", "nothing")
        primary.call("CLIENT KILL TYPE", "replica")
        running.push(ticks(5, 5))
        running.await_caught_up()
        lost = running.published("signals")[len(kept) :]
        primary.kill()
        wait_until(lambda: servers.primary is replica, "the sentinels promote the replica")
        push_until_told(running, ticks(5, 5))
        running.await_caught_up()
        assert_published_once(running, tmp_path, ticks(0, 10))
        again = Counter(signal["id"] for signal in running.published("signals"))
        assert {signal["id"] for signal in lost} <= set(again)
        assert '"event": "shard lost"' in running.log("one")
        assert "the cursor is at" in running.log("one")


@pytest.mark.soak
def test_an_acl_user_follows_a_failover_behind_sentinels_over_tls(tmp_path: Path) -> None:
    ca, options = certified(tmp_path / "tls")
    with killed(Sentinels("redis7", tmp_path / "servers", tls=options)) as servers:
        ports = [node.port for node in servers.nodes]
        with User.of(servers, ports, "") as user:
            settings = user.settings()
            settings["redis"]["ca_file"] = str(ca)
            with fleet(user, tmp_path, settings) as running:
                running.start("one")
                wait_until(lambda: set(running.owners()) == {"one"}, "the worker owns all")
                running.push(ticks(0, 5))
                running.await_caught_up()
                primary = servers.primary
                replica = next(node for node in servers.nodes if node is not primary)
                wait_until(lambda: offset_of(primary) == acknowledged(primary), "all is copied")
                primary.kill()
                wait_until(lambda: servers.primary is replica, "the sentinels promote the replica")
                push_until_told(running, ticks(5, 5))
                running.await_caught_up()
                assert_published_once(running, tmp_path, ticks(0, 10))
                assert running.run("doctor").returncode == 0
                survivor = user.nodes[servers.nodes.index(replica)]
                assert survivor.execute_command("ACL LOG") == []


@pytest.mark.soak
def test_a_slot_that_moves_takes_its_shard_along(cluster: Cluster, tmp_path: Path) -> None:
    with fleet(cluster, tmp_path, CONFIG) as running:
        running.start("one")
        wait_until(lambda: set(running.owners()) == {"one"}, "the worker owns all")
        running.push(ticks(0, 5))
        running.await_caught_up()
        shard = shard_of(SYMBOLS[0], SHARDS)
        slot = cluster.slot(Keys().ticks(shard))
        source = cluster.owner(Keys().ticks(shard))
        target = next(node for node in cluster.primaries if node is not source)
        source.call("CLUSTER SETSLOT", slot, "MIGRATING", target.call("CLUSTER MYID"))
        target.call("CLUSTER SETSLOT", slot, "IMPORTING", source.call("CLUSTER MYID"))
        running.push(ticks(5, 1))
        # The shard waits, for some of its keys are not there yet; the others do not.
        others = {shard_of(symbol, SHARDS) for symbol in SYMBOLS} - {shard}
        wait_until(lambda: others <= caught_up(running), "the other shards go on")
        assert shard not in caught_up(running)
        keys = source.call("CLUSTER GETKEYSINSLOT", slot, 100)
        source.call("MIGRATE", HOST, target.port, "", 0, 5000, "KEYS", *keys)
        for node in (target, source, *cluster.primaries):
            node.call("CLUSTER SETSLOT", slot, "NODE", target.call("CLUSTER MYID"))
        running.push(ticks(6, 4))
        running.await_caught_up()
        assert cluster.owner(Keys().ticks(shard)) is target
        assert_published_once(running, tmp_path, ticks(0, 10))
        assert "crashed" not in running.log("one")
