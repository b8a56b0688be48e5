"""Momentum by streaks, ranks and recursions of its own."""

from typing import Annotated, NamedTuple

from indicators.bounds import (
    WINDOW_ROWS_MAX,
    Bounds,
    Fraction,
    Number,
    Positive,
    Window,
)
from indicators.catalogue import Average, indicator, moving_average
from indicators.definitions.momentum.oscillators import rsi
from indicators.definitions.overlap.averages import ema
from indicators.definitions.shared import NOTHING, nonzero_range
from indicators.operators import (
    after,
    choose,
    crossing_bands,
    earlier,
    ewm,
    ewm_rounded,
    fill,
    last_known,
    rolling_max,
    rolling_min,
    rolling_rank,
    sign,
    smaller,
    smooth_strength,
    streak,
)
from indicators.series import CLOSE, OPEN, Series, as_series

RankWindow = Annotated[int, Bounds(2, 999)]
Cap = Annotated[int, Bounds(0, WINDOW_ROWS_MAX)]
SHOWN_FROM, SHOWN_TO = 6.0, 9.0


@indicator(columns="CRSI_{rsi_length}_{streak_length}_{rank_length}")
def crsi(
    close: Series = CLOSE,
    rsi_length: Window = 3,
    streak_length: Window = 2,
    rank_length: RankWindow = 100,
    scalar: Number = 100.0,
    drift: Window = 1,
) -> Series:
    """Mean of a short strength, the strength of the change's sign, and the change's rank.

    As in pandas-ta the sign of the change stands for the length of its streak; `connors_rsi`
    counts the streak.
    Unit: 0 to 100
    Source: Connors and Alvarez (2012), An Introduction to ConnorsRSI
    """
    way = fill(sign(close - earlier(close, 1)), 0.0)
    return _connors(close, way, (rsi_length, streak_length, rank_length), scalar, drift)


@indicator(columns=None)
def connors_rsi(
    close: Series = CLOSE,
    rsi_length: Window = 3,
    streak_length: Window = 2,
    rank_length: RankWindow = 100,
) -> Series:
    """Mean of a short strength, the strength of the streak's length, and the change's rank.

    Unit: 0 to 100
    Source: Connors and Alvarez (2012), An Introduction to ConnorsRSI
    """
    before = earlier(close, 1)
    length = streak(close > before) - streak(close < before)
    return _connors(close, length, (rsi_length, streak_length, rank_length), 100.0, 1)


def _connors(
    close: Series, way: Series, lengths: tuple[int, int, int], scalar: float, drift: int
) -> Series:
    strength = rsi(close, lengths[0], scalar, drift=drift)
    way_strength = rsi(way, lengths[1], scalar, drift=drift)
    change = close / earlier(close, 1) - 1.0
    below, _ = rolling_rank(change, change, lengths[2] + 1)
    return (strength + way_strength + 100.0 * below / lengths[2]) / 3.0


class Exhaustion(NamedTuple):
    """Rows in a row that fell, and that rose."""

    down: Series
    up: Series


def _exhc_columns(show_all: bool) -> tuple[str, ...]:
    return tuple(f"EXHC_{way}{'a' * show_all}" for way in ("DN", "UP"))


@indicator(columns=_exhc_columns)
def exhc(
    close: Series = CLOSE,
    length: Window = 4,
    cap: Cap = 13,
    show_all: bool = True,
    nozeros: bool = False,
) -> Exhaustion:
    """Exhaustion counts: rows in a row that closed below, or above, the close `length` rows ago.

    A count stops at `cap`, unless that is 0. Without `show_all` only counts of 6 to 9 are
    shown; with `nozeros` a count of 0 is missing. As in pandas-ta it is the falls that decide
    then whether the rises are shown, so none are.
    Unit: rows
    Source: DeMark (1994), The New Science of Technical Analysis, as pandas-ta 0.4.71b0 has it
    """
    before = earlier(close, length)
    down, up = streak(close < before), streak(close > before)
    if cap:
        down, up = smaller(down, float(cap)), smaller(up, float(cap))
    if not show_all:
        shown = (down >= SHOWN_FROM) & (down <= SHOWN_TO)
        down, up = choose(shown, down, 0.0), choose(shown, up, 0.0)
    if nozeros:
        down, up = choose(down, down, NOTHING), choose(up, up, NOTHING)
    return Exhaustion(down, up)


class Qqe(NamedTuple):
    """The stop, the smoothed strength, and the stop while it is below or above."""

    line: Series
    strength: Series
    long: Series
    short: Series


def _qqe_columns(length: int, smooth: int, factor: float, mamode: str) -> tuple[str, ...]:
    mode = "" if mamode == "ema" else mamode[0]
    given = f"{mode}_{length}_{smooth}_{float(factor)}"
    return f"QQE{given}", f"QQE{given}_RSI{mode.upper()}MA", f"QQEl{given}", f"QQEs{given}"


@indicator(columns=_qqe_columns)
def qqe(
    close: Series = CLOSE,
    length: Window = 14,
    smooth: Window = 5,
    factor: Number = 4.236,
    mamode: Average = "ema",
    drift: Window = 1,
) -> Qqe:
    """Quantitative qualitative estimation: a stop that trails the smoothed relative strength.

    Unit: 0 to 100 for the strength; the stop may leave it
    Source: Livshin; pandas-ta 0.4.71b0
    """
    strength = moving_average(mamode, rsi(close, length), smooth)
    ranges = abs(strength - earlier(strength, drift))
    wilders = 2 * length - 1
    lower, upper, falling = crossing_bands(strength, factor * ema(ema(ranges, wilders), wilders))
    long, short = choose(falling, NOTHING, lower), choose(falling, upper, NOTHING)
    return Qqe(choose(falling, upper, lower), strength, long, short)


@indicator(columns="RSX_{length}")
def rsx(close: Series = CLOSE, length: Window = 14) -> Series:
    """Relative strength without the noise: smoothed thrice with hardly any lag; starts at 50.

    Unit: 0 to 100
    Source: Jurik, RSX; as pandas-ta 0.4.71b0 has it
    """
    return smooth_strength(close, length)


class Schaff(NamedTuple):
    """The cycle, the gap of the averages, and its smoothed place in its range."""

    cycle: Series
    macd: Series
    place: Series


def _stc_columns(tc_length: int, fast: int, slow: int, factor: float) -> tuple[str, ...]:
    fast, slow = sorted((fast, slow))
    return tuple(f"STC{part}_{tc_length}_{fast}_{slow}_{factor}" for part in ("", "macd", "stoch"))


@indicator(columns=_stc_columns)
def stc(
    close: Series = CLOSE,
    tc_length: Window = 10,
    fast: Window = 12,
    slow: Window = 26,
    factor: Positive = 0.5,
    ma1: Series | None = None,
    ma2: Series | None = None,
    osc: Series | None = None,
) -> Schaff:
    """Schaff's cycle: the place in its range, twice, of the gap between two averages.

    `ma1` and `ma2` replace the averages, `osc` replaces the gap. As in pandas-ta the place
    stands still while the gap's minimum is not above zero; `schaff_trend_cycle` moves there too.
    Unit: 0 to 100; macd has the unit of close
    Source: Schaff (1999); pandas-ta 0.4.71b0
    """
    fast, slow = sorted((fast, slow))
    gap = ema(close, fast) - ema(close, slow)
    if osc is not None:
        gap = osc
    elif ma1 is not None and ma2 is not None:
        gap = ma1 - ma2
    least = rolling_min(gap, tc_length)
    place = 100.0 * (gap - least) / nonzero_range(rolling_max(gap, tc_length), least)
    first = ewm_rounded(fill(last_known(choose(least > 0.0, place, NOTHING)), 0.0), factor)
    low = fill(rolling_min(first, tc_length), 0.0)
    spread = fill(rolling_max(first, tc_length), 0.0) - low
    second = ewm_rounded(100.0 * (first - low) / choose(spread > 0.0, spread, 1.0), factor)
    hidden = max(tc_length, slow) - 1
    return Schaff(after(second, hidden), gap, after(first, hidden))


@indicator(columns=None)
def schaff_trend_cycle(
    close: Series = CLOSE,
    tc_length: Window = 10,
    fast: Window = 23,
    slow: Window = 50,
    factor: Fraction = 0.5,
) -> Series:
    """Schaff's cycle as he gives it: it moves whatever the sign of the gap of the averages.

    Unit: 0 to 100
    Source: Schaff (1999), The Schaff Trend Cycle
    """
    fast, slow = sorted((fast, slow))
    gap = ema(close, fast) - ema(close, slow)
    return _smooth_place(_smooth_place(gap, tc_length, factor), tc_length, factor)


def _smooth_place(x: Series, length: int, factor: float) -> Series:
    """The mean of the place of `x` in the range of its last values; as before without a range."""
    least, most = rolling_min(x, length), rolling_max(x, length)
    return ewm(
        last_known(choose(most > least, 100.0 * (x - least) / (most - least), NOTHING)), factor
    )


class Tmo(NamedTuple):
    """The smoothed oscillator, the same smoothed again, and how both have changed."""

    line: Series
    signal: Series
    momentum: Series
    signal_momentum: Series


@indicator(
    columns=tuple(
        f"TMO{part}_{{tmo_length}}_{{calc_length}}_{{smooth_length}}"
        for part in ("", "s", "M", "Ms")
    )
)
def tmo(
    open: Series = OPEN,  # noqa: A002  (the field's own name)
    close: Series = CLOSE,
    tmo_length: RankWindow = 14,
    calc_length: Window = 5,
    smooth_length: Window = 3,
    momentum: bool = False,
    exclusive: bool = True,
    mamode: Average = "ema",
) -> Tmo:
    """True momentum: how many of the last opens the close is above, less how many it is below.

    The last `tmo_length` opens before this row count, one fewer unless `exclusive`. The last
    two outputs are 0 unless `momentum`.
    Unit: rows, -tmo_length to tmo_length
    Source: Mobius (2018), TMO, thinkScript; pandas-ta 0.4.71b0
    """
    below, above = rolling_rank(close, open, tmo_length + exclusive)
    votes = below - above - sign(close - open)
    line = moving_average(mamode, moving_average(mamode, votes, calc_length), smooth_length)
    signal = moving_average(mamode, line, smooth_length)
    if not momentum:
        return Tmo(line, signal, as_series(0.0), as_series(0.0))
    return Tmo(line, signal, line - earlier(line, tmo_length), signal - earlier(signal, tmo_length))
