"""Recursions of single oscillators that no filter composes: clamped, rounded, restarted."""

import math
from typing import Annotated

import numpy as np

from indicators.bounds import Bounds, Positive, Window
from indicators.declare import SEEN, Missing, State, Value, forever, inline, operator
from indicators.operators.averages import FADED, fade

VALUE = 1
LAST, LONG, SHORT, LONG_BEFORE, SHORT_BEFORE, FALLING = 1, 2, 3, 4, 5, 6
PRICE, QUIET, COUNT, MOVES, SIZES = 1, 2, 3, 4, 10
DECIMALS = 1e8
STRENGTH_ROWS_MIN = 5
SIZE_MIN = 1e-10
Share = Annotated[float, Bounds(0.0, 1.0 - 1e-9)]


@operator(
    state=lambda: 1,
    memory=lambda kept: math.ceil(math.log(FADED) / math.log(kept)) if kept > 0.0 else 1,
)
def bounded_recursive(s: State, x: Value, kept: Share, limit: Positive, bound: Positive) -> float:
    """`x` plus the share `kept` of the result before; beyond +-`limit` it is +-`bound`."""
    y = x + kept * s[VALUE]
    if y < -limit:
        y = -bound
    if y > limit:
        y = bound
    s[VALUE] = y
    return y


@operator(state=lambda: 1, memory=fade)
def ewm_rounded(s: State, x: Value, alpha: Value) -> float:
    """Exponentially weighted mean from 0, each result rounded to 8 decimals."""
    s[VALUE] = np.rint((s[VALUE] + alpha * (x - s[VALUE])) * DECIMALS) / DECIMALS
    return s[VALUE]


@operator(state=lambda: 6, memory=forever, missing=Missing.ROWS, outputs=3)
def crossing_bands(s: State, x: Value, width: Value) -> tuple[float, float, float]:
    """Lines below and above `x`, and whether `x` last crossed the one below.

    A line is `width` away and only comes nearer while `x` stays on its side. A cross is seen
    against the lines of the row before, as pandas-ta's qqe has it: it starts as not crossed.
    """
    if s[SEEN] == 1.0:
        for cell in range(LAST, FALLING):
            s[cell] = math.nan
    last, long, short = s[LAST], s[LONG], s[SHORT]
    lower, upper = x - width, x + width
    if last > long and x > long and long > lower:
        lower = long
    if last < short and x < short and short < upper:
        upper = short
    over, under = s[SHORT_BEFORE], s[LONG_BEFORE]
    if (x > short and last < over) or (x <= short and last >= over):
        s[FALLING] = 0.0
    elif (x > long and last < under) or (x <= long and last >= under):
        s[FALLING] = 1.0
    s[LAST], s[LONG], s[SHORT], s[LONG_BEFORE], s[SHORT_BEFORE] = x, lower, upper, long, short
    return lower, upper, s[FALLING]


@inline
def smooth_thrice(s: State, first: int, x: float, alpha: float) -> float:
    """Three pairs of exponential means, each giving one and a half times the first less half."""
    for cell in range(first, first + 6, 2):
        s[cell] += alpha * (x - s[cell])
        s[cell + 1] += alpha * (s[cell] - s[cell + 1])
        x = 1.5 * s[cell] - 0.5 * s[cell + 1]
    return x


@operator(state=lambda: 15, warmup=lambda rows: rows - 1, memory=forever)
def smooth_strength(s: State, x: Value, rows: Window) -> float:
    """Share of rises in all changes, both smoothed thrice: 50 on row `rows`, until there is more.

    Starts again where the first rows after that are all the same.
    """
    if s[SEEN] <= rows:
        return 50.0
    enough = max(rows - 1.0, STRENGTH_ROWS_MIN)
    if s[COUNT] == 0.0:
        s[COUNT], s[QUIET], s[PRICE] = 1.0, 1.0, x
        return 50.0
    change = 100.0 * x - 100.0 * s[PRICE]
    s[COUNT] = min(s[COUNT] + 1.0, enough + 1.0)
    s[PRICE] = x
    alpha = 3.0 / (rows + 2.0)
    move = smooth_thrice(s, MOVES, change, alpha)
    size = smooth_thrice(s, SIZES, math.fabs(change), alpha)
    if change != 0.0 and s[COUNT] <= enough:
        s[QUIET] = 0.0
    if s[COUNT] == enough and s[QUIET] == 1.0:
        s[COUNT] = 0.0
    if s[COUNT] > enough and size > SIZE_MIN:
        return min(max((move / size + 1.0) * 50.0, 0.0), 100.0)
    return 50.0
