"""Where a trend ends."""

from typing import NamedTuple

from indicators.bounds import Number, Positive, Window
from indicators.catalogue import Average, indicator
from indicators.definitions.seeded import seeded_average
from indicators.definitions.shared import NOTHING
from indicators.definitions.volatility.ranges import atr, true_range
from indicators.operators import (
    choose,
    earlier,
    latch,
    parabolic,
    parabolic_reversed,
    parabolic_touched,
    upheld,
)
from indicators.series import CLOSE, HIGH, LOW, Series


class Psar(NamedTuple):
    """The stop below the price, the stop above it, its factor, and whether it turned."""

    long: Series
    short: Series
    factor: Series
    reversal: Series


def _psar_columns(af0: float | None, af: float, max_af: float) -> tuple[str, ...]:
    start = af if af0 is None else af0
    return tuple(f"PSAR{part}_{start}_{max_af}" for part in ("l", "s", "af", "r"))


@indicator(columns=_psar_columns)
def psar(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    af0: Positive | None = None,
    af: Positive = 0.02,
    max_af: Positive = 0.2,
) -> Psar:
    """Wilder's parabolic stop and reversal, set out from the first close.

    As in pandas-ta the factor grows by `af0`, which is `af` where it is not given.
    Unit: unit of high
    Source: Wilder (1978), New Concepts in Technical Trading Systems
    """
    step = af if af0 is None else af0
    stop, falling, factor, reversal = parabolic(high, low, close, step, step, max_af)
    long, short = choose(falling, NOTHING, stop), choose(falling, stop, NOTHING)
    return Psar(long, short, factor, reversal)


def _pmax_column(length: int, multiplier: float, mamode: str) -> str:
    return f"PMAX_{mamode[0].upper()}_{length}_{float(multiplier)}"


@indicator(columns=_pmax_column)
def pmax(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: Window = 10,
    multiplier: Positive = 3.0,
    mamode: Average = "ema",
) -> Series:
    """Stop that trails an average by average ranges, and turns when the close crosses it.

    Differs: not from pandas-ta-classic, where the close turns it; in Ozbilgic's own the average
    does, which is `pmax_ozbilgic`.
    Unit: unit of close
    Source: Kivanc Ozbilgic (2020), Profit Maximizer, tradingview.com/script/sU9molfV
    """
    ranges = true_range(high, low, close, prenan=True)
    room = multiplier * seeded_average("rma", ranges, length)
    middle = seeded_average(mamode, close, length)
    return _turning(close, earlier(close, 1), middle - room, middle + room)


def _turning(x: Series, held: Series, lower: Series, upper: Series) -> Series:
    """The lower band, held up by one series, until `x` falls below; then the upper one."""
    below, above = upheld(held, lower), -upheld(-held, -upper)
    over, under = x > earlier(above, 1), x < earlier(below, 1)
    return choose(latch(under & ~over, over), above, below)


@indicator(columns=None)
def pmax_ozbilgic(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: Window = 10,
    multiplier: Positive = 3.0,
    mamode: Average = "ema",
) -> Series:
    """Stop that trails an average by average ranges, and turns when the average crosses it.

    Unit: unit of close
    Source: Kivanc Ozbilgic (2020), Profit Maximizer, tradingview.com/script/sU9molfV
    """
    room = multiplier * atr(high, low, close, length)
    middle = seeded_average(mamode, close, length)
    return _turning(middle, middle, middle - room, middle + room)


@indicator(columns="SAREXT")
def sarext(
    high: Series = HIGH,
    low: Series = LOW,
    startvalue: Number = 0.0,
    offsetonreverse: Number = 0.0,
    accelerationinitlong: Positive = 0.02,
    accelerationlong: Positive = 0.02,
    accelerationmaxlong: Positive = 0.2,
    accelerationinitshort: Positive = 0.02,
    accelerationshort: Positive = 0.02,
    accelerationmaxshort: Positive = 0.2,
) -> Series:
    """Parabolic stop with factors of its own for rises and falls; below zero in a fall.

    Differs: not from pandas-ta-classic, whose stop stays where it is at a turn, on the wrong side
    of the price, and often turns again on the next row. TA-Lib's, which moves to the last
    extreme as Wilder's does, is `sarext_wilder`.
    Unit: unit of high
    Source: pandas-ta-classic 0.8.32; Wilder (1978), New Concepts in Technical Trading Systems
    """
    return parabolic_touched(
        high, low, startvalue, offsetonreverse,
        accelerationinitlong, accelerationlong, accelerationmaxlong,
        accelerationinitshort, accelerationshort, accelerationmaxshort,
    )  # fmt: skip


@indicator(columns=None)
def sarext_wilder(
    high: Series = HIGH,
    low: Series = LOW,
    startvalue: Number = 0.0,
    offsetonreverse: Number = 0.0,
    accelerationinitlong: Positive = 0.02,
    accelerationlong: Positive = 0.02,
    accelerationmaxlong: Positive = 0.2,
    accelerationinitshort: Positive = 0.02,
    accelerationshort: Positive = 0.02,
    accelerationmaxshort: Positive = 0.2,
) -> Series:
    """Parabolic stop with factors of its own for rises and falls; below zero in a fall.

    At a turn it goes to the last extreme, and `offsetonreverse` of itself further away.
    Unit: unit of high
    Source: TA-Lib, SAREXT; Wilder (1978), New Concepts in Technical Trading Systems
    """
    return parabolic_reversed(
        high, low, startvalue, offsetonreverse,
        accelerationinitlong, accelerationlong, accelerationmaxlong,
        accelerationinitshort, accelerationshort, accelerationmaxshort,
    )  # fmt: skip
