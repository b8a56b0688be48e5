"""Weighted windows: rising weights and least-squares lines by two stacks, any weights by a scan."""

from indicators.bounds import Window
from indicators.declare import Missing, State, Value, Weights, operator
from indicators.operators.windows import finite

HEAD = 1
FIR_RING = 2
TOTAL, RISING, WMA_RING = 2, 3, 4
MEAN, JOINT, SQUARES, LINE_RING = 2, 3, 4, 5


@operator(
    state=lambda weights: 1 + len(weights),
    warmup=lambda weights: len(weights) - 1,
    missing=Missing.SPREAD,
)
def fir(s: State, x: Value, weights: Weights) -> float:
    """Sum of the last values times their weights, the oldest value with the first weight.

    Error: n ulps of the sum of |weight * x| over n weights. Cost: O(n).
    """
    window = len(weights)
    head = int(s[HEAD])
    s[FIR_RING + head] = finite(x)
    oldest = head + 1 if head + 1 < window else 0
    s[HEAD] = oldest
    total = 0.0
    for k in range(window - oldest):
        total += weights[k] * s[FIR_RING + oldest + k]
    for k in range(oldest):
        total += weights[window - oldest + k] * s[FIR_RING + k]
    return total


@operator(
    state=lambda window: 3 + 2 * window,
    warmup=lambda window: window - 1,
    missing=Missing.SPREAD,
    ring=(WMA_RING, 2),
)
def rolling_rising_sum(s: State, x: Value, window: Window) -> float:
    """Sum of the last `window` values times 1, 2, ... `window`, the newest counting most.

    Error: window ulps of the weighted sum of |x| over the window. Cost: O(1) amortised.
    """
    head = int(s[HEAD])
    x = finite(x)
    here = WMA_RING + 2 * head
    count = head + 1.0
    total = s[TOTAL] + x if head > 0 else x
    rising = s[RISING] + count * x if head > 0 else x
    s[here] = x
    if head + 1 < window:
        s[HEAD] = count
        s[TOTAL] = total
        s[RISING] = rising
        return s[here + 3] + rising + (window - count) * total
    s[HEAD] = 0.0
    later, climb = 0.0, 0.0
    for cell in range(here, WMA_RING - 2, -2):
        later += s[cell]
        climb += later
        s[cell] = later
        s[cell + 1] = climb
    return rising


@operator(
    state=lambda window: 4 + 3 * window,
    warmup=lambda window: window - 1,
    missing=Missing.SPREAD,
    outputs=3,
    ring=(LINE_RING, 3),
)
def rolling_line(s: State, x: Value, window: Window) -> tuple[float, float, float]:
    """Mean of the last values, their co-moment with time, and their squares about the mean.

    The least-squares slope is the co-moment over `window * (window**2 - 1) / 12`.
    Error: 4 * window ulps of window * max|x - mean| over the window, plus window ulps of |x|.
    Cost: O(1) amortised.
    """
    head = int(s[HEAD])
    x = finite(x)
    here = LINE_RING + 3 * head
    count = head + 1.0
    if head == 0:
        zero = x - x  # or missing where the value is
        mean, joint, spread = x, zero, zero
    else:
        gap = x - s[MEAN]
        share = head / count
        mean = s[MEAN] + gap / count
        joint = s[JOINT] + 0.5 * count * gap * share
        spread = s[SQUARES] + gap * gap * share
    s[here] = x
    if head + 1 < window:
        s[HEAD] = count
        s[MEAN] = mean
        s[JOINT] = joint
        s[SQUARES] = spread
        old = here + 3
        rest = window - count
        gap = mean - s[old]
        share = rest * count / window
        return (
            s[old] + gap * (count / window),
            s[old + 1] + joint + 0.5 * window * gap * share,
            s[old + 2] + spread + gap * gap * share,
        )
    s[HEAD] = 0.0
    late, late_joint, late_spread = x, 0.0, 0.0
    s[here + 1] = 0.0
    s[here + 2] = 0.0
    for back in range(1, window):
        cell = here - 3 * back
        gap = late - s[cell]
        share = back / (back + 1.0)
        late -= gap / (back + 1.0)
        late_joint += 0.5 * (back + 1.0) * gap * share
        late_spread += gap * gap * share
        s[cell] = late
        s[cell + 1] = late_joint
        s[cell + 2] = late_spread
    return mean, joint, spread
