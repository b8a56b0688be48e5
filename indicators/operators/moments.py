"""Variance and higher moments of the last rows: two stacks, joined without subtraction.

Each aggregate is a mean and sums of powers of distances from it. Two neighbours are joined by
the formulas of Chan, Golub and LeVeque (1983) and of Pebay (Sandia report SAND2008-6212). A
window of equal values has moments of exactly zero. The parts of an aggregate lie side by side:
one row then touches one line of memory.
"""

from indicators.bounds import Freedom, Window
from indicators.declare import SEEN, Missing, State, Value, forever, inline, operator
from indicators.operators.windows import finite

HEAD, MEAN, SQUARES, CUBES, FOURTHS = 1, 2, 3, 4, 5
VARIANCE_RING, MOMENT_RING = 4, 6
START, LINE_MEAN, LINE_JOINT, LINE_SQUARES = 1, 2, 3, 4


@operator(
    state=lambda window: 3 + 2 * window,
    warmup=lambda window: window - 1,
    missing=Missing.SPREAD,
    ring=(VARIANCE_RING, 2),
)
def rolling_variance(s: State, x: Value, window: Window, freedom: Freedom) -> float:
    """Variance of the last `window` values, with divisor `window - freedom`.

    Error: with d the greatest distance from the mean, 4 * window ulps of the variance and of
    d times the sum of |x|. Cost: O(1) amortised.
    """
    head = int(s[HEAD])
    x = finite(x)
    here = VARIANCE_RING + 2 * head
    count = head + 1.0
    if head == 0:
        mean, spread = x, x - x  # zero, or missing where the value is
    else:
        gap = x - s[MEAN]
        mean = s[MEAN] + gap / count
        spread = s[SQUARES] + gap * (x - mean)
    s[here] = x
    if head + 1 < window:
        s[HEAD] = count
        s[MEAN] = mean
        s[SQUARES] = spread
        rest = window - count
        gap = mean - s[here + 2]
        return (s[here + 3] + spread + gap * gap * (rest * count / window)) / (window - freedom)
    s[HEAD] = 0.0
    s[here + 1] = 0.0
    late, wide = x, 0.0
    for back in range(1, window):
        cell = here - 2 * back
        gap = s[cell] - late
        step = gap / (back + 1.0)
        wide += gap * (gap - step)
        late += step
        s[cell] = late
        s[cell + 1] = wide
    return spread / (window - freedom)


@inline
def join(
    n: float, a: float, a2: float, a3: float, a4: float,
    m: float, b: float, b2: float, b3: float, b4: float,
) -> tuple[float, float, float, float]:  # fmt: skip
    """Moments of `n` values (mean a) and `m` values (mean b) together (Pebay 2008, eq. 2.1)."""
    total = n + m
    d = b - a
    step = d / total
    mean = a + step * m
    second = a2 + b2 + d * step * n * m
    third = a3 + b3 + d * step * step * n * m * (n - m) + 3.0 * step * (n * b2 - m * a2)
    fourth = (
        a4
        + b4
        + d * step * step * step * n * m * (n * n - n * m + m * m)
        + 6.0 * step * step * (n * n * b2 + m * m * a2)
        + 4.0 * step * (n * b3 - m * a3)
    )
    return mean, second, third, fourth


@operator(
    state=lambda window: 5 + 4 * window,
    warmup=lambda window: window - 1,
    missing=Missing.SPREAD,
    outputs=4,
    ring=(MOMENT_RING, 4),
)
def rolling_moments(s: State, x: Value, window: Window) -> tuple[float, float, float, float]:
    """Mean, and sums of the 2nd, 3rd and 4th powers of the distances from it.

    Error: with d the greatest distance and k the power, window * 1e-12 * d**k plus
    20 * window ulps of the sum of |x| * d**(k - 1). Cost: O(1) amortised.
    """
    head = int(s[HEAD])
    x = finite(x)
    here = MOMENT_RING + 4 * head
    if head == 0:
        zero = x - x  # or missing where the value is
        mean, second, third, fourth = x, zero, zero, zero
    else:
        mean, second, third, fourth = join(
            head, s[MEAN], s[SQUARES], s[CUBES], s[FOURTHS], 1.0, x, 0.0, 0.0, 0.0
        )
    s[here] = x
    if head + 1 < window:
        s[HEAD] = head + 1.0
        s[MEAN], s[SQUARES], s[CUBES], s[FOURTHS] = mean, second, third, fourth
        old = here + 4
        return join(
            window - head - 1,
            s[old], s[old + 1], s[old + 2], s[old + 3],
            head + 1, mean, second, third, fourth,
        )  # fmt: skip
    s[HEAD] = 0.0
    late, late2, late3, late4 = x, 0.0, 0.0, 0.0
    s[here + 1] = s[here + 2] = s[here + 3] = 0.0
    for back in range(1, window):
        cell = here - 4 * back
        late, late2, late3, late4 = join(
            1.0, s[cell], 0.0, 0.0, 0.0, back, late, late2, late3, late4
        )
        s[cell], s[cell + 1], s[cell + 2], s[cell + 3] = late, late2, late3, late4
    return mean, second, third, fourth


@operator(state=lambda: 4, memory=forever, outputs=3)
def running_line(s: State, x: Value) -> tuple[float, float, float]:
    """Mean of all values so far, their co-moment with time, and their squares about the mean.

    The least-squares slope over n values is the co-moment over `n * (n**2 - 1) / 12`.
    Error: n ulps of each over n values that are measured from the first one.
    """
    count = s[SEEN]
    if count == 1.0:
        s[START] = x
    x -= s[START]
    gap = x - s[LINE_MEAN]
    s[LINE_MEAN] += gap / count
    s[LINE_JOINT] += 0.5 * (count - 1.0) * gap
    s[LINE_SQUARES] += gap * (x - s[LINE_MEAN])
    return s[START] + s[LINE_MEAN], s[LINE_JOINT], s[LINE_SQUARES]
