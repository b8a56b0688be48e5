"""The definitions, by category: importing this package fills the catalogue."""

from indicators.definitions import (
    candle,
    cycle,
    elementary,
    momentum,
    overlap,
    statistics,
    trend,
    volatility,
    volume,
)

__all__ = [
    "candle",
    "cycle",
    "elementary",
    "momentum",
    "overlap",
    "statistics",
    "trend",
    "volatility",
    "volume",
]
