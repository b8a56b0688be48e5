"""How easily volume moves the price, and which way."""

from typing import Annotated

from indicators.bounds import Bounds, Positive, Window
from indicators.catalogue import Average, indicator
from indicators.definitions.overlap.prices import hl2, hlc3
from indicators.definitions.seeded import seeded_average, seeded_ema
from indicators.definitions.shared import NOTHING, nonzero_range
from indicators.definitions.statistics.moments import stdev
from indicators.operators import (
    choose,
    earlier,
    larger_known,
    logarithm,
    rolling_mean,
    rolling_sum,
    running_sum,
    smaller,
    smaller_known,
)
from indicators.series import CLOSE, HIGH, LOW, VOLUME, Series

SMOOTH_ROWS = 3
Share = Annotated[float, Bounds(1e-12, 100.0)]


@indicator(columns="EMV")
def emv(
    high: Series = HIGH,
    low: Series = LOW,
    volume: Series = VOLUME,
    drift: Window = 1,
    divisor: Positive = 10_000,
) -> Series:
    """Ease of movement: shift of the bar's middle times its range, for the volume it took.

    Unit: square of the unit of high, for `divisor` of volume
    Source: Arms (1989), Volume Cycles in the Stock Market; Tulip Indicators, emv
    """
    middle = hl2(high, low)
    return (middle - earlier(middle, drift)) / ((volume / divisor) / nonzero_range(high, low))


@indicator(columns="MARKETFI")
def marketfi(high: Series = HIGH, low: Series = LOW, volume: Series = VOLUME) -> Series:
    """Market facilitation index: range for each unit of volume.

    Unit: unit of high for each of volume
    Source: Williams (1995), Trading Chaos
    """
    return nonzero_range(high, low) / volume


@indicator(columns="WAD")
def wad(high: Series = HIGH, low: Series = LOW, close: Series = CLOSE) -> Series:
    """Williams' accumulation: rises from the true low and falls from the true high, summed.

    Unit: unit of close
    Source: Williams (1973), How I Made One Million Dollars
    """
    before = earlier(close, 1)
    rise, fall = close - smaller_known(low, before), close - larger_known(high, before)
    return running_sum(choose(close > before, rise, choose(close < before, fall, 0.0)))


def _vosc_column(fast: int, slow: int) -> str:
    return f"VOSC_{min(fast, slow)}_{max(fast, slow)}"


@indicator(columns=_vosc_column)
def vosc(volume: Series = VOLUME, fast: Window = 14, slow: Window = 28) -> Series:
    """Volume oscillator: how far the fast mean of volume is above the slow one.

    Unit: percent
    Source: Achelis (1995), Technical Analysis from A to Z, Volume Oscillator
    """
    fast, slow = sorted((fast, slow))
    calm = rolling_mean(volume, slow)
    return 100.0 * (rolling_mean(volume, fast) - calm) / calm


@indicator(columns="VFI_{length}")
def vfi(
    close: Series = CLOSE,
    volume: Series = VOLUME,
    length: Window = 130,
    coef: Share = 0.2,
    vcoef: Positive = 2.5,
    mamode: Average = "ema",
) -> Series:
    """Volume flow: changes times volume, without small changes and with volume capped.

    Differs: not from pandas-ta-classic, where a change counts if it is above `coef` of the close
    itself, and with its size. Katsanos' own cut is `coef` deviations of the log changes, and the
    sign counts: that is `vfi_katsanos`.
    Unit: unit of close
    Source: pandas-ta-classic 0.8.32; Katsanos (2004), Volume Flow Indicator, TASC 22:6
    """
    usual = earlier(rolling_mean(volume, length), 1)
    change = close - earlier(close, 1)
    moved = choose(abs(change) > coef * close, change, 0.0)
    flow = rolling_sum(smaller_known(volume, vcoef * usual) * moved, length)
    mean = rolling_mean(usual, length)
    return seeded_average(mamode, flow / choose(mean == 0.0, NOTHING, mean), SMOOTH_ROWS)


@indicator(columns=None)
def vfi_katsanos(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    volume: Series = VOLUME,
    length: Window = 130,
    coef: Share = 0.2,
    vcoef: Positive = 2.5,
    cut_length: Window = 30,
    signal: Window = 3,
) -> Series:
    """Volume flow: capped volume with the sign of each change that is not small, over its mean.

    A change is small within `coef` deviations of the last `cut_length` log changes.
    Unit: rows of mean volume
    Source: Katsanos (2004), Volume Flow Indicator, TASC 22:6
    """
    typical = hlc3(high, low, close)
    before, usual = earlier(typical, 1), earlier(rolling_mean(volume, length), 1)
    cut = coef * stdev(logarithm(typical / before), cut_length) * close
    change, capped = typical - before, smaller(volume, vcoef * usual)
    flow = choose(change > cut, capped, choose(change < -cut, -capped, 0.0 * capped))
    return seeded_ema(rolling_sum(flow, length) / usual, signal)
