"""Sums, means and extremes of the last rows, by two stacks: nothing is ever subtracted.

The ring holds one block of `window` rows. When the block is full, its cells are replaced, from
the last to the first, by the aggregate from there to the block's end. The next block then
grows an aggregate of its own, and every window is one old suffix and the new prefix. So a value
that has left the window leaves no trace, and a missing one hides just the windows it is in.
"""

import math

from indicators.bounds import ShortWindow, Window
from indicators.declare import SEEN, Missing, State, Value, inline, operator

HEAD, PREFIX, RING = 1, 2, 3
RUN, LAST, MEAN_RING = 3, 4, 5
MAD_RING = 2
RECENT_RING = 2


@inline
def finite(x: float) -> float:
    """`x`, or NaN where it is infinite: pandas takes infinities for missing in a window."""
    return x if x - x == 0.0 else math.nan


@inline
def slide_sum(s: State, x: float, window: int, ring: int) -> float:
    """Put `x` into the ring that starts at cell `ring`; the sum of the window."""
    head = int(s[HEAD])
    prefix = s[PREFIX] + x
    s[ring + head] = x
    if head + 1 < window:
        s[HEAD] = head + 1
        s[PREFIX] = prefix
        return s[ring + head + 1] + prefix
    suffix = 0.0
    for cell in range(ring + window - 1, ring - 1, -1):
        suffix += s[cell]
        s[cell] = suffix
    s[HEAD] = 0.0
    s[PREFIX] = 0.0
    return prefix


@operator(
    state=lambda window: 2 + window,
    warmup=lambda least: least - 1,
    memory=lambda window: window,
    missing=Missing.SPREAD,
    ring=(RING, 1),
)
def rolling_sum_from(s: State, x: Value, window: Window, least: Window) -> float:  # noqa: ARG001
    """Sum of the last `window` values, given as soon as `least` rows have come.

    Error: window ulps of the sum of |x| over the window itself. Cost: O(1) amortised.
    """
    return slide_sum(s, finite(x), window, RING)


@operator(
    state=lambda window: 2 + window,
    warmup=lambda window: window - 1,
    missing=Missing.SPREAD,
    ring=(RING, 1),
)
def rolling_sum(s: State, x: Value, window: Window) -> float:
    """Sum of the last `window` values.

    Error: window ulps of the sum of |x| over the window itself. Cost: O(1) amortised.
    """
    return slide_sum(s, finite(x), window, RING)


@operator(
    state=lambda window: 4 + window,
    warmup=lambda window: window - 1,
    missing=Missing.SPREAD,
    ring=(MEAN_RING, 1),
)
def rolling_mean(s: State, x: Value, window: Window) -> float:
    """Mean of the last `window` values; a window of equal values gives that value exactly.

    Error: window ulps of the mean of |x| over the window itself. Cost: O(1) amortised.
    """
    x = finite(x)
    total = slide_sum(s, x, window, MEAN_RING)
    if s[SEEN] > 1.0 and x == s[LAST]:
        s[RUN] += 1.0
    else:
        s[RUN] = 1.0
        s[LAST] = x
    return x if s[RUN] >= window else total / window


@inline
def greater(x: float, y: float) -> float:
    """The greater of two numbers; NaN if one is."""
    return x if x > y or x != x else y


@operator(
    state=lambda window: 2 + window,
    warmup=lambda window: window - 1,
    missing=Missing.SPREAD,
    ring=(RING, 1),
)
def rolling_max(s: State, x: Value, window: Window) -> float:
    """Greatest of the last `window` values. Exact. Cost: O(1) amortised."""
    head = int(s[HEAD])
    x = finite(x)
    prefix = greater(s[PREFIX], x) if head > 0 else x
    s[RING + head] = x
    if head + 1 < window:
        s[HEAD] = head + 1
        s[PREFIX] = prefix
        return greater(s[RING + head + 1], prefix)
    suffix = x
    for cell in range(RING + window - 1, RING - 1, -1):
        suffix = greater(suffix, s[cell])
        s[cell] = suffix
    s[HEAD] = 0.0
    return prefix


@operator(
    state=lambda window: 2 + window,
    warmup=lambda window: window - 1,
    missing=Missing.SPREAD,
    ring=(RING, 1),
)
def rolling_min(s: State, x: Value, window: Window) -> float:
    """Least of the last `window` values. Exact. Cost: O(1) amortised."""
    head = int(s[HEAD])
    x = finite(x)
    prefix = -greater(-s[PREFIX], -x) if head > 0 else x
    s[RING + head] = x
    if head + 1 < window:
        s[HEAD] = head + 1
        s[PREFIX] = prefix
        return -greater(-s[RING + head + 1], -prefix)
    suffix = x
    for cell in range(RING + window - 1, RING - 1, -1):
        suffix = -greater(-suffix, -s[cell])
        s[cell] = suffix
    s[HEAD] = 0.0
    return prefix


@operator(state=lambda window: 1 + window, warmup=lambda window: window - 1, missing=Missing.SPREAD)
def rolling_deviation(s: State, x: Value, window: ShortWindow) -> float:
    """Mean distance of the last `window` values from their mean.

    Error: 2 * window ulps of the mean of |x| over the window. Cost: O(window).
    """
    head = int(s[HEAD])
    s[MAD_RING + head] = finite(x)
    s[HEAD] = head + 1 if head + 1 < window else 0.0
    total = 0.0
    for cell in range(MAD_RING, MAD_RING + window):
        total += s[cell]
    mean = total / window
    distance = 0.0
    for cell in range(MAD_RING, MAD_RING + window):
        distance += math.fabs(s[cell] - mean)
    return distance / window


@operator(state=lambda most: 1 + most, memory=lambda most: most, missing=Missing.SPREAD)
def recent_mean(s: State, x: Value, rows: Value, most: ShortWindow) -> float:
    """Mean of the last `rows` values, a number from row to row, `most` at most.

    NaN where there are not so many. Error: rows ulps of the mean of |x|. Cost: O(rows).
    """
    head = int(s[HEAD])
    s[RECENT_RING + head] = finite(x)
    s[HEAD] = head + 1 if head + 1 < most else 0.0
    if not 1.0 <= rows <= min(s[SEEN], most):
        return math.nan
    total, count = 0.0, int(rows)
    for back in range(count):
        total += s[RECENT_RING + (head - back if head >= back else head - back + most)]
    return total / count
