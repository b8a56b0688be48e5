"""Real workers on a real server: who owns what, and how ownership moves."""

import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from streams.keys import shard_of
from tests.conftest import Server
from tests.workers.fleet import Fleet, fleet, wait_until

LEASE_MS = 1_000
NOON_NS = 1_763_812_800_000_000_000
SECOND_NS = 1_000_000_000
SYMBOLS = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")
CONFIG = {
    "shards": 4,
    "worker": {"lease_ms": LEASE_MS, "snapshot_s": 1.0, "grace_ms": 0},
    "plans": {"core": {"timeframe": "1s", "values": {"c": "close", "e": "ema(close, 3)"}}},
}


@pytest.fixture
def running(server: Server, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(server, tmp_path, CONFIG) as started:
        yield started


def ticks(first_s: int, count: int) -> list[tuple[str, float, int]]:
    """One tick a second of every symbol."""
    return [
        (symbol, 100.0 + (at * 7 + len(symbol)) % 11, NOON_NS + at * SECOND_NS)
        for at in range(first_s, first_s + count)
        for symbol in SYMBOLS
    ]


def closes(running: Fleet, symbol: str) -> list[int]:
    return [int(entry["ts"]) for entry in running.ledger("values") if entry["symbol"] == symbol]


def expected_closes(first_s: int, count: int) -> list[int]:
    return [NOON_NS + (at + 1) * SECOND_NS for at in range(first_s, first_s + count)]


def await_owners(running: Fleet, *names: str) -> None:
    wait_until(lambda: set(running.owners()) == set(names), f"the owners are {names}")


def test_ticks_that_came_before_the_first_worker_are_processed(running: Fleet) -> None:
    running.push(ticks(0, 10))
    running.start("one")
    running.await_caught_up()
    for symbol in SYMBOLS:
        assert closes(running, symbol) == expected_closes(0, 9)
    running.assert_no_holes()
    assert running.counts() == {"applied": 60, "late": 0, "repeated": 0, "dead": 0, "shed": 0}


def test_the_clock_closes_the_last_bar_when_the_feed_falls_silent(running: Fleet) -> None:
    running.start("one")
    running.push(ticks(0, 3))
    for symbol in SYMBOLS:
        wait_until(lambda s=symbol: closes(running, s) == expected_closes(0, 3), "all bars closed")
    running.push(ticks(5, 2))
    wait_until(lambda: len(closes(running, "AAA")) == 5, "the feed goes on after the clock")
    assert running.counts()["late"] == 0


def test_a_joining_worker_takes_its_share_and_nothing_is_lost(running: Fleet) -> None:
    running.start("one")
    await_owners(running, "one")
    running.push(ticks(0, 20))
    running.start("two")
    await_owners(running, "one", "two")
    assert running.owners()["one"] == running.owners()["two"] == 2
    running.push(ticks(20, 20))
    running.await_caught_up()
    for symbol in SYMBOLS:
        assert closes(running, symbol)[:39] == expected_closes(0, 39)
    running.assert_no_holes()


def test_a_graceful_stop_hands_over_at_once_and_exits_with_0(running: Fleet) -> None:
    running.start("one")
    running.start("two")
    await_owners(running, "one", "two")
    running.push(ticks(0, 10))
    assert running.stop("one") == 0
    assert "one" not in running.owners()  # given up, not left to their lease
    await_owners(running, "two")
    running.push(ticks(10, 10))
    running.await_caught_up()
    for symbol in SYMBOLS:
        assert closes(running, symbol)[:19] == expected_closes(0, 19)
    running.assert_no_holes()
    assert '"event": "shard released"' in running.log("one")


def test_a_killed_worker_is_replaced_and_its_state_goes_on(running: Fleet) -> None:
    running.start("one")
    await_owners(running, "one")
    running.push(ticks(0, 10))
    running.await_caught_up()
    running.start("two")
    running.kill("one")
    await_owners(running, "two")
    running.push(ticks(10, 10))
    running.await_caught_up()
    for symbol in SYMBOLS:
        assert closes(running, symbol)[:19] == expected_closes(0, 19)
    running.assert_no_holes()


def test_a_worker_that_slept_past_its_lease_cannot_write(running: Fleet) -> None:
    running.start("sleeper")
    await_owners(running, "sleeper")
    running.push(ticks(0, 5))
    running.await_caught_up()
    running.workers["sleeper"].send_signal(signal.SIGSTOP)
    running.start("other")
    await_owners(running, "other")
    running.push(ticks(5, 5))
    running.await_caught_up()
    running.workers["sleeper"].send_signal(signal.SIGCONT)
    wait_until(lambda: "shard lost" in running.log("sleeper"), "the sleeper notices")
    running.push(ticks(10, 10))
    running.await_caught_up()
    for symbol in SYMBOLS:
        assert closes(running, symbol)[:19] == expected_closes(0, 19)
    running.assert_no_holes()


def test_workers_ride_through_a_restart_of_the_server(running: Fleet) -> None:
    running.start("one")
    await_owners(running, "one")
    running.push(ticks(0, 10))
    running.await_caught_up()
    time.sleep(1.1)  # the append-only file is written every second
    running.server.kill()
    running.server.start()
    running.push(ticks(10, 10))
    running.await_caught_up()
    for symbol in SYMBOLS:
        assert closes(running, symbol)[:19] == expected_closes(0, 19)
    running.assert_no_holes()


def test_a_changed_plan_is_deployed_through_the_log_and_warmed_up(
    running: Fleet, tmp_path: Path
) -> None:
    running.start("one")
    running.push(ticks(0, 20))
    running.await_caught_up()
    running.stop("one")
    plans = {
        "core": CONFIG["plans"]["core"],
        "more": {"timeframe": "1s", "values": {"e": "ema(close, 5)"}},
    }
    with fleet(running.server, tmp_path, {**CONFIG, "plans": plans}) as changed:
        changed.start("two")
        with running.server.client() as client:
            wait_until(
                lambda: all(
                    any("deploy" in fields for _, fields in client.xrange(f"ticks:{{{n}}}"))
                    for n in range(4)
                ),
                "the deployment is in every log",
            )
        changed.await_caught_up()
        changed.push(ticks(20, 5))
        changed.await_caught_up()
        more = [entry for entry in changed.ledger("values") if entry["source"].startswith("more@")]
        assert {int(entry["ts"]) for entry in more} >= set(expected_closes(20, 4))
        assert min(int(entry["ts"]) for entry in more) >= NOON_NS + 20 * SECOND_NS
        assert all(orjson.loads(entry["data"])["e"] is not None for entry in more)
        changed.assert_no_holes()


def test_a_worker_that_disagrees_on_the_shards_refuses_to_start(
    running: Fleet, tmp_path: Path
) -> None:
    running.start("one")
    await_owners(running, "one")
    with fleet(running.server, tmp_path, {**CONFIG, "shards": 5}) as other:
        refused = other.run("worker")
    assert refused.returncode == 1
    assert "4" in refused.stderr
    assert "5" in refused.stderr


def test_bad_input_goes_to_the_dead_letters_and_the_shard_goes_on(running: Fleet) -> None:
    running.start("one")
    running.push(ticks(0, 2))
    with running.server.client() as client:
        client.xadd("ticks:{0}", {"symbol": "AAA"})
        client.xadd("ticks:{0}", {"price": "1"})
        client.xadd("ticks:{0}", {"frame": b"broken"})
    running.push(ticks(2, 2))
    running.await_caught_up()
    with running.server.client() as client:
        dead = [fields for _, fields in client.xrange("deadletter:{0}")]
    assert len(dead) == 3
    for letter, field in zip(dead, ("price", "symbol", "frame"), strict=True):
        assert field in letter["reason"]
    assert len(closes(running, "AAA")) >= 3
    assert running.counts()["dead"] == 3


def test_health_and_metrics_are_served(running: Fleet) -> None:
    process = running.start("one")
    await_owners(running, "one")
    wait_until(lambda: '"serving"' in running.log("one"), "the port is open")
    line = next(line for line in running.log("one").splitlines() if '"serving"' in line)
    base = f"http://127.0.0.1:{orjson.loads(line)['port']}"
    running.push(ticks(0, 5))
    running.await_caught_up()
    for path in ("/healthz", "/readyz"):
        with urllib.request.urlopen(base + path, timeout=60) as answer:
            assert answer.status == 200

    def metrics() -> str:
        with urllib.request.urlopen(base + "/metrics", timeout=60) as answer:
            return str(answer.read().decode())

    wait_until(lambda: "signalfleet_ticks_total 30.0" in metrics(), "the ticks are counted")
    wait_until(lambda: "signalfleet_required_workers 1.0" in metrics(), "the size is known")
    assert "signalfleet_shards_owned 4.0" in metrics()
    with urllib.request.urlopen(base + "/scale", timeout=60) as answer:
        assert orjson.loads(answer.read())["required"] == 1
    assert process.poll() is None


def test_a_key_of_another_type_stops_its_shard_only(running: Fleet) -> None:
    others = [(symbol, *more) for symbol, *more in ticks(0, 3) if shard_of(symbol, 4)]
    with running.server.client() as client:
        client.set("ticks:{0}", "not a stream")
        running.start("one")
        wait_until(lambda: running.owners() == {"one": 3, "": 1}, "the others are owned")
        assert '"event": "shard refused"' in running.log("one")
        client.delete("ticks:{0}")
        await_owners(running, "one")
        client.delete("ticks:{0}")
        client.set("ticks:{0}", "no stream any more")
        wait_until(lambda: '"event": "shard lost"' in running.log("one"), "it is lost")
        running.push(others)
        wait_until(lambda: running.counts()["applied"] == len(others), "the others go on")
