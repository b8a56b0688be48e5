"""Mean and spread of the last rows."""

from indicators.bounds import Freedom, Number, Window
from indicators.catalogue import indicator
from indicators.operators import rolling_mean, rolling_variance, square_root
from indicators.series import CLOSE, Series


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
