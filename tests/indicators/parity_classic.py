"""The rows of the parity table for what only pandas-ta-classic has (see `parity`)."""

import sys
import warnings
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from indicators.series import CLOSE, HIGH, OPEN, VOLUME

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the oracles' own
    import pandas_ta
    import pandas_ta_classic

PERIODS = VOLUME % 37.0 + 0.5
"""Lengths from 0 to 37 with a half, so that each bound and each way of rounding comes up."""
RISING = CLOSE > OPEN
LOW_BAND, HIGH_BAND = 0.998, 1.002

PARAMETERS: dict[str, list[dict[str, Any]]] = {
    # overlap
    "avgprice": [{}],
    "linregangle": [{}, {"length": 2}, {"length": 5}, {"length": 100}],
    "linregintercept": [{}, {"length": 2}, {"length": 5}, {"length": 100}],
    "linregslope": [{}, {"length": 2}, {"length": 5}, {"length": 100}],
    "mavp": [
        {"close": CLOSE, "periods": PERIODS, **given}
        for given in ({}, {"minperiod": 5, "maxperiod": 20}, {"maxperiod": 200}, {"minperiod": 9})
    ],
    "medprice": [{}],
    "mmar": [{}, {"length": 3, "step": 1, "num_ribbons": 10}, {"num_ribbons": 1}, {"step": 20}],
    "rainbow": [{}, {"length": 1}, {"length": 20, "num_ribbons": 3}, {"length": 7}],
    "tsf": [{}, {"length": 2}, {"length": 5}, {"length": 100}],
    "typprice": [{}],
    # trend
    "adxr": [
        {},
        {"length": 2},
        {"length": 5, "lensig": 9},
        {"mamode": "ema", "scalar": 1},
        {"drift": 3, "length": 30},
        {"mamode": "sma", "drift": 2, "lensig": 3},
    ],
    "cpr": [
        {},
        {"method": "camarilla", "levels": "all"},
        {"method": "fibonacci", "levels": "extended", "width_narrow": 0.1, "width_wide": 0.4},
        {"method": "woodie", "levels": "all", "price_position": False},
        {"levels": "basic", "width_analysis": False, "virgin_cpr": True},
        {"levels": "extended", "virgin_cpr": True, "virgin_lookforward": 2},
        {"timeframe": "intraday"},
        {"timeframe": "session", "method": "camarilla", "virgin_cpr": True},
        {"timeframe": "weekly"},
        {"timeframe": "monthly", "levels": "all"},
    ],
    "dx": [
        {},
        {"length": 1},
        {"length": 5, "scalar": 1},
        {"mamode": "ema"},
        {"drift": 3, "length": 30},
        {"mamode": "sma", "drift": 2},
    ],
    "edecay": [{}, {"length": 1}, {"length": 20}, {"length": 200}],
    "minus_dm": [{}, {"length": 1}, {"length": 5, "drift": 2}, {"length": 100}],
    "plus_dm": [{}, {"length": 1}, {"length": 5, "drift": 2}, {"length": 100}],
    "pmax": [
        {},
        {"length": 5, "multiplier": 1},
        {"mamode": "sma", "multiplier": 0.5},
        {"mamode": "dema", "length": 30},
        {"mamode": "t3", "multiplier": 1.5},
    ],
    "sarext": [
        {},
        {"startvalue": 99.0, "offsetonreverse": 0.01},
        {"accelerationinitlong": 0.01, "accelerationlong": 0.03, "accelerationmaxlong": 0.3},
        {"accelerationinitshort": 0.05, "accelerationshort": 0.01, "accelerationmaxshort": 0.1},
    ],
    "tsignals": [
        {"trend": RISING, **given}
        for given in ({}, {"trade_offset": 1}, {"drift": 3}, {"trade_offset": 2, "drift": 2})
    ],
    "xsignals": [
        {"source": CLOSE / OPEN, "xa": LOW_BAND, "xb": HIGH_BAND, **given}
        for given in ({}, {"above": False}, {"long": False}, {"long": False, "trade_offset": 1})
    ],
    # statistics
    "beta": [
        {"close": CLOSE, "benchmark": HIGH, **given}
        for given in ({}, {"length": 10}, {"length": 50}, {"length": 200})
    ],
    "correl": [
        {"close": CLOSE, "benchmark": VOLUME, **given}
        for given in ({}, {"length": 2}, {"length": 5}, {"length": 200})
    ],
    "md": [{}, {"length": 1}, {"length": 5}, {"length": 100}],
    "stderr": [
        {},
        {"length": 20, "ddof": 0},
        {"length": 99, "ddof": 2},
        {"length": 30, "ddof": 40},
    ],
    # cycle
    "dsp": [{}, {"length": 1}, {"length": 5}, {"length": 100}],
    **{f"ht_{name}": [{}] for name in ("dcperiod", "dcphase", "phasor", "sine", "trendmode")},
    "msw": [{}, {"period": 7}, {"period": 21}, {"period": 33}],
    # volatility
    "avolume": [{}, {"length": 2}, {"length": 5}, {"length": 100}],
    "ce": [
        {},
        {"length": 5, "multiplier": 1},
        {"mamode": "ema"},
        {"mamode": "sma", "length": 50, "multiplier": 2.5},
    ],
    "cvi": [{}, {"length": 1}, {"length": 5}, {"length": 100}],
    "hvol": [{}, {"length": 2}, {"length": 5, "annualization": 52}, {"length": 100}],
    # volume
    "emv": [{}, {"drift": 3}, {"divisor": 1}, {"drift": 20, "divisor": 1e8}],
    "marketfi": [{}],
    "vfi": [
        {},
        {"coef": 0.002},
        {"length": 20, "coef": 0.004, "vcoef": 1.5},
        {"length": 50, "coef": 0.001, "mamode": "sma"},
        {"length": 30, "coef": 0.001, "vcoef": 0.5, "mamode": "rma"},
    ],
    "vosc": [{}, {"fast": 1, "slow": 9}, {"fast": 50, "slow": 10}, {"slow": 200}],
    "wad": [{}],
    # momentum
    "fosc": [{}, {"length": 2}, {"length": 5}, {"length": 100}],
    "lrsi": [{}, {"gamma": 0.1}, {"gamma": 0.7, "length": 5}, {"gamma": 0.9}],
    "macdext": [
        {},
        {"fast": 20, "slow": 5, "fastmatype": 0, "slowmatype": 2, "signalmatype": 3},
        {"fastmatype": 4, "slowmatype": 5, "signalmatype": 8},
        {"fast": 7, "slow": 30, "signal": 4, "fastmatype": 6, "slowmatype": 8, "signalmatype": 7},
    ],
    "macdfix": [{}, {"signal": 1}, {"signal": 5}, {"signal": 50}],
    "po": [{}, {"length": 5}, {"length": 9}, {"length": 100}],
    "rocp": [{}, {"length": 1}, {"length": 5}, {"length": 100}],
    "rocr": [{}, {"length": 1}, {"length": 5}, {"length": 100}],
    "rocr100": [{}, {"length": 1}, {"length": 5}, {"length": 100}],
    "smc_sweep": [{}, {"length": 3}, {"length": 5, "wick_mult": 0.5}, {"wick_mult": 3}],
    "td_seq": [{}, {"asint": True}, {"show_all": False}, {"show_all": False, "asint": True}],
    "trixh": [{}, {"length": 5, "signal": 3}, {"scalar": 1, "drift": 4}, {"length": 40}],
    "vwmacd": [{}, {"fast": 5, "slow": 9, "signal": 3}, {"fast": 30, "slow": 10}, {"signal": 2}],
}

ALLOWANCE: dict[str, float] = {
    "avolume": 1e-9,  # as stdev
    "hvol": 1e-9,  # as stdev
    "macdext": 1e-11,  # a small gap of means of which one (t3) is itself a sum of large ones
    "stderr": 1e-9,  # as stdev
    "trixh": 1e-9,  # pandas-ta-classic takes 1 off a ratio that is nearly 1
    "vwmacd": 1e-10,  # a small gap of means that pandas slides
}

UNTIED = frozenset({"msw"})
"""Those that turn at a tie, which rounding decides: compared where there is none."""

PRICES = ("open", "high", "low", "close")
CALENDAR = {"session": "D", "weekly": "W-SUN", "monthly": "M"}


def previous_with_bars(unit: str) -> Callable[..., pd.DataFrame]:
    """The bar of the last day, week or month before a row's that has bars."""

    def find(bars: pd.DataFrame, *_: Any) -> pd.DataFrame:
        keys = bars.index.tz_localize(None).to_period(unit)
        how = {"open": "first", "high": "max", "low": "min", "close": "last"}
        before = bars.groupby(keys).agg(how).shift(1).reindex(keys)
        return before.set_axis(bars.index).add_prefix("prev_")

    return find


def central_range(bars: pd.DataFrame, **given: Any) -> pd.DataFrame:
    """Central pivot range, of the week before and not two before, virgins when they are known."""
    prices = [bars[name] for name in PRICES]
    with pytest.MonkeyPatch.context() as patch:
        if given.get("timeframe") in CALENDAR:
            unit = CALENDAR[given.pop("timeframe")]
            module = sys.modules["pandas_ta_classic.trend.cpr"]
            patch.setattr(module, "get_previous_period_ohlcv", previous_with_bars(unit))
        result = pandas_ta_classic.cpr(*prices, **given)
    if "CPR_VIRGIN" in result:
        virgin = result["CPR_VIRGIN"].astype(float)
        result["CPR_VIRGIN"] = virgin.shift(given.get("virgin_lookforward", 5), fill_value=0.0)
    return result


def crossed_again(bars: pd.DataFrame, source: Any, **given: Any) -> pd.DataFrame:
    """Cross signals, told one more crossing, so that the trend of the last rows is written."""
    ratio = bars["close"] / bars["open"]
    more = pd.concat([ratio, pd.Series([0.9, 1.1, 0.9])], ignore_index=True)
    return pandas_ta.xsignals(more, **given).head(len(bars)).set_axis(bars.index)


def varying(bars: pd.DataFrame, close: Any, periods: Any, **given: Any) -> pd.DataFrame:
    """Mean over PERIODS."""
    return pandas_ta_classic.mavp(bars["close"], bars["volume"] % 37.0 + 0.5, **given).to_frame()


def rising(bars: pd.DataFrame, trend: Any, **given: Any) -> pd.DataFrame:
    """Trades while the candles rise."""
    return pandas_ta.tsignals(bars["close"] > bars["open"], **given)


ORACLES: dict[str, Callable[..., pd.DataFrame]] = {
    "cpr": central_range,
    "mavp": varying,
    "tsignals": rising,
    "xsignals": crossed_again,
}
