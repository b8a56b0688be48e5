"""Averages that steer themselves by how the price moves, and those that extrapolate it."""

import math

from indicators.bounds import Fraction, Number, Positive
from indicators.declare import SEEN, State, Value, forever, inline, operator
from indicators.operators.windows import slide_sum

LEVEL, SPEED, ACCELERATION = 1, 2, 3
SHOCKS_KEPT, STRESS_KEPT = 10, 66
SMOOTH, DRIFT, PULL, RESULT, UPPER, LOWER = 3, 4, 5, 6, 7, 8
SHOCK_HEAD, SHOCKS = 9, 10
STRESS = SHOCKS + SHOCKS_KEPT


@operator(state=lambda: 1, warmup=lambda: 1, memory=forever)
def dynamic(s: State, x: Value, rate: Positive) -> float:
    """McGinley's line, which nears `x` by a share of 1 over rate * (x / line) ** 4.

    It sets out from the first value, which is not shown, and again where a step goes beyond
    all bounds, as it can where `x` is far below the line and `rate` is small.
    """
    line = s[1] + (x - s[1]) / (rate * (x / s[1]) ** 4)
    s[1] = line if s[SEEN] > 1.0 and line - line == 0.0 else x
    return s[1]


@operator(state=lambda: 3, memory=forever)
def holt_winters(s: State, x: Value, na: Positive, nb: Positive, nc: Positive) -> float:
    """Level, speed and half the acceleration of `x`, each smoothed by a weight of its own."""
    level = s[LEVEL] if s[SEEN] > 1.0 else x
    speed, acceleration = s[SPEED], s[ACCELERATION]
    s[LEVEL] = (1.0 - na) * (level + speed + 0.5 * acceleration) + na * x
    s[SPEED] = (1.0 - nb) * (speed + acceleration) + nb * (s[LEVEL] - level)
    s[ACCELERATION] = (1.0 - nc) * acceleration + nc * (s[SPEED] - speed)
    return s[LEVEL] + s[SPEED] + 0.5 * s[ACCELERATION]


@inline
def strain(s: State, shock: float) -> float:
    """How large a shock is beside the mean, over 66 rows, of its mean over 10."""
    head = int(s[SHOCK_HEAD])
    s[SHOCKS + head] = shock
    s[SHOCK_HEAD] = head + 1 if head + 1 < SHOCKS_KEPT else 0.0
    recent = 0.0
    for cell in range(SHOCKS, SHOCKS + SHOCKS_KEPT):
        recent += s[cell]
    usual = slide_sum(s, recent / SHOCKS_KEPT, STRESS_KEPT, STRESS) / min(s[SEEN], STRESS_KEPT)
    return shock / usual if usual != 0.0 else 0.0


@operator(state=lambda: STRESS + STRESS_KEPT - 1, memory=forever)
def jurik(
    s: State,
    x: Value,
    most: Positive,
    power: Positive,
    band: Fraction,
    smooth: Fraction,
    ratio: Number,
) -> float:
    """Jurik's mean as it has been reconstructed: three filters, quicker after a large move.

    A move counts by its distance from two bands that close in on the price by `band`, beside
    what is usual, between 1 and `most`, to the `power`. `smooth` is the share that the filters
    keep in quiet times, `ratio` how far the last one leans ahead. Cost: O(1) amortised.
    """
    if s[SEEN] == 1.0:
        s[SMOOTH] = s[RESULT] = s[UPPER] = s[LOWER] = x
        strain(s, 0.0)
        return x
    above, below = x - s[UPPER], x - s[LOWER]
    high, low = math.fabs(above), math.fabs(below)
    size = strain(s, max(high, low) if high != low else 0.0)
    size = max(1.0, min(most, size)) ** power
    close_in = band ** math.sqrt(size)
    s[UPPER] = x if above > 0.0 else x - close_in * above
    s[LOWER] = x if below < 0.0 else x - close_in * below
    keep = smooth**size
    s[SMOOTH] = (1.0 - keep) * x + keep * s[SMOOTH]
    s[DRIFT] = (1.0 - smooth) * (x - s[SMOOTH]) + smooth * s[DRIFT]
    ahead = s[SMOOTH] + ratio * s[DRIFT]
    s[PULL] = (ahead - s[RESULT]) * (1.0 - keep) * (1.0 - keep) + keep * keep * s[PULL]
    s[RESULT] += s[PULL]
    return s[RESULT]
