"""Rises and falls of volume, and what the price does on them."""

from typing import NamedTuple

from indicators.bounds import Number, Positive, Window
from indicators.catalogue import Average, indicator, moving_average
from indicators.definitions.momentum.changes import roc
from indicators.definitions.overlap.averages import ema
from indicators.operators import (
    choose,
    earlier,
    exponential,
    fill,
    first_value,
    logarithm,
    row_number,
    running_sum,
    sign,
)
from indicators.series import CLOSE, VOLUME, Series


@indicator(columns="NVI_{length}")
def nvi(
    close: Series = CLOSE,
    volume: Series = VOLUME,
    length: Window = 1,
    initial: Number = 1000,
) -> Series:
    """Negative volume: rates of change added up over the rows on which the volume fell.

    As in pandas-ta percents are added up; `negative_volume_index` multiplies.
    Unit: percent above `initial`
    Source: Dysart; Fosback (1976), Stock Market Logic
    """
    fell = volume < earlier(volume, 1)
    step = choose(fell, fill(roc(close, length), 0.0), 0.0)
    return running_sum(choose(row_number() == 1.0, float(initial), step))


@indicator(columns=None)
def negative_volume_index(
    close: Series = CLOSE, volume: Series = VOLUME, initial: Positive = 1000.0
) -> Series:
    """An index that moves with the price on the rows on which the volume fell.

    Unit: `initial` at the start
    Source: Dysart; Fosback (1976), Stock Market Logic
    """
    return _index_where(volume < earlier(volume, 1), close, initial)


@indicator(columns=None)
def positive_volume_index(
    close: Series = CLOSE, volume: Series = VOLUME, initial: Positive = 1000.0
) -> Series:
    """An index that moves with the price on the rows on which the volume rose.

    Unit: `initial` at the start
    Source: Dysart; Fosback (1976), Stock Market Logic
    """
    return _index_where(volume > earlier(volume, 1), close, initial)


def _index_where(holds: Series, close: Series, initial: float) -> Series:
    ratio = choose(holds, close / earlier(close, 1), 1.0)
    return initial * exponential(running_sum(logarithm(ratio)))


class Index(NamedTuple):
    """The index and its average."""

    line: Series
    average: Series


def _pvi_columns(length: int, mamode: str) -> tuple[str, ...]:
    return "PVI", f"PVI{mamode[0]}_{length}"


@indicator(columns=_pvi_columns)
def pvi(
    close: Series = CLOSE,
    volume: Series = VOLUME,
    length: Window = 255,
    initial: Number = 100,
    mamode: Average = "ema",
    overlay: bool = False,
) -> Index:
    """Positive volume: `initial` times the ratio of closes where the volume rose, else `initial`.

    With `overlay` the first close takes the place of `initial`. As in pandas-ta the index starts
    from `initial` again on each row; `positive_volume_index` goes on from the row before.
    Unit: `initial`
    Source: Fosback (1976), Stock Market Logic
    """
    start = first_value(close) if overlay else initial
    ratio = choose(volume > earlier(volume, 1), close / earlier(close, 1), 1.0)
    index = start * ratio
    return Index(index, moving_average(mamode, index, length))


class Oscillator(NamedTuple):
    """A line, its distance from its average, and that average."""

    line: Series
    histogram: Series
    signal: Series


def _pvo_columns(fast: int, slow: int, signal: int) -> tuple[str, ...]:
    fast, slow = sorted((fast, slow))
    return tuple(f"PVO{part}_{fast}_{slow}_{signal}" for part in ("", "h", "s"))


@indicator(columns=_pvo_columns)
def pvo(
    volume: Series = VOLUME,
    fast: Window = 12,
    slow: Window = 26,
    signal: Window = 9,
    scalar: Number = 100.0,
) -> Oscillator:
    """Percentage volume oscillator: a quick mean of volume less a slow one, as a share of it.

    Unit: percent
    Source: Appel (2005), Technical Analysis, of the price oscillator that this copies
    """
    fast, slow = sorted((fast, slow))
    base = ema(volume, slow)
    line = scalar * (ema(volume, fast) - base) / base
    mean = ema(line, signal)
    return Oscillator(line, line - mean, mean)


@indicator(columns="PVOL")
def pvol(close: Series = CLOSE, volume: Series = VOLUME, signed: bool = False) -> Series:
    """Price times volume; with the sign of the change if `signed`.

    Unit: unit of close times unit of volume
    Source: definition
    """
    money = close * volume
    return money * sign(close - earlier(close, 1)) if signed else money


@indicator(columns="PVR")
def pvr(close: Series = CLOSE, volume: Series = VOLUME, drift: Window = 1) -> Series:
    """Price and volume rank: 1 both rose, 2 volume fell, 3 price fell, 4 both fell.

    No change, as on the first row, counts as a rise.
    Unit: 1 to 4
    Source: Macek, Price-Volume Rank, TASC 12:6
    """
    return 1.0 + 2.0 * (close < earlier(close, drift)) + (volume < earlier(volume, drift))


@indicator(columns="PVT")
def pvt(close: Series = CLOSE, volume: Series = VOLUME, drift: Window = 1) -> Series:
    """Price and volume trend: volume times the rate of change in percent, summed.

    Unit: unit of volume times percent
    Source: Achelis (2001), Technical Analysis from A to Z
    """
    return running_sum(roc(close, drift) * volume)
