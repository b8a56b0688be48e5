"""Traded volume by price."""

import math

import numpy as np

from indicators.bounds import ShortWindow
from indicators.declare import SEEN, Missing, State, Value, inline, operator

HEAD, RING = 1, 2
RING_COLUMNS, BIN_CELLS = 3, 5
NUDGE = 0.001
"""How far the edges are from prices that are all equal: this share of them, or this."""


@inline
def edge(least: float, most: float, bins: int, k: int) -> float:
    """The lower edge of range number `k`."""
    return most if k == bins else least + k * ((most - least) / bins)


@inline
def place(price: float, least: float, most: float, bins: int) -> int:
    """The range that holds a price: above its lower edge, not above its upper one."""
    if not price > least:
        return 0
    k = min(int(np.ceil((price - least) / (most - least) * bins)), bins) - 1
    while k < bins - 1 and price > edge(least, most, bins, k + 1):
        k += 1
    while k > 0 and price <= edge(least, most, bins, k):
        k -= 1
    return k


@inline
def span_of(s: State, prices: int, head: int, window: int, count: int) -> tuple[float, float]:
    """Least and greatest of the last `count` prices, a little apart where they are equal."""
    low, high = math.inf, -math.inf
    for back in range(count):
        price = s[prices + (head - back if head >= back else head - back + window)]
        if price < low:
            low = price
        if price > high:
            high = price
    if low == high:
        gap = NUDGE * math.fabs(low) if low != 0.0 else NUDGE
        low, high = low - gap, high + gap
    return low, high


@inline
def put(s: State, at: int, price: float, change: float, volume: float) -> None:
    """Count one row in the range whose cells start at `at`: rows, mean, three volumes."""
    s[at] += 1.0
    s[at + 1] += (price - s[at + 1]) / s[at]
    if change > 0.0:
        s[at + 2] += volume
    elif change < 0.0:
        s[at + 3] += volume
    elif change == 0.0:
        s[at + 4] += volume


@inline
def busiest(s: State, table: int, bins: int) -> int:
    """The first of the ranges with the most volume on rising and falling rows."""
    best = 0
    for k in range(1, bins):
        at, first = table + BIN_CELLS * k, table + BIN_CELLS * best
        if s[at + 2] + s[at + 3] > s[first + 2] + s[first + 3]:
            best = k
    return best


@operator(
    state=lambda window, bins: 1 + RING_COLUMNS * window + BIN_CELLS * bins,
    warmup=lambda least: least - 1,
    memory=lambda window: window,
    missing=Missing.ROWS,
    outputs=7,
)
def busiest_range(
    s: State,
    price: Value,
    change: Value,
    volume: Value,
    rows: Value,
    window: ShortWindow,
    bins: ShortWindow,
    least: ShortWindow,  # noqa: ARG001
) -> tuple[float, float, float, float, float, float, float]:
    """The price range with the most volume on rising and falling rows, of the last `rows` rows.

    Least, mean and greatest price of the range; volume on rows with a `change` above, below and
    at zero; the first two together. The ranges are `bins` equal parts of the way from the least
    to the greatest price; at most `window` rows count. Rows without a price are left out.
    Error: rows ulps of the sum of volume, of the greatest price for the mean. The edges are
    those of numpy.linspace. Cost: O(window + bins).
    """
    head = int(s[HEAD])
    prices, changes, volumes = RING, RING + window, RING + 2 * window
    table = RING + RING_COLUMNS * window
    s[prices + head], s[changes + head], s[volumes + head] = price, change, volume
    s[HEAD] = head + 1 if head + 1 < window else 0.0
    count = int(min(rows, s[SEEN], float(window))) if rows == rows else 0
    low, high = span_of(s, prices, head, window, count)
    if low > high:
        return math.nan, math.nan, math.nan, math.nan, math.nan, math.nan, math.nan
    for cell in range(table, table + BIN_CELLS * bins):
        s[cell] = 0.0
    for back in range(count):
        cell = head - back if head >= back else head - back + window
        seen = s[prices + cell]
        if seen - seen == 0.0:
            at = table + BIN_CELLS * place(seen, low, high, bins)
            put(s, at, seen, s[changes + cell], s[volumes + cell])
    best = busiest(s, table, bins)
    at = table + BIN_CELLS * best
    return (
        edge(low, high, bins, best),
        s[at + 1] if s[at] > 0.0 else math.nan,
        edge(low, high, bins, best + 1),
        s[at + 2],
        s[at + 3],
        s[at + 4],
        s[at + 2] + s[at + 3],
    )
