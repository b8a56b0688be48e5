"""Candles, cycles and statistics against pandas-ta: with which parameters, and how closely."""

from typing import Any

from indicators.definitions.candle.patterns import PATTERNS

OWN = frozenset(f"cdl_{name}" for name in PATTERNS if name != "doji") | {
    "cdl_pattern",
    "tos_stdevall",
}
"""Compared with TA-Lib, or row by row, in test_candles and test_statistics."""

PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "cdl_doji": [{}, {"length": 3, "factor": 23}, {"scalar": 1}, {"asint": False, "length": 30}],
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
