"""Statistics of the last rows."""

import math
from typing import Annotated, NamedTuple

from indicators.bounds import (
    WINDOW_ROWS_MAX,
    Bounds,
    Fraction,
    Freedom,
    Number,
    Positive,
    ShortWindow,
    Window,
)
from indicators.catalogue import indicator
from indicators.operators import (
    after,
    logarithm,
    rolling_deviation,
    rolling_line,
    rolling_mean,
    rolling_moments,
    rolling_quantile,
    rolling_sum,
    rolling_variance,
    row_number,
    running_line,
    square_root,
)
from indicators.series import CLOSE, Series, as_series

ThreeRows = Annotated[int, Bounds(3, WINDOW_ROWS_MAX)]
FourRows = Annotated[int, Bounds(4, WINDOW_ROWS_MAX)]
HALF = 0.5
TIME_SQUARES = 12.0
"""The squares of 1 to n about their mean are n * (n**2 - 1) over this."""


@indicator(columns="VAR_{length}")
def variance(close: Series = CLOSE, length: Window = 30, ddof: Freedom = 1) -> Series:
    """Variance of the last values. `ddof` is 1 where it is not below `length`.

    Unit: square of the unit of close
    Source: definition
    """
    return rolling_variance(close, length, ddof if ddof < length else 1)


@indicator(columns="STDEV_{length}")
def stdev(close: Series = CLOSE, length: Window = 30, ddof: Freedom = 1) -> Series:
    """Standard deviation of the last values. `ddof` is 1 where it is not below `length`.

    Unit: unit of close
    Source: definition
    """
    return square_root(variance(close, length, ddof))


@indicator(columns="ZS_{length}")
def zscore(close: Series = CLOSE, length: Window = 30, std: Number = 1.0) -> Series:
    """Distance from the mean in standard deviations, divided by `std` where that is above 1.

    Unit: none
    Source: definition
    """
    scale = std if std > 1.0 else 1.0
    return (close - rolling_mean(close, length)) / (scale * stdev(close, length))


@indicator(columns="ENTP_{length}")
def entropy(close: Series = CLOSE, length: Window = 10, base: Positive = 2.0) -> Series:
    """Sum over the last rows of -p * log(p), p being the row's share of the last rows' sum then.

    Unit: bits where base is 2
    Source: Shannon (1948), A Mathematical Theory of Communication; pandas-ta 0.4.71b0
    """
    share = close / rolling_sum(close, length)
    return rolling_sum(-share * logarithm(share) / math.log(base), length)


@indicator(columns="SKEW_{length}")
def skew(close: Series = CLOSE, length: ThreeRows = 30) -> Series:
    """Skewness of the last values, corrected for the size of the sample.

    Unit: none
    Source: Joanes and Gill (1998), Comparing measures of sample skewness and kurtosis, G1
    """
    _, squares, cubes, _ = rolling_moments(close, length)
    size = length * math.sqrt(length - 1.0) / (length - 2.0)
    return size * cubes / (squares * square_root(squares))


@indicator(columns="KURT_{length}")
def kurtosis(close: Series = CLOSE, length: FourRows = 30) -> Series:
    """Excess kurtosis of the last values, corrected for the size of the sample.

    Unit: none
    Source: Joanes and Gill (1998), Comparing measures of sample skewness and kurtosis, G2
    """
    n = float(length)
    _, squares, _, fourths = rolling_moments(close, length)
    plain = n * fourths / (squares * squares) - 3.0
    return (n - 1.0) / ((n - 2.0) * (n - 3.0)) * ((n + 1.0) * plain + 6.0)


@indicator(columns="MAD_{length}")
def mad(close: Series = CLOSE, length: ShortWindow = 30) -> Series:
    """Mean distance of the last values from their mean.

    Unit: unit of close
    Source: definition
    """
    return rolling_deviation(close, length)


@indicator(columns="MEDIAN_{length}")
def median(close: Series = CLOSE, length: Window = 30) -> Series:
    """Median of the last values.

    Unit: unit of close
    Source: definition
    """
    return rolling_quantile(close, length, HALF)


@indicator(columns="QTL_{length}_{q}")
def quantile(close: Series = CLOSE, length: Window = 30, q: Fraction = 0.5) -> Series:
    """The value below which a share `q` of the last values lies, between two of them if need be.

    Unit: unit of close
    Source: Hyndman and Fan (1996), Sample Quantiles in Statistical Packages, definition 7
    Differs: 0 and 1 give the least and the greatest value; pandas-ta takes 0.5 instead.
    """
    return rolling_quantile(close, length, q)


class DeviationLines(NamedTuple):
    """The line's latest value, and pairs of values below and above it."""

    line: Series
    lower_inner: Series
    upper_inner: Series
    lower_middle: Series
    upper_middle: Series
    lower_outer: Series
    upper_outer: Series


def _stdevall_columns(
    length: int | None, inner: float, middle: float, outer: float
) -> tuple[str, ...]:
    start = "TOS_STDEVALL" + (f"_{length}" if length is not None else "")
    pairs = (f"{start}_{side}_{std}" for std in (inner, middle, outer) for side in ("L", "U"))
    return (f"{start}_LR", *pairs)


@indicator(columns=_stdevall_columns)
def tos_stdevall(
    close: Series = CLOSE,
    length: ThreeRows | None = None,
    inner: Positive = 1,
    middle: Positive = 2,
    outer: Positive = 3,
    ddof: Freedom = 1,
) -> DeviationLines:
    """Least-squares line through the last `length` rows, or all so far, and deviations around it.

    Each row has the line's value on that row, and that less and plus `inner`, `middle` and
    `outer` standard deviations of the closes. `ddof` is 1 where it is not below `length`.
    Unit: unit of close
    Source: thinkorswim, StDevAll; pandas-ta 0.4.71b0
    Differs: pandas-ta fits one line through the whole table, or its last `length` rows, and gives
    each row its value on that line, which later rows move. On a table's last row both agree.
    `stds` is three numbers of their own.
    """
    if length is None:
        mean, joint, squares = running_line(close)
        rows = after(row_number(), 1)
        freedom = float(ddof)
    else:
        mean, joint, squares = rolling_line(close, length)
        rows = as_series(length)
        freedom = float(ddof if ddof < length else 1)
    slope = joint / (rows * (rows * rows - 1.0) / TIME_SQUARES)
    line = mean + slope * (HALF * (rows - 1.0))
    deviation = square_root(squares / (rows - freedom))
    pairs = [line + side * std * deviation for std in (inner, middle, outer) for side in (-1, 1)]
    return DeviationLines(line, *pairs)
