"""Sums, means and extremes of the last rows, by two stacks: nothing is ever subtracted.

The ring holds one block of `window` rows. When a block is full, its cells are replaced, from
the last to the first, by the aggregate from there to the block's end. The next block then
grows a running aggregate of its own, and a window is one old suffix and the new prefix. So a
value that has left the window leaves no trace, and a missing one hides just its own windows.
"""

from indicators.bounds import Window
from indicators.declare import SEEN, Missing, State, Value, inline, operator

HEAD, PREFIX, RING = 1, 2, 3


@inline
def finite(x):
    """`x`, or NaN where it is infinite."""
    return x if x - x == 0.0 else x - x


@operator(
    state=lambda window: 2 + window,
    warmup=lambda least: least - 1,
    memory=lambda window: window,
    missing=Missing.SPREAD,
)
def rolling_sum(s: State, x: Value, window: Window, least: Window) -> float:
    """Sum of the last `window` values, once there are `least`.

    Error: window ulps of the sum of |x| over the window itself. Cost: O(1) amortised.
    """
    head = int(s[HEAD])
    x = finite(x)
    prefix = s[PREFIX] + x
    s[RING + head] = x
    if head + 1 < window:
        s[HEAD] = head + 1
        s[PREFIX] = prefix
        return s[RING + head + 1] + prefix
    suffix = 0.0
    for cell in range(RING + window - 1, RING - 1, -1):
        suffix += s[cell]
        s[cell] = suffix
    s[HEAD] = 0
    s[PREFIX] = 0.0
    return prefix
