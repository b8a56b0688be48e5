"""Places in the order of the last values."""

import math

from indicators.bounds import ShortWindow
from indicators.declare import Missing, State, Value, operator

HEAD, RING = 1, 2


@operator(
    state=lambda window: 1 + window,
    warmup=lambda window: window - 1,
    missing=Missing.ROWS,
    outputs=2,
    ring=(RING, 1),
)
def rolling_rank(s: State, x: Value, y: Value, window: ShortWindow) -> tuple[float, float]:
    """How many of the last `window` values of `y` are below `x`, and how many are above it.

    Missing values of `y` are neither. Exact. Cost: O(window).
    """
    head = int(s[HEAD])
    s[RING + head] = y
    s[HEAD] = head + 1 if head + 1 < window else 0.0
    if x != x:
        return math.nan, math.nan
    below, above = 0.0, 0.0
    for cell in range(RING, RING + window):
        if s[cell] < x:
            below += 1.0
        elif s[cell] > x:
            above += 1.0
    return below, above
