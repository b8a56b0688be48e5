"""The definitions, by category: importing this package fills the catalogue."""

from indicators.definitions import (
    elementary,
    momentum,
    momentum_direction,
    overlap,
    overlap_levels,
    overlap_smooth,
    overlap_weighted,
    statistics,
    trend,
    trend_direction,
    trend_stops,
    volatility,
    volatility_bands,
    volatility_measures,
    volume,
)

__all__ = [
    "elementary",
    "momentum",
    "momentum_direction",
    "overlap",
    "overlap_levels",
    "overlap_smooth",
    "overlap_weighted",
    "statistics",
    "trend",
    "trend_direction",
    "trend_stops",
    "volatility",
    "volatility_bands",
    "volatility_measures",
    "volume",
]
