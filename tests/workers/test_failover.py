"""A replica takes over that lacks the last commits: the shard goes on from the older state."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from streams.connection import connect
from streams.errors import Stale
from streams.keys import Keys
from streams.log import ShardLog
from streams.records import Commit, EntryId
from streams.wire import Wire
from tests.conftest import Server
from tests.streams.proxy import Proxy
from tests.workers.fleet import fleet, same_content, wait_until
from workers.processor import advance
from workers.program import Program
from workers.run import ShardRun
from workers.scripting.bench import Bench
from workers.scripting.decisions import Ruling
from workers.settings import PlanSettings, WorkerSettings
from workers.shedding import Tier
from workers.takeover import shed, take_over

NOON_NS = 1_763_812_800_000_000_000
SECOND_NS = 1_000_000_000
PROGRAM = Program(
    {
        "live": PlanSettings(timeframe="5s", emit="forming", values={"c": "close"}),
        "idle": PlanSettings(timeframe="1s", values={"e": "ema(close, 3)"}, priority="low"),
    }
)


@pytest.fixture
def replica(server: Server, tmp_path: Path) -> Iterator[Server]:
    """A replica of `server`, which has all of it."""
    (tmp_path / "replica").mkdir()
    started = Server(server.binary, tmp_path / "replica")
    with started.client() as client:
        client.replicaof("127.0.0.1", server.port)
        wait_until(lambda: client.info("replication")["master_link_status"] == "up", "in sync")
    yield started
    started.kill()


def cut_off(server: Server, replica: Server) -> None:
    """From now on the replica misses what happens, and may be promoted."""
    with server.client() as client, replica.client() as other:
        assert client.wait(1, 10_000) == 1
        other.replicaof("NO", "ONE")


def push(server: Server, first: int, count: int) -> None:
    """One tick a second, with the ids that their producer gave them."""
    with server.client() as client:
        for at in range(first, first + count):
            fields = {"symbol": "AAA", "price": 10 + at % 7, "ts": NOON_NS + at * SECOND_NS}
            client.xadd("ticks:{0}", fields, id=f"{NOON_NS // 1_000_000 + at * 1_000}-1")


def process(run: ShardRun) -> None:
    """All that waits in the log, committed."""
    for batch in run.log.read(run.state.upto):
        prev, seq, seq_values = run.state.upto, run.state.signal_seq, run.state.value_seq
        output = advance(run.program, run.state, batch, time.time_ns(), run.host)
        run.log.commit(
            Commit(
                "0",
                run.lease.fence,
                prev,
                batch.upto,
                batch.entries,
                signals=output.signals,
                values=output.values,
                counts=output.counts,
                seq=seq,
                seq_values=seq_values,
            )
        )


def owned(server: Server, name: str) -> ShardRun:
    link, keys = connect(server.url), Keys()
    log = ShardLog(link, keys, "0", Wire(link, keys, shards=1))
    lease = log.acquire(name, lease_ms=60_000)
    return take_over(log, lease, PROGRAM, WorkerSettings(), Bench())


def decide(log: ShardLog, run: ShardRun, tier: Tier) -> EntryId:
    payload = orjson.dumps({"tier": int(tier), "low": []})
    return log.add_shed(run.lease.fence, run.state.upto, payload)


def test_what_a_worker_decides_before_it_notices_the_failover_is_taken_back(
    server: Server, replica: Server
) -> None:
    old = owned(server, "w")
    push(server, 0, 20)
    process(old)
    assert old.log.save_snapshot(old.lease.fence, old.capsule())
    kept = decide(old.log, old, Tier.FORMING)
    shed(old, old.log.shed_decisions(EntryId(0, 0))[0])
    push(server, 20, 10)
    process(old)
    cut_off(server, replica)
    push(server, 30, 10)
    process(old)  # all of this is lost
    link, keys = connect(replica.url), Keys()
    promoted = ShardLog(link, keys, "0", Wire(link, keys, shards=1))
    decide(promoted, old, Tier.PLANS)
    made = Ruling(script="x", revision=1, action="cut").model_dump_json().encode()
    promoted.add_script_decision(old.lease.fence, old.state.upto, made)
    with pytest.raises(Stale):
        promoted.save_snapshot(old.lease.fence, old.capsule())
    with pytest.raises(Stale):
        promoted.commit(old.probe())

    new = owned(replica, "w")
    assert new.state.shedding.tier == Tier.FORMING
    assert len(new.undone) == 1
    assert [one.entry for one in promoted.shed_decisions(EntryId(0, 0))] == [kept]
    push(replica, 30, 15)
    process(new)
    again = owned(replica, "w")  # from the snapshot: replay reaches what was published
    assert again.state.shedding.tier == Tier.FORMING
    assert again.state.upto == new.state.upto
    with replica.client() as client:
        entries = [fields for _, fields in client.xrange("values:{0}")]
    closed = [int(one["ts"]) for one in entries if one["source"].startswith("idle")]
    assert closed == [NOON_NS + at * SECOND_NS for at in range(1, 45)]
    link.close()


@pytest.mark.timeout(120)
def test_a_quiet_shard_is_found_older_than_it_was_and_the_lost_ticks_are_read_again(
    server: Server, replica: Server, tmp_path: Path
) -> None:
    config: dict[str, Any] = {
        "shards": 1,
        "worker": {"lease_ms": 1_000, "snapshot_s": 0.3, "grace_ms": 600_000},
        "plans": {"core": {"timeframe": "1s", "values": {"e": "ema(close, 3)"}}},
        "retention": {"ticks_s": 1e9},  # their ids are as old as the ticks
    }
    gate = Proxy(server.port, 0, "before")
    try:
        with fleet(server, tmp_path, {**config, "redis": {"url": gate.url}}) as running:
            running.start("one")
            push(server, 0, 20)
            running.await_caught_up()
            cut_off(server, replica)
            push(server, 20, 20)
            newest = f"{NOON_NS // 1_000_000 + 39_000}-1"
            with server.client() as client:
                wait_until(
                    lambda: client.hget("snapshot:{0}", "entry") == newest,
                    "nothing is under way any more",
                )
            gate.lead_to(replica.port)
            server.kill()
            running.server = replica
            # Not one new tick: the shard must be found to stand elsewhere all the same.
            wait_until(lambda: "the cursor is at" in running.log("one"), "the loss is noticed")
            push(replica, 20, 20)  # the same ids, as their producer sends them again
            running.await_caught_up()
            running.assert_no_holes()
            assert running.counts()["applied"] == 40
            ticks = tmp_path / "ticks.csv"
            rows = [f"AAA,{10 + at % 7},0,{NOON_NS + at * SECOND_NS}" for at in range(40)]
            ticks.write_text("\n".join(["symbol,price,size,ts", *rows]) + "\n")
            expected = running.replayed([str(ticks)])["values"]
            assert same_content(running.published("values")) == same_content(expected)
            assert "Diverged" not in running.log("one")
    finally:
        gate.close()
        server.start()
