"""Prices beside earlier ones and beside what the trend of the last rows leads to."""

from indicators.bounds import Window
from indicators.catalogue import indicator
from indicators.definitions.overlap.averages import LongerWindow
from indicators.definitions.overlap.lines import linreg
from indicators.definitions.overlap.regression import tsf
from indicators.definitions.shared import NOTHING
from indicators.operators import choose, earlier
from indicators.series import CLOSE, Series


@indicator(columns="ROCP_{length}")
def rocp(close: Series = CLOSE, length: Window = 10) -> Series:
    """Change over that many rows as a share of the earlier value.

    Unit: none
    Source: TA-Lib, ROCP
    """
    before = earlier(close, length)
    return (close - before) / before


@indicator(columns="ROCR_{length}")
def rocr(close: Series = CLOSE, length: Window = 10) -> Series:
    """Ratio of the value to the one that many rows ago.

    Unit: none
    Source: TA-Lib, ROCR
    """
    return close / earlier(close, length)


@indicator(columns="ROCR100_{length}")
def rocr100(close: Series = CLOSE, length: Window = 10) -> Series:
    """Ratio of the value to the one that many rows ago, times 100.

    Unit: percent of the earlier value
    Source: TA-Lib, ROCR100
    """
    return 100.0 * rocr(close, length)


@indicator(columns="FOSC_{length}")
def fosc(close: Series = CLOSE, length: LongerWindow = 14) -> Series:
    """Forecast oscillator: how far the close is above the forecast made on the same row.

    Differs: not from pandas-ta-classic, which takes the forecast for the next row. Chande's takes
    the one that was made for this row: that is `fosc_chande`.
    Unit: percent of close
    Source: pandas-ta-classic 0.8.32; Chande and Kroll (1994), The New Technical Trader
    """
    return 100.0 * (close - tsf(close, length)) / close


@indicator(columns=None)
def fosc_chande(close: Series = CLOSE, length: LongerWindow = 14) -> Series:
    """Forecast oscillator: how far the close is above what the row before led to.

    Unit: percent of close
    Source: Chande and Kroll (1994), The New Technical Trader; Tulip Indicators, fosc
    """
    return 100.0 * (close - earlier(tsf(close, length), 1)) / close


@indicator(columns="PO_{length}")
def po(close: Series = CLOSE, length: LongerWindow = 14) -> Series:
    """How far the close is above the end of the least-squares line through the last values.

    Differs: not from pandas-ta-classic. Widner's projection oscillator is another thing: the
    place of the close between bands that are projected along the slopes of highs and lows.
    Unit: percent of the line
    Source: pandas-ta-classic 0.8.32
    """
    line = linreg(close, length)
    return 100.0 * (close - line) / choose(line == 0.0, NOTHING, line)
