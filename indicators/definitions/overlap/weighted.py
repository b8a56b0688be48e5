"""Averages of a window with fixed weights, and middles of ranges."""

import math

from indicators.bounds import Fraction, Positive, ShortWindow, Window
from indicators.catalogue import indicator
from indicators.definitions.overlap.averages import sma
from indicators.definitions.shared import symmetric_triangle
from indicators.operators import fir, rolling_max, rolling_min
from indicators.series import CLOSE, HIGH, LOW, Series


@indicator(columns="WCP")
def wcp(high: Series = HIGH, low: Series = LOW, close: Series = CLOSE) -> Series:
    """High, low and twice the close, summed: four times the weighted close.

    Differs: not from pandas-ta, which forgets to divide by 4. `wclprice` is the weighted close.
    Unit: four times the unit of close
    Source: pandas-ta 0.4.71b0
    """
    return high + low + 2.0 * close


@indicator(columns=None)
def wclprice(high: Series = HIGH, low: Series = LOW, close: Series = CLOSE) -> Series:
    """Weighted close: the mean of high, low and, twice, the close.

    Unit: unit of close
    Source: TA-Lib, WCLPRICE
    """
    return (high + low + 2.0 * close) / 4.0


@indicator(columns="MIDPOINT_{length}", average=True)
def midpoint(close: Series = CLOSE, length: Window = 2) -> Series:
    """Middle between the least and the greatest of the last values.

    Unit: unit of close
    Source: TA-Lib, MIDPOINT
    """
    return 0.5 * (rolling_min(close, length) + rolling_max(close, length))


@indicator(columns="MIDPRICE_{length}")
def midprice(high: Series = HIGH, low: Series = LOW, length: Window = 2) -> Series:
    """Middle between the least low and the greatest high of the last rows.

    Unit: unit of high
    Source: TA-Lib, MIDPRICE
    """
    return 0.5 * (rolling_min(low, length) + rolling_max(high, length))


@indicator(columns="ALMA_{length}_{sigma}_{dist_offset}")
def alma(
    close: Series = CLOSE,
    length: ShortWindow = 9,
    sigma: Positive = 6.0,
    dist_offset: Fraction = 0.85,
) -> Series:
    """Mean with the weights of a bell, `dist_offset` of the way to the newest value.

    Unit: unit of close
    Source: Legoux and Kouzis-Loukas (2009), Arnaud Legoux Moving Average
    """
    peak = math.floor(dist_offset * (length - 1))
    return _weighted(
        close, [math.exp(-0.5 * (sigma / length * (k - peak)) ** 2) for k in range(length)]
    )


@indicator(columns="FWMA_{length}", average=True)
def fwma(close: Series = CLOSE, length: ShortWindow = 10, asc: bool = True) -> Series:
    """Mean with Fibonacci's numbers as weights; the newest value weighs most, or least.

    Differs: with asc=False, which pandas-ta takes and ignores.
    Unit: unit of close
    Source: pandas-ta 0.4.71b0
    """
    numbers = [1, 1]
    while len(numbers) < length:
        numbers.append(numbers[-2] + numbers[-1])
    total = sum(numbers[:length])
    weights = [number / total for number in numbers[:length]]
    return fir(close, tuple(weights if asc else reversed(weights)))


@indicator(columns="PWMA_{length}", average=True)
def pwma(close: Series = CLOSE, length: ShortWindow = 10) -> Series:
    """Mean with a row of Pascal's triangle as weights, which is symmetric.

    Unit: unit of close
    Source: pandas-ta 0.4.71b0
    """
    return fir(close, tuple(math.comb(length - 1, k) / 2 ** (length - 1) for k in range(length)))


@indicator(columns="SINWMA_{length}", average=True)
def sinwma(close: Series = CLOSE, length: ShortWindow = 14) -> Series:
    """Mean with the first half of a sine wave as weights.

    Unit: unit of close
    Source: Everget, Sine-Weighted Moving Average, tradingview.com
    """
    return _weighted(close, [math.sin((k + 1) * math.pi / (length + 1)) for k in range(length)])


@indicator(columns="SWMA_{length}", average=True)
def swma(close: Series = CLOSE, length: ShortWindow = 10) -> Series:
    """Mean with weights that rise to the middle and fall again: TA-Lib's TRIMA.

    Unit: unit of close
    Source: definition
    """
    return fir(close, symmetric_triangle(length))


@indicator(columns="TRIMA_{length}", average=True)
def trima(close: Series = CLOSE, length: Window = 10) -> Series:
    """Triangular mean: the simple mean of the simple mean over half the length.

    Differs: not from pandas-ta, whose half rounds to even, so that a length of 8 spans 7 rows,
    one of 10 spans 11. `swma` is the triangle over the length itself, as TA-Lib's TRIMA is.
    Unit: unit of close
    Source: definition
    """
    half = max(1, round(0.5 * (length + 1)))
    return sma(sma(close, half), half)


def _weighted(close: Series, weights: list[float]) -> Series:
    total = sum(weights)
    return fir(close, tuple(weight / total for weight in weights))
