"""Pieces that definitions share and pandas-ta has no public name for."""

from indicators.catalogue import moving_average
from indicators.operators import choose, earlier, ewm, ewm_by_value
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


def directional_moves(high: Series, low: Series, drift: int) -> tuple[Series, Series]:
    """How far the high rose and the low fell, each where it was the larger move, else 0."""
    up, down = high - earlier(high, drift), earlier(low, drift) - low
    rise = choose((up > down) & (up > 0.0), up, 0.0 * up)
    fall = choose((down > up) & (down > 0.0), down, 0.0 * down)
    return near_zero(rise), near_zero(fall)


def finite(x: Series) -> Series:
    """`x`, or missing where it is infinite."""
    return choose(x - x == 0.0, x, NOTHING)


def delayed(x: Series, rows: int) -> Series:
    """The value of `x` that many rows ago, which may be none."""
    return earlier(x, rows) if rows else x


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
