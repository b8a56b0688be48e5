"""Patterns of one candle."""

from indicators.definitions.candle.patterns import pattern
from indicators.definitions.candle.shapes import NEAR, Bars, Candle, bullish, coloured
from indicators.series import Series


def long_upper(candle: Candle) -> Series:
    """Whether the shadow above is longer than the body."""
    return candle.upper > candle.body


def long_lower(candle: Candle) -> Series:
    """Whether the shadow below is longer than the body."""
    return candle.lower > candle.body


@pattern("belthold", lookback=10)
def belt_hold(bars: Bars) -> Series:
    """Long candle that opens at the end it leaves behind."""
    one = bars.now
    bare = (one.white & one.no_lower) | (one.black & one.no_upper)
    return coloured(one, one.long, bare)


@pattern("closingmarubozu", lookback=10)
def closing_marubozu(bars: Bars) -> Series:
    """Long candle that closes at its very end."""
    one = bars.now
    bare = (one.white & one.no_upper) | (one.black & one.no_lower)
    return coloured(one, one.long, bare)


@pattern("dragonflydoji", lookback=10)
def dragonfly_doji(bars: Bars) -> Series:
    """Doji with a shadow below and none above."""
    one = bars.now
    return bullish(one.doji, one.no_upper, one.some_lower)


@pattern("gravestonedoji", lookback=10)
def gravestone_doji(bars: Bars) -> Series:
    """Doji with a shadow above and none below. TA-Lib gives it the sign of a rise."""
    one = bars.now
    return bullish(one.doji, one.no_lower, one.some_upper)


@pattern("highwave", lookback=10)
def high_wave(bars: Bars) -> Series:
    """Short body between shadows each more than twice as long."""
    one = bars.now
    twice = 2.0 * one.body
    return coloured(one, one.short, one.upper > twice, one.lower > twice)


@pattern("longleggeddoji", lookback=10)
def long_legged_doji(bars: Bars) -> Series:
    """Doji with a shadow longer than its body. TA-Lib gives it the sign of a rise."""
    one = bars.now
    return bullish(one.doji, long_lower(one) | long_upper(one))


@pattern("longline", lookback=10)
def long_line(bars: Bars) -> Series:
    """Long body between short shadows."""
    one = bars.now
    usual = one.usual_shadow
    return coloured(one, one.long, one.upper < usual, one.lower < usual)


@pattern("marubozu", lookback=10)
def marubozu(bars: Bars) -> Series:
    """Long body without shadows."""
    one = bars.now
    return coloured(one, one.long, one.no_upper, one.no_lower)


@pattern("rickshawman", lookback=10)
def rickshaw_man(bars: Bars) -> Series:
    """Doji near the middle of two longer shadows. TA-Lib gives it the sign of a rise."""
    one = bars.now
    middle, near = one.low + one.range / 2.0, one.distance(NEAR)
    return bullish(
        one.doji,
        long_lower(one),
        long_upper(one),
        one.bottom <= middle + near,
        one.top >= middle - near,
    )


@pattern("shortline", lookback=10)
def short_line(bars: Bars) -> Series:
    """Short body between short shadows."""
    one = bars.now
    usual = one.usual_shadow
    return coloured(one, one.short, one.upper < usual, one.lower < usual)


@pattern("spinningtop", lookback=10)
def spinning_top(bars: Bars) -> Series:
    """Short body between longer shadows."""
    one = bars.now
    return coloured(one, one.short, long_upper(one), long_lower(one))


@pattern("takuri", lookback=10)
def takuri(bars: Bars) -> Series:
    """Doji with no shadow above and one below of more than twice its body."""
    one = bars.now
    return bullish(one.doji, one.no_upper, one.lower > 2.0 * one.body)
