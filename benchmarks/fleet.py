"""Whole processes on one server with persistence: throughput, latency, take-over, hand-over, start.

    python -m benchmarks.fleet [--quick]

Everything that a figure is compared with is measured in the same run. On a machine with few
cores the producer, the server and the worker share them.
"""

import argparse
import itertools
import platform
import socket
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hiredis
import numpy as np
import orjson
import redis

from benchmarks import harness
from benchmarks.harness import TEN, Worker, await_true, committed, process_of, send
from streams import ZERO, Commit, Keys, ShardLog, SymbolTable, Wire, connect, shard_of, warm
from streams.connection import Link
from streams.signals import Signal
from workers.server import EmbeddedServer

SHARDS = 4
SYMBOLS = 1_000
LEASE_MS = 1_000
LATENCY_S = 6.0
HANDOVER_RATE = 10_000
PACE_S = 0.001
TS_DIGITS = 19
CRLF = b"\r\n"
NS_PER_S = 1_000_000_000
PLANS = {"ten": {"timeframe": "1m", "values": TEN}}
ECHO = {  # a signal for every tenth tick of an instrument
    "echo": {"timeframe": "10t", "signals": {"echo": {"when": "close > 0", "every": "bar"}}}
}


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a tenth of the ticks")
    quick = parser.parse_args().quick
    print(f"{platform.machine()}, Python {platform.python_version()}, {SHARDS} shards")
    with tempfile.TemporaryDirectory() as name, EmbeddedServer(Path(name) / "server") as server:
        bench = Bench(Path(name), server)
        bench.throughput(plain=30_000 if quick else 300_000, framed=300_000 if quick else 4_000_000)
        for rate in (10_000, 50_000):
            bench.latency(rate, LATENCY_S / (3 if quick else 1))
        for conductor in (False, True):
            bench.takeover(conductor)
        bench.handover()
        bench.start()


class Bench:
    """One server; each measurement begins with it empty."""

    def __init__(self, folder: Path, server: EmbeddedServer) -> None:
        self.folder, self.server = folder, server
        self.client = redis.Redis.from_url(server.url)
        self.workers: list[Worker] = []

    def throughput(self, plain: int, framed: int) -> None:
        """Ticks a second from the first push to the last commit, and the consumer's CPU."""
        for kind, count in (("plain", plain), ("frame", framed)):
            chunk = harness.ticks(count, SYMBOLS, per_second=5_000)
            if kind == "plain":
                pieces = harness.plain_commands(chunk, SHARDS)
                replies = [min(1_000, count - at) for at in range(0, count, 1_000)]
                entries = count
            else:
                pieces = harness.frame_commands(chunk, SHARDS)
                replies = [1] * len(pieces)
                entries = len(pieces)
            consumers: dict[str, Callable[[], Any]] = {
                "no processing (the server's limit)": lambda: process_of(drain, self.server.url),
                "worker, ten indicators, 1m": self._worker,
            }
            if kind == "plain":
                consumers["redis-py + one EMA a symbol"] = lambda: process_of(
                    redis_py, self.server.url
                )
            for name, start in consumers.items():
                self._flow(f"{kind:5} {name}", start, pieces, replies, entries, count)

    def _flow(
        self,
        name: str,
        start: Callable[[], Any],
        pieces: list[bytes],
        replies: list[int],
        entries: int,
        count: int,
    ) -> None:
        self._empty()
        with start() as process:
            await_true(self._owned, "an owner of every shard")
            cpu_before, began = harness.cpu_seconds(process.pid), time.perf_counter()
            with process_of(send, self.server.url, pieces, replies):
                ended = await_true(lambda: committed(self.client, SHARDS) >= entries, name)
            used_s = harness.cpu_seconds(process.pid) - cpu_before
        rate, cpu_ns = count / (ended - began), used_s / count * 1e9
        print(f"{name:44} {rate:12,.0f} ticks/s   {cpu_ns:7,.0f} ns of consumer CPU a tick")

    def latency(self, rate: int, seconds: float) -> None:
        """From the push of a tick to its signal at a reader, beside a loop that only echoes."""
        for name, start in (
            ("bare loop", lambda: process_of(echo, self.server.url)),
            ("worker", lambda: self._worker(ECHO)),
        ):
            self._empty()
            with start():
                await_true(self._owned, "an owner of every shard")
                with process_of(push_paced, self.server.url, rate, seconds):
                    seen_ms = watch(self.server.url, seconds)
            p50, p99 = np.percentile(seen_ms, (50, 99))
            about = f"latency at {rate:,}/s, {name}"
            print(f"{about:44} p50 {p50:7.2f} ms   p99 {p99:7.2f} ms   ({len(seen_ms):,} signals)")

    def takeover(self, conductor: bool) -> None:
        """From kill -9 of an owner to the next commit of its shards, under flow."""
        self._empty()
        with self._worker(ECHO, "first") as first:
            await_true(self._owned, "an owner of every shard")
            with (
                process_of(push_paced, self.server.url, 2_000, 60.0),
                self._worker(ECHO, "second") as second,
            ):
                await_true(lambda: len(self._owners()) == 2, "two owners")
                time.sleep(2.0)  # a steady flow, and snapshots
                conducts = (self.client.get("fleet:conductor") or b"").decode()
                name = next(n for n in ("first", "second") if (n == conducts) == conductor)
                lost = [n for n in range(SHARDS) if self._owner(n) == name]
                {"first": first, "second": second}[name].kill()
                killed = time.perf_counter()
                before = {n: self._entries(n) for n in lost}
                moved = await_true(
                    lambda: all(self._entries(n) > before[n] for n in lost), "take-over"
                )
        who = "the conductor" if conductor else "a worker"
        about = f"take-over after kill -9 of {who}, lease {LEASE_MS} ms"
        print(f"{about:54} {moved - killed:7.2f} s")

    def handover(self) -> None:
        """How long a shard stands still when its owner is told to stop, under flow."""
        self._empty()
        with self._worker(ECHO, "first"):
            await_true(self._owned, "an owner of every shard")
            with (
                process_of(push_paced, self.server.url, HANDOVER_RATE, 60.0),
                self._worker(ECHO, "second") as second,
            ):
                await_true(lambda: len(self._owners()) == 2, "two owners")
                time.sleep(2.0)  # a steady flow, and snapshots
                second.terminate()
                await_true(lambda: self._owners() == {"first"}, "one owner of every shard")
                second.wait()
        logs = {worker.log.stem: worker.log for worker in self.workers[-2:]}
        released = events(logs["second"], "shard released")
        taken = events(logs["first"], "shard taken")
        pauses_ms = [
            one["held_ms"] + (at(taken[shard]) - at(one)) * 1e3 for shard, one in released.items()
        ]
        about = f"pause of {len(pauses_ms)} shards that change hands at {HANDOVER_RATE:,}/s"
        print(f"{about:44} median {np.median(pauses_ms):.1f} ms   max {max(pauses_ms):.1f} ms")

    def start(self) -> None:
        """From the start of a worker process to its first commit, kernels on disk."""
        self._empty()
        chunk = harness.ticks(1_000, 10, per_second=5_000)
        send(self.server.url, harness.plain_commands(chunk, SHARDS), [1_000])
        with self._worker():
            ended = await_true(lambda: committed(self.client, SHARDS) > 0, "a commit")
            took_s = ended - self.workers[-1].started
        print(f"{'worker start to first commit, warm':44} {took_s:7.2f} s")

    def _worker(self, plans: dict[str, Any] = PLANS, name: str = "worker") -> Any:
        config = {
            "redis": {"url": self.server.url},
            "shards": SHARDS,
            "worker": {"lease_ms": LEASE_MS},
            "plans": plans,
        }
        self.workers.append(Worker(self.folder, name, config))
        return self.workers[-1].running()

    def _empty(self) -> None:
        self.client.flushall()

    def _owner(self, shard: int) -> str:
        return (self.client.hget(f"shard:{{{shard}}}", "owner") or b"").decode()

    def _owners(self) -> set[str]:
        return {self._owner(shard) for shard in range(SHARDS)} - {""}

    def _owned(self) -> bool:
        if self.workers and self.workers[-1].process.poll() not in (None, -9):
            raise RuntimeError(f"the worker ended: {self.workers[-1].log.read_text()}")
        return all(self._owner(shard) for shard in range(SHARDS))

    def _entries(self, shard: int) -> int:
        return int(self.client.hget(f"shard:{{{shard}}}", "entries") or 0)


def events(log: Path, name: str) -> dict[str, Any]:
    """The last event of that name about each shard."""
    lines = map(orjson.loads, log.read_bytes().splitlines())
    return {line["shard"]: line for line in lines if line["event"] == name}


def at(event: dict[str, Any]) -> float:
    """Seconds since the epoch."""
    return datetime.fromisoformat(event["timestamp"]).timestamp()


class _Bare:
    """Shards owned by a loop that reads and commits, and decides nothing."""

    def __init__(self, link: Link) -> None:
        warm()
        keys = Keys()
        self.wire = Wire(link, keys, shards=SHARDS)
        self.leases = {}
        for shard in map(str, range(SHARDS)):
            log = ShardLog(link, keys, shard, self.wire)
            self.leases[shard] = log.acquire("bare", lease_ms=600_000)
            self.wire.open(shard, SymbolTable())

    def run(self, signals_of: Callable[[Any, int], list[Any]]) -> None:
        cursors = dict.fromkeys(self.leases, ZERO)
        entries, published = dict.fromkeys(self.leases, 0), dict.fromkeys(self.leases, 0)
        commits: list[Commit] = []
        while True:
            got = self.wire.exchange(commits, cursors, count=4_000, block_ms=50)
            commits = []
            for shard, batches in got.batches.items():
                signals = [
                    entry for batch in batches for entry in signals_of(batch, published[shard])
                ]
                commits.append(
                    Commit(
                        shard, self.leases[shard].fence, cursors[shard], batches[-1].upto,
                        sum(batch.entries for batch in batches), signals,
                        counts={"applied": sum(batch.rows for batch in batches)},
                        seq=published[shard],
                    )
                )  # fmt: skip
                cursors[shard] = batches[-1].upto
                entries[shard] += commits[-1].entries
                published[shard] += len(signals)


def drain(url: str) -> None:
    """Read and commit, with no processing."""
    _Bare(connect(url)).run(lambda _batch, _published: [])


def echo(url: str) -> None:
    """Read and commit, with a signal for every tenth tick."""
    seen: dict[str, int] = {}

    def signals_of(batch: Any, published: int) -> list[Any]:
        begin = seen.get(batch.shard, 0)
        seen[batch.shard] = begin + batch.rows
        tenths = batch.ts[9 - begin % 10 :: 10].tolist()
        return [
            Signal("x", "S", "echo", "10t", ts, "final", True, "bare", ZERO, ts, 0).encode(
                published + number
            )
            for number, ts in enumerate(tenths, start=1)
        ]

    _Bare(connect(url)).run(signals_of)


def redis_py(url: str) -> None:
    """What a script would do: redis-py, dictionaries, one EMA a symbol, cursors in a hash."""
    client = redis.Redis.from_url(url, decode_responses=True)
    averages: dict[str, float] = {}
    cursors = {f"ticks:{{{n}}}": "0" for n in range(SHARDS)}
    done = dict.fromkeys(cursors, 0)
    for key in cursors:
        client.hset(key.replace("ticks", "shard"), mapping={"owner": "script", "entries": 0})
    while True:
        reply: Any = client.xread(cursors, count=1_000, block=50)
        with client.pipeline(transaction=False) as pipe:
            for key, entries in entries_of(reply):
                for _, fields in entries:
                    symbol, price = fields["symbol"], float(fields["price"])
                    before = averages.get(symbol, price)
                    averages[symbol] = before + 0.1 * (price - before)
                cursors[key] = entries[-1][0]
                done[key] += len(entries)
                where = {"cursor": cursors[key], "entries": done[key]}
                pipe.hset(key.replace("ticks", "shard"), mapping=where)
            pipe.execute()


def entries_of(reply: Any) -> list[tuple[Any, list[Any]]]:
    """The streams of a reply; redis-py gives a dictionary of lists of lists, or pairs."""
    if isinstance(reply, dict):
        return [(key, entries[0]) for key, entries in reply.items()]
    return [tuple(pair) for pair in reply or ()]


def push_paced(url: str, rate: int, seconds: float) -> None:
    """Push plain ticks whose `ts` is the moment of their push, every millisecond.

    Instruments take turns. Some begin a few ticks ahead, so that the tenth tick of each does not
    come at the same time as everyone's: signals flow as evenly as ticks do.
    """
    address = urlsplit(url)
    heads = []
    for number in range(SYMBOLS):
        symbol = f"SYM{number:04d}-USD"
        words = ("XADD", f"ticks:{{{shard_of(symbol, SHARDS)}}}", "*", "symbol", symbol)
        packed = hiredis.pack_command((*words, "price", "10.5", "ts", "0" * TS_DIGITS))
        heads.append(packed[: -TS_DIGITS - len(CRLF)])
    ahead = (number for number in range(SYMBOLS) for _ in range(number % 10))
    order = itertools.chain(ahead, itertools.cycle(range(SYMBOLS)))
    with socket.create_connection((address.hostname or "", address.port)) as line:
        reader = hiredis.Reader()
        began, sent, total = time.perf_counter(), 0, int(rate * seconds)
        while sent < total:
            due = min(int((time.perf_counter() - began) * rate), total)
            tail = str(time.time_ns()).encode() + CRLF
            turns = itertools.islice(order, due - sent)
            line.sendall(b"".join(heads[number] + tail for number in turns))
            waiting, sent = due - sent, due
            while waiting:
                reader.feed(line.recv(1 << 16))
                while waiting and reader.gets() is not False:
                    waiting -= 1
            time.sleep(PACE_S)


def watch(url: str, seconds: float) -> list[float]:
    """Milliseconds from push to reader of every signal that comes in so many seconds."""
    client = redis.Redis.from_url(url)
    cursors: dict[Any, Any] = {b"signals:{%d}" % n: "0" for n in range(SHARDS)}
    seen_ms, ends = [], time.perf_counter() + seconds
    while time.perf_counter() < ends:
        reply: Any = client.xread(cursors, count=1_000, block=50)
        now = time.time_ns()
        for key, entries in entries_of(reply):
            seen_ms += [(now - int(fields[b"ts"])) / 1e6 for _, fields in entries]
            cursors[key] = entries[-1][0]
    return seen_ms[len(seen_ms) // 5 :]  # the first fifth warms up


if __name__ == "__main__":
    main()
