"""Pieces that definitions share and pandas-ta has no public name for."""

from indicators.catalogue import moving_average
from indicators.operators import choose, ewm, ewm_by_value
from indicators.series import Series

EPSILON = 2.220446049250313e-16
NOTHING = float("nan")


def nonzero_range(x: Series, y: Series) -> Series:
    """`x - y`, or the float epsilon where they are equal.

    pandas-ta adds the epsilon to the whole column if any of its rows is zero, which a stream
    cannot know; the results differ by 2.2e-16.
    """
    gap = x - y
    return choose(gap == 0.0, EPSILON, gap)


def near_zero(x: Series) -> Series:
    """`x`, or 0 where it is below the float epsilon."""
    return choose(abs(x) < EPSILON, 0.0, x)


def span(length: float) -> float:
    """Weight of the newest value in an exponential mean over `length` rows."""
    return 2.0 / (length + 1.0)


def symmetric_triangle(length: int) -> tuple[float, ...]:
    """Weights that rise to the middle and fall again; they sum to one."""
    steps = [float(min(k, length - 1 - k) + 1) for k in range(length)]
    return tuple(step / sum(steps) for step in steps)


def average_of_known(mamode: str, x: Series, length: int) -> Series:
    """The average of a column cut to start with its first value, as pandas-ta cuts it."""
    if mamode not in ("ema", "dema", "tema"):
        return moving_average(mamode, x, length)
    weight = span(length)
    once = ewm_by_value(x, weight, length)
    if mamode == "ema":
        return once
    twice = ewm(once, weight)
    return 2.0 * once - twice if mamode == "dema" else 3.0 * (once - twice) + ewm(twice, weight)
