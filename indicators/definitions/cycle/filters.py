"""What John Ehlers's filters leave of the price: its turns, without its trend and noise."""

import math
from typing import Annotated

from indicators.bounds import WINDOW_ROWS_MAX, Bounds, Positive, Window
from indicators.catalogue import indicator
from indicators.operators import (
    after,
    choose,
    earlier,
    fill,
    first_value,
    recursive,
    rolling_sum,
    row_number,
    square_root,
)
from indicators.series import CLOSE, Series

CycleWindow = Annotated[int, Bounds(4, WINDOW_ROWS_MAX)]
WAVE_ROWS = 3
FULL_TURN, HALF_TURN = 360.0, 180.0
"""Degrees."""


def _sine_wave(price: Series, turn: float, angle: float, bars: int) -> Series:
    """Mean over root mean square of three rows of the price between two filters.

    `turn` and `angle` are what a row turns the high-pass and the low-pass filter by.
    """
    keep = (1.0 - math.sin(turn)) / math.cos(turn)
    decay = math.exp(-math.sqrt(2.0) * math.pi / bars)
    first, second = 2.0 * decay * math.cos(angle), -decay * decay
    share = 0.5 * (1.0 - first - second)
    fast = recursive(0.5 * (1.0 + keep) * (price - earlier(price, 1)), 0.0, 1, keep, 0.0, 0.0)
    smooth = recursive(share * (fast + earlier(fast, 1)), 0.0, 1, first, second, 0.0)
    wave = rolling_sum(smooth, WAVE_ROWS) / WAVE_ROWS
    power = rolling_sum(smooth * smooth, WAVE_ROWS) / WAVE_ROWS
    return wave / square_root(power)


@indicator(columns="EBSW_{length}_{bars}")
def ebsw(
    close: Series = CLOSE,
    length: CycleWindow = 40,
    bars: Window = 10,
    initial_version: bool = False,
) -> Series:
    """Even better sine wave: the filtered price over its root mean square, three rows of each.

    `length` is the longest cycle that passes, `bars` smooths. `initial_version` is pandas-ta's
    older one, with degrees where radians are meant. As there, row `length` is 0, and the filter
    starts there as if the price had been 0 before: a hundred rows or more are of that jump.
    `ebsw_ehlers` does not make it.
    Unit: -1 to 1
    Source: Ehlers (2013), Cycle Analytics for Traders, ch. 12; pandas-ta 0.4.71b0
    """
    turn = FULL_TURN / length if initial_version else 2.0 * math.pi / length
    angle = math.sqrt(2.0) * (HALF_TURN if initial_version else math.pi) / bars
    still = row_number() <= length
    wave = _sine_wave(choose(still, 0.0, close), turn, angle, bars)
    return after(choose(still, 0.0, wave), length - 1)


@indicator(columns=None)
def ebsw_ehlers(close: Series = CLOSE, length: CycleWindow = 40, bars: Window = 10) -> Series:
    """Even better sine wave that starts from the first price.

    `length` is the longest cycle that passes, `bars` smooths.
    Unit: -1 to 1
    Source: Ehlers (2013), Cycle Analytics for Traders, ch. 12
    """
    angle = math.sqrt(2.0) * math.pi / bars
    return after(_sine_wave(close, 2.0 * math.pi / length, angle, bars), length - 1)


def _reflex(close: Series, length: int, decay: float, angle: float, alpha: float) -> Series:
    """Reflex, with a smoothing whose poles are `decay` from 0 at plus and minus `angle`."""
    first, second = 2.0 * decay * math.cos(angle), -decay * decay
    share = 0.5 * (decay * decay - first + 1.0)
    before = fill(earlier(close, 1), close)
    line = recursive(share * (close + before), 0.0, 2, first, second, 0.0)
    slope = (earlier(line, length) - line) / length
    above = length * line - rolling_sum(line, length) + slope * (0.5 * length * (length - 1))
    gap = above / length
    power = alpha * gap * gap
    squares = recursive(power, power, 1, 1.0 - alpha, 0.0, 0.0)
    return choose(squares == 0.0, 0.0, gap / square_root(squares))


@indicator(columns="REFLEX_{length}_{smooth}_{alpha}")
def reflex(
    close: Series = CLOSE,
    length: Window = 20,
    smooth: Window = 20,
    alpha: Positive = 0.04,
    pi: Positive = 3.14159,
    sqrt2: Positive = 1.414,
) -> Series:
    """How far the smoothed price lies from its line to `length` rows ago, in usual distances.

    The usual distance is the root of the squares' exponential mean with weight `alpha`. As in
    pandas-ta, 180 degrees of the smoothing are taken for radians, and it starts from 0:
    `reflex_ehlers` does neither.
    Unit: none
    Source: Ehlers (2020), Reflex: A New Zero-Lag Indicator, Stocks & Commodities 38:2
    """
    ratio = 2.0 * sqrt2 / smooth
    return _reflex(close, length, math.exp(-pi * ratio), HALF_TURN * ratio, alpha)


@indicator(columns=None)
def reflex_ehlers(
    close: Series = CLOSE, length: Window = 20, smooth: Window = 20, alpha: Positive = 0.04
) -> Series:
    """How far the smoothed price lies from its line to `length` rows ago, in usual distances.

    The smoothing is Ehlers's: half of `smooth` rows is its critical period. It starts from the
    first price.
    Unit: none
    Source: Ehlers (2020), Reflex: A New Zero-Lag Indicator, Stocks & Commodities 38:2
    """
    angle = 2.0 * math.sqrt(2.0) * math.pi / smooth
    return _reflex(close - first_value(close), length, math.exp(-angle), angle, alpha)
