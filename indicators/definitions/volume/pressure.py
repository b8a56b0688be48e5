"""Volume that flows in and out, told by the price's place or change."""

from typing import NamedTuple

from indicators.bounds import Positive, Window
from indicators.catalogue import Average, indicator, moving_average
from indicators.definitions.overlap.averages import ema
from indicators.definitions.overlap.prices import hl2, hlc3
from indicators.definitions.shared import average_of_known, nonzero_range
from indicators.definitions.trend.direction import long_run, short_run
from indicators.definitions.volume.flows import obv
from indicators.operators import (
    earlier,
    rolling_max,
    rolling_mean,
    rolling_min,
    rolling_sum,
    rolling_sum_from,
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
    return Archer(
        line,
        rolling_min(line, min_lookback),
        rolling_max(line, max_lookback),
        quick,
        calm,
        long_run(quick, calm, run_length),
        short_run(quick, calm, run_length),
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
