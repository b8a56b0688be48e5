"""How fast prices change, and how that compares with the recent past."""

import math
from typing import NamedTuple

from indicators.bounds import Number, Positive, ShortWindow, Window
from indicators.catalogue import Average, indicator, moving_average
from indicators.definitions.overlap import ema, hlc3
from indicators.definitions.shared import average_of_known, nonzero_range, span
from indicators.operators import (
    arctangent,
    choose,
    earlier,
    ewm_by_value,
    rolling_deviation,
    rolling_max,
    rolling_mean,
    rolling_min,
)
from indicators.series import CLOSE, HIGH, LOW, Series


@indicator(columns="MOM_{length}")
def mom(close: Series = CLOSE, length: Window = 10) -> Series:
    """Change over that many rows.

    Unit: unit of close
    Source: definition
    """
    return close - earlier(close, length)


@indicator(columns="ROC_{length}")
def roc(close: Series = CLOSE, length: Window = 10, scalar: Number = 100.0) -> Series:
    """Change over that many rows as a share of the earlier value.

    Unit: percent
    Source: definition
    """
    before = earlier(close, length)
    return scalar * (close - before) / before


def _slope_column(length: int, as_angle: bool, to_degrees: bool) -> str:
    return f"ANGLE{'d' if to_degrees else 'r'}_{length}" if as_angle else f"SLOPE_{length}"


@indicator(columns=_slope_column)
def slope(
    close: Series = CLOSE, length: Window = 1, as_angle: bool = False, to_degrees: bool = False
) -> Series:
    """Change per row between two rows (not a regression: that is linreg with slope=True).

    Unit: unit of close per row; radians or degrees as an angle
    Source: definition
    """
    gradient = (close - earlier(close, length)) / length
    if not as_angle:
        return gradient
    return arctangent(gradient) * (180.0 / math.pi if to_degrees else 1.0)


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


class Macd(NamedTuple):
    """Gap between two means, its distance from its own mean, and that mean."""

    macd: Series
    histogram: Series
    signal: Series


def _macd_columns(fast: int, slow: int, signal: int, asmode: bool) -> tuple[str, ...]:
    fast, slow = sorted((fast, slow))
    return tuple(f"MACD{'AS' * asmode}{part}_{fast}_{slow}_{signal}" for part in ("", "h", "s"))


@indicator(columns=_macd_columns)
def macd(
    close: Series = CLOSE,
    fast: Window = 12,
    slow: Window = 26,
    signal: Window = 9,
    asmode: bool = False,
) -> Macd:
    """Moving-average convergence and divergence, its signal line and their gap.

    Unit: unit of close
    Source: Appel (2005), Technical Analysis: Power Tools for Active Investors, ch. 8
    """
    fast, slow = sorted((fast, slow))
    line = ema(close, fast) - ema(close, slow)
    smooth = ewm_by_value(line, span(signal), signal)
    if asmode:
        line = line - smooth
        smooth = ewm_by_value(line, span(signal), signal)
    return Macd(line, line - smooth, smooth)


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
