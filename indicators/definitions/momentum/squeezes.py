"""Whether volatility is squeezed or a bar stands out, and where the price goes then."""

from typing import Annotated, NamedTuple

from indicators.bounds import WINDOW_ROWS_MAX, Bounds, Number, Positive, Window
from indicators.catalogue import Average, indicator, moving_average
from indicators.definitions.momentum.changes import mom
from indicators.definitions.overlap.lines import linreg
from indicators.definitions.shared import EPSILON, NOTHING
from indicators.definitions.volatility.bands import Bands, Channel, bbands, kc
from indicators.errors import ParameterError
from indicators.operators import (
    after,
    choose,
    earlier,
    last_known,
    rolling_max,
    rolling_min,
)
from indicators.series import CLOSE, HIGH, LOW, OPEN, Series

BandWindow = Annotated[int, Bounds(2, WINDOW_ROWS_MAX)]
BAND_STD = 2.0
IMBALANCE_PERCENT_MIN = 1.0


class Squeeze(NamedTuple):
    """Momentum; whether the bands are inside the channel, outside it, or neither; its phases.

    The phases come with `detailed`: the momentum where it rises or falls, on any row, among
    rows not below zero, among rows below zero.
    """

    momentum: Series
    on: Series
    off: Series
    none: Series
    rising: Series | None = None
    falling: Series | None = None
    positive_rising: Series | None = None
    positive_falling: Series | None = None
    negative_falling: Series | None = None
    negative_rising: Series | None = None


PHASES = ("INC", "DEC", "PINC", "PDEC", "NDEC", "NINC")


def _squeeze_columns(
    bb_length: int, bb_std: float, kc_length: int, kc_scalar: float, tr: bool, lazybear: bool,
    detailed: bool,
) -> tuple[str, ...]:  # fmt: skip
    name = f"SQZ{'' if tr else 'hlr'}_{bb_length}_{bb_std}_{kc_length}_{kc_scalar}"
    phases = PHASES if detailed else ()
    states = ("ON", "OFF", "NO", *phases)
    return f"{name}{'_LB' * lazybear}", *(f"SQZ_{state}" for state in states)


@indicator(columns=_squeeze_columns)
def squeeze(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    bb_length: BandWindow = 20,
    bb_std: Positive = 2.0,  # noqa: ARG001  (it names the column, and has no effect upstream)
    kc_length: Window = 20,
    kc_scalar: Positive = 1.5,
    mom_length: Window = 12,
    mom_smooth: Window = 6,
    mamode: Average = "sma",
    prenan: bool = False,
    tr: bool = True,
    lazybear: bool = False,
    detailed: bool = False,
) -> Squeeze:
    """Whether Bollinger's bands are inside Keltner's channel, and the smoothed momentum.

    With `lazybear` the momentum is a regression of the distance from the middle of the range.
    As in pandas-ta the bands are 2 deviations wide whatever `bb_std` is; `ttm_squeeze` heeds it.
    Unit: unit of close; 1 or 0
    Source: Carter (2005), Mastering the Trade; pandas-ta 0.4.71b0
    """
    channel = kc(high, low, close, kc_length, kc_scalar, tr, mamode)
    if lazybear:
        middle = 0.5 * (rolling_max(high, kc_length) + rolling_min(low, kc_length))
        line = linreg(close - 0.5 * (middle + channel.middle), kc_length)
    else:
        smooth = "ema" if mamode == "ema" else "sma"
        line = moving_average(smooth, mom(close, mom_length), mom_smooth)
    bands = bbands(close, bb_length, BAND_STD, BAND_STD, mamode=mamode)
    hidden = max(bb_length, kc_length) - 2 if prenan else 0
    on, off, neither = (after(state, hidden) for state in _states(bands, channel))
    return Squeeze(line, on, off, neither, *(_phases(line) if detailed else ()))


@indicator(columns=None)
def ttm_squeeze(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    bb_length: BandWindow = 20,
    bb_std: Positive = 2.0,
    kc_length: Window = 20,
    kc_scalar: Positive = 1.5,
) -> Squeeze:
    """Whether Bollinger's bands of any width are inside Keltner's channel, and the momentum.

    The momentum is a regression of the distance from the middle of range and mean.
    Unit: unit of close; 1 or 0
    Source: Carter (2005), Mastering the Trade
    """
    channel = kc(high, low, close, kc_length, kc_scalar, mamode="sma")
    bands = bbands(close, bb_length, bb_std, bb_std)
    middle = 0.5 * (rolling_max(high, kc_length) + rolling_min(low, kc_length))
    line = linreg(close - 0.5 * (middle + channel.middle), kc_length)
    return Squeeze(line, *_states(bands, channel))


class SqueezePro(NamedTuple):
    """Momentum; whether the bands are inside each channel, outside the wide one, or neither.

    The phases come with `detailed`, as for the squeeze.
    """

    momentum: Series
    on_wide: Series
    on_normal: Series
    on_narrow: Series
    off: Series
    none: Series
    rising: Series | None = None
    falling: Series | None = None
    positive_rising: Series | None = None
    positive_falling: Series | None = None
    negative_falling: Series | None = None
    negative_rising: Series | None = None


def _squeeze_pro_columns(
    bb_length: int, bb_std: float, kc_length: int, kc_scalar_wide: float,
    kc_scalar_normal: float, kc_scalar_narrow: float, tr: bool, detailed: bool,
) -> tuple[str, ...]:  # fmt: skip
    scalars = (kc_scalar_wide, kc_scalar_normal, kc_scalar_narrow)
    name = f"SQZPRO{'' if tr else 'hlr'}_{bb_length}_{bb_std}_{kc_length}"
    phases = PHASES if detailed else ()
    states = ("ON_WIDE", "ON_NORMAL", "ON_NARROW", "OFF", "NO", *phases)
    return (
        f"{name}_{'_'.join(str(float(each)) for each in scalars)}",
        *(f"SQZPRO_{state}" for state in states),
    )


@indicator(columns=_squeeze_pro_columns)
def squeeze_pro(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    bb_length: BandWindow = 20,
    bb_std: Positive = 2.0,  # noqa: ARG001  (as above)
    kc_length: Window = 20,
    kc_scalar_narrow: Positive = 1.0,
    kc_scalar_normal: Positive = 1.5,
    kc_scalar_wide: Positive = 2.0,
    mom_length: Window = 12,
    mom_smooth: Window = 6,
    mamode: Average = "sma",
    prenan: bool = False,
    tr: bool = True,
    detailed: bool = False,
) -> SqueezePro:
    """Whether Bollinger's bands are inside a wide, a normal and a narrow Keltner channel.

    As in pandas-ta the bands are 2 deviations wide whatever `bb_std` is.
    Unit: unit of close; 1 or 0
    Source: Carter (2005), Mastering the Trade; pandas-ta 0.4.71b0
    """
    if not kc_scalar_narrow < kc_scalar_normal < kc_scalar_wide:
        raise ParameterError("kc_scalar_narrow < kc_scalar_normal < kc_scalar_wide is wanted")
    bands = bbands(close, bb_length, BAND_STD, BAND_STD, mamode=mamode)
    wide, normal, narrow = (
        _states(bands, kc(high, low, close, kc_length, scalar, tr, mamode))
        for scalar in (kc_scalar_wide, kc_scalar_normal, kc_scalar_narrow)
    )
    line = moving_average(mamode, mom(close, mom_length), mom_smooth)
    hidden = max(bb_length, kc_length) - 2 if prenan else 0
    states = (wide[0], normal[0], narrow[0], wide[1], wide[2])
    shown = (after(state, hidden) for state in states)
    return SqueezePro(line, *shown, *(_phases(line) if detailed else ()))


def _states(bands: Bands, channel: Channel) -> tuple[Series, Series, Series]:
    """Whether the bands are inside the channel, outside it, or neither."""
    on = (bands.lower > channel.lower) & (bands.upper < channel.upper)
    off = (bands.lower < channel.lower) & (bands.upper > channel.upper)
    return on, off, ~on & ~off


def _phases(line: Series) -> tuple[Series, ...]:
    """The line where it rises or falls: on any row, among positive rows, among negative ones."""

    def where(holds: Series) -> Series:
        return choose(holds & (line != 0.0), line, NOTHING)

    before = earlier(line, 1)
    positive, negative = line >= 0.0, line < 0.0
    last_positive = earlier(last_known(choose(positive, line, NOTHING)), 1)
    last_negative = earlier(last_known(choose(negative, line, NOTHING)), 1)
    return (
        where(line > before),
        where(line < before),
        where(positive & (line > last_positive)),
        where(positive & (line < last_positive)),
        where(negative & (line < last_negative)),
        where(negative & (line > last_negative)),
    )


class Imbalances(NamedTuple):
    """Whether the bar is wide; gaps below and above: whether, how wide, in percent of the range."""

    wide: Series
    bottom_flag: Series
    bottom: Series
    bottom_percent: Series
    top_flag: Series
    top: Series
    top_percent: Series


def _smc_columns(
    abr_length: int, close_length: int, vol_length: int, percent: int
) -> tuple[str, ...]:
    abr_length, close_length = sorted((abr_length, close_length))
    given = f"{abr_length}_{close_length}_{vol_length}_{percent}"
    return tuple(f"SMC{part}_{given}" for part in ("hv", "bf", "bi", "bp", "tf", "ti", "tp"))


@indicator(columns=_smc_columns)
def smc(
    open: Series = OPEN,  # noqa: A002, ARG001  (the field's own name; pandas-ta ignores it too)
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,  # noqa: ARG001
    abr_length: Window = 14,
    close_length: Window = 50,
    vol_length: Window = 20,
    percent: Window = 5,  # noqa: ARG001
    vol_ratio: Number = 1.5,
    mamode: Average = "sma",
) -> Imbalances:
    """Smart money concept: gaps between a bar and the one before the last, and wide bars.

    `percent` and the larger of the first two lengths have no effect but on the columns' names.
    Unit: 1 or 0; unit of high; percent of the range of the last rows
    Source: pandas-ta 0.4.71b0
    Differs: the first rows stay missing. pandas-ta fills them with the first value to come,
    which a stream cannot know.
    """
    abr_length, _ = sorted((abr_length, close_length))
    ranges = rolling_max(high, abr_length) - rolling_min(low, abr_length)
    top, bottom = earlier(low, 2) - high, low - earlier(high, 2)
    top_percent, bottom_percent = 100.0 * top / ranges, 100.0 * bottom / ranges
    spread = high - low + EPSILON
    return Imbalances(
        spread > vol_ratio * moving_average(mamode, spread, vol_length),
        (bottom > 0.0) & (bottom_percent > IMBALANCE_PERCENT_MIN),
        last_known(bottom),
        last_known(bottom_percent),
        (top > 0.0) & (top_percent > IMBALANCE_PERCENT_MIN),
        last_known(top),
        last_known(top_percent),
    )
