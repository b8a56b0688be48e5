"""Averages that smooth more than once, adapt, or extrapolate."""

import math
from typing import Annotated, NamedTuple

from indicators.bounds import Bounds, Choice, Fraction, Number, Positive, Window
from indicators.catalogue import Average, average_column, indicator, moving_average
from indicators.definitions.overlap.averages import ema
from indicators.definitions.shared import NOTHING, delayed, span
from indicators.operators import (
    after,
    choose,
    dynamic,
    earlier,
    ewm,
    ewm_by_row,
    fill,
    holt_winters,
    jurik,
    larger,
    phase_followers,
    recursive,
    rolling_sum,
    row_number,
)
from indicators.series import CLOSE, Series

Share = Annotated[float, Bounds(1e-9, 1.0 - 1e-9)]
"""A share that is neither nothing nor all."""
ShareOrAll = Annotated[float, Bounds(1e-9, 1.0)]
DEGREES = 180.0 / math.pi
LAGLESS = (
    "dema", "ema", "fwma", "hma", "linreg", "midpoint", "pwma", "rma", "sinwma",
    "sma", "ssf", "swma", "t3", "tema", "trima", "vidya", "wma",
)  # fmt: skip


@indicator(columns="SMMA_{length}")
def smma(close: Series = CLOSE, length: Window = 7, mamode: Average = "sma") -> Series:
    """Smoothed mean: exponential with weight 1 / length, started by another average.

    Where that average has no value yet after `length` rows, it starts by the close.
    Unit: unit of close
    Source: Wilder (1978), New Concepts in Technical Trading Systems
    """
    if mamode == "sma":
        return ewm_by_row(close, 1.0 / length, length)
    start = fill(moving_average(mamode, close, length), close)
    opened = after(choose(row_number() == length, start, close), length - 1)
    return ewm(opened, 1.0 / length)


class Alligator(NamedTuple):
    """The slow, the middle and the quick line."""

    jaw: Series
    teeth: Series
    lips: Series


@indicator(columns=tuple(f"AG{line}_{{jaw}}_{{teeth}}_{{lips}}" for line in "jtl"))
def alligator(
    close: Series = CLOSE, jaw: Window = 13, teeth: Window = 8, lips: Window = 5
) -> Alligator:
    """Three smoothed means, not displaced: Williams draws them 8, 5 and 3 rows further right.

    Unit: unit of close
    Source: Williams (1995), Trading Chaos
    """
    return Alligator(smma(close, jaw), smma(close, teeth), smma(close, lips))


@indicator(columns="T3_{length}_{a}", average=True)
def t3(close: Series = CLOSE, length: Window = 10, a: Fraction = 0.7) -> Series:
    """Tillson's mean: six exponential means, combined so that most of their lag is gone.

    Unit: unit of close
    Source: Tillson (1998), Smoothing Techniques for More Accurate Signals, TASC 16:1
    """
    means = [close]
    for _ in range(6):
        means.append(ema(means[-1], length))
    c1 = -a * a**2
    c2 = 3.0 * a**2 + 3.0 * a**3
    c3 = -6.0 * a**2 - 3.0 * a - 3.0 * a**3
    c4 = a**3 + 3.0 * a**2 + 3.0 * a + 1.0
    return c1 * means[6] + c2 * means[5] + c3 * means[4] + c4 * means[3]


def _ssf_column(length: int, everget: bool) -> str:
    return f"SSF{'e' * everget}_{length}"


@indicator(columns=_ssf_column, average=True)
def ssf(
    close: Series = CLOSE,
    length: Window = 20,
    everget: bool = False,
    pi: Positive = 3.14159,
    sqrt2: Positive = 1.414,
) -> Series:
    """Ehlers' super smoother with two poles; the first two values are the input's.

    Differs: not from pandas-ta, whose cosine takes 180 * sqrt2 / length as if in degrees, unless
    `everget`, which is Ehlers' filter.
    Unit: unit of close
    Source: Ehlers (2013), Cycle Analytics for Traders, ch. 3
    """
    ratio = sqrt2 / length
    shrink = math.exp(-pi * ratio)
    turn = 2.0 * shrink * math.cos((pi if everget else 180.0) * ratio)
    gain = 0.5 * (shrink * shrink - turn + 1.0)
    return recursive(
        gain * (close + fill(earlier(close, 1), close)), close, 2, turn, -shrink * shrink, 0.0
    )


@indicator(columns="SSF3_{length}")
def ssf3(
    close: Series = CLOSE, length: Window = 20, pi: Positive = 3.14159, sqrt3: Positive = 1.732
) -> Series:
    """Ehlers' super smoother with three poles; the first three values are the input's.

    Unit: unit of close
    Source: Ehlers (2004), Cybernetic Analysis for Stocks and Futures, ch. 13
    """
    shrink = math.exp(-pi / length)
    turn = 2.0 * shrink * math.cos(pi * sqrt3 / length)
    square = shrink * shrink
    a, b, c = turn + square, -square * (1.0 + turn), square * square
    return recursive((1.0 - a - b - c) * close, close, 3, a, b, c)


@indicator(columns="HWMA_{na}_{nb}_{nc}")
def hwma(close: Series = CLOSE, na: Share = 0.2, nb: Share = 0.1, nc: Share = 0.1) -> Series:
    """Holt and Winters' mean: the smoothed level with its speed and half its acceleration.

    Unit: unit of close
    Source: Winters (1960), Forecasting Sales by Exponentially Weighted Moving Averages
    """
    return holt_winters(close, na, nb, nc)


def _jma_column(length: int, phase: float) -> str:
    return f"JMA_{length}_{float(phase)}"


@indicator(columns=_jma_column)
def jma(close: Series = CLOSE, length: Window = 7, phase: Number = 0.0) -> Series:
    """Jurik's mean as it has been reconstructed: smooth in quiet times, quick after large moves.

    `phase` leans it ahead, from -100 to 100.
    Unit: unit of close
    Source: pandas-ta 0.4.71b0, after Everget's reconstruction of Jurik's unpublished filter
    """
    half = 0.5 * (length - 1)
    scale = max(math.log2(math.sqrt(half)) + 2.0, 0.0) if half else 0.0
    power = max(scale - 2.0, 0.5)
    stretched = scale * math.sqrt(half)
    filtered = jurik(
        close,
        max(scale ** (1.0 / power), 1.0),
        power,
        stretched / (stretched + 1.0),
        0.45 * (length - 1) / (0.45 * (length - 1) + 2.0),
        0.5 if phase < -100 else 2.5 if phase > 100 else 1.5 + phase * 0.01,
    )
    return after(filtered, length - 1)


class Mama(NamedTuple):
    """The adaptive mean and the mean that follows it."""

    mama: Series
    fama: Series


@indicator(columns=("MAMA_{fastlimit}_{slowlimit}", "FAMA_{fastlimit}_{slowlimit}"))
def mama(
    close: Series = CLOSE,
    fastlimit: Positive = 0.5,
    slowlimit: Positive = 0.05,
    prenan: Window = 3,
) -> Mama:
    """Mother of adaptive means as pandas-ta has it, which is not Ehlers': that is `mama_ehlers`.

    Differs: not from pandas-ta, which measures angles in radians where Ehlers has degrees, and
    has the other sign in the discriminator, which puts it up to 18 % off.
    Unit: unit of close
    Source: pandas-ta 0.4.71b0; Ehlers (2001), Rocket Science for Traders
    """
    lines = phase_followers(close, fastlimit, slowlimit, 1.0, 1.0)
    return Mama(*(after(line, prenan) for line in lines))


@indicator(columns=None)
def mama_ehlers(
    close: Series = CLOSE,
    fastlimit: Positive = 0.5,
    slowlimit: Positive = 0.05,
    prenan: Window = 32,
) -> Mama:
    """Mother of adaptive means: its weight falls as the phase of the cycle turns faster.

    TA-Lib's, once the start has faded: both set out from zero.
    Unit: unit of close
    Source: Ehlers (2001), Rocket Science for Traders
    """
    lines = phase_followers(close, fastlimit, slowlimit, DEGREES, -1.0)
    return Mama(*(after(line, prenan) for line in lines))


@indicator(columns="MCGD_{length}")
def mcgd(close: Series = CLOSE, length: Window = 10, c: ShareOrAll = 1) -> Series:
    """McGinley's dynamic line: nears the close the faster the further below the line it is.

    Differs: where a step goes beyond all bounds the line starts anew from the close, while
    pandas-ta has no value ever after.
    Unit: unit of close
    Source: McGinley (1997), McGinley Dynamics, MTA Journal
    """
    return dynamic(close, c * length)


@indicator(columns="VIDYA_{length}", average=True)
def vidya(close: Series = CLOSE, length: Window = 14, drift: Window = 1) -> Series:
    """Variable-index dynamic average: exponential, quicker the more one-sided the changes are.

    It sets out from zero, as pandas-ta's does, and so takes many rows to reach the price.
    Differs: where the price stands still for a whole window, pandas-ta divides zero by zero and
    has no value ever after; here the average stays where it is. With a `drift` above 1 pandas-ta
    has no value at all.
    Unit: unit of close
    Source: Chande (1992), Adapting Moving Averages to Market Volatility, TASC 10:3
    """
    change = close - earlier(close, drift)
    gain = rolling_sum(larger(change, 0.0), length)
    loss = rolling_sum(larger(-change, 0.0), length)
    weight = span(length) * fill(abs((gain - loss) / (gain + loss)), 0.0)
    opened = after(choose(row_number() == length, 0.0, close), length - 1)
    average = after(ewm(opened, weight), length)
    return choose(average == 0.0, NOTHING, average)


def _zlma_column(length: int, mamode: str) -> str:
    return f"ZL_{average_column(mamode, length)}"


@indicator(columns=_zlma_column)
def zlma(
    close: Series = CLOSE,
    length: Window = 10,
    mamode: Annotated[str, Choice(lambda: LAGLESS)] = "ema",
) -> Series:
    """Average of twice the close less the close half a length ago, which takes its lag off.

    Differs: with mamode "ssf" or "vidya", where pandas-ta gives nothing at all.
    Unit: unit of close
    Source: Ehlers and Way (2010), Zero Lag (Well, Almost), TASC 28:12
    """
    return moving_average(mamode, 2.0 * close - delayed(close, (length - 1) // 2), length)
