"""Channels around the price."""

from typing import NamedTuple

from indicators.bounds import Freedom, Positive, Window
from indicators.catalogue import Average, indicator, moving_average
from indicators.definitions.shared import nonzero_range
from indicators.definitions.statistics.moments import stdev
from indicators.definitions.volatility.ranges import true_range
from indicators.operators import (
    rolling_max,
    rolling_min,
)
from indicators.series import CLOSE, HIGH, LOW, Series


class Bands(NamedTuple):
    """Lower, middle and upper band, their distance and the price's place between them."""

    lower: Series
    middle: Series
    upper: Series
    bandwidth: Series
    percent: Series


@indicator(columns=tuple(f"BB{part}_{{length}}_{{lower_std}}_{{upper_std}}" for part in "LMUBP"))
def bbands(
    close: Series = CLOSE,
    length: Window = 5,
    lower_std: Positive = 2.0,
    upper_std: Positive = 2.0,
    ddof: Freedom = 1,
    mamode: Average = "sma",
) -> Bands:
    """Bollinger's bands: standard deviations around a mean.

    Unit: unit of close; bandwidth in percent of the mean; percent is 0 at lower, 1 at upper
    Source: Bollinger (2001), Bollinger on Bollinger Bands
    """
    deviation = stdev(close, length, ddof)
    middle = moving_average(mamode, close, length)
    lower, upper = middle - lower_std * deviation, middle + upper_std * deviation
    width = nonzero_range(upper, lower)
    return Bands(lower, middle, upper, 100.0 * width / middle, nonzero_range(close, lower) / width)


class Channel(NamedTuple):
    """Lower, middle and upper line."""

    lower: Series
    middle: Series
    upper: Series


@indicator(columns=tuple(f"KC{part}{{mamode[0]}}_{{length}}_{{scalar}}" for part in "LBU"))
def kc(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: Window = 20,
    scalar: Positive = 2,
    tr: bool = True,
    mamode: Average = "ema",
) -> Channel:
    """Keltner's channel: average ranges around a mean of the close.

    Unit: unit of close
    Source: Keltner (1960), How to Make Money in Commodities; Raschke's form
    """
    ranges = true_range(high, low, close) if tr else nonzero_range(high, low)
    middle = moving_average(mamode, close, length)
    band = scalar * moving_average(mamode, ranges, length)
    return Channel(middle - band, middle, middle + band)


@indicator(columns=tuple(f"DC{part}_{{lower_length}}_{{upper_length}}" for part in "LMU"))
def donchian(
    high: Series = HIGH, low: Series = LOW, lower_length: Window = 20, upper_length: Window = 20
) -> Channel:
    """Donchian's channel: the least low and the greatest high of the last rows.

    Unit: unit of close
    Source: Donchian (1960), High Finance in Copper
    """
    lower, upper = rolling_min(low, lower_length), rolling_max(high, upper_length)
    return Channel(lower, 0.5 * (lower + upper), upper)
