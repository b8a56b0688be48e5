"""Candles, cycles and statistics against pandas-ta: with which parameters, and how closely."""

from functools import partial
from typing import Any

import pandas as pd
import talib

from indicators.catalogue import CATALOGUE
from indicators.definitions.candle.patterns import PATTERNS

PRICES = ("open", "high", "low", "close")
NATIVE = ("doji", "inside")
TALIB = [name for name in sorted(PATTERNS) if name not in NATIVE]
"""The patterns that pandas-ta leaves to TA-Lib."""
PENETRATION = [name for name in TALIB if "penetration" in CATALOGUE[f"cdl_{name}"].usage]
"""Those with a parameter of their own."""

UNCOMPARED = {
    "cdl_pattern": "each pattern is compared by its own name",
    "tos_stdevall": "compared in test_statistics, with the tables that end on a row",
}


def pattern(name: str, bars: pd.DataFrame, scalar: float = 100, **given: float) -> pd.DataFrame:
    """What TA-Lib finds, as pandas-ta scales it."""
    found = getattr(talib, f"CDL{name.upper()}")(*(bars[price] for price in PRICES), **given)
    return pd.DataFrame({f"CDL_{name.upper()}": 0.01 * scalar * found})


def inside(bars: pd.DataFrame, **given: Any) -> pd.DataFrame:
    """What pandas-ta gives where its first row is compared with its like, which is no inside."""
    import pandas_ta  # parity.py has silenced its import

    turned = pd.concat([bars, bars[:1]])
    return pandas_ta.cdl_inside(*(turned[price] for price in PRICES), **given)[:-1].to_frame()


ORACLES = {f"cdl_{name}": partial(pattern, name) for name in TALIB} | {"cdl_inside": inside}

PARAMETERS: dict[str, list[dict[str, Any]]] = {
    **{f"cdl_{name}": [{}, {"scalar": 1}, {"scalar": -2.5}] for name in TALIB},
    **{
        f"cdl_{name}": [{}, {"scalar": 1}, {"penetration": 0.1}, {"penetration": 0.7}]
        for name in PENETRATION
    },
    "cdl_doji": [{}, {"length": 3, "factor": 23}, {"scalar": 1}, {"asint": False, "length": 30}],
    "cdl_inside": [{}, {"asbool": True}, {"scalar": 1}, {"scalar": -2.5}],
    "cdl_z": [{}, {"length": 12, "ddof": 0}, {"length": 100}, {"length": 20, "ddof": 20}],
    "ebsw": [
        {},
        {"length": 55, "bars": 20},
        {"length": 4, "bars": 3},
        {"initial_version": True},
        {"initial_version": True, "length": 48, "bars": 14},
    ],
    "entropy": [{}, {"length": 30}, {"length": 2, "base": 10}, {"base": 2.718281828459045}],
    "ha": [{}],
    "kurtosis": [{}, {"length": 4}, {"length": 10}, {"length": 200}],
    "mad": [{}, {"length": 2}, {"length": 10}, {"length": 100}],
    "median": [{}, {"length": 1}, {"length": 7}, {"length": 200}],
    "quantile": [{}, {"length": 10, "q": 0.9}, {"length": 7, "q": 0.25}, {"length": 1, "q": 0.1}],
    "reflex": [
        {},
        {"length": 40, "smooth": 10},
        {"length": 1},
        {"alpha": 0.2, "pi": 3.0, "sqrt2": 1.5},
    ],
    "skew": [{}, {"length": 3}, {"length": 10}, {"length": 200}],
    "stdev": [{}, {"length": 5, "ddof": 0}, {"length": 200}, {"length": 7, "ddof": 7}],
    "variance": [{}, {"length": 5, "ddof": 0}, {"length": 100}, {"length": 7, "ddof": 7}],
    "zscore": [{}, {"length": 10, "std": 2.0}, {"length": 100}, {"length": 20, "std": 0.5}],
}

ALLOWANCE: dict[str, float] = {
    "cdl_z": 1e-9,  # as variance
    "kurtosis": 1e-6,  # pandas slides sums of fourth powers
    "skew": 1e-6,  # pandas slides sums of third powers
}
