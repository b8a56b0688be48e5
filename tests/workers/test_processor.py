"""The pure core: any cut of a log gives the same entries, and a capsule forgets nothing."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.records import Batch, EntryId
from streams.symbols import SymbolTable
from workers.processor import Output, advance, begin
from workers.program import Program
from workers.settings import PlanSettings, RuleSettings, SettingsError
from workers.state import ShardState, SnapshotError

NOON_NS = 1_763_812_800_000_000_000
SECOND_NS = 1_000_000_000
PROGRAM = Program(
    {
        "bars": PlanSettings(
            timeframe="5s",
            values={"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"},
        ),
        "fast": PlanSettings(
            timeframe="5s",
            symbols=("A*",),
            values=["ema(length=3)", "macd(fast=2, slow=3, signal=2)"],
            signals={
                "up": RuleSettings(when="close > ema(close, 3)", value={"close": "close"}),
                "every": RuleSettings(when="close > open", every="bar", valid_for="10s"),
            },
        ),
        "forming": PlanSettings(
            timeframe="10s",
            emit="2s",
            values={"c": "close", "slow": "sma(close, 2, on='20s')"},
            signals={"rise": "close > open"},
        ),
    }
)
NAMES = ("AAA", "ABB", "BBB")


def a_batch(rows: Sequence[tuple[int, float, float, int]], first: int = 1) -> Batch:
    """Rows of (slot or -1, seconds after noon, price, key), one entry each."""
    count = len(rows)
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    return Batch(
        shard="0",
        upto=EntryId(1, first + count - 1),
        entries=count,
        slot=np.array(columns[0], np.int64),
        ts=NOON_NS + (np.array(columns[1], np.float64) * SECOND_NS).astype(np.int64),
        price=np.array(columns[2], np.float64),
        size=np.ones(count),
        key=np.array(columns[3], np.uint64),
        entry_ms=np.ones(count, np.uint64),
        entry_seq=np.arange(first, first + count).astype(np.uint64),
    )


def a_state(program: Program = PROGRAM) -> ShardState:
    symbols = SymbolTable()
    for name in NAMES:
        symbols.add(name.encode())
    return ShardState.new(program, symbols, dedupe_window=8)


def joined(outputs: Sequence[Output]) -> dict[str, Any]:
    counts = dict.fromkeys(("applied", "late", "repeated", "dead", "shed"), 0)
    for output in outputs:
        for name, count in output.counts.items():
            counts[name] += count
    return {
        "values": [list(entry) for output in outputs for entry in output.values],
        "signals": [list(entry) for output in outputs for entry in output.signals],
        "bars": sum(output.bars for output in outputs),
        "counts": counts,
    }


def as_fields(entry: Sequence[bytes | str]) -> dict[str, str]:
    words = [word.decode() if isinstance(word, bytes) else word for word in entry]
    return dict(zip(words[::2], words[1::2], strict=True))


ROWS = st.lists(
    st.tuples(
        st.integers(-1, len(NAMES) - 1),
        st.floats(0, 60),
        st.floats(1, 1_000),
        st.integers(0, 5),
    ),
    max_size=60,
).map(lambda rows: [(slot, at, price, key if slot >= 0 else 0) for slot, at, price, key in rows])


@settings(max_examples=60)
@given(ROWS, st.lists(st.integers(0, 60), max_size=4))
def test_any_cut_of_the_log_gives_the_same_entries(
    rows: list[tuple[int, float, float, int]], cuts: list[int]
) -> None:
    whole = joined([advance(PROGRAM, a_state(), a_batch(rows), now_ns=7)])
    state, outputs = a_state(), []
    edges = sorted({0, len(rows), *(min(cut, len(rows)) for cut in cuts)})
    for start, end in pairwise(edges):
        batch = a_batch(rows[start:end], first=start + 1)
        outputs.append(advance(PROGRAM, state, batch, now_ns=7))
        program, state = ShardState.load(state.save(PROGRAM), symbols_max=10)
        assert program.digest == PROGRAM.digest
    assert joined(outputs) == whole


@given(ROWS)
def test_every_tick_is_counted_once(rows: list[tuple[int, float, float, int]]) -> None:
    output = advance(PROGRAM, a_state(), a_batch(rows), now_ns=7)
    assert sum(output.counts.values()) == sum(slot >= 0 for slot, *_ in rows)


@given(ROWS, st.integers(0, 30))
def test_to_recall_a_batch_leaves_the_state_that_telling_of_it_left(
    rows: list[tuple[int, float, float, int]], covered_s: int
) -> None:
    told, recalled = a_state(), a_state()
    for state in (told, recalled):  # of some bars history tells already
        state.grow()
        state.history.until[:2] = NOON_NS + covered_s * SECOND_NS
    output = advance(PROGRAM, told, a_batch(rows), now_ns=7)
    _, said = begin(PROGRAM, recalled, a_batch(rows), now_ns=0).recall()
    assert said == Counter(as_fields(entry)["source"] for entry in output.signals)
    assert recalled.save(PROGRAM) == told.save(PROGRAM)


def test_values_and_signals_say_what_they_are() -> None:
    rows = [(0, at, price, 0) for at, price in enumerate((10, 11, 9, 10, 12, 13, 14, 15, 16, 17))]
    rows += [(2, 0.5, 100.0, 0), (-1, 100.0, float("nan"), 0)]
    output = advance(PROGRAM, a_state(), a_batch(rows), now_ns=7)
    values = [as_fields(entry) for entry in output.values]
    assert [entry["seq"] for entry in values] == [str(n + 1) for n in range(len(values))]
    first = next(entry for entry in values if entry["source"].startswith("bars@"))
    assert first["symbol"] == "AAA"
    assert first["timeframe"] == "5s"
    assert first["ts"] == str(NOON_NS + 5 * SECOND_NS)
    assert first["status"] == "final"
    assert first["partial"] == "1"
    assert orjson.loads(first["data"]) == {"o": 10.0, "h": 12.0, "l": 9.0, "c": 12.0, "v": 5.0}
    fast = [entry for entry in values if entry["source"].startswith("fast@")]
    assert {entry["symbol"] for entry in fast} == {"AAA"}
    assert " ".join(orjson.loads(fast[0]["data"])) == "EMA_3 MACD_2_3_2 MACDh_2_3_2 MACDs_2_3_2"
    said = [as_fields(entry) for entry in output.signals]
    every = [entry for entry in said if entry["name"] == "every"]
    assert [entry["valid_until"] for entry in every] == [
        str(int(entry["ts"]) + 10 * SECOND_NS) for entry in every
    ]
    rises = [entry for entry in said if entry["name"] == "rise" and entry["symbol"] == "AAA"]
    assert [entry["status"] for entry in rises] == ["forming", "final"]
    assert len({entry["id"] for entry in said}) == len(said)
    assert {entry["ts_publish"] for entry in said} == {"7"}


def test_a_signal_has_the_same_id_whatever_came_between() -> None:
    rows = [(0, float(at), 10.0 + at, 0) for at in range(11)]
    alone = advance(PROGRAM, a_state(), a_batch(rows), now_ns=1)
    mixed_rows = [row for at, row in enumerate(rows) for row in ((1, at + 0.1, 50.0, 0), row)]
    mixed = advance(PROGRAM, a_state(), a_batch(mixed_rows), now_ns=2)

    def ids(output: Output) -> list[str]:
        said = [as_fields(entry) for entry in output.signals]
        return [entry["id"] for entry in said if entry["symbol"] == "AAA"]

    assert ids(alone)
    assert ids(alone) == ids(mixed)


def test_a_late_tick_and_a_repeated_one_change_nothing_and_are_counted() -> None:
    calm = [(0, 1.0, 10.0, 3), (0, 6.0, 11.0, 4), (0, 20.0, 12.0, 5)]
    noisy = [*calm[:2], (0, 2.0, 99.0, 6), (0, 6.5, 77.0, 3), calm[2]]
    program = Program({"bars": PROGRAM.settings["bars"]})
    before = advance(program, a_state(program), a_batch(calm), now_ns=1)
    after = advance(program, a_state(program), a_batch(noisy), now_ns=1)
    assert [list(entry) for entry in after.values] == [list(entry) for entry in before.values]
    assert after.counts == {"applied": 3, "late": 1, "repeated": 1, "dead": 0, "shed": 0}


def test_what_restarts_daily_and_what_looks_at_coarser_bars_runs_in_a_worker() -> None:
    values = {"vwap": "vwap()", "slow": "ema(close, 2, on='10s')"}
    program = Program({"daily": PlanSettings(timeframe="5s", values=values)})
    rows = [(0, 5.0 * at, 10.0 + at, 0) for at in range(9)]
    output = advance(program, a_state(program), a_batch(rows), now_ns=1)
    last = orjson.loads(as_fields(output.values[-1])["data"])
    assert last["vwap"] == pytest.approx(13.5)
    assert last["slow"] is not None


def test_a_damaged_capsule_is_refused() -> None:
    capsule = bytearray(a_state().save(PROGRAM))
    for broken in (capsule[:10], b"nothing", capsule[:-1] + bytes([capsule[-1] ^ 1])):
        with pytest.raises(SnapshotError, match="snapshot of"):
            ShardState.load(bytes(broken), symbols_max=10)


def test_a_program_is_its_settings_and_has_one_digest_for_them() -> None:
    again = Program.parse(PROGRAM.payload)
    assert again.digest == PROGRAM.digest
    assert [plan.source for plan in again.plans] == [plan.source for plan in PROGRAM.plans]
    other = Program({**PROGRAM.settings, "more": PlanSettings(values={"c": "close"})})
    assert other.digest != PROGRAM.digest
    assert other.plans[0].digest == PROGRAM.plans[0].digest


def test_a_plan_reads_the_last_closed_bar_of_a_coarser_timeframe() -> None:
    settings = PlanSettings(
        timeframe="1m",
        emit="forming",
        values={"now": "close", "slow": "sma(close, 1, on='5m')", "vwap": "vwap()"},
    )
    program = Program({"slow": settings})
    minutes = [(0, 60.0 * minute + 30, 100.0 + minute, 0) for minute in range(12)]
    output = advance(program, a_state(program), a_batch([*minutes, (-1, 720.0, 0.0, 0)]), now_ns=7)
    said = [as_fields(entry) for entry in output.values]
    minute_ns = 60 * SECOND_NS
    data = [orjson.loads(each["data"]) for each in said]
    seen = {
        (each["status"], (int(each["ts"]) - NOON_NS) // minute_ns): row["slow"]
        for each, row in zip(said, data, strict=True)
    }
    for status in ("final", "forming"):  # a forming row says what it would be if it closed now
        got = [seen[status, minute] for minute in range(1, 13)]
        assert got == [None] * 4 + [104.0] * 5 + [109.0] * 3
    assert all(row["vwap"] is not None for row in data)


def test_a_timeframe_that_does_not_fit_its_plan_is_named() -> None:
    given = PlanSettings(timeframe="2m", values={"slow": "rsi(on='5m')"})
    with pytest.raises(SettingsError, match=r"plans\.slow.*not a multiple of .* '2m'"):
        Program({"slow": given})
