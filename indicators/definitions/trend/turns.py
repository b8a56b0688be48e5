"""Lines that a trend leaves behind: stops, and the turning points themselves."""

from typing import Annotated, NamedTuple

from indicators.bounds import Bounds, Choice, Positive, ShortWindow, Window
from indicators.catalogue import Average, indicator
from indicators.definitions.momentum.oscillators import rsi
from indicators.definitions.shared import NOTHING, delayed
from indicators.definitions.volatility.ranges import atr
from indicators.definitions.volume.flows import mfi
from indicators.operators import (
    after,
    choose,
    earlier,
    follow,
    rolling_max,
    rolling_min,
    turning_points,
)
from indicators.series import CLOSE, HIGH, LOW, OPEN, VOLUME, Series

PRICES = ("open", "high", "low", "close")
Deviation = Annotated[float, Bounds(1e-9, 1e6)]


class AlphaTrend(NamedTuple):
    """The stop and the stop some rows ago."""

    trend: Series
    earlier: Series


_ALPHATREND = "{length}_{multiplier}_{threshold}"


@indicator(columns=(f"ALPHAT_{_ALPHATREND}", f"ALPHATl_{_ALPHATREND}_{{lag}}"))
def alphatrend(
    open: Series = OPEN,  # noqa: A002  (the field's own name)
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    volume: Series | None = VOLUME,
    src: Annotated[str, Choice(lambda: PRICES)] = "close",
    length: Window = 14,
    multiplier: Positive = 1,
    threshold: Positive = 50,
    lag: Window = 2,
    mamode: Average = "sma",
) -> AlphaTrend:
    """Stop that trails from below while money flows in, from above while it flows out.

    With volume=None the relative strength of `src` takes the place of the money flow.
    Unit: unit of close
    Source: Ozbilgic (2021), AlphaTrend, tradingview.com
    """
    band = multiplier * atr(high, low, close, length, mamode)
    if volume is None:
        price = dict(zip(PRICES, (open, high, low, close), strict=True))[src]
        momentum = rsi(price, length, mamode=mamode)
    else:
        momentum = mfi(high, low, close, volume, length)
    trend = follow(low - band, high + band, momentum >= threshold)
    return AlphaTrend(trend, earlier(trend, lag))


class KrollStop(NamedTuple):
    """Stop of a long position and of a short one."""

    long: Series
    short: Series


def _kroll(x: float | None, q: int | None, tvmode: bool | None) -> tuple[float, int]:
    """Multiple and rows where they are not given."""
    return (x or (1 if tvmode else 3)), (q or (9 if tvmode else 20))


def _cksp_columns(p: int, x: float | None, q: int | None, tvmode: bool | None) -> tuple[str, ...]:
    multiple, rows = _kroll(x, q, tvmode)
    return tuple(f"CKSP{side}_{p}_{multiple}_{rows}" for side in "ls")


@indicator(columns=_cksp_columns)
def cksp(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    p: Window = 10,
    x: Positive | None = None,
    q: Window | None = None,
    tvmode: bool | None = None,
    mamode: Average | None = None,
) -> KrollStop:
    """Chande and Kroll's stop: a multiple of the average true range off the extremes.

    `x` and `q` are 3 and 20, or 1 and 9 with tvmode=True; `mamode` is "rma", or "sma" with
    tvmode=False.
    Differs: pandas-ta takes an `x` or `q` that is an int for its default.
    Unit: unit of close
    Source: Chande and Kroll (1994), The New Technical Trader
    """
    multiple, rows = _kroll(x, q, tvmode)
    average = mamode or ("sma" if tvmode is False else "rma")
    band = multiple * atr(high, low, close, p, average)
    return KrollStop(
        rolling_max(rolling_max(high, p) - band, rows),
        rolling_min(rolling_min(low, p) + band, rows),
    )


class ZigZag(NamedTuple):
    """The side of the turn (-1 a trough, 1 a peak), its price, its distance from the last."""

    swing: Series
    value: Series
    deviation: Series


@indicator(columns=tuple(f"ZIGZAG{part}_{{deviation}}%_{{legs}}" for part in "svd"))
def zigzag(
    high: Series = HIGH,
    low: Series = LOW,
    legs: ShortWindow = 10,
    deviation: Deviation = 5.0,
) -> ZigZag:
    """Turning points, on the row that confirms them: legs // 2 rows after the turn.

    A pivot is the extreme of `legs` // 2 rows on either side. It counts if it is `deviation`
    percent away from the last turn, or goes beyond it on its side.
    Differs: pandas-ta looks for turns backwards from the end of the sample, and so moves them
    hundreds of rows back; this is its backtest=True, without that one's missing last row.
    Unit: -1 or 1; unit of high; percent of the last turn
    Source: pandas-ta 0.4.71b0
    """
    side = legs // 2
    low_then, high_then = delayed(low, side), delayed(high, side)
    trough = low_then == rolling_min(low, 2 * side + 1)
    peak = high_then == rolling_max(high, 2 * side + 1)
    troughs = after(choose(trough, low_then, NOTHING), 2 * side)
    peaks = after(choose(peak, high_then, NOTHING), 2 * side)
    return ZigZag(*turning_points(troughs, peaks, 0.01 * deviation))
