"""The rows of the parity table for momentum and performance (see `parity`)."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from indicators.series import CLOSE, HIGH, LOW, OPEN

EPSILON = float(np.finfo(float).eps)
CHEAP = 0.01
"""Below this price the epsilon that pandas-ta adds to whole columns is no longer nothing."""

PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "ao": [{}, {"fast": 3, "slow": 50}, {"fast": 20, "slow": 8}, {"fast": 2, "slow": 3}],
    "apo": [
        {},
        {"mamode": "ema"},
        {"fast": 30, "slow": 7, "mamode": "wma"},
        {"fast": 2, "slow": 100, "mamode": "rma"},
    ],
    "bias": [{}, {"length": 5}, {"length": 9, "mamode": "ema"}, {"mamode": "hma"}],
    "bop": [{}, {"scalar": 100}, {"scalar": -2.5}, {"scalar": 0.1}],
    "brar": [{}, {"length": 5}, {"length": 50, "scalar": 1}, {"drift": 3}],
    "cfo": [{}, {"length": 3}, {"length": 40, "scalar": 1}, {"length": 100}],
    "cg": [{}, {"length": 2}, {"length": 30}, {"length": 200}],
    "cmo": [
        {},
        {"talib": False},
        {"length": 5, "drift": 3},
        {"length": 50, "scalar": 1, "talib": False},
    ],
    "coppock": [{}, {"length": 3, "fast": 2, "slow": 5}, {"fast": 20, "slow": 7}, {"length": 40}],
    "crsi": [
        {},
        {"rank_length": 20},
        {"rsi_length": 9, "streak_length": 5, "rank_length": 50},
        {"scalar": 1, "drift": 2},
    ],
    "cti": [{}, {"length": 5}, {"length": 40}, {"length": 100}],
    "drawdown": [{}],
    "er": [{}, {"length": 2}, {"length": 40}, {"length": 20, "drift": 3}],
    "eri": [{}, {"length": 1}, {"length": 5}, {"length": 55}],
    "exhc": [
        {},
        {"length": 1},
        {"cap": 5},
        {"cap": 0, "length": 2},
        {"show_all": False},
        {"nozeros": True},
    ],
    "fisher": [{}, {"length": 5, "signal": 3}, {"length": 34}, {"length": 2, "signal": 9}],
    "inertia": [
        {},
        {"length": 9, "rvi_length": 5},
        {"refined": True, "scalar": 1},
        {"thirds": True, "mamode": "sma"},
    ],
    "dm": [{}, {"length": 5}, {"mamode": "ema"}, {"length": 40, "drift": 3}],
    "kdj": [{}, {"length": 5, "signal": 1}, {"length": 30, "signal": 9}, {"length": 2}],
    "kst": [
        {},
        {"signal": 3},
        {"roc1": 2, "roc2": 3, "roc3": 5, "roc4": 8},
        {"sma1": 2, "sma2": 3, "sma3": 5, "sma4": 40},
    ],
    "log_return": [{}, {"length": 20}, {"cumulative": True}, {"length": 5, "cumulative": True}],
    "percent_return": [{}, {"length": 20}, {"cumulative": True}, {"length": 5, "cumulative": True}],
    "pgo": [{}, {"length": 3}, {"length": 40}, {"length": 89}],
    "ppo": [
        {},
        {"mamode": "ema"},
        {"fast": 30, "slow": 5, "signal": 3},
        {"scalar": 1, "mamode": "wma", "signal": 40},
    ],
    "psl": [{}, {"length": 3}, {"drift": 4, "scalar": 1}, {"open": OPEN, "length": 30}],
    "qqe": [
        {},
        {"length": 5, "smooth": 3, "factor": 2},
        {"mamode": "sma"},
        {"drift": 2, "factor": 1.5, "smooth": 9},
        {"mamode": "rma", "smooth": 1},
    ],
    "rsx": [{}, {"length": 3}, {"length": 7}, {"length": 50}],
    "rvgi": [{}, {"length": 5}, {"swma_length": 7}, {"length": 30, "swma_length": 2}],
    "smc": [
        {},
        {"abr_length": 5, "vol_length": 9, "vol_ratio": 1.2345},
        {"close_length": 7, "percent": 2},
        {"mamode": "ema", "vol_length": 40},
    ],
    "smi": [
        {},
        {"fast": 3, "slow": 9, "signal": 3},
        {"scalar": 100},
        {"fast": 30, "slow": 8, "signal": 15},
    ],
    "squeeze": [
        {},
        {"bb_std": 1.5, "kc_scalar": 1},
        {"lazybear": True},
        {"mamode": "ema", "tr": False},
        {"prenan": True, "bb_length": 30},
        {"mamode": "wma", "mom_length": 5, "mom_smooth": 3},
    ],
    "squeeze_pro": [
        {},
        {"bb_length": 10, "bb_std": 1},
        {"kc_scalar_narrow": 0.5, "kc_scalar_wide": 3},
        {"tr": False, "prenan": True},
        {"mamode": "ema"},
    ],
    "stc": [
        {},
        {"tc_length": 5, "fast": 5, "slow": 9},
        {"fast": 50, "slow": 23},
        {"factor": 0.25, "tc_length": 40},
        {"osc": CLOSE},
        {"ma1": HIGH, "ma2": LOW},
    ],
    "stochf": [
        {},
        {"k": 5, "d": 2},
        {"k": 40, "d": 9, "mamode": "ema"},
        {"mamode": "wma"},
        {"mamode": "dema"},
    ],
    "tmo": [
        {},
        {"tmo_length": 5, "calc_length": 2, "smooth_length": 2},
        {"momentum": True, "exclusive": False},
        {"mamode": "sma", "tmo_length": 40},
    ],
    "trix": [
        {},
        {"length": 5, "signal": 3},
        {"length": 4, "signal": 9, "drift": 2},
        {"length": 18, "scalar": 1},
    ],
    "tsi": [
        {},
        {"fast": 5, "slow": 9, "signal": 3},
        {"fast": 30, "slow": 5, "mamode": "sma"},
        {"scalar": 1, "drift": 3},
        {"fast": 13, "slow": 13},
    ],
    "uo": [
        {},
        {"fast": 2, "medium": 3, "slow": 5},
        {"fast_w": 1, "medium_w": 1, "slow_w": 5},
        {"drift": 3},
    ],
}

ALLOWANCE: dict[str, float] = {
    "cti": 1e-9,  # pandas-ta squares raw prices; against exact fractions in test_regimes
    "inertia": 1e-9,  # a line through shares of deviations, which pandas slides (see variance)
    "stc": 1e-9,  # every step is rounded to 8 decimals, so a last bit can move the 8th
    "trix": 1e-10,  # pandas-ta takes 1 off a ratio that is nearly 1; exactly in test_regimes
}


@contextlib.contextmanager
def ranges_by_row() -> Iterator[None]:
    """pandas-ta with its epsilon just where a range is zero, not on the whole column then."""

    def by_row(x: pd.Series, y: pd.Series) -> pd.Series:
        return (x - y).replace(0.0, EPSILON)

    with pytest.MonkeyPatch.context() as patch:
        for name, module in list(sys.modules.items()):
            if name.startswith("pandas_ta.") and hasattr(module, "non_zero_range"):
                patch.setattr(module, "non_zero_range", by_row)
        yield


def cheap_by_row(name: str) -> Callable[..., pd.DataFrame]:
    """pandas-ta, but with `ranges_by_row` where prices are so small that it matters."""

    def oracle(bars: pd.DataFrame, **given: Any) -> pd.DataFrame:
        from tests.indicators.parity import ask

        if bars["close"].median() > CHEAP:
            return ask(name, bars, given)
        with ranges_by_row():
            return ask(name, bars, given)

    return oracle


def without_fill(bars: pd.DataFrame, **given: Any) -> pd.DataFrame:
    """pandas-ta's smc without the rows that it fills from the future."""
    from tests.indicators.parity import ask

    result = ask("smc", bars, given)
    ranges = min(given.get("abr_length", 14), given.get("close_length", 50)) - 1
    for column in result:
        hidden = {"i": 2, "p": max(2, ranges)}.get(str(column)[4], 0)
        result[column] = result[column].astype(float).mask(np.arange(len(bars)) < hidden)
    return result


ORACLES: dict[str, Callable[..., pd.DataFrame]] = {
    "smc": without_fill,
    **{name: cheap_by_row(name) for name in ("bop", "brar", "rvgi")},
}
