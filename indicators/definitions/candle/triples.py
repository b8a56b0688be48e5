"""Patterns of three candles."""

from indicators.bounds import Fraction
from indicators.definitions.candle.pairs import inside, opposite
from indicators.definitions.candle.patterns import pattern
from indicators.definitions.candle.shapes import (
    FAR,
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
from indicators.series import Series


@pattern("2crows", lookback=12)
def two_crows(bars: Bars) -> Series:
    """Long white candle, a black one that gaps up, and one from its body into the first's."""
    first, second, third = bars.last(3)
    return bearish(
        first.white,
        first.long,
        second.black,
        gap_up(second, first),
        third.black,
        third.open < second.open,
        third.open > second.close,
        third.close > first.open,
        third.close < first.close,
    )


@pattern("3inside", lookback=12)
def three_inside(bars: Bars) -> Series:
    """Harami that the third candle confirms beyond the first open."""
    first, second, third = bars.last(3)
    held = every(first.long, second.not_long, inside(second, first))
    rise = every(held, first.black, third.white, third.close > first.open)
    return either(rise, every(held, first.white, third.black, third.close < first.open))


@pattern("3outside", lookback=3)
def three_outside(bars: Bars) -> Series:
    """Engulfing that the third candle confirms beyond the second close."""
    first, second, third = bars.last(3)
    rise = every(
        second.white,
        first.black,
        second.close > first.open,
        second.open < first.close,
        third.close > second.close,
    )
    fall = every(
        second.black,
        first.white,
        second.open > first.close,
        second.close < first.open,
        third.close < second.close,
    )
    return either(rise, fall)


@pattern("3starsinsouth", lookback=12)
def three_stars_in_the_south(bars: Bars) -> Series:
    """Three black candles, each smaller, the lows rising and the last without shadows."""
    first, second, third = bars.last(3)
    return bullish(
        every(first.black, second.black, third.black, first.long, long_lower(first)),
        second.body < first.body,
        (second.open > first.close) & (second.open <= first.high),
        (second.low < first.close) & (second.low >= first.low),
        second.some_lower,
        every(third.short, third.no_lower, third.no_upper),
        (third.low > second.low) & (third.high < second.high),
    )


def _marches(first: Candle, second: Candle, third: Candle) -> Series:
    """Whether three white candles close higher and open within or near the body before."""
    return every(
        first.white & second.white & third.white,
        (third.close > second.close) & (second.close > first.close),
        second.open > first.open,
        second.open <= first.close + first.distance(NEAR),
        third.open > second.open,
        third.open <= second.close + second.distance(NEAR),
    )


@pattern("3whitesoldiers", lookback=12)
def three_white_soldiers(bars: Bars) -> Series:
    """Three white candles that close at their highs, none far shorter than the one before."""
    first, second, third = bars.last(3)
    return bullish(
        _marches(first, second, third),
        first.no_upper & second.no_upper & third.no_upper,
        second.body > first.body - first.distance(FAR),
        third.body > second.body - second.distance(FAR),
        third.long,
    )


@pattern("advanceblock", lookback=12)
def advance_block(bars: Bars) -> Series:
    """Three white candles that rise with less and less strength."""
    first, second, third = bars.last(3)
    shrinks = third.body < second.body
    weak = (
        (
            (second.body < first.body - first.distance(FAR))
            & (third.body < second.body + second.distance(NEAR))
        )
        | (third.body < second.body - second.distance(FAR))
        | every(
            shrinks,
            second.body < first.body,
            (third.upper > third.usual_shadow) | (second.upper > second.usual_shadow),
        )
        | (shrinks & long_upper(third))
    )
    return bearish(
        _marches(first, second, third), first.long, first.upper < first.usual_shadow, weak
    )


@pattern("stalledpattern", lookback=12)
def stalled_pattern(bars: Bars) -> Series:
    """Two long white candles and a short one that opens on the second's shoulder."""
    first, second, third = bars.last(3)
    return bearish(
        first.white & second.white & third.white,
        (third.close > second.close) & (second.close > first.close),
        first.long & second.long & second.no_upper,
        second.open > first.open,
        second.open <= first.close + first.distance(NEAR),
        third.short,
        third.open >= second.close - third.body - second.distance(NEAR),
    )


def _falls_into(first: Candle, third: Candle, penetration: float) -> Series:
    """Whether a black candle, not short, closes deep within a white body."""
    deep = third.close < first.close - first.body * penetration
    return every(first.long, first.white, third.long, third.black, deep)


def _rises_into(first: Candle, third: Candle, penetration: float) -> Series:
    """Whether a white candle, not short, closes deep within a black body."""
    deep = third.close > first.close + first.body * penetration
    return every(first.long, first.black, third.long, third.white, deep)


@pattern("abandonedbaby", lookback=12)
def abandoned_baby(bars: Bars, penetration: Fraction = 0.3) -> Series:
    """Doji whose whole candle is away from those of both sides, which have opposite colours."""
    first, second, third = bars.last(3)
    rise = every(
        _rises_into(first, third, penetration),
        second.doji,
        clear_below(second, first),
        clear_above(third, second),
    )
    fall = every(
        _falls_into(first, third, penetration),
        second.doji,
        clear_above(second, first),
        clear_below(third, second),
    )
    return either(rise, fall)


@pattern("eveningdojistar", lookback=12)
def evening_doji_star(bars: Bars, penetration: Fraction = 0.3) -> Series:
    """Long white candle, a doji that gaps up, and a black one deep into the first body."""
    first, second, third = bars.last(3)
    turned = _falls_into(first, third, penetration)
    return bearish(turned, second.doji, gap_up(second, first))


@pattern("eveningstar", lookback=12)
def evening_star(bars: Bars, penetration: Fraction = 0.3) -> Series:
    """Long white candle, a short body that gaps up, and a black one deep into the first body."""
    first, second, third = bars.last(3)
    turned = _falls_into(first, third, penetration)
    return bearish(turned, second.not_long, gap_up(second, first))


@pattern("morningdojistar", lookback=12)
def morning_doji_star(bars: Bars, penetration: Fraction = 0.3) -> Series:
    """Long black candle, a doji that gaps down, and a white one deep into the first body."""
    first, second, third = bars.last(3)
    turned = _rises_into(first, third, penetration)
    return bullish(turned, second.doji, gap_down(second, first))


@pattern("morningstar", lookback=12)
def morning_star(bars: Bars, penetration: Fraction = 0.3) -> Series:
    """Long black candle, a short body that gaps down, and a white one deep into the first body."""
    first, second, third = bars.last(3)
    turned = _rises_into(first, third, penetration)
    return bullish(turned, second.not_long, gap_down(second, first))


@pattern("gapsidesidewhite", lookback=7)
def side_by_side_white_lines(bars: Bars) -> Series:
    """Two white candles of one size and one open, both a gap away from the candle before."""
    first, second, third = bars.last(3)
    near = second.distance(NEAR)
    alike = every(
        second.white & third.white,
        (third.body >= second.body - near) & (third.body <= second.body + near),
        second.is_near(third.open, second.open),
    )
    above = gap_up(second, first) & gap_up(third, first)
    below = gap_down(second, first) & gap_down(third, first)
    return either(alike & above, alike & below)


@pattern("identical3crows", lookback=12)
def identical_three_crows(bars: Bars) -> Series:
    """Three falling black candles without lower shadows, each from the close before."""
    first, second, third = bars.last(3)
    return bearish(
        first.black & second.black & third.black,
        first.no_lower & second.no_lower & third.no_lower,
        (first.close > second.close) & (second.close > third.close),
        first.is_near(second.open, first.close),
        second.is_near(third.open, second.close),
    )


@pattern("sticksandwich", lookback=7)
def stick_sandwich(bars: Bars) -> Series:
    """White candle, above the first close, between two black ones that close alike."""
    first, second, third = bars.last(3)
    return bullish(
        first.black,
        second.white,
        third.black,
        second.low > first.close,
        first.is_near(third.close, first.close),
    )


@pattern("tasukigap", lookback=7)
def tasuki_gap(bars: Bars) -> Series:
    """Gap that an opposite candle of the same size, from within the second body, does not close."""
    first, second, third = bars.last(3)
    alike = abs(second.body - third.body) < second.distance(NEAR)
    rise = every(
        gap_up(second, first),
        second.white & third.black,
        (third.open < second.close) & (third.open > second.open),
        (third.close < second.open) & (third.close > first.top),
    )
    fall = every(
        gap_down(second, first),
        second.black & third.white,
        (third.open < second.open) & (third.open > second.close),
        (third.close > second.open) & (third.close < first.bottom),
    )
    return either(alike & rise, alike & fall)


@pattern("tristar", lookback=12)
def tristar(bars: Bars) -> Series:
    """Three dojis, the second a gap away from both others. All are judged by the first's usual."""
    first, second, third = bars.last(3)
    dojis = every(*(each.body <= first.slight for each in (first, second, third)))
    rise = gap_down(second, first) & (third.bottom > second.bottom)
    return either(dojis & rise, every(dojis, gap_up(second, first), third.top < second.top))


@pattern("unique3river", lookback=12)
def unique_three_river(bars: Bars) -> Series:
    """Long black candle, a black one within it with a new low, and a short white one above that."""
    first, second, third = bars.last(3)
    return bullish(
        first.long & first.black & second.black,
        (second.close > first.close) & (second.open <= first.open),
        second.low < first.low,
        third.short & third.white,
        third.open > second.low,
    )


@pattern("upsidegap2crows", lookback=12)
def upside_gap_two_crows(bars: Bars) -> Series:
    """Long white candle, a short black one that gaps up, and a black one around that."""
    first, second, third = bars.last(3)
    return bearish(
        first.white & first.long,
        second.black & second.not_long,
        gap_up(second, first),
        third.black,
        (third.open > second.open) & (third.close < second.close),
        third.close > first.close,
    )


@pattern("xsidegap3methods", lookback=2)
def gap_three_methods(bars: Bars) -> Series:
    """Gap between two candles of one colour that an opposite candle closes."""
    first, second, third = bars.last(3)
    rise = first.white & gap_up(second, first)
    return coloured(
        first,
        (first.colour == second.colour) & opposite(second, third),
        (third.open < second.top) & (third.open > second.bottom),
        (third.close < first.top) & (third.close > first.bottom),
        rise | (first.black & gap_down(second, first)),
    )
