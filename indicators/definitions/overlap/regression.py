"""Facts about the least-squares line through the last values, by TA-Lib's names."""

from indicators.catalogue import indicator
from indicators.definitions.overlap.averages import LongerWindow
from indicators.definitions.overlap.lines import linreg
from indicators.series import CLOSE, Series


@indicator(columns="LRm_{length}")
def linregslope(close: Series = CLOSE, length: LongerWindow = 14) -> Series:
    """Slope of the least-squares line through the last values.

    Unit: unit of close per row
    Source: TA-Lib, LINEARREG_SLOPE
    """
    return linreg(close, length, slope=True)


@indicator(columns="LRb_{length}")
def linregintercept(close: Series = CLOSE, length: LongerWindow = 14) -> Series:
    """Start of the least-squares line through the last values: its height at the oldest one.

    linreg(intercept=True), which is pandas-ta's, is the line's height one row before that.
    Unit: unit of close
    Source: TA-Lib, LINEARREG_INTERCEPT
    """
    return linreg(close, length, intercept=True) + linreg(close, length, slope=True)


@indicator(columns="LRa_{length}")
def linregangle(close: Series = CLOSE, length: LongerWindow = 14) -> Series:
    """Angle of the least-squares line through the last values.

    Unit: degrees
    Source: TA-Lib, LINEARREG_ANGLE
    """
    return linreg(close, length, angle=True, degrees=True)


@indicator(columns="TSF_{length}")
def tsf(close: Series = CLOSE, length: LongerWindow = 14) -> Series:
    """Time-series forecast: the least-squares line through the last values, one row ahead.

    linreg(tsf=True), which is pandas-ta's, is the line one row before its end.
    Unit: unit of close
    Source: TA-Lib, TSF
    """
    return linreg(close, length) + linreg(close, length, slope=True)
