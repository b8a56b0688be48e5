"""Tables in, tables out: the same numbers as live bars give."""

import numpy as np
import pandas as pd
import pytest

from indicators import DAY, IndicatorError, Plan, frame
from indicators.operators import session_sum
from indicators.series import VOLUME
from tests.indicators.market import generated
from tests.indicators.subjects import columns, run, same_bits


def test_a_table_gives_what_the_plan_gives_and_keeps_its_index() -> None:
    bars = generated()["walk"].set_index(pd.RangeIndex(1_000, 2_500))
    table = frame(bars, ["rsi()", "macd()"])
    assert table.index.equals(bars.index)
    live = run(Plan.parse(["rsi()", "macd()"]), columns(rows=1_500))
    assert list(table) == list(live)
    assert all(same_bits(table[name].to_numpy(), live[name]) for name in live)


def test_instruments_in_one_table_are_told_apart() -> None:
    walk, cheap = generated()["walk"], generated()["cheap"]
    mixed = pd.concat([walk.assign(symbol="A"), cheap.assign(symbol="B")]).sort_index(kind="stable")
    table = frame(mixed, {"x": "ema(close, 9)"})
    for symbol, bars in {"A": walk, "B": cheap}.items():
        alone = frame(bars, {"x": "ema(close, 9)"})
        assert same_bits(table["x"][mixed["symbol"] == symbol].to_numpy(), alone["x"].to_numpy())


def test_days_come_from_the_index_or_a_column_of_times() -> None:
    bars = generated()["walk"].head(96)
    times = pd.date_range("2024-01-01 12:00", periods=96, freq="1h", tz="UTC")
    plan = Plan({"traded": session_sum(VOLUME, DAY)})
    wanted = bars["volume"].groupby(times.date).cumsum().to_numpy()
    assert np.array_equal(frame(bars.set_index(times), plan)["traded"], wanted)
    stamped = bars.assign(ts=times.as_unit("ns").asi8)
    assert np.array_equal(frame(stamped, plan)["traded"], wanted)
    with pytest.raises(IndicatorError, match="time index"):
        frame(bars.reset_index(drop=True), plan)


def test_a_missing_column_or_symbol_is_named() -> None:
    bars = generated()["walk"].drop(columns="volume")
    with pytest.raises(IndicatorError, match="no column 'volume'"):
        frame(bars, ["obv()"])
    with pytest.raises(IndicatorError, match="row 0 has no symbol"):
        frame(bars.assign(symbol=None), ["rsi()"])
