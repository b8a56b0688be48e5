"""Series over coarser bars: their last closed value, no look-ahead, no bar of delay."""

import itertools
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from indicators import CLOSE, HIGH, LOW, IndicatorError, Plan, frame, on
from indicators.errors import ExpressionError
from indicators.series import OPEN, VOLUME
from tests.conftest import shared_data
from tests.indicators.market import generated
from tests.indicators.subjects import Columns, cut, run, same_bits

ROWS = 400
MINUTE = 60
EXPRESSIONS = {
    "rsi": "rsi(close, 14, on='5m')",
    "gap": "close - ema(close, 9, on='5m')",
    "bands": "bbands(close, 10, on='15m').upper",
    "adx": "adx(length=5, on='15m').adx",
    "sma": "sma(close - open, 3, on='2m')",
    "vwma": "vwma(length=4, on='1h')",
    "count": "natr(length=3, on='1m')",
    "plain": "atr(length=5)",
}
AGGREGATION = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
few = settings(max_examples=20, deadline=None, derandomize=True)


@cache
def subject() -> Plan:
    return Plan.parse(EXPRESSIONS, timeframe="1m")


@cache
def columns(market: str = "walk", seed: int = 0) -> Columns:
    """One-minute bars with gaps: single minutes, and runs longer than a coarser bar."""
    bars = generated()[market].head(ROWS)
    random = np.random.default_rng(seed)
    steps = np.where(random.random(ROWS) < 0.8, 1, random.integers(1, 12, ROWS))
    made = {name: bars[name].to_numpy() for name in AGGREGATION}
    return made | {"time_s": (1_700_000_100 + np.cumsum(steps) * MINUTE).astype(float)}


def resampled(bars: Columns, expression: str, minutes: int) -> NDArray[np.float64]:
    """What pandas makes of it: coarser bars, the plain indicator over them, as of each row."""
    table = pd.DataFrame(bars).set_index("time_s")
    table.index = pd.to_datetime(table.index, unit="s")
    rule = {"rule": f"{minutes}min", "closed": "right", "label": "right"}
    coarser = table.resample(**rule).agg(AGGREGATION).dropna(subset=["close"])
    values = frame(coarser, {"x": expression})["x"]
    return values.reindex(table.index, method="ffill").to_numpy()


@pytest.mark.parametrize(
    ("name", "expression", "minutes"),
    [
        ("rsi", "rsi(close, 14)", 5),
        ("bands", "bbands(close, 10).upper", 15),
        ("adx", "adx(length=5).adx", 15),
        ("sma", "sma(close - open, 3)", 2),
        ("vwma", "vwma(length=4)", 60),
        ("count", "natr(length=3)", 1),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_indicator_of_resampled_bars(
    name: str, expression: str, minutes: int, seed: int
) -> None:
    bars = columns("walk", seed)
    closes = bars["time_s"] % (minutes * MINUTE) == 0
    last = np.flatnonzero(closes)[-1]  # pandas shows its last bar before that has closed
    wanted, got = resampled(bars, expression, minutes), run(subject(), bars)[name]
    assert np.isfinite(got).any()
    np.testing.assert_allclose(got[: last + 1], wanted[: last + 1], rtol=1e-12)


def test_a_bar_that_closes_with_its_row_shows_on_that_row_and_no_earlier() -> None:
    plan = Plan.parse({"x": on(CLOSE, "5m")}, "1m")
    time = np.arange(1, 12) * 60.0
    got = run(plan, {"close": np.arange(1.0, 12.0), "time_s": time})["x"]
    assert np.array_equal(got, [np.nan] * 4 + [5.0] * 5 + [10.0] * 2, equal_nan=True)


def test_one_row_may_close_two_bars() -> None:
    plan = Plan.parse({"last": on(CLOSE, "5m"), "sum": "sma(close, 2, on='5m')"}, "1m")
    bars = {"close": np.array([1.0, 2.0, 7.0]), "time_s": np.array([60.0, 120.0, 600.0])}
    assert list(run(plan, bars)["last"])[2] == 7.0
    assert list(run(plan, bars)["sum"])[2] == 4.5


def test_the_fields_of_a_coarser_bar_leave_missing_values_out() -> None:
    fields = {"o": OPEN, "h": HIGH, "l": LOW, "c": CLOSE, "v": VOLUME}
    plan = Plan.parse({name: on(field, "3m") for name, field in fields.items()}, "1m")
    nan = np.nan
    bars = {
        "open": [nan, 2.0, 3.0],
        "high": [5.0, nan, 4.0],
        "low": [1.0, 0.5, nan],
        "close": [2.0, 3.0, nan],
        "volume": [10.0, nan, 5.0],
        "time_s": [60.0, 120.0, 180.0],
    }
    got = run(plan, {name: np.array(column) for name, column in bars.items()})
    assert [got[name][2] for name in "ohlcv"] == [2.0, 5.0, 0.5, 3.0, 15.0]


@few
@given(cuts=st.lists(st.integers(0, ROWS), max_size=8))
def test_any_cut_gives_the_same_bits(cuts: list[int]) -> None:
    bars, state, pieces = columns(), subject().new_state(1), []
    for start, stop in itertools.pairwise([0, *sorted(cuts), ROWS]):
        slots = np.zeros(stop - start, np.int64)
        pieces.append(subject().run(state, slots, cut(bars, start, stop)))
    for name, column in run(subject(), bars).items():
        assert same_bits(np.concatenate([piece[name] for piece in pieces]), column), name


@few
@given(order=st.randoms(use_true_random=False))
def test_instruments_never_meet(order: object) -> None:
    markets = [columns(name, seed) for seed, name in enumerate(("walk", "coarse", "cheap"))]
    turns = np.repeat(np.arange(3), ROWS)
    order.shuffle(turns)  # type: ignore[attr-defined]
    mixed = {name: np.empty(3 * ROWS) for name in markets[0]}
    for (k, market), name in itertools.product(enumerate(markets), mixed):
        mixed[name][turns == k] = market[name]
    together = run(subject(), mixed, turns)
    for k, market in enumerate(markets):
        for name, column in run(subject(), market).items():
            assert same_bits(together[name][turns == k], column), name


@few
@given(seed=st.integers(0, 1_000))
def test_a_forming_row_leaves_no_trace_and_equals_its_final_row(seed: int) -> None:
    """The stray rows are anywhere in time too: many of them close two bars."""
    bars, other = columns(), columns("coarse", 1)
    peeks = np.random.default_rng(seed).integers(0, 4, ROWS)
    rows = np.repeat(np.arange(ROWS), peeks + 1)
    final = np.append(np.diff(rows) > 0, True)
    last_peek = np.append(final[1:], False) & ~final
    stray = ~final & ~last_peek
    mixed = {name: np.where(stray, other[name][rows], bars[name][rows]) for name in bars}
    state, clean = subject().new_state(1), subject().new_state(1)
    slots = np.zeros(len(rows), np.int64)
    got = subject().run(state, slots, mixed, final)
    for name, column in subject().run(clean, slots[:ROWS], bars).items():
        assert same_bits(got[name][final], column), f"{name}: a forming row left a trace"
        assert same_bits(got[name][last_peek], column[rows[last_peek]]), f"{name}: forming"
    assert state.tobytes() == clean.tobytes()


@few
@given(row=st.integers(0, ROWS))
def test_saving_and_loading_at_any_row_changes_nothing(row: int) -> None:
    bars, slots, state = columns(), np.zeros(ROWS, np.int64), subject().new_state(2)
    subject().run(state, slots[:row], cut(bars, 0, row))
    fresh = subject().new_state(3)
    subject().load(fresh, 2, subject().save(state, 0))
    again = subject().run(fresh, slots[row:] + 2, cut(bars, row, ROWS))
    for name, column in run(subject(), bars).items():
        assert same_bits(again[name], column[row:]), name


def test_the_warm_up_counts_rows_of_the_plan() -> None:
    plan = Plan.parse(["sma(close, 4, on='5m')"], "1m")
    time = np.arange(1, 61) * 60.0
    got = run(plan, {"close": time, "time_s": time})[plan.outputs[0]]
    assert plan.warmup == np.flatnonzero(~np.isnan(got))[0] == 19
    assert plan.outputs == ("SMA_4_5m",)


@pytest.mark.parametrize(
    ("expression", "timeframe", "message"),
    [
        ("rsi(on='5m')", None, "needs the timeframe"),
        ("rsi(on='5m')", "2m", "not a multiple of the plan's timeframe '2m'"),
        ("rsi(on='1m')", "5m", "not a multiple"),
        ("rsi(on='5m')", "100t", "not one of time"),
        ("rsi(on='7m')", "1m", "does not divide a day"),
        ("rsi(on='100t')", "1m", "not one of time"),
        ("rsi(on=5)", "1m", "on=5 is not a str"),
        ("ema(rsi(on='5m'), 3, on='15m')", "1m", "holds one that is on a timeframe"),
    ],
)
def test_a_timeframe_that_does_not_fit_is_refused(
    expression: str, timeframe: str | None, message: str
) -> None:
    with pytest.raises(IndicatorError, match=message):
        Plan.parse({"x": expression}, timeframe)


def test_an_expression_says_where_its_timeframe_is_wrong() -> None:
    with pytest.raises(ExpressionError, match=r"column 9\)"):
        Plan.parse({"x": "close - rsi(on='7m')"}, "1m")


def test_a_bad_slot_moves_nothing() -> None:
    state, bars = subject().new_state(1), columns()
    with pytest.raises(IndicatorError, match="row 0: slot 1"):
        subject().run(state, np.ones(ROWS, np.int64), bars)
    assert not state.any()


def test_a_table_of_real_bars_gives_what_pandas_resamples() -> None:
    path = next(iter(sorted(shared_data("data/bars").glob("*1m*.csv.gz"))), None)
    if path is None:
        pytest.skip("no one-minute bars beside the checkout")
    table = pd.read_csv(path)
    table = table[table["symbol"] == table["symbol"].iloc[0]].head(5_000).drop(columns="symbol")
    table.index = pd.to_datetime(table.pop("ts"), utc=True)
    got = frame(table.astype(float), {"x": "rsi(close, 14, on='5m')"}, timeframe="1m")["x"]
    coarser = table.resample("5min").agg(AGGREGATION).dropna(subset=["close"])
    values = frame(coarser.astype(float), {"x": "rsi(close, 14)"})["x"]
    values.index = values.index + pd.Timedelta("4min")  # the row that closes with it
    wanted = values.reindex(table.index, method="ffill")
    complete = got.index <= values.index[-2]
    np.testing.assert_allclose(got[complete], wanted[complete], rtol=1e-12)
