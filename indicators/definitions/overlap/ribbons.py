"""Several averages at once, and one whose length changes from row to row."""

from typing import Annotated, NamedTuple

from indicators.bounds import Bounds, Window
from indicators.catalogue import indicator
from indicators.definitions.overlap.averages import LongerWindow
from indicators.definitions.seeded import seeded_ema
from indicators.operators import choose, floor, larger, recent_mean, rolling_mean, smaller
from indicators.series import CLOSE, Series

RIBBONS_MAX = 10
Ribbons = Annotated[int, Bounds(1, RIBBONS_MAX)]
VaryingWindow = Annotated[int, Bounds(2, 1_000)]
SimpleOnly = Annotated[int, Bounds(0, 0)]


class Ribbon(NamedTuple):
    """The averages, the quickest first."""

    first: Series
    second: Series | None = None
    third: Series | None = None
    fourth: Series | None = None
    fifth: Series | None = None
    sixth: Series | None = None
    seventh: Series | None = None
    eighth: Series | None = None
    ninth: Series | None = None
    tenth: Series | None = None


def _mmar_columns(length: int, step: int, num_ribbons: int) -> tuple[str, ...]:
    return tuple(f"MMAR_{length + k * step}" for k in range(num_ribbons))


@indicator(columns=_mmar_columns)
def mmar(
    close: Series = CLOSE, length: Window = 10, step: Window = 5, num_ribbons: Ribbons = 6
) -> Ribbon:
    """Madrid's ribbon: exponential means over `length` rows and ever `step` more.

    Differs: there are ten at most.
    Unit: unit of close
    Source: Madrid (2014), Madrid Moving Average Ribbon, tradingview.com/script/a87v7d4L
    """
    return Ribbon(*[seeded_ema(close, length + k * step) for k in range(num_ribbons)])


def _rainbow_columns(num_ribbons: int) -> tuple[str, ...]:
    return tuple(f"RAINBOW_{k + 1}" for k in range(num_ribbons))


@indicator(columns=_rainbow_columns)
def rainbow(close: Series = CLOSE, length: Window = 2, num_ribbons: Ribbons = 10) -> Ribbon:
    """Rainbow: the simple mean, its own simple mean, and so on.

    Differs: there are ten at most.
    Unit: unit of close
    Source: Widner (1997), Rainbow Charts, TASC 15:7
    """
    means = [rolling_mean(close, length)]
    while len(means) < num_ribbons:
        means.append(rolling_mean(means[-1], length))
    return Ribbon(*means)


@indicator(columns="MAVP_{minperiod}_{maxperiod}")
def mavp(
    close: Series,
    periods: Series,
    minperiod: LongerWindow = 2,
    maxperiod: VaryingWindow = 30,
    mamode: SimpleOnly = 0,  # noqa: ARG001
) -> Series:
    """Simple mean over as many rows as `periods` says on each row, within the two bounds.

    Periods are rounded, a half to the even number. `mamode` is TA-Lib's number of the average;
    0, the simple mean, is the only one, as it is in pandas-ta-classic.
    Unit: unit of close
    Source: TA-Lib, MAVP
    """
    nearest = floor(periods + 0.5)
    odd_half = (nearest - periods == 0.5) & (nearest % 2.0 == 1.0)
    rows = choose(odd_half, nearest - 1.0, nearest)
    rows = smaller(larger(rows, float(minperiod)), float(maxperiod))
    return recent_mean(close, rows, maxperiod)
