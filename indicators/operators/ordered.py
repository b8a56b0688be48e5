"""The last values in order of size: quantiles of a window.

A ring holds the window as it came, and the cells after it hold the same values sorted. Each row
takes one value out of the sorted part and puts one in.
"""

import math

from indicators.bounds import Fraction, Window
from indicators.declare import SEEN, Missing, State, Value, inline, operator
from indicators.operators.windows import finite

HEAD, KNOWN, ORDERED_RING = 1, 2, 3


@inline
def place(s: State, start: int, stop: int, x: float) -> int:
    """The first of the sorted cells from `start` to before `stop` that is not below `x`."""
    while start < stop:
        middle = (start + stop) // 2
        if s[middle] < x:
            start = middle + 1
        else:
            stop = middle
    return start


@operator(
    state=lambda window: 2 + 2 * window,
    warmup=lambda window: window - 1,
    missing=Missing.SPREAD,
    ring=(ORDERED_RING, 1),
)
def rolling_quantile(s: State, x: Value, window: Window, share: Fraction) -> float:
    """The value that has `share` of the last `window` values below it.

    Between two values it lies on the line from one to the next.
    Error: window ulps of the gap between the two, and 2 of the greater.
    Cost: O(log window), and up to `window` cells are moved.
    """
    head = int(s[HEAD])
    x = finite(x)
    old = s[ORDERED_RING + head]
    s[ORDERED_RING + head] = x
    s[HEAD] = head + 1 if head + 1 < window else 0.0
    first = ORDERED_RING + window
    last = first + int(s[KNOWN])
    if s[SEEN] > window and old == old:
        last -= 1
        for cell in range(place(s, first, last + 1, old), last):
            s[cell] = s[cell + 1]
    if x == x:
        here = place(s, first, last, x)
        for cell in range(last, here, -1):
            s[cell] = s[cell - 1]
        s[here] = x
        last += 1
    s[KNOWN] = last - first
    if last - first < window:
        return math.nan
    at = share * (window - 1)
    low = int(at)
    value = s[first + low]
    if low + 1 < window:
        value += (at - low) * (s[first + low + 1] - value)
    return value
