"""The catalogue as methods of a DataFrame, for people who come from pandas-ta."""

import numpy as np
import pandas as pd
import pytest

import indicators.accessor  # noqa: F401 - registers `df.fleet`
from indicators import CATALOGUE, IndicatorError, ParameterError, frame
from tests.indicators.market import generated
from tests.indicators.parity import pandas_ta  # which is quiet there, and without TA-Lib


@pytest.fixture
def walk() -> pd.DataFrame:
    return generated()["walk"].copy()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("rsi", {}),
        ("rsi", {"length": 5}),
        ("macd", {"fast": 5, "slow": 9}),
        ("bbands", {"length": 10}),
        ("atr", {}),
        ("obv", {}),
        ("ema", {"length": 20, "close": "open"}),
        ("sma", {"length": 5, "offset": 2}),
    ],
)
def test_the_call_gives_the_names_and_values_of_pandas_ta(walk, name, options) -> None:
    ours = getattr(walk.fleet, name)(**options)
    inputs = {each.name: repr(each.default) for each in CATALOGUE[name].inputs}
    series = {key: walk[options.get(key, column)] for key, column in inputs.items()}
    theirs = getattr(pandas_ta, name)(**{**options, **series})
    if isinstance(theirs, pd.Series):
        pd.testing.assert_series_equal(ours, theirs, rtol=1e-9)
    else:
        pd.testing.assert_frame_equal(ours, theirs, rtol=1e-9)


def test_append_adds_the_columns_to_the_table_and_returns_them(walk) -> None:
    before = list(walk)
    returned = walk.fleet.macd(append=True)
    assert list(walk) == [*before, "MACD_12_26_9", "MACDh_12_26_9", "MACDs_12_26_9"]
    pd.testing.assert_frame_equal(walk[list(returned)], returned)
    walk.fleet.rsi(append=True)
    walk.fleet.rsi(append=True)  # again: the column is renewed
    assert list(walk)[-1] == "RSI_14"


def test_a_prefix_and_a_suffix_go_around_the_names(walk) -> None:
    assert walk.fleet.rsi(length=5, prefix="my", suffix="x").name == "my_RSI_5_x"


def test_instruments_of_one_table_are_told_apart() -> None:
    walk, cheap = generated()["walk"], generated()["cheap"]
    mixed = pd.concat([walk.assign(symbol="A"), cheap.assign(symbol="B")], ignore_index=True)
    values = mixed.fleet.rsi()
    for symbol, bars in {"A": walk, "B": cheap}.items():
        alone = bars.fleet.rsi().to_numpy()
        pd.testing.assert_series_equal(
            values[mixed["symbol"] == symbol].reset_index(drop=True),
            pd.Series(alone, name="RSI_14"),
        )


def test_columns_are_found_in_any_case_and_the_exact_one_wins(walk) -> None:
    wanted = walk.fleet.atr()
    pd.testing.assert_series_equal(walk.rename(columns=str.title).fleet.atr(), wanted)
    pd.testing.assert_series_equal(walk.assign(CLOSE=0.0).fleet.atr(), wanted)


def test_series_without_a_default_are_named_columns(walk) -> None:
    bars = walk.assign(market=walk["close"].shift(3).bfill() ** 2)
    ours = bars.fleet.correl(close="close", benchmark="market", length=20)
    wanted = bars["close"].rolling(20).corr(bars["market"])
    assert ours.name == "CORREL_20"
    pd.testing.assert_series_equal(ours, wanted, check_names=False, rtol=1e-6)
    pd.testing.assert_series_equal(bars.fleet.correl(benchmark="market", length=20), ours)


def test_every_indicator_with_defaults_is_there_and_is_listed(walk) -> None:
    assert set(CATALOGUE) <= set(dir(walk.fleet))
    for name in ("ichimoku", "supertrend", "cdl_pattern", "connors_rsi"):
        values = getattr(walk.fleet, name)()
        assert len(values) == len(walk)


def test_a_call_takes_expressions_like_frame(walk) -> None:
    expressions = {"gap": "close - ema(close, 20)"}
    pd.testing.assert_frame_equal(walk.fleet(expressions), frame(walk, expressions))


def test_mistakes_are_named(walk) -> None:
    with pytest.raises(AttributeError, match="no indicator is called 'rsj'; do you mean rsx, rsi"):
        walk.fleet.rsj()
    with pytest.raises(ParameterError, match="no column 'adjusted', only open"):
        walk.fleet.rsi(close="adjusted")
    with pytest.raises(ParameterError, match="length=0"):
        walk.fleet.rsi(length=0)
    assert "rsi(close=close, length=14" in walk.fleet.rsi.__doc__


def test_a_coarser_timeframe_is_that_of_the_plan(walk) -> None:
    bars = walk.set_axis(pd.date_range("2025-01-01", periods=len(walk), freq="1min"))
    ours = bars.fleet.at("1m").rsi(length=14, on="5m")
    expressions = ["rsi(close, 14, on='5m')", "trima(close, 4, on='5m')"]
    wanted = frame(bars, expressions, "1m")
    assert ours.name == "RSI_14_5m"
    pd.testing.assert_series_equal(ours, wanted["RSI_14_5m"])
    pd.testing.assert_frame_equal(bars.fleet.at("1m")(expressions), wanted)
    bars.fleet.at("1m").macd(on="15m", append=True)
    assert "MACD_12_26_9_15m" in bars
    timed = (
        walk.assign(time_s=60.0 * np.arange(1, len(walk) + 1))
        .fleet.at("1m")
        .rsi(length=14, on="5m")
    )
    assert timed.notna().any()
    with pytest.raises(ParameterError, match=r"df.fleet.at\('1m'\).rsi"):
        bars.fleet.rsi(on="5m")
    with pytest.raises(IndicatorError, match="not a multiple"):
        bars.fleet.at("3m").rsi(on="5m")
