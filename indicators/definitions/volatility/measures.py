"""Single measures of how far prices move, and of how deep they fall."""

from typing import NamedTuple

from indicators.bounds import Positive, Window
from indicators.catalogue import Average, indicator, moving_average
from indicators.definitions.overlap.averages import ema
from indicators.definitions.shared import nonzero_range
from indicators.definitions.statistics.moments import stdev
from indicators.operators import (
    choose,
    earlier,
    rolling_max,
    rolling_mean,
    rolling_sum,
    square_root,
)
from indicators.series import CLOSE, HIGH, LOW, OPEN, Series


def _massi_column(fast: int, slow: int) -> str:
    return f"MASSI_{min(fast, slow)}_{max(fast, slow)}"


@indicator(columns=_massi_column)
def massi(high: Series = HIGH, low: Series = LOW, fast: Window = 9, slow: Window = 25) -> Series:
    """Mass index: the mean range beside its own mean, summed; it bulges before a reversal.

    Unit: `slow` where ranges stay the same
    Source: Dorsey (1992), The Mass Index, TASC 10:6
    """
    fast, slow = sorted((fast, slow))
    once = ema(nonzero_range(high, low), fast)
    return rolling_sum(once / ema(once, fast), slow)


@indicator(columns="PDIST")
def pdist(
    open: Series = OPEN,  # noqa: A002  (the field's own name)
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    drift: Window = 1,
) -> Series:
    """The least way that the price can have gone, from the earlier close to this one.

    Unit: unit of close
    Source: prorealcode.com, Price Distance
    """
    gap = abs(nonzero_range(open, earlier(close, drift)))
    return 2.0 * nonzero_range(high, low) + gap - abs(nonzero_range(close, open))


def _rvi_column(length: int, refined: bool, thirds: bool) -> str:
    return f"RVI{'r' if refined else 't' * thirds}_{length}"


@indicator(columns=_rvi_column)
def rvi(
    close: Series = CLOSE,
    high: Series = HIGH,
    low: Series = LOW,
    length: Window = 14,
    scalar: Positive = 100.0,
    refined: bool = False,
    thirds: bool = False,
    mamode: Average = "ema",
    drift: Window = 1,
) -> Series:
    """Relative volatility: the share of rising rows in the standard deviation.

    `refined` takes the mean of that of highs and of lows; `thirds` of closes as well.
    Unit: 0 to 100
    Source: Dorsey (1993), The Relative Volatility Index, TASC 11:6
    """

    def share(x: Series) -> Series:
        spread, change = stdev(x, length), x - earlier(x, drift)
        up = moving_average(mamode, (change > 0.0) * spread, length)
        down = moving_average(mamode, (change < 0.0) * spread, length)
        return scalar * up / (up + down)

    if refined:
        return 0.5 * (share(high) + share(low))
    if thirds:
        return (share(high) + share(low) + share(close)) / 3.0
    return share(close)


class Thermometer(NamedTuple):
    """How far the bar reaches out, the mean of that, and whether it is low or high."""

    thermo: Series
    mean: Series
    long: Series
    short: Series


@indicator(
    columns=tuple(f"THERMO{part}_{{length}}_{{long}}_{{short}}" for part in ("", "ma", "l", "s"))
)
def thermo(
    high: Series = HIGH,
    low: Series = LOW,
    length: Window = 20,
    long: Positive = 2,
    short: Positive = 0.5,
    mamode: Average = "ema",
    drift: Window = 1,
) -> Thermometer:
    """Market thermometer: how far the bar reaches beyond the one before, to the farther side.

    Unit: unit of high; 1 where it is below `long` means, 1 where it is above `short` means
    Source: Elder (2002), Come Into My Trading Room
    """
    down, up = abs(earlier(low, drift) - low), abs(high - earlier(high, drift))
    reach = choose(up < down, down, up)
    mean = moving_average(mamode, reach, length)
    return Thermometer(reach, mean, reach < mean * long, reach > mean * short)


def _ui_column(length: int, everget: bool) -> str:
    return f"UI{'e' * everget}_{length}"


@indicator(columns=_ui_column)
def ui(
    close: Series = CLOSE, length: Window = 14, scalar: Positive = 100, everget: bool = False
) -> Series:
    """Ulcer index: the quadratic mean of the distances below the greatest close.

    `everget` divides by `length` twice, as the variant that pandas-ta names after him does.
    Unit: percent of close
    Source: Martin and McCann (1989), The Investor's Guide to Fidelity Funds
    """
    greatest = rolling_max(close, length)
    downside = scalar * (close - greatest) / greatest
    squares = downside * downside
    total = rolling_mean(squares, length) if everget else rolling_sum(squares, length)
    return square_root(total / length)
