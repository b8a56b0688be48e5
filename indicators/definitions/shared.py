"""Pieces that definitions share and pandas-ta has no public name for."""

from indicators.operators import choose
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
