"""Patterns of two candles."""

from indicators.bounds import Fraction
from indicators.definitions.candle.patterns import pattern
from indicators.definitions.candle.shapes import (
    EQUAL,
    NEAR,
    Bars,
    Candle,
    bearish,
    bullish,
    clear_above,
    clear_below,
    coloured,
    either,
    every,
    gap_down,
    gap_up,
)
from indicators.definitions.candle.single import long_lower, long_upper
from indicators.operators import choose
from indicators.series import Series

TOUCHING = 80.0
"""What TA-Lib gives where the two bodies share an end."""


def opposite(first: Candle, second: Candle) -> Series:
    """Whether one candle is white and the other black."""
    return first.colour == -second.colour


def inside(inner: Candle, outer: Candle) -> Series:
    """Whether one body is within the other and shares no end with it."""
    return (inner.top < outer.top) & (inner.bottom > outer.bottom)


@pattern("counterattack", lookback=11)
def counterattack(bars: Bars) -> Series:
    """Two long candles of opposite colours that close at the same price."""
    first, second = bars.last(2)
    same = first.is_near(second.close, first.close)
    return coloured(second, opposite(first, second), first.long, second.long, same)


@pattern("darkcloudcover", lookback=11)
def dark_cloud_cover(bars: Bars, penetration: Fraction = 0.5) -> Series:
    """Black candle that opens above a long white one and closes deep within its body."""
    first, second = bars.last(2)
    return bearish(
        first.white,
        first.long,
        second.black,
        second.open > first.high,
        second.close > first.open,
        second.close < first.close - first.body * penetration,
    )


@pattern("dojistar", lookback=11)
def doji_star(bars: Bars) -> Series:
    """Doji that gaps away from a long candle, in that candle's direction."""
    first, second = bars.last(2)
    star = every(first.long, second.doji)
    rise = every(star, first.black, gap_down(second, first))
    return either(rise, every(star, first.white, gap_up(second, first)))


@pattern("engulfing", lookback=2)
def engulfing(bars: Bars) -> Series:
    """Body that covers the opposite one before it; 80 where one of their ends is the same."""
    first, second = bars.last(2)
    rise = every(
        second.white,
        first.black,
        ((second.close >= first.open) & (second.open < first.close))
        | ((second.close > first.open) & (second.open <= first.close)),
    )
    fall = every(
        second.black,
        first.white,
        ((second.open >= first.close) & (second.close < first.open))
        | ((second.open > first.close) & (second.close <= first.open)),
    )
    apart = (second.open != first.close) & (second.close != first.open)
    size = choose(apart, 100.0, TOUCHING)
    return choose(rise | fall, second.colour * size, 0.0)


@pattern("hammer", lookback=11)
def hammer(bars: Bars) -> Series:
    """Short body on top of a long lower shadow, near the low before it."""
    first, second = bars.last(2)
    near = second.bottom <= first.low + first.distance(NEAR)
    return bullish(second.short, long_lower(second), second.no_upper, near)


@pattern("hangingman", lookback=11)
def hanging_man(bars: Bars) -> Series:
    """Short body on top of a long lower shadow, near the high before it."""
    first, second = bars.last(2)
    near = second.bottom >= first.high - first.distance(NEAR)
    return bearish(second.short, long_lower(second), second.no_upper, near)


def _within(first: Candle, second: Candle, small: Series) -> Series:
    """Minus the first candle's colour, where a small body is within its long one."""
    held = (second.top <= first.top) & (second.bottom >= first.bottom)
    size = choose(inside(second, first), 100.0, choose(held, TOUCHING, 0.0))
    return choose(first.long & small, -first.colour * size, 0.0)


@pattern("harami", lookback=11)
def harami(bars: Bars) -> Series:
    """Body no longer than usual within a long one; 80 where one of their ends is the same."""
    first, second = bars.last(2)
    return _within(first, second, second.not_long)


@pattern("haramicross", lookback=11)
def harami_cross(bars: Bars) -> Series:
    """Doji within a long body; 80 where one of their ends is the same."""
    first, second = bars.last(2)
    return _within(first, second, second.doji)


@pattern("homingpigeon", lookback=11)
def homing_pigeon(bars: Bars) -> Series:
    """Black body no longer than usual within a long black one."""
    first, second = bars.last(2)
    return bullish(
        first.black,
        second.black,
        first.long,
        second.not_long,
        second.open < first.open,
        second.close > first.close,
    )


def _opens_below(first: Candle, second: Candle) -> Series:
    """Whether a white candle opens below the low of a long black one."""
    return every(first.black, first.long, second.white, second.open < first.low)


@pattern("inneck", lookback=11)
def in_neck(bars: Bars) -> Series:
    """White candle from below a long black one that closes just within its body."""
    first, second = bars.last(2)
    return bearish(
        _opens_below(first, second),
        second.close <= first.close + first.distance(EQUAL),
        second.close >= first.close,
    )


@pattern("invertedhammer", lookback=11)
def inverted_hammer(bars: Bars) -> Series:
    """Short body under a long upper shadow, a gap below the body before it."""
    first, second = bars.last(2)
    return bullish(second.short, long_upper(second), second.no_lower, gap_down(second, first))


def _bare(candle: Candle) -> Series:
    """Whether a candle is a long body without shadows."""
    return every(candle.long, candle.no_upper, candle.no_lower)


def _kicks(first: Candle, second: Candle) -> Series:
    """Whether two long bodies without shadows have opposite colours and do not meet."""
    rise, fall = clear_above(second, first), clear_below(second, first)
    apart = (first.black & rise) | (first.white & fall)
    return every(opposite(first, second), _bare(first), _bare(second), apart)


@pattern("kicking", lookback=11)
def kicking(bars: Bars) -> Series:
    """Two long bodies without shadows, of opposite colours, whose ranges do not meet."""
    first, second = bars.last(2)
    return coloured(second, _kicks(first, second))


@pattern("kickingbylength", lookback=11)
def kicking_by_length(bars: Bars) -> Series:
    """Kicking, with the direction of the longer body."""
    first, second = bars.last(2)
    longer = choose(second.body > first.body, second.colour, first.colour)
    return choose(_kicks(first, second), longer * 100.0, 0.0)


@pattern("matchinglow", lookback=6)
def matching_low(bars: Bars) -> Series:
    """Two black candles that close at the same price."""
    first, second = bars.last(2)
    return bullish(first.black, second.black, first.is_near(second.close, first.close))


@pattern("onneck", lookback=11)
def on_neck(bars: Bars) -> Series:
    """White candle from below a long black one that closes at its low."""
    first, second = bars.last(2)
    return bearish(_opens_below(first, second), first.is_near(second.close, first.low))


@pattern("piercing", lookback=11)
def piercing(bars: Bars) -> Series:
    """Long white candle from below a long black one that closes above the middle of its body."""
    first, second = bars.last(2)
    return bullish(
        _opens_below(first, second),
        second.long,
        second.close < first.open,
        second.close > first.close + first.body * 0.5,
    )


@pattern("separatinglines", lookback=11)
def separating_lines(bars: Bars) -> Series:
    """Long candle from the open of an opposite one, with no shadow behind it."""
    first, second = bars.last(2)
    bare = (second.white & second.no_lower) | (second.black & second.no_upper)
    same = first.is_near(second.open, first.open)
    return coloured(second, opposite(first, second), same, second.long, bare)


@pattern("shootingstar", lookback=11)
def shooting_star(bars: Bars) -> Series:
    """Short body under a long upper shadow, a gap above the body before it."""
    first, second = bars.last(2)
    return bearish(second.short, long_upper(second), second.no_lower, gap_up(second, first))


@pattern("thrusting", lookback=11)
def thrusting(bars: Bars) -> Series:
    """White candle from below a long black one that closes under the middle of its body."""
    first, second = bars.last(2)
    return bearish(
        _opens_below(first, second),
        second.close > first.close + first.distance(EQUAL),
        second.close <= first.close + first.body * 0.5,
    )
