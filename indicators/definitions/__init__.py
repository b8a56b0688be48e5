"""The definitions, by category: importing this package fills the catalogue."""

from indicators.definitions import (
    elementary,
    momentum,
    momentum_averages,
    momentum_shares,
    momentum_special,
    momentum_squeeze,
    overlap,
    performance,
    statistics,
    trend,
    volatility,
    volume,
    volume_flows,
    volume_sessions,
)

__all__ = [
    "elementary",
    "momentum",
    "momentum_averages",
    "momentum_shares",
    "momentum_special",
    "momentum_squeeze",
    "overlap",
    "performance",
    "statistics",
    "trend",
    "volatility",
    "volume",
    "volume_flows",
    "volume_sessions",
]
