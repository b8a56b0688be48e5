"""How far prices move: ranges, channels, bands."""

from typing import NamedTuple

from indicators.bounds import Freedom, Number, Positive, Window
from indicators.catalogue import Average, indicator, moving_average
from indicators.definitions.shared import nonzero_range, span
from indicators.definitions.statistics import stdev
from indicators.operators import (
    after,
    earlier,
    ewm_by_row,
    larger_known,
    opening_mean,
    rolling_max,
    rolling_min,
)
from indicators.series import CLOSE, HIGH, LOW, Series


@indicator(columns="TRUERANGE_{drift}")
def true_range(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    prenan: bool = False,
    drift: Window = 1,
) -> Series:
    """Range of the bar and of any gap to the close before; the first rows missing if `prenan`.

    Unit: unit of close
    Source: Wilder (1978), New Concepts in Technical Trading Systems
    """
    before = earlier(close, drift)
    gap = larger_known(abs(high - before), abs(before - low))
    widest = larger_known(abs(nonzero_range(high, low)), gap)
    return after(widest, drift) if prenan else widest


def _atr_column(length: int, mamode: str, percent: bool) -> str:
    return f"ATR{mamode[0]}{'p' * percent}_{length}"


@indicator(columns=_atr_column)
def atr(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: Window = 14,
    mamode: Average = "rma",
    prenan: bool = False,
    drift: Window = 1,
    presma: bool = True,
    percent: bool = False,
) -> Series:
    """Average true range, started by the plain mean of the first rows unless `presma` is off.

    Unit: unit of close, or percent of close
    Source: Wilder (1978), New Concepts in Technical Trading Systems
    """
    ranges = true_range(high, low, close, prenan, drift)
    if presma and mamode == "rma":
        mean = ewm_by_row(ranges, 1.0 / length, length)
    elif presma and mamode == "ema":
        mean = ewm_by_row(ranges, span(length), length)
    else:
        opened = opening_mean(ranges, length) if presma else ranges
        mean = moving_average(mamode, opened, length)
    return mean * (100.0 / close) if percent else mean


@indicator(columns="NATR_{length}")
def natr(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: Window = 14,
    scalar: Number = 100.0,
    mamode: Average = "ema",
    prenan: bool = False,
    drift: Window = 1,
) -> Series:
    """Average true range as a share of the close.

    Unit: percent of close
    Source: Forman (2006), Cross-Market Evaluations with Normalized Average True Range, TASC
    """
    return (scalar / close) * atr(high, low, close, length, mamode, prenan, drift)


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
