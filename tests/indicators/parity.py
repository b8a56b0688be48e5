"""The parameters with which each indicator is compared with its oracle, and how closely.

An indicator that is not named here is compared with its defaults. The oracle is pandas-ta, or
pandas-ta-classic for what only that has, unless ORACLES says otherwise.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from indicators.catalogue import CATALOGUE, Indicator
from indicators.series import Series
from tests.indicators import (
    parity_candles,
    parity_classic,
    parity_lines,
    parity_momentum,
    parity_volume,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the oracle's own, at import and below
    import pandas_ta
    import pandas_ta_classic
    from pandas_ta.maps import Imports

# Both libraries change their results where TA-Lib is installed; the oracle is without it.
Imports["talib"] = False
pandas_ta_classic.Imports["talib"] = False

UNCOMPARED = {
    **{name: "a word of ours" for name in CATALOGUE if not CATALOGUE[name].naming},
    **parity_candles.UNCOMPARED,
    **parity_volume.UNCOMPARED,
}
"""Indicators that have no oracle, each with its reason."""

PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "adx": [{}, {"length": 5, "signal_length": 9, "adxr_length": 3}, {"mamode": "ema"}],
    "atr": [
        {},
        {"length": 5, "mamode": "ema"},
        {"mamode": "sma", "length": 7},
        {"presma": False},
        {"prenan": True, "percent": True, "drift": 2},
    ],
    "bbands": [
        {},
        {"length": 20, "lower_std": 1.5, "upper_std": 3},
        {"length": 9, "ddof": 0, "mamode": "ema"},
    ],
    "cci": [{}, {"length": 40, "c": 0.02}],
    "dema": [{}, {"length": 33}],
    "donchian": [{}, {"lower_length": 5, "upper_length": 200}],
    "ema": [{}, {"length": 1}, {"length": 50}, {"length": 7, "presma": False}],
    "hma": [{}, {"length": 55}, {"length": 16, "mamode": "ema"}, {"length": 9, "mamode": "sma"}],
    "kama": [{}, {"length": 21, "fast": 5, "slow": 12}, {"mamode": "rma"}],
    "kc": [{}, {"length": 9, "scalar": 1.5, "tr": False}, {"mamode": "sma"}],
    "linreg": [
        {},
        {"length": 100},
        {"slope": True},
        {"intercept": True},
        {"angle": True},
        {"angle": True, "degrees": True},
        {"r": True},
        {"tsf": True},
    ],
    "macd": [{}, {"fast": 21, "slow": 8, "signal": 5}, {"asmode": True}],
    "mfi": [{}, {"length": 5}],
    "mom": [{}, {"length": 1}],
    "natr": [{}, {"length": 30, "scalar": 1, "mamode": "rma"}],
    "psar": [{}, {"af0": 0.01, "max_af": 0.1}],
    "rma": [{}, {"length": 200}],
    "roc": [{}, {"length": 3, "scalar": 1}],
    "rsi": [{}, {"length": 2}, {"mamode": "ema", "drift": 3}, {"mamode": "sma"}],
    "slope": [{}, {"length": 5}, {"as_angle": True}, {"as_angle": True, "to_degrees": True}],
    "sma": [{}, {"length": 200}],
    "stoch": [{}, {"k": 5, "d": 2, "smooth_k": 1}, {"mamode": "ema"}],
    "stochrsi": [{}, {"length": 9, "rsi_length": 21, "k": 5, "d": 2}],
    "supertrend": [{}, {"length": 14, "multiplier": 1.5, "atr_length": 5}],
    "tema": [{}, {"length": 33}],
    "true_range": [{}, {"prenan": True, "drift": 2}],
    "vwma": [{}, {"length": 50}],
    "willr": [{}, {"length": 100}],
    "wma": [{}, {"asc": False}, {"length": 100}],
    **parity_candles.PARAMETERS,
    **parity_classic.PARAMETERS,
    **parity_lines.PARAMETERS,
    **parity_momentum.PARAMETERS,
    **parity_volume.PARAMETERS,
}

RELATIVE, SCALED = 1e-9, 1e-12
"""A result may differ by this share of itself, plus this share of the column's median."""

ALLOWANCE: dict[str, float] = {
    "bbands": 1e-9,  # the place between the bands is a small difference of noisy numbers
    "stdev": 1e-9,  # as variance
    "variance": 1e-9,  # pandas slides Welford's sums, and keeps what wilder windows left there
    **parity_candles.ALLOWANCE,
    **parity_classic.ALLOWANCE,
    **parity_momentum.ALLOWANCE,
}
"""Indicators whose SCALED is another, each with its reason."""


UNTIED = parity_classic.UNTIED | parity_lines.UNTIED
"""Indicators that turn at a tie, which rounding decides: compared where there is none."""

ORACLES: dict[str, Callable[..., pd.DataFrame]] = {
    **parity_candles.ORACLES,
    **parity_classic.ORACLES,
    **parity_lines.ORACLES,
    **parity_momentum.ORACLES,
    **parity_volume.ORACLES,
}
"""Other oracles: functions of the bars (a DataFrame) and the parameters by name."""


def cases() -> list[tuple[str, dict[str, Any]]]:
    """Every indicator with each set of parameters that it is compared with."""
    compared = (name for name in sorted(CATALOGUE) if name not in UNCOMPARED)
    return [(name, given) for name in compared for given in PARAMETERS.get(name, [{}])]


def expected(entry: Indicator, bars: pd.DataFrame, given: dict[str, Any]) -> pd.DataFrame:
    """What the oracle gives."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if entry.name in ORACLES:
            return ORACLES[entry.name](bars, **given)
        return ask(entry.name, bars, given)


def ask(name: str, bars: pd.DataFrame, given: dict[str, Any]) -> pd.DataFrame:
    """What pandas-ta gives, or pandas-ta-classic, for these columns and parameters."""
    library = pandas_ta if hasattr(pandas_ta, name) else pandas_ta_classic
    inputs = CATALOGUE[name].inputs
    wanted = [each.name for each in inputs if not each.optional and each.name not in given]
    columns = {each: bars[each] for each in wanted}
    values = {k: bars[v.name] if isinstance(v, Series) else v for k, v in given.items()}
    arguments = {"open_" if k == "open" else k: v for k, v in (columns | values).items()}
    result = getattr(library, name)(**arguments)
    return result.to_frame() if isinstance(result, pd.Series) else result


def differences(
    name: str, ours: np.ndarray, theirs: np.ndarray, relative: float = RELATIVE
) -> np.ndarray:
    """The rows on which two columns are not the same."""
    known = np.isfinite(theirs)
    middle = np.median(np.abs(theirs[known])) if known.any() else 0.0
    allowed = relative * np.abs(theirs) + ALLOWANCE.get(name, SCALED) * middle
    with np.errstate(invalid="ignore"):  # both infinite
        close = np.abs(ours - theirs) <= allowed
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    return np.flatnonzero(~(same | (known & close)))
