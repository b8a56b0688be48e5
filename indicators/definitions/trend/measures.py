"""Measures of a trend: its age, its straightness, and what is left without it."""

import math
from typing import Annotated, NamedTuple

from indicators.bounds import WINDOW_ROWS_MAX, Bounds, Choice, Number, Positive, Window
from indicators.catalogue import Average, indicator
from indicators.definitions.shared import finite, nonzero_range
from indicators.definitions.volatility.ranges import atr, true_range
from indicators.operators import (
    after,
    choose,
    cycle_mean,
    earlier,
    ewm,
    fading_max,
    fill,
    logarithm,
    recursive,
    rolling_max,
    rolling_max_age,
    rolling_mean,
    rolling_min,
    rolling_sum,
    row_number,
    square_root,
)
from indicators.series import CLOSE, HIGH, LOW, Series

LongerWindow = Annotated[int, Bounds(2, WINDOW_ROWS_MAX)]
DECAYS = ("linear", "exp", "exponential")


class Aroon(NamedTuple):
    """How recent the least low is, how recent the greatest high, and their gap."""

    down: Series
    up: Series
    oscillator: Series


@indicator(columns=tuple(f"AROON{part}_{{length}}" for part in ("D", "U", "OSC")))
def aroon(
    high: Series = HIGH, low: Series = LOW, length: Window = 14, scalar: Number = 100.0
) -> Aroon:
    """How recently, in the last `length` + 1 rows, the extremes were reached.

    Unit: 0 to 100; the oscillator -100 to 100
    Source: Chande (1995), A Time Price Oscillator, TASC 13:9
    """
    up = scalar * (1.0 - rolling_max_age(high, length + 1) / length)
    down = scalar * (1.0 - rolling_max_age(-low, length + 1) / length)
    return Aroon(down, up, up - down)


def _chop_column(length: int, atr_length: int, ln: bool, scalar: float) -> str:
    return f"CHOP{'ln' * ln}_{length}_{atr_length}_{float(scalar)}"


@indicator(columns=_chop_column)
def chop(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: LongerWindow = 14,
    atr_length: Window = 1,
    ln: bool = False,  # noqa: ARG001  (only names the column)
    scalar: Number = 100.0,
) -> Series:
    """Choppiness: the way that prices went beside the range they went through, by logarithms.

    `ln` only changes the column's name: the base of the logarithm cancels.
    Unit: 0 in a straight line, 100 where every row spans the range
    Source: Dreiss (1993), Choppiness Index
    """
    spread = rolling_max(high, length) - rolling_min(low, length)
    way = rolling_sum(atr(high, low, close, atr_length), length)
    return scalar * (logarithm(way) - logarithm(spread)) / math.log(length)


def _decay_column(length: int, mode: str) -> str:
    return f"{'L' if mode == 'linear' else 'EXP'}DECAY_{length}"


@indicator(columns=_decay_column)
def decay(
    close: Series = CLOSE,
    length: Window = 1,
    mode: Annotated[str, Choice(lambda: DECAYS)] = "linear",
) -> Series:
    """The value, or what is left of earlier ones: 1 / length less a row, or that share less.

    Unit: unit of close
    Source: tulipindicators.org/decay and edecay
    """
    if mode == "linear":
        return fading_max(close, 1.0, 1.0 / length)
    return fading_max(close, 1.0 - 1.0 / length, 0.0)


@indicator(columns="DPO_{length}")
def dpo(close: Series = CLOSE, length: Window = 20, centered: bool = True) -> Series:
    """Detrended price: a close of about half a length ago less the mean of the rows around it.

    Not `centered`: this close less the mean of about half a length ago.
    Differs: centered, pandas-ta writes the value length // 2 + 1 rows further back, on the row
    of that close, where it was not known yet.
    Unit: unit of close
    Source: definition
    """
    rows = length // 2 + 1
    mean = rolling_mean(close, length)
    return earlier(close, rows) - mean if centered else close - earlier(mean, rows)


@indicator(columns="HT_TL")
def ht_trendline(close: Series = CLOSE, prenan: Window = 63) -> Series:
    """Mean over the dominant cycle, which takes the cycle out and leaves the trend.

    Unit: unit of close
    Source: Ehlers (2001), Rocket Science for Traders
    """
    return after(cycle_mean(close), prenan)


class Walk(NamedTuple):
    """How far the high has come from an earlier low, and the low from an earlier high."""

    high: Series
    low: Series


@indicator(columns=("RWIh_{length}", "RWIl_{length}"))
def rwi(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: Window = 14,
    mamode: Average = "rma",
) -> Walk:
    """Random walk index: the way of `length` rows beside what a random walk would have gone.

    Unit: 1 for a random walk
    Source: Poulos (1991), Of Trends and Random Walks, TASC 9:2
    """
    expected = atr(high, low, close, length, mamode) * math.sqrt(length)
    return Walk((high - earlier(low, length)) / expected, (earlier(high, length) - low) / expected)


@indicator(columns="TRENDFLEX_{length}_{smooth}_{alpha}")
def trendflex(
    close: Series = CLOSE,
    length: Window = 20,
    smooth: Window = 20,
    alpha: Positive = 0.04,
    pi: Positive = 3.14159,
    sqrt2: Positive = 1.414,
) -> Series:
    """How far the smoothed price is above its own last values, in units of the usual distance.

    The smoother sets out from zero.
    Differs: not from pandas-ta, whose cosine takes 180 * ratio as if in degrees.
    Unit: none
    Source: Ehlers (2020), Reflex: A New Zero-Lag Indicator, TASC 38:2
    """
    ratio = 2.0 * sqrt2 / smooth
    shrink = math.exp(-pi * ratio)
    turn = 2.0 * shrink * math.cos(180.0 * ratio)
    gain = 0.5 * (shrink * shrink - turn + 1.0)
    pair = close + fill(earlier(close, 1), close)
    smoothed = recursive(gain * pair, 0.0, 2, turn, -shrink * shrink, 0.0)
    distance = smoothed - rolling_sum(smoothed, length) / length
    row = row_number()
    squares = after(choose(row == length, 0.0, distance * distance), length - 1)
    usual = ewm(squares, alpha)
    return after(choose(usual == 0.0, 0.0, distance / square_root(usual)), length)


@indicator(columns="VHF_{length}")
def vhf(close: Series = CLOSE, length: Window = 28, drift: Window = 1) -> Series:
    """Vertical horizontal filter: the range of the last values beside the way they went.

    Unit: 0 to 1
    Source: White (1991), The Vertical Horizontal Filter, Futures Magazine
    """
    spread = abs(nonzero_range(rolling_max(close, length), rolling_min(close, length)))
    return finite(spread / rolling_sum(abs(close - earlier(close, drift)), length))


class Vortex(NamedTuple):
    """Upward and downward movement."""

    plus: Series
    minus: Series


@indicator(columns=("VTXP_{length}", "VTXM_{length}"))
def vortex(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: Window = 14,
    drift: Window = 1,
) -> Vortex:
    """Distances from an earlier low up to the high, and from a high down to the low.

    Unit: share of the sum of true ranges
    Source: Botes and Siepman (2010), The Vortex Indicator, TASC 28:1
    """
    ranges = rolling_sum(true_range(high, low, close), length)
    up = rolling_sum(abs(high - earlier(low, drift)), length)
    down = rolling_sum(abs(low - earlier(high, drift)), length)
    return Vortex(up / ranges, down / ranges)


@indicator(columns="EDECAY_{length}")
def edecay(close: Series = CLOSE, length: Window = 5) -> Series:
    """The last peak, which fades by 1 - e**(-1 / length) a row, until the value is above it.

    Differs: it does not fade below zero, where the value itself is below.
    Unit: unit of close
    Source: Tulip Indicators, edecay; its fading as pandas-ta-classic 0.8.32 has it
    """
    return fading_max(close, math.exp(-1.0 / length), 0.0)
