"""How much prices have varied: by their changes, and by the growth of ranges."""

import math

from indicators.bounds import Positive, Window
from indicators.catalogue import indicator
from indicators.definitions.overlap.averages import LongerWindow
from indicators.definitions.seeded import seeded_ema
from indicators.definitions.statistics.moments import stdev
from indicators.operators import earlier, logarithm
from indicators.series import CLOSE, HIGH, LOW, Series

TRADING_DAYS = 252


def _log_change(close: Series) -> Series:
    return logarithm(close / earlier(close, 1))


@indicator(columns="AVOLUME_{length}")
def avolume(close: Series = CLOSE, length: LongerWindow = 20) -> Series:
    """Volatility as Tulip has it: deviation of the log changes over a year of 252 rows.

    The name is pandas-ta-classic's; it has nothing to do with volume.
    Unit: share of close a year
    Source: Tulip Indicators, volatility
    """
    return stdev(_log_change(close), length, 0) * math.sqrt(TRADING_DAYS)


@indicator(columns="HVOL_{length}")
def hvol(close: Series = CLOSE, length: LongerWindow = 20, annualization: Positive = 252) -> Series:
    """Historical volatility: deviation of the log changes over a year of `annualization` rows.

    Unit: percent of close a year
    Source: Natenberg (1994), Option Volatility and Pricing
    """
    return 100.0 * stdev(_log_change(close), length, 1) * math.sqrt(annualization)


@indicator(columns="CVI_{length}")
def cvi(high: Series = HIGH, low: Series = LOW, length: Window = 10) -> Series:
    """Chaikin's volatility: growth of the mean range over `length` rows.

    Unit: percent
    Source: Achelis (1995), Technical Analysis from A to Z, Volatility (Chaikin's)
    """
    mean = seeded_ema(high - low, length)
    before = earlier(mean, length)
    return 100.0 * (mean - before) / before
