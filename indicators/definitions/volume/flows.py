"""Price together with traded volume."""

from indicators.bounds import Window
from indicators.catalogue import indicator
from indicators.definitions.overlap.prices import hlc3
from indicators.definitions.shared import EPSILON
from indicators.operators import (
    after,
    choose,
    earlier,
    larger,
    rolling_mean,
    rolling_sum,
    running_sum,
    sign,
)
from indicators.series import CLOSE, HIGH, LOW, VOLUME, Series


@indicator(columns="VWMA_{length}")
def vwma(close: Series = CLOSE, volume: Series = VOLUME, length: Window = 10) -> Series:
    """Mean of the last closes, each weighed by its volume.

    Unit: unit of close
    Source: definition
    """
    return rolling_mean(close * volume, length) / rolling_mean(volume, length)


@indicator(columns="OBV")
def obv(close: Series = CLOSE, volume: Series = VOLUME) -> Series:
    """On-balance volume: volume summed with the sign of the change. No value on the first row.

    Unit: unit of volume
    Source: Granville (1963), Granville's New Key to Stock Market Profits
    """
    return running_sum(sign(close - earlier(close, 1)) * volume)


@indicator(columns="MFI_{length}")
def mfi(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    volume: Series = VOLUME,
    length: Window = 14,
    drift: Window = 1,
) -> Series:
    """Money-flow index: the share of rising rows in the money traded.

    A row whose typical price did not rise counts as falling, as in pandas-ta.
    Unit: 0 to 100
    Source: Quong and Soudack (1989), Volume-Weighted RSI, TASC 7:3
    """
    typical = hlc3(high, low, close)
    money = typical * volume
    flow = choose(typical > earlier(typical, drift), money, -money)
    gain = rolling_sum(larger(flow, 0.0), length)
    loss = rolling_sum(larger(-flow, 0.0), length)
    return after(100.0 * gain / (gain + loss + EPSILON), length)
