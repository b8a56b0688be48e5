"""Candles of averages and of scores, and the two patterns that are pandas-ta's own."""

from typing import Annotated, NamedTuple

from indicators.bounds import Bounds, Freedom, Number, Window
from indicators.catalogue import indicator
from indicators.definitions.candle.patterns import add
from indicators.definitions.candle.shapes import Bars
from indicators.operators import (
    after,
    earlier,
    ewm,
    fill,
    larger,
    rolling_mean,
    rolling_variance,
    row_number,
    running_line,
    smaller,
    square_root,
)
from indicators.series import CLOSE, HIGH, LOW, OPEN, Series

Percent = Annotated[float, Bounds(0.0, 100.0)]


class Drawn(NamedTuple):
    """The four prices of candles that are drawn instead of the bars."""

    open: Series
    high: Series
    low: Series
    close: Series


@indicator(columns=("HA_open", "HA_high", "HA_low", "HA_close"))
def ha(
    open: Series = OPEN,  # noqa: A002  (the field's own name)
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
) -> Drawn:
    """Heikin-Ashi: each candle closes at its bar's mean and opens in the middle of the last one.

    Unit: unit of close
    Source: Valcu (2004), Using The Heikin-Ashi Technique, Stocks & Commodities 22:2
    """
    last = 0.25 * (open + high + low + close)
    first = ewm(fill(earlier(last, 1), 0.5 * (open + close)), 0.5)
    return Drawn(first, larger(larger(first, last), high), smaller(smaller(first, last), low), last)


def _z_columns(length: int, full: bool, ddof: int) -> tuple[str, ...]:
    end = "a" if full else f"_{length}_{ddof if ddof < length else 1}"
    return tuple(f"{price}_Z{end}" for price in ("open", "high", "low", "close"))


@indicator(columns=_z_columns)
def cdl_z(
    open: Series = OPEN,  # noqa: A002  (the field's own name)
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: Window = 30,
    full: bool = False,
    ddof: Freedom = 1,
) -> Drawn:
    """Each price as its distance from its own mean, in standard deviations.

    `ddof` is 1 where it is not below `length`.
    Unit: none
    Source: pandas-ta 0.4.71b0, cdl_z (Kevin Johnson)
    Differs: with `full` the mean and the deviation are those of the rows so far; pandas-ta takes
    those of the whole table and carries the last row back over all others (and fails to, with
    pandas 3). On a table's last row both agree.
    """
    freedom = ddof if ddof < length else 1

    def score(price: Series) -> Series:
        if full:
            mean, _, squares = running_line(price)
            return (price - mean) / square_root(squares / (after(row_number(), 1) - freedom))
        return (price - rolling_mean(price, length)) / square_root(
            rolling_variance(price, length, freedom)
        )

    return Drawn(score(open), score(high), score(low), score(close))


def _doji_column(length: int, factor: float) -> str:
    return f"CDL_DOJI_{length}_{0.01 * float(factor)}"


@indicator(columns=_doji_column)
def cdl_doji(
    open: Series = OPEN,  # noqa: A002  (the field's own name)
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: Window = 10,
    factor: Percent = 10,
    scalar: Number = 100,
    asint: bool = True,
) -> Series:
    """Whether the body is below `factor` percent of the mean range, this bar's included.

    Unit: scalar or 0; 1 or 0 without `asint`
    Source: pandas-ta 0.4.71b0, cdl_doji
    """
    now = Bars(open, high, low, close).now
    found = now.body < 0.01 * factor * rolling_mean(abs(now.range), length)
    return scalar * found if asint else found


@indicator(columns="CDL_INSIDE")
def cdl_inside(
    open: Series = OPEN,  # noqa: A002  (the field's own name)
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    asbool: bool = False,
    scalar: Number = 100,
) -> Series:
    """Whether the bar is within the range of the one before it.

    Unit: scalar or 0; 1 or 0 with `asbool`
    Source: pandas-ta 0.4.71b0, cdl_inside
    Differs: the first row is 0; pandas-ta compares it with the table's last row.
    """
    before, now = Bars(open, high, low, close).last(2)
    found = (now.high < before.high) & (now.low > before.low)
    return found if asbool else scalar * found


add("doji", cdl_doji)
add("inside", cdl_inside)
