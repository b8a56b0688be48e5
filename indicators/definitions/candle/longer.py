"""Patterns of more than three candles, and those that a later candle confirms."""

from indicators.bounds import Fraction
from indicators.definitions.candle.pairs import opposite
from indicators.definitions.candle.patterns import pattern
from indicators.definitions.candle.shapes import (
    NEAR,
    Bars,
    Candle,
    bearish,
    bullish,
    coloured,
    either,
    every,
    gap_down,
    gap_up,
)
from indicators.operators import choose, earlier, larger
from indicators.series import Series

CONFIRMED = 200.0
"""What TA-Lib gives where a later candle confirms a pattern."""


@pattern("3blackcrows", lookback=13)
def three_black_crows(bars: Bars) -> Series:
    """Three falling black candles without lower shadows, each from the body before."""
    before, first, second, third = bars.last(4)
    return bearish(
        before.white & first.black & second.black & third.black,
        first.no_lower & second.no_lower & third.no_lower,
        (second.open < first.open) & (second.open > first.close),
        (third.open < second.open) & (third.open > second.close),
        before.high > first.close,
        (first.close > second.close) & (second.close > third.close),
    )


@pattern("3linestrike", lookback=8)
def three_line_strike(bars: Bars) -> Series:
    """Three candles of one direction, and an opposite one that takes them all back."""
    first, second, third, fourth = bars.last(4)
    near_first, near_second = first.distance(NEAR), second.distance(NEAR)
    shape = every(
        (first.colour == second.colour) & (second.colour == third.colour),
        opposite(third, fourth),
        (second.open >= first.bottom - near_first) & (second.open <= first.top + near_first),
        (third.open >= second.bottom - near_second) & (third.open <= second.top + near_second),
    )
    rise = every(
        third.white,
        (third.close > second.close) & (second.close > first.close),
        (fourth.open > third.close) & (fourth.close < first.open),
    )
    fall = every(
        third.black,
        (third.close < second.close) & (second.close < first.close),
        (fourth.open < third.close) & (fourth.close > first.open),
    )
    return either(shape & rise, shape & fall)


@pattern("breakaway", lookback=14)
def breakaway(bars: Bars) -> Series:
    """Gap that three candles move away from, and an opposite one that closes within it."""
    first, second, third, fourth, fifth = bars.last(5)
    shape = every(
        first.long,
        (first.colour == second.colour) & (second.colour == fourth.colour),
        opposite(fourth, fifth),
    )
    rise = every(
        first.black & gap_down(second, first),
        (third.high < second.high) & (third.low < second.low),
        (fourth.high < third.high) & (fourth.low < third.low),
        (fifth.close > second.open) & (fifth.close < first.close),
    )
    fall = every(
        first.white & gap_up(second, first),
        (third.high > second.high) & (third.low > second.low),
        (fourth.high > third.high) & (fourth.low > third.low),
        (fifth.close < second.open) & (fifth.close > first.close),
    )
    return either(shape & rise, shape & fall)


@pattern("concealbabyswall", lookback=13)
def concealing_baby_swallow(bars: Bars) -> Series:
    """Two black candles without shadows, one below with a shadow into them, one around that."""
    first, second, third, fourth = bars.last(4)
    return bullish(
        first.black & second.black & third.black & fourth.black,
        first.no_lower & first.no_upper & second.no_lower & second.no_upper,
        gap_down(third, second),
        third.some_upper,
        third.high > second.close,
        (fourth.high > third.high) & (fourth.low < third.low),
    )


@pattern("ladderbottom", lookback=14)
def ladder_bottom(bars: Bars) -> Series:
    """Three falling black candles, one with an upper shadow, and a white one above its high."""
    first, second, third, fourth, fifth = bars.last(5)
    return bullish(
        first.black & second.black & third.black & fourth.black & fifth.white,
        (first.open > second.open) & (second.open > third.open),
        (first.close > second.close) & (second.close > third.close),
        fourth.some_upper,
        (fifth.open > fourth.open) & (fifth.close > fourth.high),
    )


@pattern("mathold", lookback=14)
def mat_hold(bars: Bars, penetration: Fraction = 0.5) -> Series:
    """Long white candle, three short ones that gap up and sink, and a white one above them."""
    first, second, third, fourth, fifth = bars.last(5)
    depth = first.close - first.body * penetration
    return bullish(
        first.long & second.short & third.short & fourth.short,
        first.white & second.black & fifth.white,
        gap_up(second, first),
        (third.bottom < first.close) & (fourth.bottom < first.close),
        (third.bottom > depth) & (fourth.bottom > depth),
        (third.top < second.open) & (fourth.top < third.top),
        fifth.open > fourth.close,
        fifth.close > larger(larger(second.high, third.high), fourth.high),
    )


def _overlaps(candle: Candle, outer: Candle) -> Series:
    """Whether a body is partly within another candle's range."""
    return (candle.bottom < outer.high) & (candle.top > outer.low)


@pattern("risefall3methods", lookback=14)
def three_methods(bars: Bars) -> Series:
    """Long candle, three short ones against it within its range, and a long one that goes on."""
    first, second, third, fourth, fifth = bars.last(5)
    side = first.colour
    return coloured(
        first,
        first.long & second.short & third.short & fourth.short & fifth.long,
        opposite(first, second) & opposite(fourth, fifth),
        (second.colour == third.colour) & (third.colour == fourth.colour),
        _overlaps(second, first) & _overlaps(third, first) & _overlaps(fourth, first),
        (third.close * side < second.close * side) & (fourth.close * side < third.close * side),
        (fifth.open * side > fourth.close * side) & (fifth.close * side > first.close * side),
    )


def _breakout(inner: Candle, last: Candle, rise: Series, fall: Series) -> Series:
    """1 where the last candle falls out of the inner one, -1 where it rises out, else 0."""
    down = every(rise, last.high < inner.high, last.low < inner.low)
    up = every(fall, last.high > inner.high, last.low > inner.low)
    return choose(down, 1.0, choose(up, -1.0, 0.0))


def _with_confirmation(bars: Bars, found: Series) -> Series:
    """100 times a pattern's side, and 200 times where the close soon proves it right.

    It does where, one to three rows after the latest pattern, the close first goes beyond the
    candle before the pattern's last.
    """
    one, two, three = (earlier(found, rows) for rows in (1, 2, 3))
    highs, lows = ([earlier(x, rows) for rows in (2, 3, 4)] for x in (bars.high, bars.low))
    known = (one != 0.0, two != 0.0)

    def latest(first: Series, second: Series, third: Series) -> Series:
        return choose(known[0], first, choose(known[1], second, third))

    side = latest(one, two, three)
    beyond = either(
        (side > 0.0) & (bars.close > latest(*highs)), (side < 0.0) & (bars.close < latest(*lows))
    )
    reached = every(found == 0.0, beyond != 0.0)
    again = earlier(reached, 1) | (~known[0] & earlier(reached, 2))
    proven = choose(side > 0.0, CONFIRMED, -CONFIRMED)
    return choose(reached & ~again, proven, 100.0 * found)


@pattern("hikkake", lookback=5)
def hikkake(bars: Bars) -> Series:
    """Inside bar and a false breakout from it; 200 where one to three rows later it is proven.

    Chesler (2004), Trading False Moves with the Hikkake Pattern.
    """
    first, second, third = bars.last(3)
    held = every(second.high < first.high, second.low > first.low)
    return _with_confirmation(bars, _breakout(second, third, held, held))


@pattern("hikkakemod", lookback=10)
def modified_hikkake(bars: Bars) -> Series:
    """Two inside bars, the first closing near its end, and a false breakout from the second.

    200 where one to three rows later it is proven. Chesler (2004), Trading False Moves with the
    Hikkake Pattern.
    """
    first, second, third, fourth = bars.last(4)
    held = every(
        second.high < first.high,
        second.low > first.low,
        third.high < second.high,
        third.low > second.low,
    )
    near = second.distance(NEAR)
    rise = held & (second.close <= second.low + near)
    return _with_confirmation(
        bars, _breakout(third, fourth, rise, held & (second.close >= second.high - near))
    )
