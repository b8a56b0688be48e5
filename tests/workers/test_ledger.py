"""Every tick in the account and every silent bar in the ledger, at all tiers, across a kill -9."""

from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from streams.producer import frame_of
from tests.conftest import Server
from tests.workers.fleet import Fleet, fleet, wait_until
from tests.workers.scripted import CONFIG, COUNTER, await_status, publish, said

NOON_NS = 1_763_812_800_000_000_000
SECOND_NS = 1_000_000_000
EXACT, LOW = ("AAA", "AAB", "ABB"), "BBB"
SETTINGS: dict[str, Any] = {
    **CONFIG,
    "shards": 1,
    "retention": {"ticks_s": 1e9},
    "worker": {"lease_ms": 1_000, "snapshot_s": 0.3, "grace_ms": 600_000},
    # However fast the machine is: what is at work now is behind, by its age alone.
    "balance": {"measure_s": 60},
    "shedding": {
        "lag_s": 0.001,
        "enter_s": 0.0,
        "dwell_s": 0.0,
        "calm_s": 0.3,
        "tier_max": 4,
        "low_symbols": ["B*"],
    },
    "plans": {
        "core": {"timeframe": "1s", "values": {"c": "close", "e": "ema(close, 3)"}},
        "live": {"timeframe": "5s", "emit": "forming", "values": {"e": "ema(close, 3)"}},
        "idle": {"timeframe": "1s", "values": {"e": "ema(close, 3)"}, "priority": "low"},
    },
}


def push(running: Fleet, first: int, seconds: int) -> int:
    """A tick a second of each symbol, each of which closes a bar; returns how many."""
    rows = [
        (symbol, 100.0 + at % 7, 1.0, NOON_NS + at * SECOND_NS, f"{symbol}-{at}")
        for at in range(first, first + seconds)
        for symbol in (*EXACT, LOW)
    ]
    with running.server.client() as client, client.pipeline(transaction=False) as pipe:
        for start in range(0, len(rows), 100):
            frame: Any = {"frame": frame_of(rows[start : start + 100])}
            pipe.xadd("ticks:{0}", frame)
        pipe.execute()
    return len(rows)


@pytest.mark.timeout(180)
def test_scripts_plans_and_ticks_that_are_shed_are_counted_to_the_last_across_a_kill(
    server: Server, tmp_path: Path
) -> None:
    with fleet(server, tmp_path, SETTINGS) as running, server.client() as client:
        running.start("one")
        source = publish(running, "counter", COUNTER)
        await_status(running, source, shards=1)

        def tiers() -> list[int]:
            return [orjson.loads(f["payload"])["tier"] for _, f in client.xrange("shed:{0}")]

        pushed = second = 0

        def sheds_ticks() -> bool:
            nonlocal pushed, second
            if running.caught_up():
                pushed += push(running, second, 500)
                second += 500
            return running.counts()["shed"] > 0

        wait_until(sheds_ticks, "ticks are shed")
        assert 4 in tiers()
        assert second < 60_000  # so that every bar that has to wait is kept
        running.kill("one")
        running.start("two")
        odd = [(EXACT[0], 1.0, NOON_NS), (EXACT[0], -1.0, NOON_NS)]  # late, dead
        running.push(odd)
        repeated = second - 1
        running.push([(EXACT[0], 1.0, NOON_NS + repeated * SECOND_NS)], id=f"AAA-{repeated}")
        pushed += 3
        wait_until(lambda: tiers()[-1] == 0, "the tiers have left")
        running.await_caught_up()
        pushed += push(running, second, 5)
        second += 5
        running.await_caught_up()

        counts = running.counts()
        assert counts.total() == pushed
        assert min(counts.values()) > 0, counts  # applied, late, repeated, dead, shed
        ledger: Counter[str] = Counter()
        for _, record in client.xrange("fleet:ledger"):
            ledger.update({kind: int(record[kind]) for kind in ("scripts", "plans", "ticks")})
        assert ledger["ticks"] == counts["shed"]
        running.assert_no_holes()
        bars = (second - 1) * len(EXACT)
        heard = 0
        for symbol in EXACT:
            numbers = [int(value["value"]) for value in said(running, source, "n", symbol)]
            assert numbers == sorted(set(numbers))
            assert numbers[-4:] == list(range(second - 4, second))  # where it would have been
            heard += len(numbers)
        low = len(said(running, source, "n", LOW))
        idle = [one["symbol"] for one in running.ledger("values") if one["source"][:4] == "idle"]
        low_bars = sum(
            one["symbol"] == LOW and one["source"][:4] == "core" for one in running.ledger("values")
        )
        assert heard + low + ledger["scripts"] == bars + low_bars
        assert len(idle) + ledger["plans"] == bars + low_bars
        assert ledger["scripts"] > 0
        marks = {
            one.get("degraded")
            for one in running.ledger("signals")
            if one["symbol"] == LOW and int(one["ts"]) > NOON_NS + (second - 4) * SECOND_NS
        }
        assert marks == {"4"}
        assert "Diverged" not in running.log("two")
