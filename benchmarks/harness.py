"""What the benchmarks of whole processes share: a server, workers, prebuilt ticks."""

import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hiredis
import numpy as np
import redis
import yaml

from streams.keys import shard_of
from streams.producer import pack_frame
from workers.files import TickChunk

NOON_NS = 1_763_812_800_000_000_000
PIPELINE = 1_000
FRAME_ROWS = 1_000
WAIT_S_MAX = 120.0
FLEET = (sys.executable, "-m", "workers")
PROCESSES = multiprocessing.get_context("fork")
TEN = [
    *("ema(length=20)", "sma(length=20)", "rsi(length=14)", "macd()", "bbands(length=20)"),
    *(
        "atr(length=14)",
        "adx(length=14)",
        "stoch()",
        "donchian(lower_length=200, upper_length=200)",
        "linreg(slope=True)",
    ),
]


def ticks(count: int, symbols: int, per_second: int) -> TickChunk:
    """A random walk: `count` ticks of `symbols` instruments, `per_second` of event time."""
    random = np.random.default_rng(7)
    return TickChunk(
        tuple(f"SYM{number:04d}-USD" for number in range(symbols)),
        random.integers(0, symbols, count),
        NOON_NS + np.arange(count) * (1_000_000_000 // per_second),
        np.round(1_000 + np.cumsum(random.normal(scale=0.05, size=count)), 2),
        np.round(random.random(count), 4),
        None,
    )


def plain_commands(chunk: TickChunk, shards: int) -> list[bytes]:
    """The ticks as XADD commands, a thousand a piece."""
    keys = [f"ticks:{{{shard_of(name, shards)}}}" for name in chunk.symbols]
    pack = hiredis.pack_command
    columns = zip(
        *(chunk.symbol.tolist(), chunk.price.tolist(), chunk.size.tolist(), chunk.ts.tolist()),
        strict=True,
    )
    commands = [
        pack(("XADD", keys[symbol], "*", "symbol", chunk.symbols[symbol], "price", repr(price),
              "size", repr(size), "ts", ts))
        for symbol, price, size, ts in columns
    ]  # fmt: skip
    return [b"".join(commands[at : at + PIPELINE]) for at in range(0, len(commands), PIPELINE)]


def frame_commands(chunk: TickChunk, shards: int) -> list[bytes]:
    """The ticks as XADD commands of frames of a thousand rows, in order of their first."""
    home = np.array([shard_of(name, shards) for name in chunk.symbols])[chunk.symbol]
    made = []
    for shard in range(shards):
        rows = np.flatnonzero(home == shard)
        for at in range(0, len(rows), FRAME_ROWS):
            part = rows[at : at + FRAME_ROWS]
            words = ("XADD", f"ticks:{{{shard}}}", "*", "frame", pack_frame(chunk, part))
            made.append((int(part[0]), hiredis.pack_command(words)))
    return [command for _, command in sorted(made)]


def send(url: str, pieces: list[bytes], replies: list[int]) -> None:
    """Write the pieces at full speed, reading the replies of each before the next."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port)) as line:
        reader = hiredis.Reader()
        for piece, expected in zip(pieces, replies, strict=True):
            line.sendall(piece)
            while expected:
                reader.feed(line.recv(1 << 16))
                while expected and reader.gets() is not False:
                    expected -= 1


@contextmanager
def process_of(target: Callable[..., None], *arguments: Any) -> Iterator[Any]:
    """A process that runs `target`, gone afterwards."""
    process = PROCESSES.Process(target=target, args=arguments, daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


class Worker:
    """A real worker process."""

    def __init__(self, folder: Path, name: str, config: dict[str, Any]) -> None:
        path = folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump({**config, "http": {"enabled": False}}))
        self.started = time.perf_counter()
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*FLEET, "worker", "--config", str(path), "--name", name],
                stderr=log,
                stdout=log,
            )

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """The process, ended at once afterwards."""
        try:
            yield self.process
        finally:
            self.process.kill()
            self.process.wait()


def cpu_seconds(pid: int) -> float:
    """CPU seconds of a process, user and system."""
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def committed(client: redis.Redis, shards: int) -> int:
    """Entries that the fleet has committed."""
    with client.pipeline(transaction=False) as pipe:
        for shard in range(shards):
            pipe.hget(f"shard:{{{shard}}}", "entries")
        return sum(int(count or 0) for count in pipe.execute())


def await_true(holds: Callable[[], bool], what: str) -> float:
    """Poll until it holds; returns when that was (perf_counter)."""
    deadline = time.perf_counter() + WAIT_S_MAX
    while not holds():
        if time.perf_counter() > deadline:
            raise TimeoutError(f"waited {WAIT_S_MAX} s in vain for {what}")
        time.sleep(0.002)
    return time.perf_counter()
