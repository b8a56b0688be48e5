"""Lines and stops that lie over the price."""

import math
from typing import NamedTuple

from indicators.bounds import Positive, Window
from indicators.catalogue import Average, indicator
from indicators.definitions.overlap.prices import hl2
from indicators.definitions.shared import NOTHING
from indicators.definitions.volatility.ranges import atr
from indicators.operators import (
    after,
    arctangent,
    choose,
    ratchet,
    rolling_line,
    row_number,
    square_root,
)
from indicators.series import CLOSE, HIGH, LOW, Series


def _linreg_column(length: int, angle: bool, intercept: bool, r: bool, slope: bool) -> str:
    return f"LINREG{'m' * slope}{'b' * intercept}{'a' * angle}{'r' * r}_{length}"


@indicator(columns=_linreg_column, average=True)
def linreg(
    close: Series = CLOSE,
    length: Window = 14,
    angle: bool = False,
    intercept: bool = False,
    degrees: bool = False,
    r: bool = False,
    slope: bool = False,
    tsf: bool = False,
) -> Series:
    """End of the least-squares line through the last values, or another fact about that line.

    `tsf` is pandas-ta's: the line one row before its end, not after it.
    Unit: unit of close; per row for slope; radians or degrees for angle; none for r
    Source: definition
    """
    mean, joint, spread = rolling_line(close, length)
    divisor = length * (length * length - 1) / 12.0
    gradient = joint / divisor
    if slope:
        return gradient
    if intercept:
        return mean - gradient * (0.5 * (length + 1))
    if angle:
        return arctangent(gradient) * (180.0 / math.pi if degrees else 1.0)
    if r:
        return choose(spread == 0.0, 0.0, joint / square_root(divisor * spread))
    return mean + gradient * (0.5 * (length - 1) - (1.0 if tsf else 0.0))


class Supertrend(NamedTuple):
    """The stop, its direction, and the stop while it is below or above the price."""

    trend: Series
    direction: Series
    long: Series
    short: Series


@indicator(columns=tuple(f"SUPERT{part}_{{length}}_{{multiplier}}" for part in ("", "d", "l", "s")))
def supertrend(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: Window = 7,
    atr_length: Window | None = None,
    multiplier: Positive = 3.0,
    atr_mamode: Average = "rma",
) -> Supertrend:
    """Stop that trails the price by a multiple of the average true range.

    `atr_length` is `length` where it is not given.
    Unit: unit of close; direction 1 or -1
    Source: Seban (2008); pandas-ta 0.4.71b0
    """
    band = multiplier * atr(high, low, close, atr_length or length, mamode=atr_mamode)
    middle = hl2(high, low)
    direction, lower, upper = ratchet(close, middle - band, middle + band)
    rising, known = direction > 0.0, row_number() > 1.0
    long = choose(known & rising, lower, NOTHING)
    short = choose(known & ~rising, upper, NOTHING)
    return Supertrend(choose(rising, long, short), after(direction, length), long, short)
