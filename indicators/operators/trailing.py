"""Stops that trail the price and turn when it crosses them."""

import math

from indicators.bounds import Positive
from indicators.declare import SEEN, Missing, State, Value, forever, operator

EPSILON = 2.220446049250313e-16
FALLING, EXTREME, FACTOR, STOP, LAST_HIGH, LAST_LOW = 1, 2, 3, 4, 5, 6
DIRECTION, LOWER, UPPER = 1, 2, 3


@operator(state=lambda: 6, memory=forever, outputs=4)
def parabolic(
    s: State, high: Value, low: Value, start: Value, af0: Positive, af: Positive, max_af: Positive
) -> tuple[float, float, float, float]:
    """Parabolic stop: the stop, whether it is above the price, its factor, whether it turned.

    The stop is NaN on the first row; `start` is where it sets out from. The factor is `af0`
    again after a turn and grows by `af`, up to `max_af`, at each new extreme.
    """
    if s[SEEN] == 1.0:
        s[STOP], s[FACTOR] = start, af0
        s[LAST_HIGH], s[LAST_LOW] = high, low
        return math.nan, 0.0, af0, 0.0
    if s[SEEN] == 2.0:
        fall, rise = s[LAST_LOW] - low, high - s[LAST_HIGH]
        s[FALLING] = 1.0 if fall > rise and fall >= EPSILON else 0.0
        s[EXTREME] = s[LAST_LOW] if s[FALLING] == 1.0 else s[LAST_HIGH]
    stop = s[STOP] + s[FACTOR] * (s[EXTREME] - s[STOP])
    if s[FALLING] == 1.0:
        turned = high > stop
        if low < s[EXTREME]:
            s[EXTREME] = low
            s[FACTOR] = min(s[FACTOR] + af, max_af)
        stop = max(s[LAST_HIGH], stop)
    else:
        turned = low < stop
        if high > s[EXTREME]:
            s[EXTREME] = high
            s[FACTOR] = min(s[FACTOR] + af, max_af)
        stop = min(s[LAST_LOW], stop)
    if turned:
        stop = s[EXTREME]
        s[FACTOR] = af0
        s[FALLING] = 1.0 - s[FALLING]
        s[EXTREME] = low if s[FALLING] == 1.0 else high
    s[STOP], s[LAST_HIGH], s[LAST_LOW] = stop, high, low
    return stop, s[FALLING], s[FACTOR], 1.0 if turned else 0.0


@operator(state=lambda: 3, memory=forever, missing=Missing.ROWS, outputs=3)
def ratchet(s: State, x: Value, lower: Value, upper: Value) -> tuple[float, float, float]:
    """Bands that only tighten until `x` breaks one: the direction (1 or -1), lower and upper.

    Between breaks, the lower band does not fall in a rise, nor the upper one rise in a fall.
    """
    if s[SEEN] == 1.0 or x > s[UPPER]:
        direction = 1.0
    elif x < s[LOWER]:
        direction = -1.0
    else:
        direction = s[DIRECTION]
        if direction > 0.0 and lower < s[LOWER]:
            lower = s[LOWER]
        if direction < 0.0 and upper > s[UPPER]:
            upper = s[UPPER]
    s[DIRECTION], s[LOWER], s[UPPER] = direction, lower, upper
    return direction, lower, upper


@operator(state=lambda: 1, memory=forever)
def upheld(s: State, x: Value, level: Value) -> float:
    """`level`, which does not fall while `x` stays above where it was."""
    if s[SEEN] == 1.0 or level > s[1] or x <= s[1]:
        s[1] = level
    return s[1]
