"""How the last values are spread out: entropy, skewness, tails, distances from the mean."""

import math
from typing import Annotated

from indicators.bounds import WINDOW_ROWS_MAX, Bounds, Positive, ShortWindow, Window
from indicators.catalogue import indicator
from indicators.operators import (
    logarithm,
    rolling_deviation,
    rolling_moments,
    rolling_sum,
    square_root,
)
from indicators.series import CLOSE, Series

ThreeRows = Annotated[int, Bounds(3, WINDOW_ROWS_MAX)]
FourRows = Annotated[int, Bounds(4, WINDOW_ROWS_MAX)]


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
