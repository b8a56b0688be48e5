"""A bar as candle patterns see it: its body, its shadows, and how they compare with bars before.

The measures are TA-Lib's candle settings: a size is long, short or near where it is above or
below a share of the mean size of the 5 or 10 bars before that bar. Everything is a small series,
so patterns that ask the same share one answer.

TA-Lib's sums slide, and keep what rounding left in them; these are of the bars themselves. So
where a size equals its mean to the last digit, TA-Lib's answer may depend on bars long gone
(in a million made-up bars in cents: three answers of one pattern). Real bars showed no case.
"""

from dataclasses import dataclass

from indicators.operators import choose, earlier, larger, rolling_mean, smaller
from indicators.series import Series

SIZE_ROWS, DISTANCE_ROWS = 10, 5
"""Bars that a size and a distance are compared with."""
SLIGHT = 0.1
"""A body or a shadow below this share of the mean range is a doji's, or as good as none."""
NEAR, FAR, EQUAL = 0.2, 0.6, 0.05
"""Distances, as shares of the mean range."""


@dataclass(frozen=True)
class Candle:
    """The candle of one bar, `rows` rows ago."""

    bars: "Bars"
    rows: int

    def _then(self, now: Series) -> Series:
        return earlier(now, self.rows) if self.rows else now

    @property
    def open(self) -> Series:
        """First price."""
        return self._then(self.bars.open)

    @property
    def high(self) -> Series:
        """Highest price."""
        return self._then(self.bars.high)

    @property
    def low(self) -> Series:
        """Lowest price."""
        return self._then(self.bars.low)

    @property
    def close(self) -> Series:
        """Last price."""
        return self._then(self.bars.close)

    @property
    def white(self) -> Series:
        """Whether the price did not fall."""
        return self.close >= self.open

    @property
    def black(self) -> Series:
        """Whether the price fell."""
        return self.close < self.open

    @property
    def colour(self) -> Series:
        """1 if white, -1 if black."""
        return choose(self.white, 1.0, -1.0)

    @property
    def top(self) -> Series:
        """Upper end of the body."""
        return larger(self.close, self.open)

    @property
    def bottom(self) -> Series:
        """Lower end of the body."""
        return smaller(self.close, self.open)

    @property
    def range(self) -> Series:
        """Length of the whole candle."""
        return self.high - self.low

    @property
    def body(self) -> Series:
        """Length of the body."""
        return abs(self.close - self.open)

    @property
    def upper(self) -> Series:
        """Length of the shadow above the body."""
        return self.high - self.top

    @property
    def lower(self) -> Series:
        """Length of the shadow below the body."""
        return self.bottom - self.low

    def _mean(self, size: Series, rows: int) -> Series:
        """Mean of a size of today's bar over the rows before this candle."""
        return earlier(rolling_mean(size, rows), self.rows + 1)

    @property
    def usual_body(self) -> Series:
        """Mean body of the bars before."""
        return self._mean(self.bars.now.body, SIZE_ROWS)

    @property
    def usual_shadow(self) -> Series:
        """Mean shadow of the bars before."""
        return self._mean(self.bars.now.upper + self.bars.now.lower, SIZE_ROWS) / 2.0

    @property
    def slight(self) -> Series:
        """What is as good as nothing."""
        return SLIGHT * self._mean(self.bars.now.range, SIZE_ROWS)

    def distance(self, share: float) -> Series:
        """A share of the mean range of the bars before."""
        return share * self._mean(self.bars.now.range, DISTANCE_ROWS)

    @property
    def long(self) -> Series:
        """Whether the body is longer than usual."""
        return self.body > self.usual_body

    @property
    def short(self) -> Series:
        """Whether the body is shorter than usual."""
        return self.body < self.usual_body

    @property
    def not_long(self) -> Series:
        """Whether the body is no longer than usual."""
        return self.body <= self.usual_body

    @property
    def doji(self) -> Series:
        """Whether there is as good as no body."""
        return self.body <= self.slight

    @property
    def no_upper(self) -> Series:
        """Whether there is as good as no shadow above."""
        return self.upper < self.slight

    @property
    def no_lower(self) -> Series:
        """Whether there is as good as no shadow below."""
        return self.lower < self.slight

    @property
    def some_upper(self) -> Series:
        """Whether there is a shadow above."""
        return self.upper > self.slight

    @property
    def some_lower(self) -> Series:
        """Whether there is a shadow below."""
        return self.lower > self.slight

    def is_near(self, price: Series, other: Series, share: float = EQUAL) -> Series:
        """Whether two prices are no further apart than a share of the mean range before."""
        reach = self.distance(share)
        return (price <= other + reach) & (price >= other - reach)


@dataclass(frozen=True)
class Bars:
    """The bars of an instrument."""

    open: Series
    high: Series
    low: Series
    close: Series

    @property
    def now(self) -> Candle:
        """The candle of this row."""
        return Candle(self, 0)

    def last(self, count: int) -> list[Candle]:
        """The last candles, the oldest first."""
        return [Candle(self, rows) for rows in range(count - 1, -1, -1)]


def gap_up(later: Candle, before: Candle) -> Series:
    """Whether one body is wholly above the other."""
    return later.bottom > before.top


def gap_down(later: Candle, before: Candle) -> Series:
    """Whether one body is wholly below the other."""
    return later.top < before.bottom


def clear_above(later: Candle, before: Candle) -> Series:
    """Whether one candle, shadows and all, is above the other."""
    return later.low > before.high


def clear_below(later: Candle, before: Candle) -> Series:
    """Whether one candle, shadows and all, is below the other."""
    return later.high < before.low


def every(*conditions: Series) -> Series:
    """Whether all conditions hold."""
    result = conditions[0]
    for condition in conditions[1:]:
        result = result & condition
    return result


def bullish(*conditions: Series) -> Series:
    """100 where all conditions hold, else 0."""
    return choose(every(*conditions), 100.0, 0.0)


def bearish(*conditions: Series) -> Series:
    """-100 where all conditions hold, else 0."""
    return choose(every(*conditions), -100.0, 0.0)


def coloured(candle: Candle, *conditions: Series) -> Series:
    """100 or -100, as the candle is white or black, where all conditions hold, else 0."""
    return choose(every(*conditions), choose(candle.white, 100.0, -100.0), 0.0)


def either(rise: Series, fall: Series) -> Series:
    """100 where the first condition holds, -100 where just the second does, else 0."""
    return choose(rise, 100.0, choose(fall, -100.0, 0.0))
