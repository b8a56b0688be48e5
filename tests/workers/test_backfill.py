"""History before the first live tick: it warms the plans, through the log, and says nothing."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from indicators.bars import BarSpec, BarState, update
from streams.keys import Keys
from streams.records import Batch, EntryId
from tests.conftest import Server
from tests.workers.fleet import Fleet, fleet, same_content, wait_until
from tests.workers.test_processor import PROGRAM, a_batch, a_state, joined
from workers.backfill import BackfillError, as_ticks, history
from workers.files import BarChunk
from workers.processor import advance
from workers.program import Program
from workers.settings import PlanSettings
from workers.state import ShardState

NOON_NS = 1_763_812_800_000_000_000
MINUTE_NS = 60 * 10**9
SYMBOLS = ("AAA", "BBB", "CCC")
CONFIG: dict[str, Any] = {
    "shards": 2,
    "worker": {"lease_ms": 1_000, "snapshot_s": 1.0, "grace_ms": 0},
    "plans": {
        "core": {
            "timeframe": "1m",
            "values": {"c": "close", "v": "volume", "r": "rsi(length=5)", "e": "ema(close, 20)"},
            "signals": {"up": "close > ema(close, 20)"},
        },
        "slow": {"timeframe": "5m", "values": {"h": "high", "v": "volume", "e": "ema(close, 3)"}},
    },
}


def some_bars(count: int, symbols: tuple[str, ...] = SYMBOLS) -> BarChunk:
    """A walk of each symbol, one symbol after the other."""
    random, which = np.random.default_rng(5), np.repeat(np.arange(len(symbols)), count)
    close = 100 * np.exp(np.cumsum(random.normal(scale=0.01, size=which.size)))
    opened = close * (1 + random.normal(scale=0.005, size=which.size))
    span = 1 + np.abs(random.normal(scale=0.004, size=(2, which.size)))
    return BarChunk(
        symbols,
        which,
        NOON_NS + MINUTE_NS * (1 + np.tile(np.arange(count), len(symbols))),
        open=opened,
        high=np.maximum(opened, close) * span[0],
        low=np.minimum(opened, close) / span[1],
        close=close,
        volume=random.uniform(0, 1e6, which.size),
    )


def write_bars(path: Path, bars: BarChunk, rows: Any = slice(None)) -> str:
    names = ("ts", "open", "high", "low", "close", "volume")
    columns = [getattr(bars, name)[rows].tolist() for name in names]
    symbol = [bars.symbols[which] for which in bars.symbol[rows].tolist()]
    lines = [",".join(map(repr, row)) for row in zip(*columns, strict=True)]
    text = "".join(f"{name},{line}\n" for name, line in zip(symbol, lines, strict=True))
    path.write_text("symbol," + ",".join(names) + "\n" + text)
    return str(path)


def write_ticks(path: Path, bars: BarChunk, rows: Any = slice(None)) -> str:
    """The bars as ticks of another kind: twice the open, then both extremes, then the close."""
    lines = ["symbol,ts,price,size"]
    columns = [getattr(bars, n)[rows].tolist() for n in ("ts", "open", "high", "low", "close")]
    volumes, symbols = bars.volume[rows].tolist(), bars.symbol[rows].tolist()
    for *bar, volume, symbol in zip(*columns, volumes, symbols, strict=True):
        ts, opened, high, low, close = bar
        start = ts - MINUTE_NS
        prices = (opened, opened, high, low, close)
        for at, price in enumerate(prices):
            size = volume if at == 4 else 0
            lines.append(f"{bars.symbols[symbol]},{start + at * 10**9},{price!r},{size!r}")
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.fixture
def running(server: Server, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(server, tmp_path, CONFIG) as started:
        yield started


def test_the_ticks_of_a_bar_give_that_bar_to_the_bit() -> None:
    bars = some_bars(500)
    ticks, spec = as_ticks(bars, MINUTE_NS), BarSpec.parse("1m")
    state = BarState(spec)
    state.resize(len(SYMBOLS))
    closing = (-1, int(bars.ts.max()), np.nan, 0.0)
    columns = (ticks.symbol, ticks.ts, ticks.price, ticks.size)
    rows = update(
        spec, state, *(np.append(c, end) for c, end in zip(columns, closing, strict=True))
    )
    assert not rows.late.any()
    order = np.lexsort((rows.ts, rows.slot))
    for name in ("ts", "open", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(rows, name)[order], getattr(bars, name)), name


@pytest.mark.parametrize("kind", ["bars", "ticks"])
def test_after_a_backfill_live_values_equal_those_of_a_run_without_interruption(
    running: Fleet, tmp_path: Path, kind: str
) -> None:
    bars = some_bars(100)
    past = np.flatnonzero(bars.ts <= NOON_NS + 63 * MINUTE_NS)
    live = np.flatnonzero(bars.ts > NOON_NS + 63 * MINUTE_NS)
    whole = write_ticks(tmp_path / "whole.csv", bars)
    live_file = write_ticks(tmp_path / "live.csv", bars, live)
    if kind == "bars":
        files = [write_bars(tmp_path / "past.csv", bars, past), "--timeframe", "1m"]
    else:
        files = [write_ticks(tmp_path / "past.csv", bars, past)]
    running.start("one")
    done = running.run("backfill", *files, "--json")
    assert done.returncode == 0, done.stderr
    said = orjson.loads(done.stdout)
    assert said["ticks"] == past.size * (4 if kind == "bars" else 5)
    assert said["bars"] == (past.size if kind == "bars" else 0)
    running.await_caught_up()
    assert running.ledger("values") == running.ledger("signals") == []
    running.kill("one")  # what it knew of the history is in the log and in the snapshot
    running.start("two")
    done = running.run("feed", live_file)
    assert done.returncode == 0, done.stderr
    running.await_caught_up()
    wanted = running.replayed([whole])
    # The last bar of the ticks ends after their last one: a live tick closes it, and it is told.
    until = NOON_NS + 63 * MINUTE_NS - (kind == "ticks")
    for stream, items in wanted.items():
        expected = same_content(item for item in items if item["ts"] > until)
        published = running.published(stream)
        assert expected
        assert not expected - same_content(published), stream
        assert not [item for item in published if item["ts"] <= until], stream
    counts = running.counts()
    assert counts["late"] == counts["dead"] == counts["repeated"] == 0
    assert counts["applied"] == said["ticks"] + live.size * 5
    assert not any(value.get("partial") for value in running.published("values"))
    running.assert_no_holes()


SCRIPTED: dict[str, Any] = {
    **CONFIG,
    "scripts": {
        "key": "a key that only the tests know",
        "poll_s": 0.1,
        "tenants": {
            "default": {
                "symbols": ["*"],
                "plans": ["*"],
                "signals": ["*"],
                "limits": {"batch_ms_max": 5_000},  # time enough for a busy machine
            }
        },
    },
}
SCRIPTS = {
    "counter": """
def init():
    return {"n": 0, "low": 1e9}


def on_bar(bar, state):
    state["n"] += 1
    state["low"] = min(state["low"], bar.low)
    signal("n", state["n"], low=state["low"], rsi=bar.values["r"])
    return bar.close > bar.values["e"]
""",
    "declared": """
def build(ta):
    slow = ta.ema(ta.close, 40)
    return {"slow": slow, "up": ta.crossover(ta.close, slow), "h": ta.sma(ta.close, 3, on="15m")}
""",
}


@pytest.mark.parametrize("put", ["after", "before"])
@pytest.mark.parametrize("kind", ["bars", "ticks"])
def test_a_script_knows_the_history_whether_it_was_put_before_or_after_the_backfill(
    server: Server, tmp_path: Path, kind: str, put: str
) -> None:
    bars, until = some_bars(100), NOON_NS + 63 * MINUTE_NS
    past, live = np.flatnonzero(bars.ts <= until), np.flatnonzero(bars.ts > until)
    whole = write_ticks(tmp_path / "whole.csv", bars)
    live_file = write_ticks(tmp_path / "live.csv", bars, live)
    write = {"bars": write_bars, "ticks": write_ticks}[kind]
    files = [write(tmp_path / "past.csv", bars, past)]
    timeframe = ["--timeframe", "1m"] if kind == "bars" else []
    with fleet(server, tmp_path, SCRIPTED) as running:
        running.start("one")
        if put == "before":
            deploy(running)
        done = running.run("backfill", *files, *timeframe)
        assert done.returncode == 0, done.stderr
        running.await_caught_up()
        if put == "after":
            deploy(running)
        assert running.ledger("signals") == []
        running.kill("one")
        running.start("two")
        done = running.run("feed", live_file)
        assert done.returncode == 0, done.stderr
        running.await_caught_up()
        options = [f"--script={name}={tmp_path / name}.py" for name in SCRIPTS]
        wanted = running.replayed([whole], *options)["signals"]
        # The last bar of the ticks ends after their last one: a live tick closes it.
        told = until - (kind == "ticks")
        expected = same_content(item for item in wanted if item["ts"] > told)
        assert sum(expected.values()) > 3 * 36 * 2
        assert same_content(running.published("signals")) == expected
        running.assert_no_holes()


def deploy(running: Fleet) -> None:
    """Put the scripts, and wait until every shard has them."""
    for name, source in SCRIPTS.items():
        (running.folder / f"{name}.py").write_text(source)
        done = running.run("script", "put", name, str(running.folder / f"{name}.py"))
        assert done.returncode == 0, done.stderr
    with running.server.client() as client:
        said = Keys().script_status
        wait_until(lambda: client.hlen(said) == 2 * len(SCRIPTS), "every shard has the scripts")
    running.await_caught_up()


def test_history_is_published_when_that_is_asked_for(running: Fleet, tmp_path: Path) -> None:
    path = write_bars(tmp_path / "past.csv", some_bars(30))
    running.start("one")
    done = running.run("backfill", path, "--timeframe", "1m", "--publish")
    assert done.returncode == 0, done.stderr
    assert "90 bars as 360 ticks of history" in done.stdout
    running.await_caught_up()
    core = [v for v in running.published("values") if v["source"].startswith("core@")]
    assert len(core) >= 3 * 29


def test_ticks_older_than_what_an_instrument_closed_are_late(
    running: Fleet, tmp_path: Path
) -> None:
    running.start("one")
    running.push([("AAA", 1.0, NOON_NS + 300 * MINUTE_NS)])
    running.await_caught_up()
    running.run("backfill", write_bars(tmp_path / "a.csv", some_bars(10)), "--timeframe", "1m")
    running.await_caught_up()
    assert running.counts()["late"] == 10 * 4
    assert running.counts()["applied"] == 1 + 20 * 4


def test_sigterm_stops_a_backfill_between_two_pushes(running: Fleet, tmp_path: Path) -> None:
    path = write_bars(tmp_path / "long.csv", some_bars(60_000))
    with running.server.client() as client:
        client.client_pause(600_000, all=False)  # so that it cannot be done too soon
        process = running.spawn("backfill", path, "--timeframe", "1m")
        try:
            wait_until(
                lambda: any(each["cmd"] == "xadd" for each in client.client_list()), "it pushes"
            )
            process.send_signal(signal.SIGTERM)
        finally:
            client.client_unpause()
        assert process.wait(timeout=60) == 0
        frames = sum(client.xlen(f"ticks:{{{n}}}") for n in range(2))
    assert 0 < frames < 3 * 60_000 * 4 / 1_000


REFUSED: list[tuple[dict[str, Any], dict[str, int], str, str]] = [
    ({"timeframe": "30s"}, {}, "1m", r"plan p has bars of 30s, which cannot be made .* of 1m"),
    ({"timeframe": "100t"}, {}, "1m", r"plan p has bars of 100t"),
    ({"timeframe": "1m"}, {}, "7m", r"timeframe '7m' does not divide a day"),
    ({"timeframe": "1m"}, {}, "100t", r"say how long they are, such as --timeframe 1m"),
    ({"timeframe": "1m"}, {"high": -50}, "1m", r"the bar of AAA at ts \d+ .*wanted low <= open"),
    ({"timeframe": "1m"}, {"ts": 5}, "1m", r"wanted ts, the close, at a whole 1m"),
    ({"timeframe": "1m"}, {"ts": -MINUTE_NS}, "1m", r"after the bar before"),
]


@pytest.mark.parametrize(("plan", "change", "timeframe", "words"), REFUSED)
def test_bars_that_cannot_give_the_plan_s_bars_are_refused(
    running: Fleet, tmp_path: Path, plan: Any, change: Any, timeframe: str, words: str
) -> None:
    bars = some_bars(3)
    for name, value in change.items():
        getattr(bars, name)[2] += value
    path = write_bars(tmp_path / "a.csv", bars)
    config = {**CONFIG, "plans": {"p": {**plan, "values": {"c": "close"}}}}
    with fleet(running.server, tmp_path, config) as other:
        done = other.run("backfill", path, "--timeframe", timeframe)
    assert done.returncode in (1, 2)
    assert re.search(words, done.stderr), done.stderr
    with running.server.client() as client:
        assert client.keys("ticks:*") == []


def test_files_of_two_kinds_or_bars_without_a_timeframe_are_refused(tmp_path: Path) -> None:
    program = Program({"p": PlanSettings(timeframe="1m", values={"c": "close"})})
    bars = Path(write_bars(tmp_path / "bars.csv", some_bars(3)))
    ticks = Path(write_ticks(tmp_path / "ticks.csv", some_bars(3)))
    with pytest.raises(BackfillError, match="one kind at a time"):
        history([bars, ticks], program, None)
    with pytest.raises(BackfillError, match="say how long they are"):
        history([bars], program, None)
    with pytest.raises(BackfillError, match="the files hold ticks"):
        history([ticks], program, BarSpec.parse("1m"))


def test_a_plan_of_other_symbols_does_not_stand_in_the_way(tmp_path: Path) -> None:
    plan = PlanSettings(timeframe="1s", symbols=("Z*",), values={"c": "close"})
    path = Path(write_bars(tmp_path / "bars.csv", some_bars(3)))
    (chunk,) = history([path], Program({"p": plan}), BarSpec.parse("1m"))
    assert chunk.ts.size == 3 * 3 * 4


def as_history(batch: Batch) -> Batch:
    return batch._replace(history=True)


@pytest.mark.parametrize("saved", [False, True])
def test_history_moves_state_and_says_nothing_even_where_live_ticks_close_its_bars(
    saved: bool,
) -> None:
    past = [(slot, float(at), 10.0 + at % 7, 0) for at in range(60) for slot in (0, 1)]
    rest = [(0, float(at), 10.0 + at % 7, 0) for at in range(61, 90)] + [(-1, 200.0, np.nan, 0)]
    plain, warmed = a_state(), a_state()
    advance(PROGRAM, plain, a_batch(past), now_ns=0)
    output = advance(PROGRAM, warmed, as_history(a_batch(past)), now_ns=0)
    assert output.values == output.signals == []
    assert output.counts["applied"] == len(past)
    assert warmed.next_due_ns() is None  # a file has no clock
    assert plain.next_due_ns() is not None
    if saved:
        _, warmed = ShardState.load(warmed.save(PROGRAM), symbols_max=100)
    seqs = plain.signal_seq, plain.value_seq
    first = len(past) + 1
    expected = joined([advance(PROGRAM, plain, a_batch(rest, first=first), now_ns=0)])
    warmed.signal_seq, warmed.value_seq = seqs
    got = joined([advance(PROGRAM, warmed, a_batch(rest, first=first), now_ns=0)])
    assert got == expected
    assert warmed.next_due_ns() == plain.next_due_ns()
    assert warmed.upto == EntryId(1, first + len(rest) - 1)


def test_a_bar_that_history_tells_to_its_end_is_hidden_even_if_a_live_tick_closes_it() -> None:
    end_s = 60 - 1e-9  # the last nanosecond of the bars that close at 60 s
    past, live = [(0, 30.0, 10.0, 0), (0, end_s, 11.0, 0)], [(0, 61.0, 12.0, 0), (0, 71.0, 9.0, 0)]
    whole, cut = a_state(), a_state()
    everything = joined([advance(PROGRAM, whole, a_batch([*past, *live]), now_ns=0)])
    advance(PROGRAM, cut, as_history(a_batch(past)), now_ns=0)
    heard = joined([advance(PROGRAM, cut, a_batch(live, first=3), now_ns=0)])

    def told(output: dict[str, Any]) -> list[tuple[object, ...]]:
        values = [dict(zip(entry[::2], entry[1::2], strict=True)) for entry in output["values"]]
        return [
            (value["source"], int(value["ts"]), value["status"], value["data"]) for value in values
        ]

    until = NOON_NS + 60 * 10**9
    assert any(ts == until and status == "final" for _, ts, status, _ in told(everything))
    assert told(heard) == [value for value in told(everything) if value[1] > until]
