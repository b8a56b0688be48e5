"""Waves that John Ehlers filters out of the price."""

import math
from typing import Annotated

from indicators.bounds import WINDOW_ROWS_MAX, Bounds, Positive, Window
from indicators.catalogue import indicator
from indicators.operators import (
    after,
    choose,
    earlier,
    fill,
    recursive,
    rolling_sum,
    row_number,
    square_root,
)
from indicators.series import CLOSE, Series

CycleWindow = Annotated[int, Bounds(4, WINDOW_ROWS_MAX)]
WAVE_ROWS = 3
FULL_TURN = 360.0


@indicator(columns="EBSW_{length}_{bars}")
def ebsw(
    close: Series = CLOSE,
    length: CycleWindow = 40,
    bars: Window = 10,
    initial_version: bool = False,
) -> Series:
    """Even better sine wave: the filtered price over its root mean square, three rows of each.

    `length` is the longest cycle that passes, 39 or more; `bars` smooths. `initial_version` is
    pandas-ta's older one, with degrees where radians are meant. As there, row `length` is 0 and
    the filter starts as if the price had been 0 before: the first hundred rows or so are unsound.
    Unit: -1 to 1
    Source: Ehlers (2013), Cycle Analytics for Traders, ch. 12
    """
    turn = FULL_TURN / length if initial_version else 2.0 * math.pi / length
    keep = (1.0 - math.sin(turn)) / math.cos(turn)
    decay = math.exp(-math.sqrt(2.0) * math.pi / bars)
    angle = math.sqrt(2.0) * (FULL_TURN / 2.0 if initial_version else math.pi) / bars
    first, second = 2.0 * decay * math.cos(angle), -decay * decay
    row = row_number()
    price = choose(row <= length, 0.0, close)
    fast = recursive(0.5 * (1.0 + keep) * (price - earlier(price, 1)), 0.0, 1, keep, 0.0, 0.0)
    share = 0.5 * (1.0 - first - second)
    smooth = recursive(share * (fast + earlier(fast, 1)), 0.0, 1, first, second, 0.0)
    wave = rolling_sum(smooth, WAVE_ROWS) / WAVE_ROWS
    power = rolling_sum(smooth * smooth, WAVE_ROWS) / WAVE_ROWS
    return after(choose(row <= length, 0.0, wave / square_root(power)), length - 1)


@indicator(columns="REFLEX_{length}_{smooth}_{alpha}")
def reflex(
    close: Series = CLOSE,
    length: Window = 20,
    smooth: Window = 20,
    alpha: Positive = 0.04,
    pi: Positive = 3.14159,
    sqrt2: Positive = 1.414,
) -> Series:
    """How far the smoothed price lies above the line to its value `length` rows ago, scaled.

    The scale is the root of the squares' exponential mean with weight `alpha`. The constants and
    the angle of 180 radians, where degrees are meant, are pandas-ta's.
    Unit: none
    Source: Ehlers (2020), Reflex: A New Zero-Lag Indicator, Stocks & Commodities 38:2
    """
    ratio = 2.0 * sqrt2 / smooth
    decay = math.exp(-pi * ratio)
    first, second = 2.0 * decay * math.cos(180.0 * ratio), -decay * decay
    share = 0.5 * (decay * decay - first + 1.0)
    before = fill(earlier(close, 1), close)
    line = recursive(share * (close + before), 0.0, 2, first, second, 0.0)
    slope = (earlier(line, length) - line) / length
    above = length * line - rolling_sum(line, length) + slope * (0.5 * length * (length - 1))
    gap = above / length
    power = alpha * gap * gap
    squares = recursive(power, power, 1, 1.0 - alpha, 0.0, 0.0)
    return choose(squares == 0.0, 0.0, gap / square_root(squares))
