"""Prices that stand for a bar."""

from indicators.catalogue import indicator
from indicators.series import CLOSE, HIGH, LOW, OPEN, Series


@indicator(columns="HL2")
def hl2(high: Series = HIGH, low: Series = LOW) -> Series:
    """Middle of the bar.

    Unit: unit of high
    Source: definition
    """
    return 0.5 * (high + low)


@indicator(columns="HLC3")
def hlc3(high: Series = HIGH, low: Series = LOW, close: Series = CLOSE) -> Series:
    """Typical price of the bar.

    Unit: unit of high
    Source: definition
    """
    return (high + low + close) / 3.0


@indicator(columns="MEDPRICE")
def medprice(high: Series = HIGH, low: Series = LOW) -> Series:
    """Middle of the bar, by TA-Lib's name; the same as hl2.

    Unit: unit of high
    Source: TA-Lib, MEDPRICE
    """
    return hl2(high, low)


@indicator(columns="TYPPRICE")
def typprice(high: Series = HIGH, low: Series = LOW, close: Series = CLOSE) -> Series:
    """Typical price of the bar, by TA-Lib's name; the same as hlc3.

    Unit: unit of high
    Source: TA-Lib, TYPPRICE
    """
    return hlc3(high, low, close)


@indicator(columns="OHLC4")
def ohlc4(
    open: Series = OPEN,  # noqa: A002  (the field's own name)
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
) -> Series:
    """Mean price of the bar.

    Unit: unit of high
    Source: definition
    """
    return 0.25 * (open + high + low + close)


@indicator(columns="AVGPRICE")
def avgprice(
    open: Series = OPEN,  # noqa: A002  (the field's own name)
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
) -> Series:
    """Mean price of the bar, by TA-Lib's name; the same as ohlc4.

    Unit: unit of high
    Source: TA-Lib, AVGPRICE
    """
    return ohlc4(open, high, low, close)
