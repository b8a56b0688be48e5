"""The demo's parts: worker processes, a producer, a ledger of what consumers see."""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from streams.producer import TickProducer
from streams.reader import Gap, SignalReader, ValuesReader
from streams.signals import Signal
from workers.market import Market

SEED = 7
SHARDS = 8
LEASE_MS = 1_000
PUSH_NS = 20_000_000
REBORN_S = 3.0
SIGNALS_SHOWN = 12
LATENCIES_KEPT = 50_000
NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
STOP_S_MAX = 15.0

PLANS = {
    "fast": {
        "timeframe": "1s",
        "values": ["rsi(length=14)", "ema(length=9)", "bbands(length=20)", "macd()"],
        "signals": {
            "oversold": {"when": "rsi(length=14) < 25", "value": {"rsi": "rsi(length=14)"}},
            "overbought": {"when": "rsi(length=14) > 75", "value": {"rsi": "rsi(length=14)"}},
            "breakout": {"when": "close > bbands(length=20).upper", "value": {"close": "close"}},
        },
    },
    "slow": {
        "timeframe": "5s",
        "values": ["ema(length=5)", "atr(length=14)"],
        "signals": {
            "golden_cross": {
                "when": "cross_above(ema(close, 3), ema(close, 8))",
                "value": {"close": "close"},
            },
        },
    },
}


def write_config(folder: Path, url: str) -> Path:
    """The demo's `fleet.yaml`; a short lease, so that a take-over is quick to watch."""
    path = folder / "fleet.yaml"
    config = {
        "redis": {"url": url},
        "shards": SHARDS,
        "worker": {"lease_ms": LEASE_MS, "snapshot_s": 2.0},
        "http": {"enabled": False},
        "plans": PLANS,
    }
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


class Crew:
    """The worker processes: kept alive, and killed on demand."""

    def __init__(self, config: Path, folder: Path, count: int) -> None:
        self._config, self._folder = config, folder
        self.names = [f"worker-{number}" for number in range(1, count + 1)]
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._reborn_at: dict[str, float] = {}
        self.kills: list[tuple[float, str]] = []
        for name in self.names:
            self._start(name)

    def kill_one(self) -> str | None:
        """Kill -9 some worker; it comes back after three seconds."""
        alive = [name for name in self.names if self._processes[name].poll() is None]
        if not alive:
            return None
        victim = random.choice(alive)  # noqa: S311 - chaos needs no cryptography
        self._processes[victim].kill()
        self._processes[victim].wait()
        self.kills.append((time.monotonic(), victim))
        self._reborn_at[victim] = time.monotonic() + REBORN_S
        return victim

    def tend(self) -> None:
        """Start again who is due."""
        for name, at in list(self._reborn_at.items()):
            if time.monotonic() >= at:
                del self._reborn_at[name]
                self._start(name)

    def stop(self) -> None:
        """End all of them gracefully, or by force."""
        for process in self._processes.values():
            process.terminate()
        deadline = time.monotonic() + STOP_S_MAX
        for process in self._processes.values():
            try:
                process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()

    def log(self, name: str) -> str:
        """What a worker logged."""
        return (self._folder / f"{name}.log").read_text(errors="replace")

    def _start(self, name: str) -> None:
        with (self._folder / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", "workers", "worker", "--config", str(self._config)]
            self._processes[name] = subprocess.Popen(  # noqa: S603 - our own words alone
                [*command, "--name", name],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={k: v for k, v in os.environ.items() if not k.startswith("FLEET_")},
            )


@dataclass(slots=True)
class Ledger:
    """What a consumer of all streams saw."""

    signals: int = 0
    values: int = 0
    duplicates: int = 0
    gaps: int = 0
    newest: deque[Signal] = field(default_factory=lambda: deque(maxlen=SIGNALS_SHOWN))
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES_KEPT))
    _ids: set[str] = field(default_factory=set)

    def latency_ms(self, percent: float) -> float:
        """From a tick's arrival at the server to its signal's at the consumer."""
        return float(np.percentile(self.latencies_ms, percent)) if self.latencies_ms else 0.0

    async def follow(self, reader: SignalReader) -> None:
        """Take in all that comes, until cancelled."""
        async with reader:
            async for received in reader:
                item = received.item
                if isinstance(item, Gap):
                    self.gaps += 1
                elif isinstance(item, Signal):
                    self._take_signal(item)
                else:
                    self.values += 1

    def _take_signal(self, signal: Signal) -> None:
        self.signals += 1
        if signal.id in self._ids:
            self.duplicates += 1
        self._ids.add(signal.id)
        self.newest.appendleft(signal)
        self.latencies_ms.append(time.time_ns() / NS_PER_MS - signal.entry.ms)


def readers(url: str) -> tuple[SignalReader, ValuesReader]:
    """Readers of every stream that the demo's fleet writes."""
    shards = range(SHARDS)
    return SignalReader(url, shards), ValuesReader(url, shards)


async def push(url: str, market: Market, told: "list[int]") -> None:
    """Push the market's ticks as they happen, until cancelled; `told[0]` counts them."""
    async with TickProducer(url, shards=SHARDS) as producer:
        at = time.time_ns()
        while True:
            await asyncio.sleep(max(at + PUSH_NS - time.time_ns(), 0) / NS_PER_S)
            until = time.time_ns()
            chunk = market.ticks(at, until - at)
            await producer.send_columns(chunk)
            told[0] += len(chunk.ts)
            at = until
