"""Bands and stops whose distance from the price follows how far it moves."""

from typing import NamedTuple

from indicators.bounds import Number, Positive, Window
from indicators.catalogue import Average, indicator, moving_average
from indicators.definitions.overlap.prices import hlc3
from indicators.definitions.seeded import seeded_average
from indicators.definitions.shared import EPSILON, NOTHING, nonzero_range
from indicators.definitions.volatility.ranges import atr, true_range
from indicators.operators import (
    after,
    choose,
    earlier,
    ewm,
    fill,
    follow,
    holt_winters,
    last_known,
    rolling_max,
    rolling_mean,
    rolling_min,
    row_number,
    running_max,
    running_min,
    square_root,
)
from indicators.series import CLOSE, HIGH, LOW, Series


class Aberration(NamedTuple):
    """Middle, upper and lower line, and the average true range."""

    middle: Series
    upper: Series
    lower: Series
    atr: Series


@indicator(
    columns=tuple(f"ABER_{part}_{{length}}_{{atr_length}}" for part in ("ZG", "SG", "XG", "ATR"))
)
def aberration(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: Window = 5,
    atr_length: Window = 15,
) -> Aberration:
    """Mean typical price, with one average true range above and below it.

    Unit: unit of close
    Source: pandas-ta 0.4.71b0, after Fitschen's trading system of 1986
    """
    ranges = atr(high, low, close, atr_length)
    middle = rolling_mean(hlc3(high, low, close), length)
    return Aberration(middle, middle + ranges, middle - ranges, ranges)


class AccelerationBands(NamedTuple):
    """Lower, middle and upper band."""

    lower: Series
    middle: Series
    upper: Series


@indicator(columns=tuple(f"ACCB{part}_{{length}}" for part in "LMU"))
def accbands(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: Window = 20,
    c: Positive = 4,
    mamode: Average = "sma",
) -> AccelerationBands:
    """Averages of the highs and lows, pushed apart by the range of each bar.

    Unit: unit of close
    Source: Headley (2002), Big Trends in Trading
    """
    ratio = c * (nonzero_range(high, low) / (high + low))
    return AccelerationBands(
        moving_average(mamode, low * (1.0 - ratio), length),
        moving_average(mamode, close, length),
        moving_average(mamode, high * (1.0 + ratio), length),
    )


def _atrts_column(length: int, ma_length: int, k: float, mamode: str, percent: bool) -> str:
    return f"ATRTS{mamode[0]}{'p' * percent}_{length}_{ma_length}_{k}"


@indicator(columns=_atrts_column)
def atrts(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: Window = 14,
    ma_length: Window = 20,
    k: Positive = 3.0,
    mamode: Average = "ema",
    drift: Window = 1,
    percent: bool = False,
) -> Series:
    """Stop that trails the close by `k` average ranges, on the side away from a mean.

    Differs: not from pandas-ta, where with `percent` the range is in percent too before it is
    taken off the close. 100 / close times the stop itself is what one would want.
    Unit: unit of close, or percent of close
    Source: Vervoort (2009), Average True Range Trailing Stops, TASC 27:6; pandas-ta 0.4.71b0
    """
    band = k * atr(high, low, close, length, mamode, drift=drift, percent=percent)
    rising = close > moving_average(mamode, close, ma_length)
    rows = max(length, ma_length)
    stop = follow(after(close - band, rows), after(close + band, rows), rising)
    return stop * (100.0 / close) if percent else stop


class ChandelierExit(NamedTuple):
    """Stop of a long position, stop of a short one, and which of them was broken last."""

    long: Series
    short: Series
    direction: Series


def _chandelier_columns(
    high_length: int, low_length: int, atr_length: int, multiplier: float, use_close: bool
) -> tuple[str, ...]:
    how = f"{'_CLOSE_' * use_close}_{high_length}_{low_length}_{atr_length}_{multiplier}"
    return tuple(f"CHDLREXT{part}{how}" for part in "lsd")


@indicator(columns=_chandelier_columns)
def chandelier_exit(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    high_length: Window = 22,
    low_length: Window = 22,
    atr_length: Window = 14,
    multiplier: Positive = 2.0,
    mamode: Average = "rma",
    use_close: bool = False,
    drift: Window = 1,
) -> ChandelierExit:
    """Stops that hang from the greatest high and stand on the least low of the last rows.

    With `use_close` from the extremes of the close, over the longer of the two lengths.
    Unit: unit of close; direction 1 or -1
    Source: LeBeau (1992), Technical Traders Guide; Elder (2002), Come Into My Trading Room
    """
    band = multiplier * atr(high, low, close, atr_length, mamode, drift=drift)
    if use_close:
        high_length = low_length = max(high_length, low_length)
        high = low = close
    long = fill(rolling_max(high, high_length), running_max(high)) - band
    short = fill(rolling_min(low, low_length), running_min(low)) + band
    turn = (close > earlier(long, drift)) - (close < earlier(short, drift))
    opened = choose((row_number() == 1.0) & (turn == 0.0), 1.0, turn)
    return ChandelierExit(long, short, last_known(choose(opened == 0.0, NOTHING, opened)))


class HoltWintersChannel(NamedTuple):
    """Middle, lower and upper line; their distance, and the place of the close in it."""

    middle: Series
    lower: Series
    upper: Series
    width: Series | None
    percent: Series | None


def _hwc_columns(scalar: float, channels: bool) -> tuple[str, ...]:
    lines = ("HWM", "HWL", "HWU", "HWW", "HWPCT") if channels else ("HWM", "HWL", "HWU")
    return tuple(f"{line}_{scalar}" for line in lines)


@indicator(columns=_hwc_columns)
def hwc(
    close: Series = CLOSE,
    scalar: Number = 1,
    channels: bool = True,
    na: Positive = 0.2,
    nb: Positive = 0.1,
    nc: Positive = 0.1,
    nd: Positive = 0.1,
) -> HoltWintersChannel:
    """Holt and Winters' mean with a band by how far the close has been from it.

    `channels` adds the band's width and the place of the close in it.
    Unit: unit of close; percent is 0 at lower, 1 at upper
    Source: rengel8 (2019), Holt-Winters Channel, tradingview.com; Winters (1960)
    """
    middle = holt_winters(close, na, nb, nc)
    miss = fill(earlier(close, 1) - earlier(middle, 1), 0.0)
    usual = square_root(fill(earlier(ewm(miss * miss, nd), 1), 0.0))
    lower, upper = middle - scalar * usual, middle + scalar * usual
    width = upper - lower
    if not channels:
        return HoltWintersChannel(middle, lower, upper, None, None)
    return HoltWintersChannel(middle, lower, upper, width, (close - lower) / (width + EPSILON))


class Exits(NamedTuple):
    """The exit from a rise, and from a fall."""

    long: Series
    short: Series


def _ce_columns(length: int, multiplier: float) -> tuple[str, ...]:
    return tuple(f"CE_{side}_{length}_{float(multiplier)}" for side in "LS")


@indicator(columns=_ce_columns)
def ce(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: Window = 22,
    multiplier: Positive = 3.0,
    mamode: Average = "rma",
) -> Exits:
    """Chandelier's exits: average ranges below the highest high and above the lowest low.

    The ranges start on the second row, which has a close before it. For the stop that turns and
    only tightens see `chandelier_exit`.
    Unit: unit of close
    Source: Elder (2002), Come into My Trading Room; LeBeau's exit
    """
    ranges = true_range(high, low, close, prenan=True)
    room = multiplier * seeded_average(mamode, ranges, length)
    return Exits(rolling_max(high, length) - room, rolling_min(low, length) + room)
