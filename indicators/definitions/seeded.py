"""Averages as TA-Lib and pandas-ta-classic start them: from the mean of the first values.

pandas-ta starts an average of an average on the same row; these start each anew, on the row
from which its own values are known.
"""

from indicators.catalogue import moving_average
from indicators.definitions.shared import span
from indicators.operators import (
    after,
    choose,
    earlier,
    ewm_by_value,
    fill,
    missing,
    rolling_mean,
)
from indicators.series import Series


def seeded_ema(x: Series, length: int) -> Series:
    """Exponential mean, started by the mean of the first `length` values."""
    return ewm_by_value(x, span(length), length)


def _chain(x: Series, length: int, depth: int) -> list[Series]:
    means = [x]
    for _ in range(depth):
        means.append(seeded_ema(means[-1], length))
    return means


def _t3(x: Series, length: int) -> Series:
    means, a = _chain(x, length, 6), 0.7
    rest = (a + 1.0) ** 3 * means[3] - 3.0 * a * (a + 1.0) ** 2 * means[4]
    return rest + 3.0 * a**2 * (a + 1.0) * means[5] - a**3 * means[6]


def seeded_average(mamode: str, x: Series, length: int) -> Series:
    """The average that `mamode` names, started so where it has a memory that fades.

    The triangular mean is the simple mean of the simple mean over half the length and a row.
    """
    if mamode == "ema":
        return seeded_ema(x, length)
    if mamode == "rma":
        return ewm_by_value(x, 1.0 / length, length)
    if mamode == "dema":
        _, once, twice = _chain(x, length, 2)
        return 2.0 * once - twice
    if mamode == "tema":
        _, once, twice, thrice = _chain(x, length, 3)
        return 3.0 * (once - twice) + thrice
    if mamode == "t3":
        return _t3(x, length)
    if mamode == "trima":
        half = length // 2 + 1
        return rolling_mean(rolling_mean(x, half), half)
    return moving_average(mamode, x, length)


def wilder_sum(x: Series, length: int, price: Series, drift: int) -> Series:
    """Wilder's running sum: each value is added and 1 / length of the sum taken off.

    It starts as the sum of the first `length` - 1 values of `x`, which has none until `price`
    has one of `drift` rows ago: the row before that counts as one of zero.
    """
    starting = missing(earlier(price, drift))
    opened = after(choose(starting, fill(x, 0.0), x), drift - 1)
    return length * ewm_by_value(opened, 1.0 / length, length)
