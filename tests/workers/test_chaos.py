"""Real processes, real kill -9, and a ledger that counts every tick in and every signal out."""

import random
import signal
import time
from pathlib import Path

import orjson
import pytest

from tests.conftest import Server, shared_data
from tests.workers.fleet import fleet, same_content, wait_until

LEASE_MS = 1_000
CONFIG = {
    "shards": 8,
    "worker": {"lease_ms": LEASE_MS, "snapshot_s": 1.0},
    "plans": {
        "core": {
            "timeframe": "1m",
            "values": {"RSI_14": "rsi(length=14)", "gap": "ema(close, 5) - ema(close, 20)"},
            "signals": {
                "oversold": "rsi(length=14) < 30",
                "cross": "cross_above(ema(close, 5), ema(close, 20))",
            },
        },
        "fast": {"timeframe": "5s", "values": {"EMA_9": "ema(close, 9)"}},
    },
}
DAYS = ("trades-20131007", "trades-20131008", "trades-20131009")
TICKS = 421_592
LAST_TICK_NS = {"BAC": 1_381_363_194_395_000_000, "IBM": 1_381_361_495_155_000_000}
SEED = 20131007
SPEED = "10000"  # the three days last twenty seconds


@pytest.mark.timeout(240)
def test_the_ledger_equals_the_replay_whatever_dies(server: Server, tmp_path: Path) -> None:
    files = [str(shared_data(f"data/ticks/{day}.csv.gz")) for day in DAYS]
    chance = random.Random(SEED)
    with fleet(server, tmp_path, CONFIG) as running:
        names = ["one", "two", "three"]
        for name in names:
            running.start(name)
        wait_until(lambda: "" not in running.owners(), "every shard has an owner")
        feed = running.spawn("feed", *files, "--speed", SPEED, "--format", "frame", "--heedless")
        turn = 0
        while feed.poll() is None or turn < 8:
            time.sleep(1.0)  # the pace of the chaos
            turn += 1
            victim = chance.choice(names)
            if turn in (3, 6):
                server.kill()
                server.start()
            elif turn == 4:
                running.workers[victim].send_signal(signal.SIGSTOP)
                time.sleep(2.5 * LEASE_MS / 1_000)  # past its lease, by design
                running.workers[victim].send_signal(signal.SIGCONT)
            else:
                running.kill(victim)
                running.start(victim)
        assert feed.returncode == 0
        running.await_caught_up()
        counts = running.counts()
        assert sum(counts.values()) == TICKS, counts
        running.assert_no_holes()
        expected = running.replayed(files)
        for kind in ("values", "signals"):
            live = same_content(running.published(kind))
            assert not same_content(expected[kind]) - live, f"{kind} are missing"
            # The clock may have closed each instrument's last bars, which the files leave open.
            for item in map(orjson.loads, live - same_content(expected[kind])):
                assert item["ts"] > LAST_TICK_NS[item["symbol"]], item
