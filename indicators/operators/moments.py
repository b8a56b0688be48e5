"""Variance and higher moments of the last rows: two stacks, joined without subtraction.

Each aggregate is a mean and sums of powers of distances from it. Two neighbours are joined by
the formulas of Chan, Golub and LeVeque (1983) and of Pebay (Sandia report SAND2008-6212). A
window of equal values has moments of exactly zero.
"""

from indicators.bounds import Freedom, Window
from indicators.declare import Missing, State, Value, inline, operator
from indicators.operators.windows import finite

HEAD, MEAN, SQUARES, CUBES, FOURTHS = 1, 2, 3, 4, 5
VARIANCE_RING, MOMENT_RING = 4, 6


@operator(
    state=lambda window: 3 + 2 * window, warmup=lambda window: window - 1, missing=Missing.SPREAD
)
def rolling_variance(s: State, x: Value, window: Window, freedom: Freedom) -> float:
    """Variance of the last `window` values, with divisor `window - freedom`.

    Error: 4 * window ulps of the variance, plus 4 * window squared ulps of |x|.
    Cost: O(1) amortised.
    """
    head = int(s[HEAD])
    x = finite(x)
    means, squares = VARIANCE_RING, VARIANCE_RING + window
    count = head + 1.0
    if head == 0:
        mean, spread = x, 0.0
    else:
        gap = x - s[MEAN]
        mean = s[MEAN] + gap / count
        spread = s[SQUARES] + gap * (x - mean)
    s[means + head] = x
    if head + 1 < window:
        s[HEAD] = count
        s[MEAN] = mean
        s[SQUARES] = spread
        rest = window - count
        gap = mean - s[means + head + 1]
        return (s[squares + head + 1] + spread + gap * gap * (rest * count / window)) / (
            window - freedom
        )
    s[HEAD] = 0.0
    before, wide = x, 0.0
    s[squares + window - 1] = 0.0
    for back in range(1, window):
        cell = window - 1 - back
        gap = s[means + cell] - before
        step = gap / (back + 1.0)
        wide += gap * (gap - step)
        before += step
        s[means + cell] = before
        s[squares + cell] = wide
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
)
def rolling_moments(s: State, x: Value, window: Window) -> tuple[float, float, float, float]:
    """Mean, and sums of the 2nd, 3rd and 4th powers of the distances from it.

    Error: 1e-12 of the greatest distance's power in the window. Cost: O(1) amortised.
    """
    head = int(s[HEAD])
    x = finite(x)
    means = MOMENT_RING
    squares, cubes, fourths = means + window, means + 2 * window, means + 3 * window
    if head == 0:
        mean, second, third, fourth = x, 0.0, 0.0, 0.0
    else:
        mean, second, third, fourth = join(
            head, s[MEAN], s[SQUARES], s[CUBES], s[FOURTHS], 1.0, x, 0.0, 0.0, 0.0
        )
    s[means + head] = x
    if head + 1 < window:
        s[HEAD] = head + 1.0
        s[MEAN], s[SQUARES], s[CUBES], s[FOURTHS] = mean, second, third, fourth
        old = head + 1
        return join(
            window - old,
            s[means + old], s[squares + old], s[cubes + old], s[fourths + old],
            old, mean, second, third, fourth,
        )  # fmt: skip
    s[HEAD] = 0.0
    late, late2, late3, late4 = x, 0.0, 0.0, 0.0
    s[squares + head] = s[cubes + head] = s[fourths + head] = 0.0
    for back in range(1, window):
        cell = window - 1 - back
        late, late2, late3, late4 = join(
            1.0, s[means + cell], 0.0, 0.0, 0.0, back, late, late2, late3, late4
        )
        s[means + cell] = late
        s[squares + cell] = late2
        s[cubes + cell] = late3
        s[fourths + cell] = late4
    return mean, second, third, fourth
