"""The demo's parts: worker processes, a producer, a ledger of what consumers see."""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from streams.connection import Link
from streams.producer import TickProducer
from streams.reader import Gap, SignalReader, ValuesReader
from streams.signals import Signal
from workers.errors import FleetError
from workers.market import Market
from workers.overview import Overview, look
from workers.settings import Settings
from workers.tied import tied

SEED = 7
SHARDS = 8
LEASE_MS = 1_000
PUSH_NS = 20_000_000
REBORN_S = 3.0
LOOK_S = 0.25
CHAOS_S = 5.0
READY_S_MAX = 60.0
QUIT = "q"
SETTLE_S_MAX = 20.0
SIGNALS_SHOWN = 12
LATENCIES_KEPT = 50_000
NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
STOP_S_MAX = 15.0
LOG_LINES_SHOWN = 10

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

    def newest_log(self) -> str:
        """The last lines that the first worker logged."""
        text = (self._folder / f"{self.names[0]}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-LOG_LINES_SHOWN:])

    def _start(self, name: str) -> None:
        with (self._folder / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", "workers", "worker", "--config", str(self._config)]
            self._processes[name] = subprocess.Popen(  # noqa: S603 - our own words alone
                tied([*command, "--name", name]),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                process_group=0,  # Ctrl-C is for the demo, which stops the workers last
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


@dataclass(frozen=True, slots=True)
class Options:
    """What the demo was asked for."""

    seconds: int
    symbols: int
    rate: int
    workers: int
    chaos: bool


class Demo:
    """A market, workers and a consumer on one server, for so many seconds."""

    def __init__(
        self, options: Options, settings: Settings, link: Link, config: Path, folder: Path
    ) -> None:
        self.options, self.ledger, self.pushed = options, Ledger(), 0
        self.elapsed_s = 0.0
        self._settings, self._link = settings, link
        self._crew = Crew(config, folder, options.workers)
        self.overview: Overview = look(link, settings)

    @property
    def kills(self) -> int:
        """How many workers were killed so far."""
        return len(self._crew.kills)

    async def run(self, keys: Callable[[], str]) -> AsyncIterator[None]:
        """Run to the end, stopping to be looked at several times a second."""
        market = Market(SEED, self.options.symbols, self.options.rate)
        shards = range(SHARDS)
        url = self._link.url
        try:
            await self._await_workers(keys)
            tasks = [
                asyncio.create_task(self.ledger.follow(SignalReader(url, shards))),
                asyncio.create_task(self.ledger.follow(ValuesReader(url, shards))),
            ]
            push = asyncio.create_task(self._push(url, market))
            async for _ in self._turns(keys, [push, *tasks]):
                yield
            push.cancel()
            await self._settle()
            for task in tasks:
                task.cancel()
            yield
        finally:
            await asyncio.to_thread(self._crew.stop)

    def line(self) -> str:
        """The state in one line, for what is no terminal."""
        return (
            f"{self.elapsed_s:5.0f} s  {self.pushed:,} ticks  {self.ledger.values:,} values  "
            f"{self.ledger.signals:,} signals  lag {self.overview.lag_entries:,}  "
            f"p50 {self.ledger.latency_ms(50):.1f} ms  kills {self.kills}"
        )

    async def _turns(
        self, keys: Callable[[], str], tasks: list[asyncio.Task[None]]
    ) -> AsyncIterator[None]:
        started, next_chaos = time.monotonic(), CHAOS_S
        while self.elapsed_s < self.options.seconds:
            await asyncio.sleep(LOOK_S)
            self.elapsed_s = time.monotonic() - started
            for task in tasks:
                if task.done():
                    task.result()  # a part that ended by itself failed: say why
            key = keys()
            if key == QUIT:
                return
            if key == "k" or (self.options.chaos and self.elapsed_s > next_chaos):
                next_chaos = self.elapsed_s + CHAOS_S
                await asyncio.to_thread(self._crew.kill_one)
            self._crew.tend()
            self.overview = await asyncio.to_thread(look, self._link, self._settings)
            yield

    async def _await_workers(self, keys: Callable[[], str]) -> None:
        """Until every shard has an owner: so that latency is measured on a running fleet."""
        deadline = time.monotonic() + READY_S_MAX
        while not all(shard.owner for shard in self.overview.shards) and keys() != QUIT:
            if time.monotonic() > deadline:
                raise FleetError(f"no workers after {READY_S_MAX} s:\n{self._crew.newest_log()}")
            await asyncio.sleep(LOOK_S)
            self.overview = await asyncio.to_thread(look, self._link, self._settings)

    async def _settle(self) -> None:
        """Until what was pushed is processed, and its output read."""
        deadline = time.monotonic() + SETTLE_S_MAX
        while time.monotonic() < deadline:
            self.overview = await asyncio.to_thread(look, self._link, self._settings)
            published = sum(shard.seq for shard in self.overview.shards)
            if self.overview.lag_entries == 0 and self.ledger.signals >= published:
                return
            await asyncio.sleep(LOOK_S)

    async def _push(self, url: str, market: Market) -> None:
        """Push the market's ticks as they happen, until cancelled."""
        async with TickProducer(url, shards=SHARDS) as producer:
            at = time.time_ns()
            while True:
                await asyncio.sleep(PUSH_NS / NS_PER_S)
                until = time.time_ns()
                chunk = market.ticks(at, until - at)
                at = until
                if len(chunk.ts):
                    await producer.send_columns(chunk)
                    self.pushed += len(chunk.ts)
