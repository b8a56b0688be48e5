"""Volume that flows in and out, told by the price's place or change."""

from typing import NamedTuple

from indicators.bounds import Number, Positive, Window
from indicators.catalogue import Average, indicator, moving_average
from indicators.definitions.momentum import roc
from indicators.definitions.overlap import ema, hl2, hlc3
from indicators.definitions.shared import average_of_known, nonzero_range
from indicators.definitions.volume import obv
from indicators.operators import (
    choose,
    earlier,
    exponential,
    fill,
    first_value,
    logarithm,
    rolling_max,
    rolling_mean,
    rolling_min,
    rolling_sum,
    rolling_sum_from,
    row_number,
    running_sum,
    sign,
)
from indicators.series import CLOSE, HIGH, LOW, VOLUME, Series


def _pressure(
    high: Series, low: Series, close: Series, volume: Series, open_: Series | None
) -> Series:
    """Volume times the close's place in the bar, or times the body where there is an open."""
    body = 2.0 * close - (high + low) if open_ is None else nonzero_range(close, open_)
    return body * (volume / nonzero_range(high, low))


def _ad_column(open: Series | None) -> str:  # noqa: A002
    return "AD" if open is None else "ADo"


@indicator(columns=_ad_column)
def ad(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    volume: Series = VOLUME,
    open: Series | None = None,  # noqa: A002  (the field's own name)
) -> Series:
    """Accumulation and distribution: volume summed by the close's place in the bar.

    Where `open` is given, by the bar's body.
    Unit: unit of volume
    Source: Chaikin; Achelis (2001), Technical Analysis from A to Z
    """
    return running_sum(_pressure(high, low, close, volume, open))


@indicator(columns="ADOSC_{fast}_{slow}")
def adosc(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    volume: Series = VOLUME,
    open: Series | None = None,  # noqa: A002
    fast: Window = 3,
    slow: Window = 10,
) -> Series:
    """Chaikin's oscillator: a quick mean of accumulation and distribution less a slow one.

    Unit: unit of volume
    Source: Chaikin; Achelis (2001), Technical Analysis from A to Z
    """
    line = ad(high, low, close, volume, open)
    return ema(line, fast) - ema(line, slow)


class Archer(NamedTuple):
    """On-balance volume with its extremes, its means, and whether these run up or down."""

    obv: Series
    least: Series
    most: Series
    fast: Series
    slow: Series
    long: Series
    short: Series


def _aobv_columns(
    fast: int, slow: int, max_lookback: int, min_lookback: int, mamode: str, run_length: int
) -> tuple[str, ...]:
    fast, slow = sorted((fast, slow))
    extremes = (f"OBV_min_{min_lookback}", f"OBV_max_{max_lookback}")
    means = (f"OBV{mamode[0]}_{fast}", f"OBV{mamode[0]}_{slow}")
    return "OBV", *extremes, *means, f"AOBV_LR_{run_length}", f"AOBV_SR_{run_length}"


@indicator(columns=_aobv_columns)
def aobv(
    close: Series = CLOSE,
    volume: Series = VOLUME,
    fast: Window = 4,
    slow: Window = 12,
    max_lookback: Window = 2,
    min_lookback: Window = 2,
    mamode: Average = "ema",
    run_length: Window = 2,
) -> Archer:
    """On-balance volume with two means, and whether both move as a trend would have them.

    Long where the fast mean has risen in `run_length` rows and the slow one has moved.
    Unit: unit of volume; 1 or 0
    Source: Archer; pandas-ta 0.4.71b0
    """
    fast, slow = sorted((fast, slow))
    line = obv(close, volume)
    quick, calm = moving_average(mamode, line, fast), moving_average(mamode, line, slow)
    before, moved = earlier(quick, run_length), calm != earlier(calm, run_length)
    return Archer(
        line,
        rolling_min(line, min_lookback),
        rolling_max(line, max_lookback),
        quick,
        calm,
        (quick > before) & moved,
        (quick < before) & moved,
    )


@indicator(columns="CMF_{length}")
def cmf(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    volume: Series = VOLUME,
    open: Series | None = None,  # noqa: A002
    length: Window = 20,
    min_periods: Window | None = None,
) -> Series:
    """Chaikin's money flow: volume by the close's place in the bar, as a share of all volume.

    From row `min_periods` on, which is `length` where it is not given.
    Unit: -1 to 1
    Source: Chaikin; Achelis (2001), Technical Analysis from A to Z
    """
    least = min(min_periods or length, length)
    flow = rolling_sum_from(_pressure(high, low, close, volume, open), length, least)
    return flow / rolling_sum_from(volume, length, least)


@indicator(columns="EFI_{length}")
def efi(
    close: Series = CLOSE,
    volume: Series = VOLUME,
    length: Window = 13,
    mamode: Average = "ema",
    drift: Window = 1,
) -> Series:
    """Elder's force: the average of change times volume.

    Unit: unit of close times unit of volume
    Source: Elder (1993), Trading for a Living
    """
    return moving_average(mamode, (close - earlier(close, drift)) * volume, length)


@indicator(columns="EOM_{length}_{divisor}")
def eom(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,  # noqa: ARG001  (pandas-ta takes it too, and ignores it)
    volume: Series = VOLUME,
    length: Window = 14,
    divisor: Positive = 100_000_000,
    drift: Window = 1,
) -> Series:
    """Ease of movement: how far the bar's middle came, for its volume and range.

    Unit: square of the unit of high, for `divisor` of volume
    Source: Arms (1983), Volume Cycles in the Stock Market
    Differs: missing while a row without volume is in the window; pandas-ta is infinite there
    where such rows agree on the direction.
    """
    middle = hl2(high, low)
    ratio = volume / divisor / nonzero_range(high, low)
    return rolling_mean((middle - earlier(middle, drift)) / ratio, length)


class Line(NamedTuple):
    """A line and the average of it."""

    line: Series
    signal: Series


@indicator(columns=("KVO_{fast}_{slow}_{signal}", "KVOs_{fast}_{slow}_{signal}"))
def kvo(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    volume: Series = VOLUME,
    fast: Window = 34,
    slow: Window = 55,
    signal: Window = 13,
    mamode: Average = "ema",
) -> Line:
    """Klinger's oscillator in its short form: a quick mean of signed volume less a slow one.

    The sign is that of the typical price's change; Klinger's volume force also weighs by the
    bar's range.
    Unit: unit of volume
    Source: Klinger (1997), Identifying Trends with Volume Analysis, TASC 15:12
    """
    typical = hlc3(high, low, close)
    force = volume * sign(typical - earlier(typical, 1))
    line = average_of_known(mamode, force, fast) - average_of_known(mamode, force, slow)
    return Line(line, average_of_known(mamode, line, signal))


@indicator(columns="NVI_{length}")
def nvi(
    close: Series = CLOSE,
    volume: Series = VOLUME,
    length: Window = 1,
    initial: Number = 1000,
) -> Series:
    """Negative volume: rates of change added up over the rows on which the volume fell.

    Unit: percent above `initial`
    Source: Dysart; Fosback (1976), Stock Market Logic
    Differs: not from pandas-ta, which adds up percents. `negative_volume_index` multiplies.
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

    With `overlay` the first close takes the place of `initial`.
    Unit: `initial`
    Source: Fosback (1976), Stock Market Logic
    Differs: not from pandas-ta, whose index starts from `initial` again on each row.
    `positive_volume_index` goes on from the row before.
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


class Segments(NamedTuple):
    """The sum, its average, and their ratio."""

    line: Series
    signal: Series
    ratio: Series


@indicator(columns=tuple(f"TSV{part}_{{length}}_{{signal}}" for part in ("", "s", "r")))
def tsv(
    close: Series = CLOSE,
    volume: Series = VOLUME,
    length: Window = 18,
    signal: Window = 10,
    mamode: Average = "sma",
    drift: Window = 1,
) -> Segments:
    """Time segmented volume: change times volume, summed, where the close differs from the last.

    Unit: unit of close times unit of volume
    Source: Worden; pandas-ta 0.4.71b0
    """
    traded = volume * abs(sign(close - earlier(close, 1)))
    line = rolling_sum(traded * (close - earlier(close, drift)), length)
    mean = moving_average(mamode, line, signal)
    return Segments(line, mean, line / mean)
