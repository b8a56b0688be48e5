"""Whether prices rise or fall, and whether they do so steadily."""

from typing import Annotated, NamedTuple

from indicators.bounds import Bounds, Window
from indicators.catalogue import Average, indicator, moving_average
from indicators.definitions.overlap.prices import hl2
from indicators.definitions.shared import nonzero_range
from indicators.operators import (
    choose,
    earlier,
    rolling_mean,
    streak,
)
from indicators.series import CLOSE, HIGH, LOW, OPEN, Series

Percent = Annotated[float, Bounds(0.0, 100.0)]


def _change_column(word: str, length: int, strict: bool, percent: float) -> str:
    share = f"_{0.01 * percent}" if percent else ""
    return f"{'S' * strict}{word}{'p' * bool(percent)}_{length}{share}"


def _increasing_column(length: int, strict: bool, percent: float) -> str:
    return _change_column("INC", length, strict, percent)


def _decreasing_column(length: int, strict: bool, percent: float) -> str:
    return _change_column("DEC", length, strict, percent)


@indicator(columns=_increasing_column)
def increasing(
    close: Series = CLOSE,
    length: Window = 1,
    strict: bool = False,
    percent: Percent = 0.0,
    drift: Window = 1,
) -> Series:
    """Whether the value is above that of `length` rows ago; `strict`: above it row by row.

    Earlier values count `percent` higher. `strict` compares one row less than `length`, as in
    pandas-ta.
    Differs: with strict and a drift above 2, which pandas-ta takes from rows to come.
    Unit: 1 or 0
    Source: pandas-ta 0.4.71b0
    """
    scaled = (1.0 + 0.01 * percent) * close if percent else close
    if not strict:
        return scaled - earlier(scaled, length) > 0.0
    return _row_by_row(close > earlier(scaled, drift), close > earlier(scaled, 1), length - drift)


@indicator(columns=_decreasing_column)
def decreasing(
    close: Series = CLOSE,
    length: Window = 1,
    strict: bool = False,
    percent: Percent = 0.0,
    drift: Window = 1,
) -> Series:
    """Whether the value is below that of `length` rows ago; `strict`: below it row by row.

    Earlier values count `percent` lower. `strict` compares one row less than `length`, as in
    pandas-ta.
    Differs: with strict and a drift above 2, which pandas-ta takes from rows to come.
    Unit: 1 or 0
    Source: pandas-ta 0.4.71b0
    """
    scaled = (1.0 - 0.01 * percent) * close if percent else close
    if not strict:
        return scaled - earlier(scaled, length) < 0.0
    return _row_by_row(close < earlier(scaled, drift), close < earlier(scaled, 1), length - drift)


def _row_by_row(now: Series, each: Series, rows: int) -> Series:
    return now & (streak(each) >= rows) if rows > 0 else now


@indicator(columns="LR_{length}")
def long_run(fast: Series, slow: Series, length: Window = 2) -> Series:
    """Whether the fast line rises while the slow one moves at all.

    Unit: 1 or 0
    Source: pandas-ta 0.4.71b0
    """
    return increasing(fast, length) & (decreasing(slow, length) | increasing(slow, length))


@indicator(columns="SR_{length}")
def short_run(fast: Series, slow: Series, length: Window = 2) -> Series:
    """Whether the fast line falls while the slow one moves at all.

    Unit: 1 or 0
    Source: pandas-ta 0.4.71b0
    """
    return decreasing(fast, length) & (increasing(slow, length) | decreasing(slow, length))


class Runs(NamedTuple):
    """Whether there is a long run, and whether there is a short one."""

    long: Series
    short: Series


@indicator(
    columns=tuple(f"AMAT{{mamode[0]}}_{run}R_{{fast}}_{{slow}}_{{lookback}}" for run in "LS")
)
def amat(
    close: Series = CLOSE,
    fast: Window = 8,
    slow: Window = 21,
    lookback: Window = 2,
    mamode: Average = "ema",
) -> Runs:
    """Archer's trends: whether a fast and a slow average run up or down.

    Unit: 1 or 0
    Source: pandas-ta 0.4.71b0
    """
    quick, calm = moving_average(mamode, close, fast), moving_average(mamode, close, slow)
    return Runs(long_run(quick, calm, lookback), short_run(quick, calm, lookback))


@indicator(columns="QS_{length}")
def qstick(
    open: Series = OPEN,  # noqa: A002  (the field's own name)
    close: Series = CLOSE,
    length: Window = 10,
    mamode: Average = "sma",
) -> Series:
    """Average height of the candles' bodies, falling ones below zero.

    Unit: unit of close
    Source: Chande and Kroll (1994), The New Technical Trader
    """
    return moving_average(mamode, nonzero_range(close, open), length)


@indicator(columns="TTM_TRND_{length}")
def ttm_trend(
    high: Series = HIGH, low: Series = LOW, close: Series = CLOSE, length: Window = 6
) -> Series:
    """1 while the close is above the mean middle of the last bars, else -1.

    Unit: 1 or -1
    Source: Carter (2005), Mastering the Trade
    """
    return choose(close > rolling_mean(hl2(high, low), length), 1.0, -1.0)
