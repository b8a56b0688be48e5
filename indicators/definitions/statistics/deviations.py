"""How far the last values lie from their mean."""

import math

from indicators.bounds import Freedom, ShortWindow, Window
from indicators.catalogue import indicator
from indicators.definitions.statistics.moments import stdev
from indicators.operators import rolling_deviation
from indicators.series import CLOSE, Series


@indicator(columns="MD_{length}")
def md(close: Series = CLOSE, length: ShortWindow = 30) -> Series:
    """Mean distance of the last values from their mean, by Tulip's name; the same as mad.

    Unit: unit of close
    Source: Tulip Indicators, md
    """
    return rolling_deviation(close, length)


@indicator(columns="STDERR_{length}")
def stderr(close: Series = CLOSE, length: Window = 14, ddof: Freedom = 1) -> Series:
    """Standard error of the mean of the last values. `ddof` is 1 where it is not below `length`.

    Unit: unit of close
    Source: definition
    """
    return stdev(close, length, ddof) / math.sqrt(length)
