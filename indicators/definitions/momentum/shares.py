"""Momentum as a share: of rises in all moves, of the close's place in a range."""

from typing import Annotated, NamedTuple

from indicators.bounds import Bounds, Number, Positive, Window
from indicators.catalogue import Average, indicator, moving_average
from indicators.definitions.overlap.lines import linreg
from indicators.definitions.overlap.prices import hl2
from indicators.definitions.overlap.weighted import swma
from indicators.definitions.shared import (
    average_of_known,
    directional_moves,
    nonzero_range,
)
from indicators.operators import (
    bounded_recursive,
    choose,
    earlier,
    ewm_adjusted,
    larger,
    larger_known,
    logarithm,
    recursive,
    rolling_max,
    rolling_min,
    rolling_rising_sum,
    rolling_sum,
    row_number,
    smaller,
    smaller_known,
)
from indicators.series import CLOSE, HIGH, LOW, OPEN, Series

TriangleWindow = Annotated[int, Bounds(2, 1_000)]


@indicator(columns="BOP")
def bop(
    open: Series = OPEN,  # noqa: A002  (the field's own name)
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    scalar: Number = 1.0,
) -> Series:
    """Balance of power: the bar's body as a share of its range.

    Unit: -1 to 1
    Source: Livshin (2001), Balance of Market Power, TASC 19:8
    """
    return scalar * nonzero_range(close, open) / nonzero_range(high, low)


class BrAr(NamedTuple):
    """Strength of the buyers from the open, and from the close before."""

    ar: Series
    br: Series


@indicator(columns=("AR_{length}", "BR_{length}"))
def brar(
    open: Series = OPEN,  # noqa: A002
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: Window = 26,
    scalar: Number = 100.0,
    drift: Window = 1,
) -> BrAr:
    """Ways up over ways down, summed: from the open (AR) and from the close before (BR).

    Unit: percent, 100 where both are equal
    Source: pandas-ta 0.4.71b0
    """
    before = earlier(close, drift)
    rise = larger(nonzero_range(high, before), 0.0)
    fall = larger(nonzero_range(before, low), 0.0)
    up = rolling_sum(nonzero_range(high, open), length)
    down = rolling_sum(nonzero_range(open, low), length)
    return BrAr(scalar * up / down, scalar * rolling_sum(rise, length) / rolling_sum(fall, length))


@indicator(columns="CG_{length}")
def cg(close: Series = CLOSE, length: Window = 10) -> Series:
    """Centre of gravity of the last closes, in rows, with a minus sign.

    As in pandas-ta the oldest close is row 1; Ehlers counts from the newest.
    Unit: rows, -length to -1
    Source: Ehlers (2002), The Center of Gravity Oscillator, TASC 20:5
    """
    return -rolling_rising_sum(close, length) / rolling_sum(close, length)


@indicator(columns="CMO_{length}")
def cmo(
    close: Series = CLOSE,
    length: Window = 14,
    scalar: Number = 100.0,
    talib: bool = True,
    drift: Window = 1,
) -> Series:
    """Chande's momentum: rises less falls as a share of both, smoothed as Wilder does.

    With `talib` off the rises and falls are summed, as Chande does.
    Unit: -100 to 100
    Source: Chande and Kroll (1994), The New Technical Trader
    """
    change = close - earlier(close, drift)
    rise, fall = larger(change, 0.0), abs(smaller(change, 0.0))
    if talib:
        gain, loss = moving_average("rma", rise, length), moving_average("rma", fall, length)
    else:
        gain, loss = rolling_sum(rise, length), rolling_sum(fall, length)
    return scalar * (gain - loss) / (gain + loss)


@indicator(columns="CTI_{length}")
def cti(close: Series = CLOSE, length: Window = 12) -> Series:
    """Correlation of the last closes with a rising line.

    Unit: -1 to 1
    Source: Ehlers (2020), Correlation as a Trend Indicator, TASC 38:5
    """
    return linreg(close, length, r=True)


class Directions(NamedTuple):
    """Averaged moves up and down."""

    plus: Series
    minus: Series


@indicator(columns=("DMP_{length}", "DMN_{length}"))
def dm(
    high: Series = HIGH,
    low: Series = LOW,
    length: Window = 14,
    mamode: Average = "rma",
    drift: Window = 1,
) -> Directions:
    """Directional movement: averaged steps of the high up and of the low down.

    Unit: unit of high
    Source: Wilder (1978), New Concepts in Technical Trading Systems
    """
    rise, fall = directional_moves(high, low, drift)
    return Directions(moving_average(mamode, rise, length), moving_average(mamode, fall, length))


@indicator(columns="ER_{length}")
def er(close: Series = CLOSE, length: Window = 10, drift: Window = 1) -> Series:
    """Efficiency ratio: the way from start to end over the way that was walked.

    Unit: 0 to 1
    Source: Kaufman (1995), Smarter Trading, ch. 7
    """
    way = abs(close - earlier(close, length))
    return way / rolling_sum(abs(close - earlier(close, drift)), length)


class Fisher(NamedTuple):
    """The transformed place in the range, and the same some rows ago."""

    fisher: Series
    signal: Series


RANGE_MIN, PULL, KEPT = 0.001, 0.66, 0.67
LIMIT, BOUND = 0.99, 0.999


@indicator(columns=("FISHERT_{length}_{signal}", "FISHERTs_{length}_{signal}"))
def fisher(
    high: Series = HIGH, low: Series = LOW, length: Window = 9, signal: Window = 1
) -> Fisher:
    """Fisher's transform of the smoothed place of the bar's middle in its range; starts at 0.

    As published a range below 0.001 counts as 0.001, so cheap instruments stay near 0.
    Unit: none
    Source: Ehlers (2002), Using the Fisher Transform, TASC 20:11
    """
    middle = hl2(high, low)
    least = rolling_min(middle, length)
    spread = larger(nonzero_range(rolling_max(middle, length), least), RANGE_MIN)
    pull = choose(row_number() > length, PULL * ((middle - least) / spread - 0.5), 0.0 * spread)
    place = bounded_recursive(pull, KEPT, LIMIT, BOUND)
    line = recursive(0.5 * logarithm((1.0 + place) / (1.0 - place)), 0.0, 1, 0.5, 0.0, 0.0)
    return Fisher(line, earlier(line, signal))


class Kdj(NamedTuple):
    """The smoothed place in the range, the same smoothed again, and K driven past D."""

    k: Series
    d: Series
    j: Series


@indicator(columns=("K_{length}_{signal}", "D_{length}_{signal}", "J_{length}_{signal}"))
def kdj(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: Window = 9,
    signal: Window = 3,
) -> Kdj:
    """Stochastic oscillator smoothed twice as Wilder does, and 3 K - 2 D.

    Unit: 0 to 100; J may leave it
    Source: pandas-ta 0.4.71b0; Lane (1984), Lane's Stochastics, TASC 2:3
    """
    least, most = rolling_min(low, length), rolling_max(high, length)
    place = 100.0 * (close - least) / nonzero_range(most, least)
    k = ewm_adjusted(place, 1.0 / signal, signal)
    d = ewm_adjusted(k, 1.0 / signal, signal)
    return Kdj(k, d, 3.0 * k - 2.0 * d)


@indicator(columns="PSL_{length}")
def psl(
    close: Series = CLOSE,
    open: Series | None = None,  # noqa: A002
    length: Window = 12,
    scalar: Number = 100.0,
    drift: Window = 1,
) -> Series:
    """Psychological line: the share of rising rows; rising from the open where that is given.

    Unit: 0 to 100
    Source: pandas-ta 0.4.71b0
    """
    change = close - (earlier(close, drift) if open is None else open)
    return scalar * rolling_sum(change > 0.0, length) / length


class Vigor(NamedTuple):
    """Relative vigor and its smoothed signal."""

    line: Series
    signal: Series


@indicator(columns=("RVGI_{length}_{swma_length}", "RVGIs_{length}_{swma_length}"))
def rvgi(
    open: Series = OPEN,  # noqa: A002
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: Window = 14,
    swma_length: TriangleWindow = 4,
) -> Vigor:
    """Relative vigor: smoothed bodies over smoothed ranges, summed.

    Unit: -1 to 1
    Source: Ehlers (2002), Relative Vigor Index, TASC 20:1
    """
    bodies = rolling_sum(swma(nonzero_range(close, open), swma_length), length)
    ranges = rolling_sum(swma(nonzero_range(high, low), swma_length), length)
    line = bodies / ranges
    return Vigor(line, swma(line, swma_length))


class Fast(NamedTuple):
    """The place in the range and its mean."""

    k: Series
    d: Series


@indicator(columns=("STOCHFk_{k}_{d}", "STOCHFd_{k}_{d}"))
def stochf(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    k: Window = 14,
    d: Window = 3,
    mamode: Average = "sma",
) -> Fast:
    """Fast stochastic oscillator: the place of the close in the range of the last rows.

    Unit: 0 to 100
    Source: Lane (1984), Lane's Stochastics, TASC 2:3
    """
    least, most = rolling_min(low, k), rolling_max(high, k)
    place = 100.0 * (close - least) / nonzero_range(most, least)
    return Fast(place, average_of_known(mamode, place, d))


@indicator(columns="UO_{fast}_{medium}_{slow}")
def uo(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    fast: Window = 7,
    medium: Window = 14,
    slow: Window = 28,
    fast_w: Positive = 4.0,
    medium_w: Positive = 2.0,
    slow_w: Positive = 1.0,
    drift: Window = 1,
) -> Series:
    """Ultimate oscillator: buying pressure over true range in three windows, weighed.

    Unit: 0 to 100
    Source: Williams (1985), The Ultimate Oscillator, TASC 3:4
    """
    before = earlier(close, drift)
    floor = smaller_known(low, before)
    pressure, ranges = close - floor, larger_known(high, before) - floor
    parts = ((fast_w, fast), (medium_w, medium), (slow_w, slow))
    first, second, third = (
        weight * (rolling_sum(pressure, window) / rolling_sum(ranges, window))
        for weight, window in parts
    )
    return 100.0 * (first + second + third) / (fast_w + medium_w + slow_w)
