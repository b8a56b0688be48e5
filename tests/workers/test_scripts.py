"""Users' scripts on real workers: deployed while they run, contained, taken over, rolled back."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import orjson
import pytest

from sandbox.pool import JailPool
from streams.connection import connect
from streams.keys import Keys
from tests.conftest import Server
from tests.sandbox.conftest import make_bars
from tests.workers.fleet import Fleet, fleet, wait_until
from workers.scripting.deployment import Deployment
from workers.scripting.host import ScriptHost
from workers.scripting.registry import Registry
from workers.scripting.state import ScriptState

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
            "hasty": {"symbols": ["*"], "plans": ["core"], "signals": ["*"]},
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
FRAGILE = """
def init():
    return {"n": 0}


def on_bar(bar, state):
    state["n"] += 1
    signal("n", state["n"] / (bar.close - bar.close))
"""


@pytest.fixture
def running(server: Server, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(server, tmp_path, CONFIG) as started:
        yield started


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


def test_twenty_scripts_deployed_while_a_worker_runs_go_on_across_kill_9(running: Fleet) -> None:
    worker = running.start("one")
    running.push(ticks(0, 6))
    running.await_caught_up()
    counters = [publish(running, f"counter{number}", COUNTER) for number in range(19)]
    rising = put(running, "rising", RISING)
    for source in (*counters, rising):
        await_status(running, source)
    running.push(ticks(6, 6))
    running.await_caught_up()
    running.start("two")
    started = descendants(worker.pid)
    assert len(started) == 1 + 2 * len(counters)  # a zygote, and a jail a script and shard
    running.kill("one")
    wait_until(lambda: not alive(started), "no process of a jail is left")
    wait_until(lambda: set(running.owners()) == {"two"}, "the other has taken over")
    running.push(ticks(12, 6))
    running.await_caught_up()
    running.assert_no_holes()
    for symbol in SYMBOLS:
        for source in counters:
            values = said(running, source, "n", symbol)
            # It warmed up on five bars before it spoke, and lost none afterwards.
            assert [value["value"] for value in values] == list(range(6, 18)), (source, symbol)
            assert all(isinstance(value["e"], float) for value in values)
        assert len(said(running, rising, "mean", symbol)) >= 10
        assert said(running, rising, "up", symbol)
    started = descendants(running.workers["two"].pid)
    assert running.stop("two") == 0
    wait_until(lambda: not alive(started), "no process of a jail is left")


def test_a_script_that_loops_is_quarantined_and_the_plan_goes_on(running: Fleet) -> None:
    running.start("one")
    source = put(running, "loop", LOOP, tenant="hasty")
    counter = put(running, "counter", COUNTER)
    await_status(running, source)
    await_status(running, counter)
    running.push(ticks(0, 5))
    running.await_caught_up()
    second = 5
    while "quarantined" not in [each["status"] for each in shards_of(running, "loop")]:
        running.push(ticks(second, 2, price=200.0))
        second += 2
        running.await_caught_up()
        assert second < 2_000  # it pauses for seconds between its strikes
    running.kill("one")
    running.start("two")
    running.push(ticks(second, 5, price=200.0))
    running.await_caught_up()
    running.assert_no_holes()
    for symbol in SYMBOLS:
        assert closes(running, symbol) == second + 4
        values = said(running, counter, "n", symbol)
        assert [value["value"] for value in values] == list(range(1, second + 5))
        assert said(running, source, "calm", symbol)[:4] == [100.0, 101.0, 102.0, 103.0]
    assert '"Diverged' not in running.log("two")
    told = running.run("script", "log", "loop").stdout
    assert "cut: deadline" in told
    assert "batch_ms_max" in told
    assert "quarantine: 3 strikes" in told
    shown = running.run("script", "show", "loop").stdout
    assert "quarantined" in shown


def test_other_shards_publish_while_a_script_spins(running: Fleet) -> None:
    stuck = SYMBOLS[0]
    other = next(each for each in SYMBOLS if shard(each) != shard(stuck))
    running.start("one")
    source = put(running, "loop", LOOP, "--symbols", stuck)
    await_status(running, source)
    running.push([*ticks(0, 5), (stuck, 200.0, NOON_NS + 5 * SECOND_NS)])
    running.await_caught_up()
    before = closes(running, stuck)
    running.push([(stuck, 200.0, NOON_NS + second * SECOND_NS) for second in (6, 7)])
    for second in range(5, 15):  # one by one, each on time
        running.push([(other, 200.0, NOON_NS + second * SECOND_NS)])
        wait_until(lambda last=second: closes(running, other) == last, "its bar is published")
        assert closes(running, stuck) == before
    running.await_caught_up()
    assert closes(running, stuck) == before + 2
    assert "cut: deadline" in running.run("script", "log", "loop").stdout
    running.assert_no_holes()


def test_what_is_not_signed_or_not_allowed_is_refused_on_record(running: Fleet) -> None:
    running.start("one")
    path = running.folder / "counter.py"
    path.write_text(COUNTER)
    for tenant, why in (("nobody", "not in scripts.tenants"), ("small", "symbols")):
        more = ["--symbols", "*"] if tenant == "small" else []
        done = running.run("script", "put", "counter", str(path), "--tenant", tenant, *more)
        assert done.returncode == 1
        assert why in done.stderr
    rising = running.folder / "rising.py"
    rising.write_text(RISING)
    done = running.run("script", "put", "rising", str(rising), "--tenant", "small")
    assert "may not use signals up, mean" in done.stderr
    forged = Deployment(
        fleet="fleet", name="forged", revision=1, tenant="desk", plan="core",
        symbols=("*",), signals=("*",), source=COUNTER,
    ).sealed(b"another key than the fleet's")  # fmt: skip
    with running.server.client() as client:
        client.xadd("ticks:{0}", {"deploy": "script", "payload": forged})
        client.hset(Keys().scripts, "forged", forged.decode())
        client.hincrby(Keys().script_revisions, "forged", 1)
    allowed = put(running, "own", COUNTER, tenant="small")
    await_status(running, allowed)
    running.push(ticks(0, 5))
    running.await_caught_up()
    assert said(running, allowed, "n", "AAA")
    assert not said(running, allowed, "n", "BBB")
    assert {entry["source"].partition("@")[0] for entry in running.ledger("signals")} == {"own"}
    # What was forged can neither stop a list nor keep its name.
    assert "own@" in running.run("script", "list").stdout
    assert "forged" not in running.run("script", "list").stdout
    put(running, "forged", COUNTER)
    refused = [entry["reason"] for entry in audit(running) if entry["decision"] == "refused"]
    assert sum("not signed with the fleet's key" in reason for reason in refused) == 2
    assert any("nobody" in reason for reason in refused)
    assert any("small" in reason for reason in refused)
    assert any(
        entry["decision"] == "accepted" and entry["script"] == "own" for entry in audit(running)
    )


def test_a_worker_without_the_key_runs_no_script(server: Server, tmp_path: Path) -> None:
    config = {**CONFIG, "scripts": {**CONFIG["scripts"], "key": None}}
    with fleet(server, tmp_path, CONFIG) as deployer:
        put(deployer, "counter", COUNTER)
    with fleet(server, tmp_path, config) as running:
        running.start("one")
        running.push(ticks(0, 5))
        running.await_caught_up()
        wait_until(lambda: len(audit(running)) >= 2, "the refusal is on record")
        assert not running.ledger("signals")
        assert "no scripts.key" in audit(running)[-1]["reason"]


def test_a_version_that_fails_at_once_is_taken_back_and_the_one_before_goes_on(
    running: Fleet,
) -> None:
    running.start("one")
    good = put(running, "counter", COUNTER)
    await_status(running, good)
    running.push(ticks(0, 30))
    running.await_caught_up()
    bad = put(running, "counter", FRAGILE)
    await_status(running, bad)
    running.await_caught_up()
    running.push(ticks(30, 2))
    running.await_caught_up()
    running.push(ticks(32, 4))
    running.await_caught_up()
    await_status(running, good)
    values = [int(value["value"]) for value in said(running, good, "n", "AAA")]
    assert values[:29] == list(range(1, 30))
    assert values[29:] == list(range(values[29], values[29] + len(values[29:])))
    assert len(values) >= 31
    assert not said(running, bad, "n", "AAA")
    assert "taken back" in str(shards_of(running, "counter"))
    running.assert_no_holes()


def test_the_doctor_names_scripts_that_are_not_trusted_not_allowed_or_nowhere(
    running: Fleet,
) -> None:
    def said() -> str:
        return running.run("doctor", "--json").stdout

    assert "scripts: 0 were deployed" in said()
    counter = publish(running, "counter", COUNTER)
    assert "script counter is on no shard" in said()
    running.start("one")
    await_status(running, counter)
    assert "scripts: 1 were deployed" in said()
    beyond = Deployment(
        fleet="fleet", name="beyond", revision=1, tenant="small", plan="core", symbols=("*",)
    )
    with running.server.client() as client:
        client.hset(Keys().scripts, "forged", beyond.sealed(b"another key").decode())
        client.hset(Keys().scripts, "beyond", beyond.sealed(KEY.encode()).decode())
        fields = {f"counter/{n}": {"status": "quarantined", "reason": "slow"} for n in range(2)}
        running.kill("one")
        client.hset(
            Keys().script_status,
            mapping={name: orjson.dumps(told) for name, told in fields.items()},
        )
    for words in (
        "script forged: it is not signed with the fleet's key",
        "script beyond: tenant 'small' may not use symbols *",
        "script counter is in quarantine on shard 1: slow",
    ):
        assert words in said()
    running.path.write_text(running.path.read_text().replace(f"key: {KEY}", "key: null"))
    assert "there is no scripts.key, and 3 scripts were deployed" in said()


def test_an_author_is_told_why_a_version_was_refused_while_it_warmed_up(running: Fleet) -> None:
    running.start("one")
    running.push(ticks(0, 5))
    running.await_caught_up()
    put(running, "fragile", FRAGILE)
    told = "refused: shard 0, version"
    wait_until(lambda: told in running.run("script", "log", "fragile").stdout, "the log says so")
    assert "line 8: ZeroDivisionError" in running.run("script", "log", "fragile").stdout
    for command in (["list"], ["show", "fragile"]):
        assert "fleet script log" in running.run("script", *command).stdout
    assert running.run("script", "log", "nonesuch").returncode == 1


def test_a_new_version_keeps_the_state_and_an_old_one_can_be_put_back(running: Fleet) -> None:
    running.start("one")
    first = put(running, "counter", COUNTER)
    await_status(running, first)
    running.push(ticks(0, 5))
    running.await_caught_up()
    second = put(running, "counter", COUNTER.replace("+= 1", "+= 10"))
    await_status(running, second)
    running.push(ticks(5, 5))
    running.await_caught_up()
    done = running.run("script", "rollback", "counter")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(first)
    await_status(running, first)
    running.push(ticks(10, 3))
    running.await_caught_up()
    assert [v["value"] for v in said(running, first, "n", "AAA")] == [1, 2, 3, 4, 55, 56, 57]
    assert [v["value"] for v in said(running, second, "n", "AAA")] == [14, 24, 34, 44, 54]
    assert running.run("script", "rm", "counter").returncode == 0
    wait_until(lambda: running.run("script", "list").stdout == "", "it is off the list")
    assert running.run("script", "show", "counter").returncode == 1
    running.assert_no_holes()


def test_decisions_are_trimmed_behind_the_snapshot_and_the_next_owner_agrees(
    server: Server, tmp_path: Path
) -> None:
    worker = {**CONFIG["worker"], "snapshot_s": 0.2}
    config = {**CONFIG, "shards": 1, "worker": worker, "retention": {"ticks_s": 0.5}}
    with fleet(server, tmp_path, config) as running:
        running.start("one")
        good = publish(running, "counter", COUNTER)
        await_status(running, good, shards=1)
        running.push(ticks(0, 30))
        second, rounds = 30, 4
        for number in range(rounds):  # each of them costs a decision: it is taken back
            bad = publish(running, "counter", FRAGILE + f"    # {number}\n")
            await_status(running, bad, shards=1)
            running.push(ticks(second, 2))
            second += 2
            await_status(running, good, shards=1)
        with server.client() as client:

            def decisions() -> int:
                running.push(ticks(second - 1, 1))  # news, for a snapshot
                return int(client.xlen("scripts:{0}"))

            wait_until(lambda: decisions() == 1, "the older decisions are gone")
            assert client.xinfo_stream("scripts:{0}")["entries-added"] == rounds
            assert client.xlen("ticks:{0}") < rounds * 200
        assert running.run("script", "log", "counter").stdout.count("rollback: ") == rounds
        running.await_caught_up()
        running.kill("one")
        running.start("two")
        running.push(ticks(second, 5))
        running.await_caught_up()
        wait_until(lambda: closes(running, "AAA") == second + 4, "all bars are closed")
        running.assert_no_holes()
        values = [int(value["value"]) for value in said(running, good, "n", "AAA")]
        # A batch in which a version failed is nobody's: its bars are not counted.
        assert values[-5:] == list(range(values[-5], values[-5] + 5))
        assert "Diverged" not in running.log("two")


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
