"""The definitions, by category: importing this package fills the catalogue."""

from indicators.definitions import (
    elementary,
    momentum,
    overlap,
    statistics,
    trend,
    volatility,
    volume,
)

__all__ = ["elementary", "momentum", "overlap", "statistics", "trend", "volatility", "volume"]
