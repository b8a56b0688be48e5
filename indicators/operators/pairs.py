"""How two series move together over the last rows: two stacks, joined without subtraction."""

import math

from indicators.bounds import Window
from indicators.declare import Missing, State, Value, operator

HEAD, MEAN_X, MEAN_Y, SQUARES_X, JOINT, SQUARES_Y, RING = 1, 2, 3, 4, 5, 6, 7


@operator(
    state=lambda window: 6 + 5 * window,
    warmup=lambda window: window - 1,
    missing=Missing.SPREAD,
    outputs=3,
    ring=(RING, 5),
)
def rolling_pair(s: State, x: Value, y: Value, window: Window) -> tuple[float, float, float]:
    """Sums of squares and of products of the distances of two series from their means: xx, xy, yy.

    A window where one is missing or infinite has none. Error: with d and e the greatest
    distances from the means, 4 * window ulps of window * d * e, d times the sum of |y| and e
    times the sum of |x|. Cost: O(1) amortised.
    """
    head = int(s[HEAD])
    if x - x != 0.0 or y - y != 0.0:
        x = y = math.nan
    here = RING + 5 * head
    count = head + 1.0
    if head == 0:
        mean_x, mean_y, xx, xy, yy = x, y, 0.0, 0.0, 0.0
    else:
        gap_x, gap_y = x - s[MEAN_X], y - s[MEAN_Y]
        share = head / count
        mean_x, mean_y = s[MEAN_X] + gap_x / count, s[MEAN_Y] + gap_y / count
        xx = s[SQUARES_X] + gap_x * gap_x * share
        xy = s[JOINT] + gap_x * gap_y * share
        yy = s[SQUARES_Y] + gap_y * gap_y * share
    s[here], s[here + 1] = x, y
    if head + 1 < window:
        s[HEAD] = count
        s[MEAN_X], s[MEAN_Y] = mean_x, mean_y
        s[SQUARES_X], s[JOINT], s[SQUARES_Y] = xx, xy, yy
        old = here + 5
        share = (window - count) * count / window
        gap_x, gap_y = mean_x - s[old], mean_y - s[old + 1]
        return (
            s[old + 2] + xx + gap_x * gap_x * share,
            s[old + 3] + xy + gap_x * gap_y * share,
            s[old + 4] + yy + gap_y * gap_y * share,
        )
    s[HEAD] = 0.0
    late_x, late_y, late_xx, late_xy, late_yy = x, y, 0.0, 0.0, 0.0
    s[here + 2] = s[here + 3] = s[here + 4] = 0.0
    for back in range(1, window):
        cell = here - 5 * back
        gap_x, gap_y = s[cell] - late_x, s[cell + 1] - late_y
        share = back / (back + 1.0)
        late_x += gap_x / (back + 1.0)
        late_y += gap_y / (back + 1.0)
        late_xx += gap_x * gap_x * share
        late_xy += gap_x * gap_y * share
        late_yy += gap_y * gap_y * share
        s[cell], s[cell + 1] = late_x, late_y
        s[cell + 2], s[cell + 3], s[cell + 4] = late_xx, late_xy, late_yy
    return xx, xy, yy
