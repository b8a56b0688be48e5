"""Where the price is, compared with the recent past."""

from typing import NamedTuple

from indicators.bounds import Number, Positive, ShortWindow, Window
from indicators.catalogue import Average, indicator, moving_average
from indicators.definitions.overlap.prices import hlc3
from indicators.definitions.shared import average_of_known, nonzero_range
from indicators.operators import (
    choose,
    earlier,
    rolling_deviation,
    rolling_max,
    rolling_mean,
    rolling_min,
)
from indicators.series import CLOSE, HIGH, LOW, Series


@indicator(columns="RSI_{length}")
def rsi(
    close: Series = CLOSE,
    length: Window = 14,
    scalar: Number = 100.0,
    mamode: Average = "rma",
    drift: Window = 1,
) -> Series:
    """Relative strength: the share of rises in all changes, averaged. Starts on row 1.

    Unit: 0 to 100
    Source: Wilder (1978), New Concepts in Technical Trading Systems
    """
    change = close - earlier(close, drift)
    gain = moving_average(mamode, choose(change < 0.0, 0.0, change), length)
    loss = moving_average(mamode, choose(change > 0.0, 0.0, change), length)
    return scalar * gain / (gain + abs(loss))


class Stoch(NamedTuple):
    """The smoothed place in the range, its mean, and their gap."""

    k: Series
    d: Series
    histogram: Series


@indicator(columns=tuple(f"STOCH{part}_{{k}}_{{d}}_{{smooth_k}}" for part in "kdh"))
def stoch(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    k: Window = 14,
    d: Window = 3,
    smooth_k: Window = 3,
    mamode: Average = "sma",
) -> Stoch:
    """Stochastic oscillator: the place of the close in the range of the last rows.

    Unit: 0 to 100
    Source: Lane (1984), Lane's Stochastics, TASC 2:3
    """
    least, most = rolling_min(low, k), rolling_max(high, k)
    place = 100.0 * (close - least) / nonzero_range(most, least)
    smooth = place if smooth_k == 1 else average_of_known(mamode, place, smooth_k)
    mean = average_of_known(mamode, smooth, d)
    return Stoch(smooth, mean, smooth - mean)


class StochRsi(NamedTuple):
    """The smoothed place of the strength in its range, and its mean."""

    k: Series
    d: Series


@indicator(columns=tuple(f"STOCHRSI{part}_{{length}}_{{rsi_length}}_{{k}}_{{d}}" for part in "kd"))
def stochrsi(
    close: Series = CLOSE,
    length: Window = 14,
    rsi_length: Window = 14,
    k: Window = 3,
    d: Window = 3,
    mamode: Average = "sma",
) -> StochRsi:
    """Stochastic oscillator of the relative strength.

    Unit: 0 to 100
    Source: Chande and Kroll (1994), The New Technical Trader
    """
    strength = rsi(close, rsi_length)
    least, most = rolling_min(strength, length), rolling_max(strength, length)
    place = 100.0 * (strength - least) / nonzero_range(most, least)
    smooth = moving_average(mamode, place, k)
    return StochRsi(smooth, moving_average(mamode, smooth, d))


@indicator(columns="CCI_{length}_{c}")
def cci(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: ShortWindow = 14,
    c: Positive = 0.015,
) -> Series:
    """Commodity channel index as pandas-ta has it, which is not Lambert's.

    Lambert's is (price - mean) / (c * deviation). pandas-ta 0.4.71b0 without TA-Lib gives
    price - mean / (c * deviation), and so does this.
    Unit: unit of close
    Source: pandas-ta 0.4.71b0; Lambert (1980), Commodity Channel Index, Commodities 9:10
    """
    typical = hlc3(high, low, close)
    return typical - rolling_mean(typical, length) / (c * rolling_deviation(typical, length))


@indicator(columns="WILLR_{length}")
def willr(
    high: Series = HIGH, low: Series = LOW, close: Series = CLOSE, length: Window = 14
) -> Series:
    """Place of the close below the top of the range of the last rows.

    Unit: -100 to 0
    Source: Williams (1979), How I Made One Million Dollars
    """
    least, most = rolling_min(low, length), rolling_max(high, length)
    return 100.0 * ((close - least) / (most - least) - 1.0)
