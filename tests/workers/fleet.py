"""A real fleet for tests: processes of the `fleet` command, and the ledger of what it published."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

import numpy as np
import orjson
import redis
import yaml
from redis.exceptions import RedisClusterException

from streams.signals import Signal, Values
from workers.files import TickChunk
from workers.replay import as_json

FLEET = [sys.executable, "-m", "workers"]
WAIT_S_MAX = 60.0
NOON_NS = 1_763_812_800_000_000_000
SECOND_NS = 1_000_000_000
# What a run may differ in: where an entry stands in its stream, and when it was written.
RUN_FIELDS = {"entry", "seq", "ts_publish"}


def wait_until(holds: Callable[[], bool], what: str, seconds: float = WAIT_S_MAX) -> None:
    """Poll what no event announces: the state of other processes."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain until {what}"
        time.sleep(0.02)


class Servers(Protocol):
    """One server, a cluster, or what sentinels watch: all that a fleet wants to know of it."""

    @property
    def url(self) -> str:
        """What the settings name."""

    def client(self, *, decode_responses: bool = True) -> Any:
        """A redis-py client of it."""


class Fleet:
    """Workers of one configuration on one server, or several."""

    def __init__(self, server: Servers, folder: Path, config: dict[str, Any]) -> None:
        self.server, self.folder = server, folder
        self.path = folder / "fleet.yaml"
        self.path.write_text(yaml.safe_dump({"redis": {"url": server.url}, **config}))
        self.shards = int(config["shards"])
        self.workers: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.workers[name] = subprocess.Popen(
                [*FLEET, "worker", "--config", str(self.path), "--name", name],
                stderr=log,
                stdout=log,
                env={**os.environ, "FLEET_HTTP__PORT": "0"},
            )
        return self.workers[name]

    def kill(self, name: str) -> None:
        self.workers[name].kill()
        self.workers[name].wait()

    def stop(self, name: str) -> int:
        self.workers[name].send_signal(signal.SIGTERM)
        return self.workers[name].wait(timeout=WAIT_S_MAX)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def command(self, *arguments: str) -> list[str]:
        return [*FLEET, *arguments, "--config", str(self.path)]

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*FLEET, *arguments, "--config", str(self.path)],
            **{"capture_output": True, "text": True, "timeout": 120, **options},
        )

    def spawn(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*FLEET, *arguments, "--config", str(self.path)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def shard_hashes(self) -> list[dict[str, str]]:
        with self.server.client() as client:
            return [client.hgetall(f"shard:{{{n}}}") for n in range(self.shards)]

    def owners(self) -> Counter[str]:
        return Counter(fields.get("owner", "") for fields in self.shard_hashes())

    def caught_up(self) -> bool:
        """Whether every shard's cursor stands at the end of its stream."""
        with self.server.client(decode_responses=False) as client:  # frames are no text
            for n, fields in enumerate(self.shard_hashes()):
                newest = client.xrevrange(f"ticks:{{{n}}}", count=1)
                if newest and fields.get("cursor") != newest[0][0].decode():
                    return False
        return True

    def await_caught_up(self, seconds: float = WAIT_S_MAX) -> None:
        def holds() -> bool:
            try:
                return self.caught_up()
            except (redis.RedisError, RedisClusterException):
                return False

        wait_until(holds, "every shard is caught up", seconds)

    def push(self, rows: Iterable[tuple[str, float, int]], **more: str) -> None:
        """XADD plain ticks of (symbol, price, ts), in one pipeline."""
        with self.server.client() as client, client.pipeline(transaction=False) as pipe:
            for symbol, price, ts in rows:
                key = f"ticks:{{{crc32(symbol.encode()) % self.shards}}}"
                pipe.xadd(key, {"symbol": symbol, "price": price, "size": 1, "ts": ts, **more})
            pipe.execute()

    def ledger(self, kind: str) -> list[dict[str, str]]:
        """Every entry of the `kind` streams, shard by shard, each in stream order."""
        with self.server.client() as client:
            return [
                fields for n in range(self.shards) for _, fields in client.xrange(f"{kind}:{{{n}}}")
            ]

    def published(self, kind: str) -> list[dict[str, Any]]:
        """The same as `fleet tail --json` prints it."""
        decode = {"values": Values.decode, "signals": Signal.decode}[kind]
        return [
            as_json(decode({key.encode(): value.encode() for key, value in entry.items()}))
            for entry in self.ledger(kind)
        ]

    def replayed(self, files: list[str], *options: str) -> dict[str, list[dict[str, Any]]]:
        """What `fleet replay` makes of the files, by kind of stream."""
        out = self.folder / "replay.jsonl"
        done = self.run("replay", *files, "--out", str(out), *options)
        assert done.returncode == 0, done.stderr
        rows = [orjson.loads(line) for line in out.read_bytes().splitlines()]
        return {
            "values": [row for row in rows if "data" in row],
            "signals": [row for row in rows if "id" in row],
        }

    def counts(self) -> Counter[str]:
        """The account of all shards: applied, late, repeated, dead, shed."""
        total: Counter[str] = Counter()
        for fields in self.shard_hashes():
            for name in ("applied", "late", "repeated", "dead", "shed"):
                total[name] += int(fields.get(f"count:{name}", 0))
        return total

    def assert_no_holes(self) -> None:
        """Every output stream counts 1, 2, 3 ... without hole or repeat."""
        with self.server.client() as client:
            for n in range(self.shards):
                for kind in ("signals", "values"):
                    numbers = [int(f["seq"]) for _, f in client.xrange(f"{kind}:{{{n}}}")]
                    assert numbers == list(range(1, len(numbers) + 1)), f"{kind}:{{{n}}}"


@contextmanager
def fleet(server: Servers, folder: Path, config: dict[str, Any]) -> Iterator[Fleet]:
    """A fleet whose processes are gone afterwards, whatever happened."""
    running = Fleet(server, folder, config)
    try:
        yield running
    finally:
        for process in running.workers.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()


def same_content(items: Iterable[dict[str, Any]]) -> Counter[bytes]:
    """The items as a multiset, without what a run may differ in."""
    return Counter(
        orjson.dumps(
            {key: value for key, value in item.items() if key not in RUN_FIELDS},
            option=orjson.OPT_SORT_KEYS,
        )
        for item in items
    )


def ticks_of(names: Sequence[str], first: int, seconds: int) -> TickChunk:
    """A tick of each instrument in each of so many seconds after noon."""
    at_s = np.repeat(np.arange(first, first + seconds), len(names))
    return TickChunk(
        symbols=list(names),
        symbol=np.tile(np.arange(len(names)), seconds),
        ts=NOON_NS + at_s * SECOND_NS,
        price=100.0 + (at_s * 7) % 13,
        size=np.ones(len(at_s)),
        id=None,
    )
