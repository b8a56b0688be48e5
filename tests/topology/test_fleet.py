"""A fleet of real workers on several servers is the fleet that it is on one."""

import asyncio
from pathlib import Path

import orjson
import pytest
import yaml

from streams.keys import Keys, shard_of
from streams.producer import TickProducer
from streams.reader import Gap, SignalReader, ValuesReader
from tests.topology.market import CONFIG, NOON_NS, SECOND_NS, SHARDS, SYMBOLS, ticks, write
from tests.topology.servers import NODE_ENTRIES, Cluster, Sentinels, killed
from tests.workers.fleet import Fleet, Servers, fleet, same_content, wait_until
from tests.workers.test_breathing import CONFIG as BUSY
from tests.workers.test_breathing import NAMES, Load, events

BURST = 500_000  # ticks: seconds of work, or less on a quicker machine
COUNTER = """
def init():
    return {"n": 0}


def on_bar(bar, state):
    state["n"] += 1
    signal("n", state["n"])
"""


async def push(url: str, rows: list[tuple[str, float, int]]) -> None:
    async with TickProducer(url, shards=SHARDS) as producer:
        for symbol, price, ts in rows:
            await producer.send(symbol, price, size=1.0, ts=ts)


async def read(url: str, kind: type[SignalReader], count: int) -> list[object]:
    async with kind(url, range(SHARDS)) as reader:
        found: list[object] = []
        while len(found) < count:
            found += [received.item for received in await reader.read(block_ms=500)]
        return found


def a_day(running: Fleet, folder: Path) -> None:
    """Ticks come in by every way there is, while workers join, leave and die."""
    url = running.server.url
    running.start("one")
    wait_until(lambda: set(running.owners()) == {"one"}, "the first worker owns all")
    asyncio.run(push(url, ticks(0, 10)))
    running.await_caught_up()
    running.start("two")
    wait_until(lambda: running.owners()["two"] >= SHARDS // 4, "the second has its share")
    # Not from a lease that ended; it says so a moment after the server knows.
    wait_until(
        lambda: any(
            taken["previous"] == "two" for taken in events(running.log("two"), "shard taken")
        ),
        "shards were handed to it",
    )
    running.push(ticks(10, 10))
    running.await_caught_up()
    wait_until(lambda: len(snapshots(running)) == SHARDS, "every shard has a snapshot")
    running.kill("one")
    done = running.run("feed", write(folder / "last.csv", ticks(20, 10)))
    assert done.returncode == 0, done.stderr
    wait_until(lambda: set(running.owners()) == {"two"}, "the second has taken over")
    running.await_caught_up()


def snapshots(running: Fleet) -> list[str]:
    with running.server.client() as client:
        return [n for n in range(SHARDS) if client.hget(Keys().snapshot(n), "entry")]


def assert_equal_to_replay(running: Fleet, folder: Path) -> None:
    expected = running.replayed([write(folder / "all.csv", ticks(0, 30))])
    running.assert_no_holes()
    for kind in ("values", "signals"):
        published = running.published(kind)
        assert len(published) > 100
        assert same_content(published) == same_content(expected[kind]), kind


def assert_readable(running: Fleet) -> None:
    """Readers, `fleet tail` and `fleet status` tell what is there."""
    for kind, name in ((SignalReader, "signals"), (ValuesReader, "values")):
        entries = running.ledger(name)
        items = asyncio.run(asyncio.wait_for(read(running.server.url, kind, len(entries)), 60))
        assert len(items) == len(entries)
        assert not [item for item in items if isinstance(item, Gap)]
    tail = ("tail", "values", "--from", "start", "--count", str(len(entries)), "--json")
    lines = running.run(*tail).stdout.splitlines()
    assert same_content(map(orjson.loads, lines)) == same_content(running.published("values"))
    status = orjson.loads(running.run("status", "--json").stdout)
    assert status["lag_entries"] == 0
    assert status["counts"]["applied"] == len(ticks(0, 30))
    assert [worker["name"] for worker in status["workers"]] == ["two"]
    doctor = running.run("doctor")
    assert "[error]" not in doctor.stdout, doctor.stdout
    assert "workers required" in running.run("top", "--count", "1").stdout


def assert_scripts_come_and_go(running: Fleet) -> None:
    path = running.folder / "counter.py"
    path.write_text(COUNTER)

    def speaking() -> int:
        with running.server.client() as client:
            told = client.hgetall(Keys().script_status).values()
        return sum(orjson.loads(each)["status"] == "speaks" for each in told)

    done = running.run("script", "put", "counter", str(path), "--tenant", "desk")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: speaking() == SHARDS, "the script speaks on every shard")
    running.push(ticks(30, 2))
    running.await_caught_up()
    said = [entry for entry in running.ledger("signals") if entry["name"] == "n"]
    assert {entry["symbol"] for entry in said} == set(SYMBOLS)
    assert running.run("script", "rm", "counter").returncode == 0
    running.assert_no_holes()


def assert_history_warms(running: Fleet, folder: Path) -> None:
    """History of new instruments is not published, and what follows rests on it."""
    rows = [(f"W{symbol}", price, ts) for symbol, price, ts in ticks(0, 12)]
    from_ns = NOON_NS + 10 * SECOND_NS
    before = len(running.published("values"))
    past = write(folder / "past.csv", (row for row in rows if row[2] < from_ns))
    done = running.run("backfill", past)
    assert done.returncode == 0, done.stderr
    running.await_caught_up()
    assert len(running.published("values")) == before
    running.push(row for row in rows if row[2] >= from_ns)
    running.await_caught_up()
    expected = running.replayed([write(folder / "warm.csv", rows)])
    for kind in ("values", "signals"):
        published = [one for one in running.published(kind) if one["symbol"].startswith("W")]
        wanted = [one for one in expected[kind] if one["ts"] >= from_ns]
        assert wanted
        assert same_content(published) == same_content(wanted), kind


def assert_bounded(running: Fleet) -> None:
    """What is older than the retention goes: of the ticks now, of the outputs as settings say."""
    busy = {shard_of(symbol, SHARDS) for symbol in SYMBOLS}
    with running.server.client(decode_responses=False) as client:  # frames of history are no text

        def kept(key: str) -> tuple[int, int]:
            about = client.xinfo_stream(key)
            return about["length"], about["entries-added"]

        for n in busy:
            length, added = kept(Keys().ticks(n))
            assert length < added, n
        assert running.stop("two") == 0
        settings = yaml.safe_load(running.path.read_text())
        running.path.write_text(yaml.safe_dump({**settings, "retention": {"entries_max": 10}}))
        running.start("three")
        wait_until(lambda: set(running.owners()) == {"three"}, "a worker that keeps little")
        running.push(ticks(40, 2))
        running.await_caught_up()
        for n in busy:
            length, added = kept(Keys().values(n))
            assert length < 10 + 2 * NODE_ENTRIES < added, n


def a_fleet_is_whole(servers: Servers, folder: Path) -> None:
    with fleet(servers, folder, {**CONFIG, "retention": {"ticks_s": 1}}) as running:
        a_day(running, folder)
        assert_equal_to_replay(running, folder)
        assert_readable(running)
        assert_history_warms(running, folder)
        assert_scripts_come_and_go(running)
        tested = running.run("selftest")
        assert tested.returncode == 0, tested.stdout + tested.stderr
        assert_bounded(running)
        assert running.stop("three") == 0
        assert '"level": "error"' not in "".join(map(running.log, running.workers))


@pytest.mark.soak
def test_a_fleet_on_a_cluster_publishes_what_replay_gives(cluster: Cluster, tmp_path: Path) -> None:
    a_fleet_is_whole(cluster, tmp_path)
    keys = [Keys().ticks(shard) for shard in range(SHARDS)]
    assert len({cluster.owner(key).name for key in keys}) == 3


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["valkey", "redis7"])
def test_a_fleet_behind_sentinels_publishes_what_replay_gives(kind: str, tmp_path: Path) -> None:
    with killed(Sentinels(kind, tmp_path / "servers")) as servers:
        a_fleet_is_whole(servers, tmp_path)


def given(running: Fleet) -> set[str]:
    """Shards that worker one has handed to worker two."""
    released = events(running.log("one"), "shard released")
    return {event["shard"] for event in released if event["successor"] == "two"}


@pytest.mark.soak
@pytest.mark.timeout(200)
def test_an_idle_worker_takes_a_shard_of_one_that_is_behind_on_a_cluster(
    cluster: Cluster, tmp_path: Path
) -> None:
    # A mean of arrivals that a burst hardly moves: placement stays calm, the backlog does not.
    balance = {**BUSY["balance"], "measure_s": 0.1, "behind_s": 0.1, "room_s": 0.05}
    busy = {**BUSY, "scaling": {"half_life_s": 60.0}, "balance": balance}
    with fleet(cluster, tmp_path, busy) as running:

        def measured(name: str) -> bool:
            told = events(running.log(name), "workers required")
            return any("arrivals" in event["reason"] for event in told)

        for name in ("one", "two"):
            running.start(name)
        wait_until(lambda: any(map(measured, ("one", "two"))), "the mean has a beginning")
        wait_until(lambda: set(running.owners().values()) == {3}, "three shards each")
        ours = [n for n, held in enumerate(running.shard_hashes()) if held["owner"] == "one"]
        load = Load(running, [name for name in NAMES if shard_of(name, running.shards) in ours])
        before = given(running)

        def helped() -> bool:
            if running.caught_up():  # a burst that was done before anyone saw it calls for another
                load.push(BURST)
            return bool(given(running) - before)

        wait_until(helped, "a shard is stolen, or placed anew", 120)
        running.await_caught_up(90)
        moved = given(running) - before
        taken = {event["shard"]: event for event in events(running.log("two"), "shard taken")}
        assert {taken[shard]["previous"] for shard in moved} == {"two"}  # handed to it
        running.assert_no_holes()
        assert running.counts()["applied"] == len(load.rows)
