"""Lines that only give way in one direction, extremes by their age, and turning points."""

import math

from indicators.bounds import Fraction, Number, Positive, Window
from indicators.declare import SEEN, Missing, State, Value, forever, operator
from indicators.operators.elementwise import true
from indicators.operators.windows import finite

HEAD, BEST, BEST_ROW, AGE_RING = 1, 2, 3, 4
KNOWN, SIDE, LAST, RUN_ROW = 1, 2, 3, 4


@operator(
    state=lambda window: 3 + 2 * window, warmup=lambda window: window - 1, missing=Missing.SPREAD
)
def rolling_max_age(s: State, x: Value, window: Window) -> float:
    """Rows since the greatest of the last `window` values, the newest of equal ones.

    Exact. Cost: O(1) amortised, by two stacks as in `rolling_max`.
    """
    head, row = int(s[HEAD]), s[SEEN]
    x = finite(x)
    if head == 0 or x >= s[BEST] or x != x:
        s[BEST], s[BEST_ROW] = x, row
    values, rows = AGE_RING, AGE_RING + window
    s[values + head], s[rows + head] = x, row
    best, best_row = s[BEST], s[BEST_ROW]
    if head + 1 < window:
        s[HEAD] = head + 1
        older, older_row = s[values + head + 1], s[rows + head + 1]
        if older != older or best != best:
            return math.nan
        return row - (older_row if older > best else best_row)
    s[HEAD] = 0.0
    later, later_row = x, row
    for cell in range(window - 1, -1, -1):
        if s[values + cell] > later or s[values + cell] != s[values + cell]:
            later, later_row = s[values + cell], s[rows + cell]
        s[values + cell], s[rows + cell] = later, later_row
    return row - best_row if best == best else math.nan


@operator(state=lambda: 1, memory=forever, missing=Missing.ROWS)
def follow(s: State, lower: Value, upper: Value, rising: Value) -> float:
    """A line that does not fall while `rising` holds, nor rise while it does not.

    In a rise it is `lower`, else `upper`, unless that is a step back; where the band is
    missing the line is, and starts anew after it.
    """
    before = s[1] if s[SEEN] > 1.0 else math.nan
    if true(rising):
        s[1] = before if lower < before else lower
    else:
        s[1] = before if upper > before else upper
    return s[1]


@operator(state=lambda: 1, memory=forever)
def fading_max(s: State, x: Value, share: Fraction, step: Number) -> float:
    """The greatest of 0, `x`, and what is left of the result before: `share` of it less `step`."""
    s[1] = x if s[SEEN] == 1.0 else max(0.0, x, share * s[1] - step)
    return s[1]


@operator(state=lambda: 4, memory=forever, missing=Missing.ROWS, outputs=3)
def turning_points(
    s: State, trough: Value, peak: Value, share: Positive
) -> tuple[float, float, float]:
    """Which of the pivots that come in turn a zigzag: its side (-1 or 1), value and distance.

    `trough` and `peak` are missing except on rows with such a pivot. A pivot on the last one's
    side counts where it goes beyond it, one on the other side where it is more than `share` of
    the last value away. The distance is in percent of the last value. Where a row has both
    pivots and both count, the answer is the peak.
    """
    side, value, distance = math.nan, math.nan, math.nan
    for new_side in (-1.0, 1.0):
        new = trough if new_side < 0.0 else peak
        if new != new:
            continue
        if s[KNOWN] == 0.0:
            away, starts = 0.0, True
        else:
            away = (new - s[LAST]) / s[LAST]
            starts = new_side != s[SIDE] and new_side * away > share
            beyond = new_side == s[SIDE] and new_side * (new - s[LAST]) > 0.0
            if not (starts or beyond) or s[RUN_ROW] == s[SEEN]:
                continue
        if starts:
            s[RUN_ROW] = s[SEEN]
        s[KNOWN], s[SIDE], s[LAST] = 1.0, new_side, new
        side, value, distance = new_side, new, 100.0 * away
    return side, value, distance
