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
    state=lambda window: 3 + 2 * window, warmup=lambda window: window - 1, missing=Missing.SPREAD
)
def rolling_rising_sum(s: State, x: Value, window: Window) -> float:
    """Sum of the last `window` values times 1, 2, ... `window`, the newest counting most.

    Error: window ulps of the weighted sum of |x| over the window. Cost: O(1) amortised.
    """
    head = int(s[HEAD])
    x = finite(x)
    totals, risings = WMA_RING, WMA_RING + window
    count = head + 1.0
    total = s[TOTAL] + x if head > 0 else x
    rising = s[RISING] + count * x if head > 0 else x
    s[totals + head] = x
    if head + 1 < window:
        s[HEAD] = count
        s[TOTAL] = total
        s[RISING] = rising
        return s[risings + head + 1] + rising + (window - count) * total
    s[HEAD] = 0.0
    later, climb = 0.0, 0.0
    for cell in range(window - 1, -1, -1):
        later += s[totals + cell]
        climb += later
        s[totals + cell] = later
        s[risings + cell] = climb
    return rising


@operator(
    state=lambda window: 4 + 3 * window,
    warmup=lambda window: window - 1,
    missing=Missing.SPREAD,
    outputs=3,
)
def rolling_line(s: State, x: Value, window: Window) -> tuple[float, float, float]:
    """Mean of the last values, their co-moment with time, and their squares about the mean.

    The least-squares slope is the co-moment over `window * (window**2 - 1) / 12`.
    Error: 4 * window ulps of window * max|x - mean| over the window, plus window ulps of |x|.
    Cost: O(1) amortised.
    """
    head = int(s[HEAD])
    x = finite(x)
    means = LINE_RING
    joints, squares = means + window, means + 2 * window
    count = head + 1.0
    if head == 0:
        mean, joint, spread = x, 0.0, 0.0
    else:
        gap = x - s[MEAN]
        share = head / count
        mean = s[MEAN] + gap / count
        joint = s[JOINT] + 0.5 * count * gap * share
        spread = s[SQUARES] + gap * gap * share
    s[means + head] = x
    if head + 1 < window:
        s[HEAD] = count
        s[MEAN] = mean
        s[JOINT] = joint
        s[SQUARES] = spread
        old = head + 1
        rest = window - count
        gap = mean - s[means + old]
        share = rest * count / window
        return (
            s[means + old] + gap * (count / window),
            s[joints + old] + joint + 0.5 * window * gap * share,
            s[squares + old] + spread + gap * gap * share,
        )
    s[HEAD] = 0.0
    late, late_joint, late_spread = x, 0.0, 0.0
    s[joints + head] = 0.0
    s[squares + head] = 0.0
    for back in range(1, window):
        cell = window - 1 - back
        gap = late - s[means + cell]
        share = back / (back + 1.0)
        late -= gap / (back + 1.0)
        late_joint += 0.5 * (back + 1.0) * gap * share
        late_spread += gap * gap * share
        s[means + cell] = late
        s[joints + cell] = late_joint
        s[squares + cell] = late_spread
    return mean, joint, spread
