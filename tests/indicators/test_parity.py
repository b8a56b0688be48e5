"""Each indicator against its oracle, nearly always pandas-ta: values and missing values."""

from typing import Any

import pytest

from indicators import CATALOGUE, Plan, frame
from tests.indicators.market import bars_of_ticks, markets, untied
from tests.indicators.parity import UNTIED, cases, differences, expected


@pytest.mark.parametrize(("name", "given"), cases(), ids=lambda part: str(part).strip("{}"))
def test_an_indicator_equals_its_oracle(name: str, given: dict[str, Any]) -> None:
    entry = CATALOGUE[name]
    built = entry.build((), given)
    plan = Plan(dict(zip(built.columns, built.series, strict=True)))
    for market, found in markets().items():
        bars = untied(found) if name in UNTIED else found
        theirs = expected(entry, bars, given)
        assert list(theirs.columns) == list(built.columns)
        ours = frame(bars, plan)
        for column in theirs.columns:
            wanted = theirs[column].to_numpy(dtype=float)
            bad = differences(name, ours[column].to_numpy(), wanted)
            assert not len(bad), (
                f"{column} on {market}: {len(bad)} rows differ, first {bad[:3]}: "
                f"{ours[column].to_numpy()[bad[:3]]} is not {wanted[bad[:3]]}"
            )


ON_THE_TAPE = (
    *("sma", "ema", "rma", "wma", "vwma", "dema", "tema", "hma", "kama", "rsi", "macd", "kc"),
    *("bbands", "donchian", "true_range", "atr", "natr", "adx", "stoch", "stochrsi", "cci"),
    *("willr", "roc", "mom", "obv", "mfi", "stdev", "variance", "zscore", "linreg", "slope"),
    *("psar", "supertrend"),
)
# BAC stands still for minutes: what pandas leaves of a spread of nothing decides these there.
NOISE_OF_THE_ORACLE = {"BAC": {"bbands", "stochrsi", "zscore"}, "IBM": set[str]()}


@pytest.mark.parametrize("symbol", ["IBM", "BAC"])
def test_the_first_definitions_equal_pandas_ta_on_bars_built_from_real_ticks(symbol: str) -> None:
    bars = bars_of_ticks(symbol)
    assert len(bars) > 300
    for name in sorted({*ON_THE_TAPE} - NOISE_OF_THE_ORACLE[symbol]):
        entry = CATALOGUE[name]
        built = entry.build()
        ours = frame(bars, Plan(dict(zip(built.columns, built.series, strict=True))))
        theirs = expected(entry, bars, {})
        for column in theirs.columns:
            wanted = theirs[column].to_numpy(dtype=float)
            bad = differences(name, ours[column].to_numpy(), wanted)
            assert not len(bad), f"{column}: {len(bad)} rows differ, first {bad[:3]}"
