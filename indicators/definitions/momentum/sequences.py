"""Runs of bars, sweeps of earlier extremes, and Laguerre's filters."""

from itertools import pairwise
from typing import Annotated, NamedTuple

from indicators.bounds import Bounds, Positive, Window
from indicators.catalogue import indicator
from indicators.definitions.shared import NOTHING
from indicators.operators import (
    choose,
    earlier,
    ewm,
    fill,
    larger,
    recursive,
    rolling_max,
    rolling_min,
    smaller,
    streak,
)
from indicators.series import CLOSE, HIGH, LOW, OPEN, Series

TD_ROWS, TD_MOST = 4, 13
TD_SETUP_LEAST, TD_SETUP_MOST = 6, 9
Damping = Annotated[float, Bounds(1e-6, 1.0 - 1e-6)]


class TdSeq(NamedTuple):
    """Rows of the run above, and of the run below."""

    up: Series
    down: Series


def _td_columns(show_all: bool) -> tuple[str, ...]:
    return tuple(f"TD_SEQ_{way}{'a' * show_all}" for way in ("UP", "DN"))


@indicator(columns=_td_columns)
def td_seq(close: Series = CLOSE, asint: bool = False, show_all: bool = True) -> TdSeq:
    """Rows in a row with a close above (below) that of four rows ago, 13 at most.

    There is no value where there is no run, or 0 with `asint`; without `show_all` just runs of 6
    to 9 rows show.
    Unit: rows
    Source: DeMark (1994), The New Science of Technical Analysis; the setup without its countdown
    """
    before, nothing = earlier(close, TD_ROWS), 0.0 if asint else NOTHING
    runs = [smaller(streak(each), float(TD_MOST)) for each in (close > before, close < before)]
    if show_all:
        return TdSeq(*[choose(run == 0.0, nothing, run) for run in runs])
    return TdSeq(
        *[
            choose((run >= float(TD_SETUP_LEAST)) & (run <= float(TD_SETUP_MOST)), run, nothing)
            for run in runs
        ]
    )


def _sweep_column(length: int, wick_mult: float) -> str:
    return f"SMC_SWEEP_{length}_{round(float(wick_mult), 4)}"


@indicator(columns=_sweep_column)
def smc_sweep(
    open: Series = OPEN,  # noqa: A002  (the field's own name)
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: Window = 15,
    wick_mult: Positive = 1.5,
) -> Series:
    """Liquidity sweep: a bar that went beyond the last extreme, and closed back with a long wick.

    1 below the lows of the rows before with a rising candle, -1 above the highs with a falling
    one; the wick is more than `wick_mult` bodies long.
    Unit: 1, 0 or -1
    Source: pandas-ta-classic 0.8.32
    """
    bottom, top = earlier(rolling_min(low, length), 1), earlier(rolling_max(high, length), 1)
    body = abs(close - open) * wick_mult
    under, over = smaller(open, close) - low, high - larger(open, close)
    rising = (low < bottom) & (close > bottom) & (close > open) & (under > body)
    falling = (high > top) & (close < top) & (close < open) & (over > body)
    return rising - falling


@indicator(columns="LRSI_{length}")
def lrsi(close: Series = CLOSE, length: Window = 14, gamma: Damping = 0.5) -> Series:  # noqa: ARG001
    """Relative strength of four Laguerre filters of the price, each behind the one before.

    `length` is in the name and nowhere else, as in pandas-ta-classic: `gamma` smooths.
    Unit: 0 to 100
    Source: Ehlers (2004), Cybernetic Analysis for Stocks and Futures, ch. 14
    """
    lines = [ewm(close, 1.0 - gamma)]
    for _ in range(3):
        faster = lines[-1]
        step = fill(earlier(faster, 1), faster) - gamma * faster
        lines.append(recursive(step, faster, 1, gamma, 0.0, 0.0))
    gaps = [one - other for one, other in pairwise(lines)]
    gain = sum((larger(gap, 0.0) for gap in gaps[1:]), larger(gaps[0], 0.0))
    loss = sum((larger(-gap, 0.0) for gap in gaps[1:]), larger(-gaps[0], 0.0))
    total = gain + loss
    return 100.0 * gain / choose(total == 0.0, 1.0, total)
