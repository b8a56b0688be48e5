"""Averages that lie over the price."""

import math
from typing import Annotated

from indicators.bounds import WINDOW_ROWS_MAX, Bounds, Choice, Window
from indicators.catalogue import Average, indicator, moving_average
from indicators.definitions.shared import nonzero_range, span
from indicators.operators import (
    after,
    choose,
    earlier,
    ewm,
    ewm_by_row,
    fir,
    rolling_mean,
    rolling_rising_sum,
    rolling_sum,
    row_number,
)
from indicators.series import CLOSE, Series

HULL_AVERAGES = ("ema", "sma", "wma")
HullAverage = Annotated[str, Choice(lambda: HULL_AVERAGES)]
LongerWindow = Annotated[int, Bounds(2, WINDOW_ROWS_MAX)]


@indicator(columns="SMA_{length}", average=True)
def sma(close: Series = CLOSE, length: Window = 10) -> Series:
    """Simple mean of the last values.

    Unit: unit of close
    Source: definition
    """
    return rolling_mean(close, length)


@indicator(columns="EMA_{length}", average=True)
def ema(close: Series = CLOSE, length: Window = 10, presma: bool = True) -> Series:
    """Exponential mean, started by the plain mean of the first rows unless `presma` is off.

    Unit: unit of close
    Source: pandas-ta 0.4.71b0; Hunter (1986), The Exponentially Weighted Moving Average
    """
    return ewm_by_row(close, span(length), length) if presma else ewm(close, span(length))


@indicator(columns="RMA_{length}", average=True)
def rma(close: Series = CLOSE, length: Window = 10) -> Series:
    """Wilder's mean: exponential with weight 1 / length, started by the first value.

    Unit: unit of close
    Source: Wilder (1978), New Concepts in Technical Trading Systems
    """
    return ewm(close, 1.0 / length)


@indicator(columns="WMA_{length}", average=True)
def wma(close: Series = CLOSE, length: Window = 10, asc: bool = True) -> Series:
    """Mean with linear weights; the newest value weighs most, or least unless `asc`.

    Unit: unit of close
    Source: definition
    """
    share = 2.0 / (length * length + length)
    if asc:
        return rolling_rising_sum(close, length) * share
    return fir(close, tuple(float(length - k) for k in range(length))) * share


@indicator(columns="DEMA_{length}", average=True)
def dema(close: Series = CLOSE, length: Window = 10) -> Series:
    """Double exponential mean: twice the mean less the mean of the mean.

    Unit: unit of close
    Source: Mulloy (1994), Smoothing Data with Faster Moving Averages, TASC 12:1
    """
    once = ema(close, length)
    return 2.0 * once - ema(once, length)


@indicator(columns="TEMA_{length}", average=True)
def tema(close: Series = CLOSE, length: Window = 10) -> Series:
    """Triple exponential mean.

    Unit: unit of close
    Source: Mulloy (1994), Smoothing Data with Less Lag, TASC 12:2
    """
    once = ema(close, length)
    twice = ema(once, length)
    return 3.0 * (once - twice) + ema(twice, length)


def _hma_column(length: int, mamode: str) -> str:
    return f"HMA{'' if mamode == 'wma' else mamode[0]}_{length}"


@indicator(columns=_hma_column, average=True)
def hma(close: Series = CLOSE, length: LongerWindow = 10, mamode: HullAverage = "wma") -> Series:
    """Hull's mean: the mean of twice a fast mean less a slow one, over the root of the length.

    Unit: unit of close
    Source: Hull (2005), alanhull.com/hull-moving-average
    """
    fast = moving_average(mamode, close, length // 2)
    slow = moving_average(mamode, close, length)
    return moving_average(mamode, 2.0 * fast - slow, math.isqrt(length))


@indicator(columns="KAMA_{length}_{fast}_{slow}")
def kama(
    close: Series = CLOSE,
    length: Window = 10,
    fast: Window = 2,
    slow: Window = 30,
    mamode: Average = "sma",
    drift: Window = 1,
) -> Series:
    """Kaufman's adaptive mean: quick when the price trends, slow when it churns.

    With `drift` above 1 pandas-ta has no values at all; this has.
    Unit: unit of close
    Source: Kaufman (1995), Smarter Trading, ch. 7; started as pandas-ta 0.4.71b0 does
    """
    way = abs(nonzero_range(close, earlier(close, length)))
    steps = rolling_sum(abs(nonzero_range(close, earlier(close, drift))), length)
    efficiency = way / steps
    weight = efficiency * (span(fast) - span(slow)) + span(slow)
    row, start = row_number(), moving_average(mamode, close, length)
    return ewm(after(choose(row == length, start, close), length - 1), weight * weight)
