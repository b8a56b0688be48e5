"""The rows of the parity table for volume (see `parity`)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from indicators.series import OPEN
from tests.indicators.parity_momentum import cheap_by_row

UNCOMPARED = {"vp": "a table there and lines here; test_variants compares them"}

PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "ad": [{}, {"open": OPEN}],
    "adosc": [{}, {"fast": 2, "slow": 30}, {"fast": 50, "slow": 100}, {"open": OPEN}],
    "aobv": [
        {},
        {"fast": 20, "slow": 5},
        {"max_lookback": 9, "min_lookback": 30},
        {"mamode": "sma", "run_length": 5},
    ],
    "cmf": [{}, {"length": 5}, {"open": OPEN}, {"length": 50, "min_periods": 10}],
    "efi": [{}, {"length": 2}, {"mamode": "sma", "length": 30}, {"drift": 3}],
    "eom": [{}, {"length": 3}, {"divisor": 10000.0}, {"drift": 3, "length": 30}],
    "kvo": [
        {},
        {"fast": 5, "slow": 9, "signal": 3},
        {"mamode": "sma"},
        {"fast": 40, "slow": 10, "mamode": "tema"},
    ],
    "nvi": [{}, {"length": 5}, {"initial": 1}, {"length": 20, "initial": 100}],
    "pvi": [
        {},
        {"length": 20},
        {"overlay": True},
        {"initial": 1000, "mamode": "sma", "length": 50},
    ],
    "pvo": [
        {},
        {"fast": 3, "slow": 9, "signal": 5},
        {"fast": 40, "slow": 10},
        {"scalar": 1, "signal": 30},
    ],
    "pvol": [{}, {"signed": True}],
    "pvr": [{}, {"drift": 2}, {"drift": 5}, {"drift": 20}],
    "pvt": [{}, {"drift": 2}, {"drift": 5}, {"drift": 20}],
    "tsv": [{}, {"length": 5, "signal": 3}, {"mamode": "ema"}, {"drift": 3, "length": 40}],
    "vhm": [
        {},
        {"length": 50},
        {"length": 20, "std_length": 100},
        {"length": 100, "mamode": "ema"},
    ],
    "vwap": [{}, {"anchor": "W"}, {"anchor": "M"}, {"anchor": "Q"}, {"anchor": "Y"}],
    "vwap_bands": [{}, {"std": 2.5}, {"anchor": "W"}, {"anchor": "M", "std": 2}],
}


def finite(bars: pd.DataFrame, **given: Any) -> pd.DataFrame:
    """pandas-ta's eom without the infinities that rows without volume make."""
    from tests.indicators.parity import ask

    return ask("eom", bars, given).replace([np.inf, -np.inf], np.nan)


def vhm(
    bars: pd.DataFrame, length: int = 610, std_length: int | None = None, mamode: str = "sma"
) -> pd.DataFrame:
    """Each row as pandas-ta has it on a table that ends there."""
    from tests.indicators.parity import pandas_ta

    around, volume = std_length or length, bars["volume"]
    spread = np.sqrt(((volume - around) ** 2).expanding().mean())
    mean = pandas_ta.ma(mamode, volume, length=length)
    name = f"VHM_{length}" + (f"_{around}" if around != length else "")
    return ((volume - mean) / spread).to_frame(name)


def bands(bars: pd.DataFrame, std: float = 1, anchor: str = "D") -> pd.DataFrame:
    """pandas-ta's vwap with one pair of bands."""
    from tests.indicators.parity import ask

    return ask("vwap", bars, {"anchor": anchor, "bands": [std]})


ORACLES: dict[str, Callable[..., pd.DataFrame]] = {
    "eom": finite,
    "vhm": vhm,
    "vwap_bands": bands,
    **{name: cheap_by_row(name) for name in ("ad", "adosc", "cmf")},
}
