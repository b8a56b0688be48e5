"""A fleet for users' scripts, some scripts, and what tests ask about them."""

import subprocess
from pathlib import Path
from typing import Any
from zlib import crc32

import orjson

from streams.connection import connect
from streams.keys import Keys
from tests.workers.fleet import Fleet, wait_until
from workers.scripting.deployment import Deployment
from workers.scripting.registry import Registry

LEASE_MS = 1_000
NOON_NS = 1_763_812_800_000_000_000
SECOND_NS = 1_000_000_000
SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
KEY = "a key that only the tests know"
CONFIG: dict[str, Any] = {
    "shards": 2,
    "worker": {"lease_ms": LEASE_MS, "snapshot_s": 1.0, "grace_ms": 600_000},
    "plans": {"core": {"timeframe": "1s", "values": {"c": "close", "e": "ema(close, 3)"}}},
    "scripts": {
        "key": KEY,
        "poll_s": 0.1,
        "tenants": {
            # Time enough for a busy machine: here a script must not be cut.
            "desk": {
                "symbols": ["*"],
                "plans": ["core"],
                "signals": ["*"],
                "limits": {"batch_ms_max": 5_000},
            },
            "hasty": {
                "symbols": ["*"],
                "plans": ["core"],
                "signals": ["*"],
                "limits": {"batch_ms_max": 500},
            },
            "brief": {
                "symbols": ["*"],
                "plans": ["core"],
                "signals": ["*"],
                "limits": {"batch_ms_max": 5_000, "warm_up_ms_max": 1},
            },
            "small": {"symbols": ["AAA"], "plans": ["core"], "signals": ["n"]},
        },
    },
}
COUNTER = """
def init():
    return {"n": 0}


def on_bar(bar, state):
    state["n"] += 1
    signal("n", state["n"], e=bar.values["e"])
"""
RISING = """
def build(ta):
    return {"up": ta.close > ta.shift(ta.close, 1), "mean": ta.sma(ta.close, 2)}
"""
LOOP = """
def on_bar(bar, state):
    while bar.close > 150:
        bar.close
    signal("calm", bar.close)
"""
HEAVY = """
def on_bar(bar, state):
    return sum(range(int(bar.close) * 10_000))
"""
FRAGILE = """
def init():
    return {"n": 0}


def on_bar(bar, state):
    state["n"] += 1
    signal("n", state["n"] / (bar.close - bar.close))
"""


def ticks(first_s: int, count: int, price: float = 100.0) -> list[tuple[str, float, int]]:
    return [
        (symbol, price + at % 7, NOON_NS + at * SECOND_NS)
        for at in range(first_s, first_s + count)
        for symbol in SYMBOLS
    ]


def put(running: Fleet, name: str, source: str, *more: str, tenant: str = "desk") -> str:
    path = running.folder / f"{name}.py"
    path.write_text(source)
    done = running.run("script", "put", name, str(path), "--tenant", tenant, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[0]


def shards_of(running: Fleet, name: str) -> list[dict[str, Any]]:
    """How a script fares on each shard, as its owners tell it."""
    with running.server.client() as client:
        found = client.hgetall(Keys().script_status).items()
    return [orjson.loads(told) for field, told in found if field.startswith(f"{name}/")]


def await_status(running: Fleet, source: str, status: str = "speaks", shards: int = 2) -> None:
    """Wait until a version has this status on so many shards."""
    name, _, digest = source.partition("@")

    def holds() -> bool:
        told = [(each["status"], each["digest"]) for each in shards_of(running, name)]
        return told.count((status, digest)) >= shards

    wait_until(holds, f"{source} {status} on {shards} shards")


def said(running: Fleet, source: str, name: str, symbol: str) -> list[Any]:
    return [
        orjson.loads(entry["value"])
        for entry in running.ledger("signals")
        if (entry["source"], entry["name"], entry["symbol"]) == (source, name, symbol)
    ]


def audit(running: Fleet) -> list[dict[str, str]]:
    with running.server.client() as client:
        return [fields for _, fields in client.xrange(Keys().audit)]


def closes(running: Fleet, symbol: str) -> int:
    return sum(entry["symbol"] == symbol for entry in running.ledger("values"))


def descendants(pid: int) -> set[int]:
    """Processes that live now and come from this one."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    parents = {int(line.split()[0]): int(line.split()[1]) for line in listed.stdout.splitlines()}
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def shard(symbol: str) -> int:
    return crc32(symbol.encode()) % int(CONFIG["shards"])


def alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if Path(f"/proc/{pid}").exists()}


def publish(running: Fleet, name: str, source: str) -> str:
    """The same as `fleet script put`, of an imperative script, without a process of its own."""
    tenant = CONFIG["scripts"]["tenants"]["desk"]
    with connect(running.server.url) as link:
        registry = Registry(link, Keys())
        made = Deployment(
            fleet="fleet", name=name, revision=registry.next_revision(name), tenant="desk",
            plan="core", symbols=("*",), signals=("*",), source=source, limits=tenant["limits"],
        )  # fmt: skip
        registry.publish(made, made.sealed(KEY.encode()), action="put", by="test")
        return made.source_name
