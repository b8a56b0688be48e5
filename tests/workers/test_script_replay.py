"""A replay with scripts says what the live fleet says."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from sandbox.pool import JailPool
from tests.conftest import Server
from tests.sandbox.conftest import make_bars
from tests.workers.fleet import Fleet, fleet
from tests.workers.scripted import (
    CONFIG,
    COUNTER,
    FRAGILE,
    RISING,
    SYMBOLS,
    await_status,
    put,
    ticks,
)
from workers.scripting.deployment import Deployment
from workers.scripting.host import ScriptHost
from workers.scripting.state import ScriptState


@pytest.fixture
def running(server: Server, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(server, tmp_path, CONFIG) as started:
        yield started


DICE = """
import random


def on_bar(bar, state):
    state["total"] = state.get("total", 0.0) + bar.close * random.random()
    if bar.close > params["least"]:
        signal("dice", state["total"], symbol=bar.symbol, even=len(bar.symbol) % 2 == 0)
    return {"level": round(bar.close), "high": bar.close > 105}
"""
COARSE = """
def build(ta):
    return {"over": ta.close > ta.ema(ta.close, 3, on="5s"), "mean": ta.sma(ta.close, 4)}
"""
OF_A_RUN = ("entry", "ts_publish")  # everything else is of the data


def write_ticks(path: Path, first_s: int, count: int) -> str:
    lines = [f"{symbol},{ts},{price!r},1" for symbol, price, ts in ticks(first_s, count)]
    path.write_text("\n".join(["symbol,ts,price,size", *lines]) + "\n")
    return str(path)


def told(items: list[dict[str, Any]]) -> list[bytes]:
    """What was said, as bytes, each with its number."""
    kept = [{key: item[key] for key in item if key not in OF_A_RUN} for item in items]
    return sorted(orjson.dumps(item, option=orjson.OPT_SORT_KEYS) for item in kept)


def test_a_replay_with_scripts_says_what_a_live_fleet_says_to_the_byte(running: Fleet) -> None:
    files = [write_ticks(running.folder / "a.csv", 0, 40)]
    running.start("one")
    options = ["--tenant", "desk", "--symbols", "[!B]*", "--symbols", "B*"]
    for name, source in {"counter": COUNTER, "dice": DICE, "coarse": COARSE}.items():
        more = ["--param", "least=102.5"] if name == "dice" else []
        await_status(running, put(running, name, source, *options, *more))
    done = running.run("feed", *files)
    assert done.returncode == 0, done.stderr
    running.await_caught_up()
    scripts = [f"{name}={running.folder / name}.py" for name in ("dice", "coarse", "counter")]
    asked = [word for script in scripts for word in ("--script", script)]
    replayed = running.replayed(files, *options, *asked, "--param", "dice.least=102.5")
    live = running.published("signals")
    assert {item["source"].partition("@")[0] for item in live} == {"counter", "dice", "coarse"}
    assert {item["name"] for item in live} == {"n", "dice", "level", "high", "over", "mean"}
    assert told(replayed["signals"]) == told(live)
    assert told(replayed["values"]) == told(running.published("values"))


def test_a_replay_takes_the_scripts_that_a_deployer_could_put_and_no_others(
    running: Fleet,
) -> None:
    ticks_file = write_ticks(running.folder / "a.csv", 0, 6)
    for name, source in {
        "counter": COUNTER, "fragile": FRAGILE, "escape": "import os\n", "rising": RISING,
    }.items():  # fmt: skip
        (running.folder / f"{name}.py").write_text(source)

    def replay(*options: str) -> subprocess.CompletedProcess[str]:
        return running.run("replay", ticks_file, *options, cwd=running.folder)

    counter = ["--script", "counter=counter.py"]
    for options, code, why in (
        (counter, 1, "tenant 'default' is not in scripts.tenants"),
        ([*counter, "--tenant", "desk", "--plan", "other"], 1, "there is no plan 'other'"),
        (["--script", "rising=rising.py", "--tenant", "small"], 1, "signals up, mean"),
        (["--script", "escape=escape.py", "--tenant", "desk"], 1, "[import]"),
        (["--script", "x=absent.py", "--tenant", "desk"], 2, "absent.py: No such file"),
        (["--script", "x y=counter.py", "--tenant", "desk"], 2, "script 'x y': "),
        ([*counter, *counter, "--tenant", "desk"], 2, "the same name"),
        ([*counter, "--tenant", "desk", "--param", "x.n=1"], 2, "no --script x"),
    ):
        done = replay(*options)
        assert (done.returncode, why in done.stderr) == (code, True), (options, done.stderr)
        assert done.stdout == ""
    failing = replay(*counter, "--script", "fragile=fragile.py", "--tenant", "desk")
    assert failing.returncode == 1
    assert "fragile is in quarantine: error in its first 20 bars, line 8" in failing.stderr
    signals = [orjson.loads(line) for line in failing.stdout.splitlines() if '"id"' in line]
    assert {signal["source"].partition("@")[0] for signal in signals} == {"counter"}
    assert len(signals) == 5 * len(SYMBOLS)


CHATTY = """
def on_bar(bar, state):
    state["n"] = state.get("n", 0) + 1
    signal("n", state["n"], close=bar.close, high=bar.high, low=bar.low, words="of some length")
"""


def test_a_backlog_in_one_batch_is_no_reason_to_cut_a_script_that_keeps_up_live() -> None:
    deployment = Deployment(
        fleet="fleet", name="chatty", revision=1, tenant="desk", plan="core", source=CHATTY
    )
    script, bars = ScriptState.new(deployment, b""), make_bars(4_000, 50)
    names = [bars.symbols[slot] for slot in range(50)]
    with JailPool() as pool:
        host = ScriptHost(pool)
        got = host.begin({"chatty": (script, bars)}, names).results()["chatty"]
        host.close()
    assert (got.outcome, got.message) == ("done", "")
    assert [signal.row for signal in got.signals] == list(range(4_000))
    assert [signal.value for signal in got.signals[-50:]] == [80.0] * 50
