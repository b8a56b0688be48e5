"""What the fleets of these tests are made of: plans, a script, ticks, and the rows of a file."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

NOON_NS = 1_763_812_800_000_000_000
SECOND_NS = 1_000_000_000
SYMBOLS = tuple(f"S{n:02}" for n in range(24))
SHARDS = 12
CONFIG: dict[str, Any] = {
    "shards": SHARDS,
    # No clock entry closes a bar, so that what is published is what the ticks alone say.
    "worker": {"lease_ms": 1_000, "snapshot_s": 0.5, "grace_ms": 3_600_000},
    "plans": {
        "core": {
            "timeframe": "1s",
            "values": {"c": "close", "e": "ema(close, 5)", "r": "rsi(length=5)"},
            "signals": {"above": "close > ema(close, 5)"},
        }
    },
    "scripts": {
        "key": "a key that only the tests know",
        "poll_s": 0.1,
        "tenants": {
            "desk": {
                "symbols": ["*"],
                "plans": ["core"],
                "signals": ["*"],
                "limits": {"batch_ms_max": 5_000},
            }
        },
    },
}

type Tick = tuple[str, float, int]


def ticks(first_s: int, count: int) -> list[Tick]:
    """Two ticks a second of every symbol, which rise and fall."""
    return [
        (symbol, 100.0 + (at * (3 + which % 5) + which) % 23, NOON_NS + at * SECOND_NS // 2)
        for at in range(2 * first_s, 2 * (first_s + count))
        for which, symbol in enumerate(SYMBOLS)
    ]


def write(path: Path, rows: Iterable[Tick]) -> str:
    """A file as `fleet feed` and `fleet replay` read it."""
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(("symbol", "ts", "price", "size"))
        out.writerows((symbol, ts, price, 1.0) for symbol, price, ts in rows)
    return str(path)
