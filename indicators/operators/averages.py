"""Exponential."""

from indicators.declare import SEEN, Missing, State, Value, inline, operator

MEAN, SET, MISSED = 1, 2, 3


@operator(
    state=lambda: 3,
    missing=Missing.ROWS,
)
def ewm(s: State, x: Value, alpha: Value) -> float:
    """Exponentially weighted mean, started by the first value."""
    if x == x:
        if s[SET] == 0.0:
            s[SET] = 1.0
            s[MEAN] = x
        else:
            weight = alpha
            if s[MISSED] > 0.0:
                weight = alpha / (alpha + (1.0 - alpha) ** (s[MISSED] + 1.0))
                s[MISSED] = 0.0
            s[MEAN] += weight * (x - s[MEAN])
    elif s[SET] == 0.0:
        return x
    else:
        s[MISSED] += 1.0
    return s[MEAN]
