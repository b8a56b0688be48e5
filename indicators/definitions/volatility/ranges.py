"""How far prices move within and between bars."""

from indicators.bounds import Number, Window
from indicators.catalogue import Average, indicator, moving_average
from indicators.definitions.shared import nonzero_range, span
from indicators.operators import (
    after,
    earlier,
    ewm_by_row,
    larger_known,
    opening_mean,
)
from indicators.series import CLOSE, HIGH, LOW, Series


@indicator(columns="TRUERANGE_{drift}")
def true_range(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    prenan: bool = False,
    drift: Window = 1,
) -> Series:
    """Range of the bar and of any gap to the close before; the first rows missing if `prenan`.

    Unit: unit of close
    Source: Wilder (1978), New Concepts in Technical Trading Systems
    """
    before = earlier(close, drift)
    gap = larger_known(abs(high - before), abs(before - low))
    widest = larger_known(abs(nonzero_range(high, low)), gap)
    return after(widest, drift) if prenan else widest


def _atr_column(length: int, mamode: str, percent: bool) -> str:
    return f"ATR{mamode[0]}{'p' * percent}_{length}"


@indicator(columns=_atr_column)
def atr(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: Window = 14,
    mamode: Average = "rma",
    prenan: bool = False,
    drift: Window = 1,
    presma: bool = True,
    percent: bool = False,
) -> Series:
    """Average true range, started by the plain mean of the first rows unless `presma` is off.

    Unit: unit of close, or percent of close
    Source: Wilder (1978), New Concepts in Technical Trading Systems
    """
    ranges = true_range(high, low, close, prenan, drift)
    if presma and mamode == "rma":
        mean = ewm_by_row(ranges, 1.0 / length, length)
    elif presma and mamode == "ema":
        mean = ewm_by_row(ranges, span(length), length)
    else:
        opened = opening_mean(ranges, length) if presma else ranges
        mean = moving_average(mamode, opened, length)
    return mean * (100.0 / close) if percent else mean


@indicator(columns="NATR_{length}")
def natr(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: Window = 14,
    scalar: Number = 100.0,
    mamode: Average = "ema",
    prenan: bool = False,
    drift: Window = 1,
) -> Series:
    """Average true range as a share of the close.

    Unit: percent of close
    Source: Forman (2006), Cross-Market Evaluations with Normalized Average True Range, TASC
    """
    return (scalar / close) * atr(high, low, close, length, mamode, prenan, drift)
