"""The last values in order of size."""

from indicators.bounds import Fraction, Window
from indicators.catalogue import indicator
from indicators.operators import rolling_quantile
from indicators.series import CLOSE, Series

HALF = 0.5


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
