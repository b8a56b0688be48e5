"""Averages with a memory that fades: exponential ones, by how they start, and linear filters."""

import math

from indicators.bounds import Number, Window
from indicators.declare import SEEN, Missing, State, Value, forever, inline, operator
from indicators.series import Series

MEAN, STARTED, MISSED = 1, 2, 3
KNOWN, ROWS = 4, 5
WEIGHT = 2
FADED = 1e-15
"""Share of the start that is left when it no longer matters."""


def fade(alpha: Series) -> float:
    """Rows until the start's weight is below FADED; infinite unless `alpha` is a constant."""
    if alpha.name != "constant":
        return math.inf
    (share,) = alpha.parameters
    if not isinstance(share, float) or not 0.0 < share <= 1.0:
        return math.inf
    return 1.0 if share == 1.0 else math.ceil(math.log(FADED) / math.log1p(-share))


@inline
def blend(s: State, x: float, alpha: float) -> float:
    """One step of the mean in cells 1 to 3, as pandas does it with adjust=False.

    A row without a finite value (or weight) repeats the mean, and the next value weighs more
    for each such row.
    """
    if s[STARTED] == 0.0:
        if x - x != 0.0:
            return math.nan
        s[STARTED] = 1.0
        s[MEAN] = x
        return x
    move = alpha * (x - s[MEAN])
    if move - move != 0.0:
        s[MISSED] += 1.0
    elif s[MISSED] == 0.0:
        s[MEAN] += move
    else:
        s[MEAN] += move / (alpha + (1.0 - alpha) ** (s[MISSED] + 1.0))
        s[MISSED] = 0.0
    return s[MEAN]


@operator(state=lambda: 3, memory=fade, missing=Missing.ROWS)
def ewm(s: State, x: Value, alpha: Value) -> float:
    """Exponentially weighted mean that starts as the first value.

    Error: 2 / alpha ulps of max|x| since the start.
    """
    return blend(s, x, alpha)


@inline
def blend_after(s: State, x: float, alpha: float, row: float, rows: int) -> float:
    """Mean of the known values up to row number `rows`, then one step of the weighted mean."""
    if row > rows:
        return blend(s, x, alpha)
    if x - x == 0.0:
        s[KNOWN] += 1.0
        s[MEAN] += (x - s[MEAN]) / s[KNOWN]
    if row == rows and s[KNOWN] > 0.0:
        s[STARTED] = 1.0
        return s[MEAN]
    return math.nan


@operator(state=lambda: 4, warmup=lambda rows: rows - 1, memory=fade, missing=Missing.ROWS)
def ewm_by_row(s: State, x: Value, alpha: Value, rows: Window) -> float:
    """Exponentially weighted mean that starts, at row `rows`, as the mean of the values so far.

    Where none of the first rows has a value, it starts as the first value after them.
    Error: 2 / alpha ulps of max|x| since the start.
    """
    return blend_after(s, x, alpha, s[SEEN], rows)


@operator(state=lambda: 5, warmup=lambda rows: rows - 1, memory=fade, missing=Missing.SPREAD)
def ewm_by_value(s: State, x: Value, alpha: Value, rows: Window) -> float:
    """Exponentially weighted mean that starts as the mean of `rows` rows from the first value on.

    Error: 2 / alpha ulps of max|x| since the start.
    """
    if s[ROWS] == 0.0 and x != x:
        return math.nan
    s[ROWS] += 1.0
    return blend_after(s, x, alpha, s[ROWS], rows)


@operator(state=lambda: 2, warmup=lambda least: least - 1, memory=fade)
def ewm_adjusted(s: State, x: Value, alpha: Value, least: Window) -> float:  # noqa: ARG001
    """Exponentially weighted mean whose weights sum to one from the first value on.

    Error: 2 / alpha ulps of max|x| since the start.
    """
    s[WEIGHT] = (1.0 - alpha) * s[WEIGHT] + 1.0
    s[MEAN] += (x - s[MEAN]) / s[WEIGHT]
    return s[MEAN]


@operator(state=lambda: 2, warmup=lambda rows: rows - 1, missing=Missing.ROWS)
def opening_mean(s: State, x: Value, rows: Window) -> float:
    """`x` from row `rows` on, where it is the mean of the known values so far.

    What pandas-ta calls presma: averages of any kind then start from a plain mean.
    """
    if s[SEEN] > rows:
        return x
    if x == x:
        s[2] += 1.0
        s[MEAN] += (x - s[MEAN]) / s[2]
    return s[MEAN] if s[2] > 0.0 else math.nan


@operator(state=lambda: 3, memory=forever)
def recursive(
    s: State, x: Value, start: Value, rows: Window, a: Number, b: Number, c: Number
) -> float:
    """`x` plus a, b and c times the last three results; the first `rows` results are `start`.

    Error: none of its own; the start fades as fast as the filter's slowest root.
    """
    y = start if s[SEEN] <= rows else x + a * s[1] + b * s[2] + c * s[3]
    s[3] = s[2]
    s[2] = s[1]
    s[1] = y
    return y
