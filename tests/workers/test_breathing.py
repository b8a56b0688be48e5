"""The fleet under more load than it can do: it shares, says so, gives up least first, grows."""

import asyncio
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from zlib import crc32

import orjson
import pytest

from streams.producer import TickProducer, frame_of
from tests.conftest import Server
from tests.workers.fleet import Fleet, fleet, same_content, ticks_of, wait_until

# Minutes of real load with bounds on time: for `make soak`, on a machine with nothing else to do.
pytestmark = pytest.mark.soak

NOON_NS = 1_763_812_800_000_000_000
SECOND_NS = 1_000_000_000
NAMES = [f"SYM{number}" for number in range(40)]
VALUES = ["ema(length=9)", "rsi(length=14)", "bbands(length=20)", "macd()", "atr(length=14)"]
CORE = {"timeframe": "1s", "values": VALUES}
CONFIG: dict[str, Any] = {
    "shards": 6,
    "worker": {"lease_ms": 2_000, "snapshot_s": 2.0, "grace_ms": 60_000},
    "balance": {"measure_s": 0.3, "behind_s": 1.0, "room_s": 0.5, "window_s": 3.0},
    "scaling": {
        "half_life_s": 2.0,
        "drain_s": 5.0,
        "up_period_s": 2.0,
        "down_window_s": 4.0,
        "down_period_s": 2.0,
    },
    "pressure": {"lag_s": [0.5, 1.5, 5.0], "calm_s": 1.0},
    "shedding": {"tier_max": 0},
    "plans": {"core": CORE},
}
FRAME = 1_000
PATIENCE_S = 90.0


class Load:
    """Frames of one tick a second of each symbol, each of which closes a bar of every plan."""

    def __init__(self, running: Fleet, names: list[str]) -> None:
        self._running, self._names = running, names
        self._second = 0
        self.rows: list[tuple[str, float, int]] = []

    def push(self, ticks: int) -> None:
        """So many ticks, in frames, without waiting for anyone."""
        fresh = []
        for at in range(self._second, self._second + ticks // len(self._names)):
            ts = NOON_NS + at * SECOND_NS
            fresh += [(name, 100.0 + (at * 7 + len(name)) % 13, ts) for name in self._names]
        self._second += ticks // len(self._names)
        self.rows += fresh
        with self._running.server.client() as client, client.pipeline(transaction=False) as pipe:
            for shard in range(self._running.shards):
                mine = [row for row in fresh if self.shard(row[0]) == shard]
                for start in range(0, len(mine), FRAME):
                    frame = [(s, p, 1.0, ts, "") for s, p, ts in mine[start : start + FRAME]]
                    pipe.xadd(f"ticks:{{{shard}}}", {"frame": frame_of(frame)})
            pipe.execute()

    def shard(self, name: str) -> int:
        return crc32(name.encode()) % self._running.shards

    def write(self, path: Path) -> str:
        lines = [f"{symbol},{price},1.0,{ts}" for symbol, price, ts in self.rows]
        path.write_text("\n".join(["symbol,price,size,ts", *lines]) + "\n")
        return str(path)


@contextmanager
def pushed(load: Load, ticks: int, every_s: float) -> Iterator[None]:
    """The load goes on, so many ticks at a time, until the end of the block."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(every_s):
            load.push(ticks)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def events(text: str, name: str) -> list[dict[str, Any]]:
    lines = [orjson.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


def status(running: Fleet) -> dict[str, Any]:
    done = running.run("status", "--json")
    assert done.returncode == 0, done.stderr
    return dict(orjson.loads(done.stdout))


@pytest.mark.timeout(200)
def test_an_idle_worker_takes_shards_of_one_that_is_behind(server: Server, tmp_path: Path) -> None:
    # A mean of arrivals that a burst hardly moves: placement stays calm, the backlog does not.
    config = {**CONFIG, "scaling": {"half_life_s": 60.0}}
    with fleet(server, tmp_path, config) as running:
        for name in ("one", "two"):
            running.start(name)
        wait_until(lambda: set(running.owners().values()) == {3}, "three shards each")
        wait_until(
            lambda: all(one.get("arrival") == 0 for one in status(running)["shards"]),
            "that nothing arrives is measured",
        )
        first = next(n for n, held in enumerate(running.shard_hashes()) if held["owner"] == "one")
        ours = [n for n, held in enumerate(running.shard_hashes()) if held["owner"] == "one"]
        load = Load(running, [s for s in NAMES if crc32(s.encode()) % running.shards in ours])
        with pushed(load, 30_000, 0.2):
            wait_until(lambda: events(running.log("one"), "shard stolen"), "a shard is stolen")
            seen = status(running)
            hot = {one["shard"]: one.get("hot", "") for one in seen["shards"]}
            assert load.shard(hot[str(first)]) == first  # an instrument by its name
        running.await_caught_up(PATIENCE_S)
        stolen = {one["shard"] for one in events(running.log("one"), "shard stolen")}
        taken = {one["shard"] for one in events(running.log("two"), "shard taken")}
        assert stolen <= taken
        running.assert_no_holes()
        assert running.counts()["applied"] == len(load.rows)


@pytest.mark.timeout(280)
def test_fleet_up_grows_to_the_load_restarts_the_dead_and_shrinks_without_flapping(
    server: Server, tmp_path: Path
) -> None:
    with fleet(server, tmp_path, CONFIG) as running, (tmp_path / "up.log").open("wb") as log:
        up = subprocess.Popen(
            [*running.command("up"), "--min", "1", "--max", "3"], stderr=log, stdout=log
        )
        try:
            wait_until(lambda: "" not in running.owners(), "every shard has an owner")
            load = Load(running, NAMES)

            def sizes() -> list[int]:
                return [
                    e["now"] for e in events((tmp_path / "up.log").read_text(), "workers scaled")
                ]

            with pushed(load, 16_000, 0.2):
                wait_until(lambda: sizes()[-1] == 3, "three workers", PATIENCE_S)
                wait_until(lambda: len(running.owners()) == 3, "all of them work", PATIENCE_S)
                victim = int(children(up.pid)[0])
                subprocess.run(["kill", "-9", str(victim)], check=True)
                wait_until(lambda: "worker died" in (tmp_path / "up.log").read_text(), "noticed")
            wait_until(lambda: sizes()[-1] == 1, "one worker again", PATIENCE_S)
            running.await_caught_up(PATIENCE_S)
            assert sum(later < before for before, later in pairwise(sizes())) <= 2, sizes()
            turns = [later > before for before, later in pairwise(sizes())]
            assert turns == sorted(turns, reverse=True), sizes()  # up, then down, and no more
            running.assert_no_holes()
            assert running.counts()["applied"] == len(load.rows)
            up.send_signal(signal.SIGTERM)
            assert up.wait(30) == 0
            wait_until(lambda: set(running.owners()) == {""}, "everything was handed back")
        finally:
            if up.poll() is None:
                up.kill()  # its workers go with it
                up.wait()


@pytest.mark.timeout(280)
def test_the_ledger_equals_the_replay_while_the_fleet_grows_shrinks_and_things_die(
    server: Server, tmp_path: Path
) -> None:
    config = {**CONFIG, "scaling": {**CONFIG["scaling"], "utilisation": 0.05}}
    with fleet(server, tmp_path, config) as running, (tmp_path / "up.log").open("wb") as log:
        up = subprocess.Popen(
            [*running.command("up"), "--min", "1", "--max", "3"], stderr=log, stdout=log
        )
        try:
            wait_until(lambda: "" not in running.owners(), "every shard has an owner")
            load = Load(running, NAMES)
            for turn in range(16):
                load.push(8_000)
                time.sleep(0.5)  # the pace of the load
                if turn in (5, 11):
                    server.kill()
                    server.start()
                elif turn in (8, 13):
                    subprocess.run(["kill", "-9", children(up.pid)[-1]], check=True)
            running.await_caught_up(PATIENCE_S)
            text = (tmp_path / "up.log").read_text()
            sizes = [event["now"] for event in events(text, "workers scaled")]
            assert max(sizes) > 1, sizes
            wait_until(
                lambda: events((tmp_path / "up.log").read_text(), "workers scaled")[-1]["now"] == 1,
                "the fleet has shrunk",
                PATIENCE_S,
            )
            assert running.counts()["applied"] == len(load.rows) == running.counts().total()
            running.assert_no_holes()
            expected = running.replayed([load.write(tmp_path / "ticks.csv")])["values"]
            assert same_content(running.published("values")) == same_content(expected)
            assert "Diverged" not in text
        finally:
            up.terminate()
            assert up.wait(30) == 0


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.timeout(200)
def test_tiers_enter_in_order_and_leave_and_final_bars_are_those_of_the_unloaded_run(
    server: Server, tmp_path: Path
) -> None:
    config = {
        **CONFIG,
        "shards": 1,
        "shedding": {"lag_s": 1.0, "enter_s": 0.2, "dwell_s": 0.5, "calm_s": 0.5},
        "plans": {
            "core": CORE,
            "idle": {**CORE, "priority": "low"},
            "live": {"timeframe": "5s", "emit": "forming", "values": VALUES},
        },
    }
    with fleet(server, tmp_path, config) as running:
        running.start("one")
        wait_until(lambda: "one" in running.owners(), "the shard has its owner")
        load = Load(running, NAMES)

        def tiers() -> list[int]:
            with server.client() as client:
                found = client.xrange("shed:{0}")
            return [orjson.loads(fields["payload"])["tier"] for _, fields in found]

        with pushed(load, 8_000, 0.2):
            wait_until(lambda: 3 in tiers(), "tier 3", PATIENCE_S)
            running.kill("one")  # what comes next was decided by the dead: replay must agree
            running.start("two")
        wait_until(lambda: tiers()[-1] == 0, "the tiers have left again", PATIENCE_S)
        running.await_caught_up(PATIENCE_S)
        assert tiers()[:3] == [1, 2, 3]
        assert all(abs(later - before) == 1 for before, later in pairwise(tiers()))
        counts = running.counts()
        assert counts["applied"] == len(load.rows) == sum(counts.values())
        with server.client() as client:
            ledger = [fields for _, fields in client.xrange("fleet:ledger")]
        assert sum(int(record["forming"]) for record in ledger) > 0
        expected = running.replayed([load.write(tmp_path / "ticks.csv")])["values"]
        live = running.published("values")
        silent = sum(int(record["plans"]) for record in ledger)
        for plan, lost in (("core", 0), ("live", 0), ("idle", silent)):
            wanted = same_content(finals(expected, plan))
            seen = same_content(finals(live, plan))
            assert not seen - wanted
            assert (wanted - seen).total() == lost
        forming = [sum(row["status"] == "forming" for row in rows) for rows in (expected, live)]
        assert forming[0] - forming[1] == sum(int(record["forming"]) for record in ledger)
        assert not re.search("Diverged|failed", running.log("two"))


def finals(rows: list[dict[str, Any]], plan: str) -> list[dict[str, Any]]:
    return [
        row for row in rows if row["source"].startswith(f"{plan}@") and row["status"] == "final"
    ]


@pytest.mark.timeout(200)
def test_a_producer_that_heeds_the_pressure_never_sees_shedding(
    server: Server, tmp_path: Path
) -> None:
    config = {
        **CONFIG,
        "shards": 1,
        "pressure": {"lag_s": [0.2, 0.5, 1.0], "calm_s": 0.5},
        "shedding": {"lag_s": 6.0, "enter_s": 0.5},
        "plans": {f"plan{n}": {**CORE, "emit": "forming"} for n in range(4)},
    }

    second = 0

    async def produce(heeds: str | None, seconds: float, stop: Callable[[], bool]) -> float:
        nonlocal second
        slowest, ends = 1.0, time.monotonic() + seconds
        async with TickProducer(server.url, shards=1, heeds=heeds) as producer:
            while time.monotonic() < ends and not stop():
                await producer.send_columns(ticks_of(NAMES, second, 50))
                second += 50
                slowest = min(slowest, producer.pace.share if producer.pace else 1.0)
        return slowest

    with fleet(server, tmp_path, config) as running:
        running.start("one")
        wait_until(lambda: "one" in running.owners(), "the shard has its owner")
        with server.client() as client:
            slowest = asyncio.run(produce("fleet", 12.0, lambda: False))
            assert slowest < 0.9  # it was told, and it listened
            assert client.xlen("fleet:pressure:log") > 0
            told = {fields["of"] for _, fields in client.xrange("fleet:pressure:log")}
            assert told == {"0", "fleet"}
            assert client.xlen("shed:{0}") == 0
            assert client.xlen("fleet:ledger") == 0
            asyncio.run(produce(None, 60.0, lambda: client.xlen("shed:{0}") > 0))
            assert client.xlen("shed:{0}") > 0  # the same producer, if it does not listen
