"""Bars from ticks: what each kind of timeframe gives, and what is refused."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from indicators.bars import DAY_NS, SECOND_NS, BarRows, BarSpec, BarState, update
from indicators.errors import IndicatorError
from tests.conftest import shared_data

T0 = 1_763_823_000 * SECOND_NS  # 14:50:00 UTC
MINUTE_NS = 60 * SECOND_NS


def run(spec: BarSpec, rows: list[tuple], *, state: BarState | None = None, **options) -> BarRows:
    slots, ts, price, size = (list(column) for column in zip(*rows, strict=True))
    return update(spec, state or BarState(spec, 3), slots, ts, price, size, **options)


def ohlcv(bars: BarRows) -> list[tuple[float, ...]]:
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def by_pandas(ticks: pd.DataFrame, step: int) -> pd.DataFrame:
    start = ticks.ts // step * step
    grouped = ticks.groupby([ticks.slot, start.rename("start")])
    bars = grouped.price.agg(open="first", high="max", low="min", close="last", ticks="size")
    bars["volume"] = grouped["size"].sum().astype(float)
    bars = bars.reset_index().rename(columns={"start": "ts"})
    bars["ts"] += step
    return bars.sort_values(["ts", "slot"], kind="stable").reset_index(drop=True)


def by_update(ticks: pd.DataFrame, spec: BarSpec, batch_rows: int) -> pd.DataFrame:
    state, parts = BarState(spec, int(ticks.slot.max()) + 1), []
    clock = pd.DataFrame({"slot": [-1], "ts": [ticks.ts.max() + spec.step], "price": [0.0]})
    stream = pd.concat([ticks, clock.assign(size=0.0)], ignore_index=True)
    for first in range(0, len(stream), batch_rows):
        piece = stream.iloc[first : first + batch_rows]
        bars = update(spec, state, piece.slot, piece.ts, piece.price, piece["size"])
        assert bars.final.all()
        assert not bars.late.any()
        names = ("slot", "ts", "open", "high", "low", "close", "ticks", "volume")
        parts.append(pd.DataFrame({name: getattr(bars, name) for name in names}))
    rows = pd.concat(parts)
    return rows.sort_values(["ts", "slot"], kind="stable").reset_index(drop=True)


@pytest.mark.parametrize("timeframe", ["1s", "15s", "1m", "30m", "1d"])
@pytest.mark.parametrize("day", ["20131007", "20131008"])
def test_bars_of_real_trades_equal_a_pandas_groupby(timeframe, day):
    ticks = pd.read_csv(shared_data(f"data/ticks/trades-{day}.csv.gz"))
    ticks["slot"] = ticks.symbol.map({"IBM": 0, "BAC": 1})
    spec = BarSpec.parse(timeframe)
    got = by_update(ticks, spec, batch_rows=1_777)
    pd.testing.assert_frame_equal(got, by_pandas(ticks, spec.step), check_like=True)


@pytest.mark.parametrize("timeframe", ["1s", "1m"])
def test_bars_of_made_up_trades_with_equal_times_equal_a_pandas_groupby(timeframe):
    random = np.random.default_rng(7)
    rows = 20_000
    ts = T0 + np.sort(random.integers(0, 600, rows)) * (SECOND_NS // 2)
    ticks = pd.DataFrame(
        {
            "slot": random.integers(0, 7, rows),
            "ts": ts,
            "price": 100 + random.integers(-500, 500, rows) / 100,
            "size": random.integers(0, 900, rows).astype(float),
        }
    )
    spec = BarSpec.parse(timeframe)
    got = by_update(ticks, spec, batch_rows=313)
    pd.testing.assert_frame_equal(got, by_pandas(ticks, spec.step), check_like=True)


def test_a_tick_at_the_very_end_of_a_bar_belongs_to_the_next():
    rows = [(0, T0, 1.0, 1), (0, T0 + SECOND_NS - 1, 2.0, 1), (0, T0 + SECOND_NS, 9.0, 1)]
    bars = run(BarSpec.parse("1s"), rows)
    assert ohlcv(bars) == [(1.0, 2.0, 1.0, 2.0, 2.0)]
    assert bars.ts.tolist() == [T0 + SECOND_NS]
    assert bars.row.tolist() == [2]


def test_only_the_first_bar_of_an_instrument_is_partial():
    rows = [(s, T0 + i * SECOND_NS, 5.0, 1) for i in range(4) for s in (0, 1)]
    bars = run(BarSpec.parse("1s"), rows)
    assert bars.slot.tolist() == [0, 1] * 3
    assert bars.partial.tolist() == [True, True, False, False, False, False]


def test_a_gap_gives_no_bars():
    bars = run(BarSpec.parse("1s"), [(0, T0, 1.0, 1), (0, T0 + 60 * SECOND_NS, 2.0, 1)])
    assert bars.ts.tolist() == [T0 + SECOND_NS]


def test_a_gap_gives_flat_bars_up_to_their_maximum_where_they_are_wanted():
    spec = BarSpec.parse("1s", flat_bars_max=2)
    rows = [(0, T0, 1.5, 4), (0, T0 + 60 * SECOND_NS, 2.0, 1), (-1, T0 + 61 * SECOND_NS, 0, 0)]
    bars = run(spec, rows)
    assert [(ts - T0) // SECOND_NS for ts in bars.ts.tolist()] == [1, 2, 3, 61]
    assert ohlcv(bars)[1:3] == [(1.5, 1.5, 1.5, 1.5, 0.0)] * 2
    assert bars.ticks.tolist() == [1, 0, 0, 1]
    assert ohlcv(bars)[3] == (2.0, 2.0, 2.0, 2.0, 1.0)


def test_a_clock_row_closes_what_is_due_in_order_of_end_then_slot():
    spec = BarSpec.parse("1s")
    ages = [(2, 0), (1, 5), (0, 5)]
    rows = [(slot, T0 + age * SECOND_NS, 1.0 + slot, 1) for slot, age in ages]
    bars = run(spec, [*rows, (-1, T0 + 6 * SECOND_NS - 1, 0, 0), (-1, T0 + 6 * SECOND_NS, 0, 0)])
    assert bars.slot.tolist() == [2, 0, 1]
    assert bars.row.tolist() == [3, 4, 4]
    late_clock = run(spec, [*rows, (-1, T0 + 60 * SECOND_NS, 0, 0)])
    assert late_clock.slot.tolist() == [2, 0, 1]
    assert late_clock.ts.tolist() == bars.ts.tolist()


def test_a_tick_whose_bar_has_been_closed_by_the_clock_is_late_and_changes_nothing():
    spec, state = BarSpec.parse("1s"), BarState(BarSpec.parse("1s"), 3)
    run(spec, [(0, T0, 1.0, 1), (-1, T0 + SECOND_NS, 0, 0)], state=state)
    before = state.save()
    bars = run(spec, [(0, T0 + SECOND_NS - 1, 99.0, 1)], state=state, forming_ns=0)
    assert bars.late.tolist() == [True]
    assert len(bars) == 0
    assert state.save() == before


def test_a_tick_from_before_the_open_bar_is_late_though_nothing_has_closed_yet():
    bars = run(BarSpec.parse("1m"), [(0, T0 + MINUTE_NS, 1.0, 1), (0, T0, 2.0, 1)])
    assert bars.late.tolist() == [False, True]


def test_arrival_decides_open_and_close_within_a_bar():
    rows = [(0, T0 + 500, 3.0, 1), (0, T0 + 100, 2.0, 1), (-1, T0 + SECOND_NS, 0, 0)]
    assert ohlcv(run(BarSpec.parse("1s"), rows)) == [(3.0, 3.0, 2.0, 2.0, 2.0)]


def test_the_forming_row_is_the_bar_as_of_its_tick_and_comes_after_the_bar_it_closes():
    rows = [(0, T0, 1.0, 1), (0, T0 + 1, 3.0, 2), (0, T0 + SECOND_NS, 2.0, 5)]
    bars = run(BarSpec.parse("1s"), rows, forming_ns=0)
    assert bars.row.tolist() == [0, 1, 2, 2]
    assert bars.final.tolist() == [False, False, True, False]
    assert ohlcv(bars) == [
        (1.0, 1.0, 1.0, 1.0, 1.0),
        (1.0, 3.0, 1.0, 3.0, 3.0),
        (1.0, 3.0, 1.0, 3.0, 3.0),
        (2.0, 2.0, 2.0, 2.0, 5.0),
    ]
    assert bars.ts.tolist() == [T0 + SECOND_NS] * 3 + [T0 + 2 * SECOND_NS]


def test_forming_rows_come_at_most_once_in_each_stretch_of_event_time():
    tenth = SECOND_NS // 10
    rows = [(0, T0 + i * tenth, float(i + 1), 1) for i in range(10)]
    bars = run(BarSpec.parse("1s"), rows, forming_ns=250_000_000)
    assert bars.row.tolist() == [0, 3, 5, 8]


def test_a_tick_bar_closes_with_its_last_tick():
    rows = [(0, T0 + i, float(i), 2) for i in range(1, 8)]
    bars = run(BarSpec.parse("3t"), rows)
    assert bars.row.tolist() == [2, 5]
    assert bars.ts.tolist() == [T0 + 3, T0 + 6]
    assert ohlcv(bars) == [(1.0, 3.0, 1.0, 3.0, 6.0), (4.0, 6.0, 4.0, 6.0, 6.0)]


def test_a_large_trade_is_split_over_the_volume_bars_it_fills():
    rows = [(0, T0, 1.0, 60), (0, T0 + 1, 2.0, 250), (0, T0 + 2, 3.0, 90)]
    bars = run(BarSpec.parse("100v"), rows)
    assert bars.row.tolist() == [1, 1, 1, 2]
    assert bars.volume.tolist() == [100.0] * 4
    assert bars.open.tolist() == [1.0, 2.0, 2.0, 2.0]
    assert bars.close.tolist() == [2.0, 2.0, 2.0, 3.0]
    assert bars.ticks.tolist() == [2, 1, 1, 2]


def test_ten_tenths_fill_a_volume_bar_of_one():
    bars = run(BarSpec.parse("1v"), [(0, T0 + i, 1.0, 0.1) for i in range(1_000)])
    assert bars.row.tolist() == list(range(9, 1_000, 10))


def test_one_trade_makes_a_thousand_volume_bars_at_most_and_the_last_takes_the_rest():
    bars = run(BarSpec.parse("1v"), [(0, T0, 1.0, 1e12), (0, T0 + 1, 2.0, 1.0)])
    assert len(bars) == 1_001
    assert bars.volume[:1_000].sum() == 1e12
    assert bars.volume[1_000] == 1.0


def test_daily_bars_follow_the_session_anchor():
    anchor = 14 * 3_600 * SECOND_NS + 1_800 * SECOND_NS
    midnight = T0 - T0 % DAY_NS
    spec = BarSpec.parse("1d", anchor_ns=anchor)
    opening = midnight + anchor
    bars = run(
        spec, [(0, opening - 1, 1.0, 1), (0, opening, 2.0, 1), (0, opening + DAY_NS, 3.0, 1)]
    )
    assert bars.ts.tolist() == [opening, opening + DAY_NS]
    assert ohlcv(bars)[1] == (2.0, 2.0, 2.0, 2.0, 1.0)


@pytest.mark.parametrize(
    ("text", "name", "step"),
    [
        ("1s", "1s", SECOND_NS),
        ("60s", "1m", MINUTE_NS),
        ("90s", "90s", 90 * SECOND_NS),
        ("24h", "1d", DAY_NS),
        ("100t", "100t", 100),
        ("1000v", "1000v", 1000),
    ],
)
def test_a_timeframe_has_one_name(text, name, step):
    spec = BarSpec.parse(text)
    assert (spec.name, spec.step) == (name, step)
    assert BarSpec.parse(name) == spec


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("", {}, "not a number and a unit"),
        ("1M", {}, "not a number and a unit"),
        ("0s", {}, "not a number and a unit"),
        ("1.5m", {}, "not a number and a unit"),
        ("7m", {}, "does not divide a day"),
        ("2d", {}, "does not divide a day"),
        ("9999999999999v", {}, "above the maximum"),
        ("1m", {"anchor_ns": MINUTE_NS}, "anchor_ns 60000000000 is outside 0 to 59999999999"),
        ("1m", {"flat_bars_max": -1}, "flat_bars_max -1 is outside"),
        ("100t", {"flat_bars_max": 5}, "only time has anchor or gaps"),
    ],
)
def test_a_bad_timeframe_is_refused_in_words(text, options, words):
    with pytest.raises(IndicatorError, match=words):
        BarSpec.parse(text, **options)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"slots": [0, 3]}, "row 1: slot 3 is outside -1 to 2: resize the state"),
        ({"slots": [-2, 0]}, "row 0: slot -2 is outside"),
        ({"ts": [T0]}, "of one length"),
        ({"price": [[1.0, 1.0]]}, "of one length"),
        ({"forming_ns": -5}, "forming_ns is -5"),
        ({"spec": BarSpec.parse("5s")}, "the state is of"),
    ],
)
def test_bad_columns_are_refused_before_anything_is_applied(change, words):
    state = BarState(BarSpec.parse("1s"), 3)
    before = state.save()
    given = {"spec": state.spec, "slots": [0, 1], "ts": [T0, T0], "price": [1.0, 1.0], **change}
    with pytest.raises(IndicatorError, match=words):
        update(state=state, size=[1.0, 1.0], **given)
    assert state.save() == before


def test_read_only_and_strided_columns_are_taken_as_they_are():
    spec = BarSpec.parse("1s")
    ts = np.repeat(np.arange(T0, T0 + 5 * SECOND_NS, SECOND_NS), 2)[::2]
    price = np.arange(1.0, 6.0)
    price.flags.writeable = False
    bars = update(spec, BarState(spec, 1), np.zeros(5, np.int32), ts, price, np.ones(5))
    assert bars.close.tolist() == [1.0, 2.0, 3.0, 4.0]


def test_a_state_grows_without_losing_its_bars():
    spec = BarSpec.parse("1s")
    state = BarState(spec, 1)
    run(spec, [(0, T0, 1.0, 7)], state=state)
    state.resize(1_000)
    state.resize(10)
    assert state.slots == 1_000
    bars = run(spec, [(999, T0, 4.0, 2), (-1, T0 + SECOND_NS, 0, 0)], state=state)
    assert bars.slot.tolist() == [0, 999]
    assert bars.volume.tolist() == [7.0, 2.0]


def test_the_next_close_is_that_of_the_bar_which_ends_first():
    spec = BarSpec.parse("1s")
    state = BarState(spec, 3)
    assert state.next_close() is None
    run(spec, [(1, T0 + 5 * SECOND_NS, 1.0, 1), (0, T0, 1.0, 1)], state=state)
    assert state.next_close() == T0 + SECOND_NS
    run(spec, [(-1, T0 + 60 * SECOND_NS, 0, 0)], state=state)
    assert state.next_close() is None


def test_a_capsule_that_is_not_whole_or_not_of_this_timeframe_is_refused():
    spec = BarSpec.parse("1s", flat_bars_max=3)
    state = BarState(spec, 2)
    run(spec, [(0, T0, 1.0, 1)], state=state)
    blob = state.save()
    assert BarState.load(spec, blob).save() == blob
    refused = {
        "not a capsule of bars": [b"", b"SFBR", b"XXXX" + blob[4:]],
        "do not match their digest": [blob[:-1], blob[:60] + b"\xff" + blob[61:], blob + b"\0"],
        "version 9": [blob[:4] + b"\x09" + blob[5:]],
    }
    for words, blobs in refused.items():
        for bad in blobs:
            with pytest.raises(IndicatorError, match=words):
                BarState.load(spec, bad)
    with pytest.raises(
        IndicatorError, match=r"holds .*flat_bars_max=3.*, wanted .*flat_bars_max=0"
    ):
        BarState.load(BarSpec.parse("1s"), blob)


def test_a_second_process_compiles_nothing(tmp_path: Path):
    program = (
        "from indicators import bar_kernels as k\n"
        "from indicators.bars import *\n"
        "for name in ('1s', '2t', '3v'):\n"
        "    spec = BarSpec.parse(name)\n"
        "    update(spec, BarState(spec, 1), [0], [10**18], [1.0], [1.0])\n"
        "print(sum(k.build.stats.cache_misses.values()))\n"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    root = Path(__file__).parents[2]
    misses = [
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True, text=True, check=True, env=environment, cwd=root,
        ).stdout.strip()
        for _ in range(2)
    ]  # fmt: skip
    assert misses == ["1", "0"]
