"""The rows of the parity table for overlap, trend and volatility (see `parity`)."""

import warnings
from collections.abc import Callable
from typing import Any

import pandas as pd

from indicators.series import CLOSE, OPEN
from tests.indicators.parity_momentum import cheap_by_row

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pandas_ta

LINES = {"fast": CLOSE, "slow": OPEN}
"""What the runs of two lines are compared on."""

PARAMETERS: dict[str, list[dict[str, Any]]] = {
    # overlap
    "alligator": [{}, {"jaw": 21, "teeth": 3, "lips": 2}, {"jaw": 5, "teeth": 34, "lips": 8}],
    "alma": [
        {},
        {"length": 50, "sigma": 4.0},
        {"length": 2, "dist_offset": 0.1},
        {"length": 21, "sigma": 10, "dist_offset": 0.5},
    ],
    "fwma": [{}, {"length": 2}, {"length": 34}, {"length": 100}],
    "hilo": [
        {},
        {"high_length": 21, "low_length": 13},
        {"high_length": 5, "low_length": 5, "mamode": "ema"},
        {"mamode": "rma", "high_length": 8},
    ],
    "hwma": [{}, {"na": 0.5}, {"nb": 0.3, "nc": 0.02}, {"na": 0.9, "nb": 0.9, "nc": 0.9}],
    "ichimoku": [
        {},
        {"include_chikou": False},
        {"tenkan": 3, "kijun": 7, "senkou": 15},
        {"tenkan": 20, "kijun": 60, "senkou": 120},
    ],
    "jma": [{}, {"length": 30, "phase": 50.0}, {"length": 2, "phase": -150}, {"phase": 120}],
    "mama": [
        {},
        {"fastlimit": 0.8, "slowlimit": 0.01, "prenan": 1},
        {"fastlimit": 0.3},
        {"prenan": 32},
    ],
    "mcgd": [{}, {"length": 50}, {"length": 20, "c": 0.6}, {"length": 200}],
    "midpoint": [{}, {"length": 1}, {"length": 20}, {"length": 200}],
    "midprice": [{}, {"length": 1}, {"length": 20}, {"length": 200}],
    "pivots": [
        {},
        {"method": "fibonacci"},
        {"method": "woodie"},
        {"method": "classic"},
        {"method": "camarilla"},
    ],
    "pwma": [{}, {"length": 2}, {"length": 25}, {"length": 100}],
    "sinwma": [{}, {"length": 1}, {"length": 30}, {"length": 200}],
    "smma": [{}, {"length": 2}, {"length": 40}, {"length": 10, "mamode": "ema"}],
    "ssf": [{}, {"length": 5}, {"everget": True, "length": 40}, {"pi": 3.0, "sqrt2": 1.5}],
    "ssf3": [{}, {"length": 5}, {"length": 60}, {"pi": 3.0, "sqrt3": 1.7}],
    "swma": [{}, {"length": 2}, {"length": 3}, {"length": 31}],
    "t3": [{}, {"length": 3}, {"length": 40, "a": 0.2}, {"a": 0.95}],
    "trima": [{}, {"length": 2}, {"length": 7}, {"length": 40}],
    "vidya": [{}, {"length": 5}, {"length": 50}, {"length": 9}],
    "wcp": [{}],
    "zlma": [
        {"mamode": mamode}
        for mamode in (
            "dema",
            "ema",
            "fwma",
            "hma",
            "linreg",
            "midpoint",
            "pwma",
            "rma",
            "sinwma",
            "sma",
            "swma",
            "t3",
            "tema",
            "trima",
            "wma",
        )
    ]
    + [{}, {"length": 2}, {"length": 35}],
    # trend
    "alphatrend": [
        {},
        {"volume": None},
        {"volume": None, "src": "open", "threshold": 40, "mamode": "ema"},
        {"length": 7, "multiplier": 2.5, "lag": 5, "mamode": "rma"},
    ],
    "amat": [
        {},
        {"fast": 3, "slow": 9, "lookback": 1},
        {"mamode": "sma", "lookback": 5},
        {"mamode": "wma", "fast": 30, "slow": 10},
    ],
    "aroon": [{}, {"length": 1}, {"length": 25, "scalar": 1}, {"length": 200}],
    "chop": [
        {},
        {"length": 5, "atr_length": 3},
        {"ln": True, "scalar": 1},
        {"length": 50, "atr_length": 14},
    ],
    "cksp": [
        {},
        {"tvmode": True},
        {"tvmode": False, "p": 5},
        {"p": 21, "x": 1.5, "q": 7.0, "mamode": "ema"},
    ],
    "decay": [{}, {"length": 20}, {"mode": "exp", "length": 5}, {"mode": "exponential"}],
    "decreasing": [
        {},
        {"length": 3},
        {"length": 4, "strict": True},
        {"length": 2, "strict": True, "percent": 0.5},
        {"length": 5, "strict": True, "drift": 2, "percent": 0.1},
    ],
    "dm": [{}, {"length": 5, "drift": 2}, {"mamode": "ema"}, {"mamode": "sma", "length": 30}],
    "dpo": [{}, {"centered": False}, {"length": 7}, {"length": 2}],
    "ht_trendline": [{}, {"prenan": 1}, {"prenan": 13}, {"prenan": 200}],
    "increasing": [
        {},
        {"length": 3},
        {"length": 4, "strict": True},
        {"length": 2, "strict": True, "percent": 0.5},
        {"length": 5, "strict": True, "drift": 2, "percent": 0.1},
    ],
    "long_run": [LINES, LINES | {"length": 1}, LINES | {"length": 9}, LINES | {"length": 30}],
    "qstick": [{}, {"length": 3}, {"mamode": "ema"}, {"mamode": "wma", "length": 40}],
    "rwi": [{}, {"length": 5}, {"mamode": "ema"}, {"mamode": "sma", "length": 30}],
    "short_run": [LINES, LINES | {"length": 1}, LINES | {"length": 9}, LINES | {"length": 30}],
    "trendflex": [
        {},
        {"length": 10, "smooth": 5},
        {"length": 40, "alpha": 0.1},
        {"pi": 3.0, "sqrt2": 1.5},
    ],
    "ttm_trend": [{}, {"length": 1}, {"length": 2}, {"length": 30}],
    "vhf": [{}, {"length": 5}, {"length": 10, "drift": 3}, {"length": 100}],
    "vortex": [{}, {"length": 5}, {"length": 10, "drift": 3}, {"length": 100}],
    "zigzag": [
        {},
        {"legs": 4, "deviation": 1},
        {"legs": 3, "deviation": 0.5},
        {"legs": 25, "deviation": 3.0},
    ],
    # volatility
    "aberration": [{}, {"length": 20, "atr_length": 5}, {"length": 2}, {"atr_length": 50}],
    "accbands": [{}, {"length": 5, "c": 2.5}, {"mamode": "ema"}, {"mamode": "wma", "length": 40}],
    "atrts": [
        {},
        {"length": 30, "ma_length": 10, "k": 1.5},
        {"mamode": "rma", "percent": True},
        {"mamode": "sma", "drift": 2},
    ],
    "chandelier_exit": [
        {},
        {"high_length": 10, "low_length": 30, "multiplier": 1.5},
        {"use_close": True, "atr_length": 5},
        {"mamode": "ema", "drift": 2, "multiplier": 3},
    ],
    "hwc": [
        {},
        {"channels": False, "scalar": 2},
        {"na": 0.5, "nd": 0.3, "scalar": 1.5},
        {"nb": 0.3, "nc": 0.02},
    ],
    "massi": [{}, {"fast": 25, "slow": 9}, {"fast": 3, "slow": 5}, {"slow": 100}],
    "pdist": [{}, {"drift": 2}, {"drift": 5}, {"drift": 30}],
    "rvi": [
        {},
        {"refined": True},
        {"thirds": True, "length": 7},
        {"mamode": "sma", "scalar": 1, "drift": 2},
    ],
    "thermo": [
        {},
        {"length": 5, "long": 1.5, "short": 0.7},
        {"mamode": "sma"},
        {"mamode": "rma", "drift": 3},
    ],
    "ui": [{}, {"length": 5}, {"everget": True}, {"length": 50, "scalar": 1}],
}


def with_volume(bars: pd.DataFrame, **given: Any) -> pd.DataFrame:
    """Alphatrend as the accessor of pandas-ta calls it: with volume where there is any."""
    prices = [bars[name] for name in ("open", "high", "low", "close")]
    return pandas_ta.alphatrend(*prices, **{"volume": bars["volume"]} | given)


def on_the_row_that_knows(
    bars: pd.DataFrame, length: int = 20, centered: bool = True
) -> pd.DataFrame:
    """Detrended price, each value on the row from which it is known."""
    result = pandas_ta.dpo(bars["close"], length, centered).to_frame()
    return result.shift(length // 2 + 1) if centered else result


def chikou_on_its_row(bars: pd.DataFrame, kijun: int = 26, **given: Any) -> pd.DataFrame:
    """The first table of ichimoku, with the lagging close on the row of that close."""
    prices = bars["high"], bars["low"], bars["close"]
    table, _ = pandas_ta.ichimoku(*prices, kijun=kijun, **given)
    if f"ICS_{kijun}" in table:
        table[f"ICS_{kijun}"] = table[f"ICS_{kijun}"].shift(kijun - 1)
    return table


def confirmed(bars: pd.DataFrame, **given: Any) -> pd.DataFrame:
    """Zigzag's backtest, told one more row, since it does not look at the last one."""
    more = pd.concat([bars, bars.tail(1)])
    return pandas_ta.zigzag(more["high"], more["low"], backtest=True, **given).head(len(bars))


ORACLES: dict[str, Callable[..., pd.DataFrame]] = {
    "alphatrend": with_volume,
    "dpo": on_the_row_that_knows,
    "ichimoku": chikou_on_its_row,
    "zigzag": confirmed,
    **{name: cheap_by_row(name) for name in ("pdist", "qstick")},
}

UNTIED = frozenset({"amat", "hilo", "thermo", "ttm_trend"})
"""Those that turn at a tie, which pandas-ta's rounding decides: compared where there is none.

test_lines has the ties.
"""
