"""A made-up market for demos and tests: ticks that look like trades, the same for the same seed.

How it is made. Time is cut into blocks of a quarter of a second, and everything about a block is
drawn from generators seeded by (seed, what, where), so a block is a pure function of its number
and any stretch of time can be asked for, in any chunks.

- Log prices are Brownian paths by midpoint displacement (Levy's construction): each doubling of
  the time scale, up to twelve days, adds a tent of random height over its interval. Between
  block ends a Brownian bridge gives each tick its place. Instruments share a market factor.
- Volatility is a multiplicative cascade over the same intervals (as in the multifractal model of
  Calvet and Fisher, 2004): quiet and wild spells of all lengths, hence clustering and fat tails.
- Arrivals come in bursts: a cascade drives the rate of a Poisson process of first trades, each of
  which sets off a geometric number of followers (a Hawkes process in its cluster form). Activity
  over instruments follows Zipf's law.
- Prices are rounded to a tick of five digits after half a spread up or down; sizes are log-normal.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from workers.errors import FleetError
from workers.files import TickChunk

type Ints = npt.NDArray[np.int64]
type Floats = npt.NDArray[np.float64]

BLOCK_NS = 250_000_000
LEVELS = 22  # doublings of a block: 2**22 blocks are twelve days
BURST_LEVELS = 7  # bursts last up to 32 s, so that a demo of a minute has the rate asked for
BLOCK_VOLATILITY = 1e-4  # of the log price over a block: 6 % a day
ANCHOR_VOLATILITY = 0.15  # of the log price every twelve days
CASCADE_STEP = 0.14  # deviation of the log volatility that each level adds
BURST_STEP = 0.16
MARKET_SHARE = 0.4  # of the variance, common to all instruments
FOLLOWERS = 0.4  # of all trades; each trade sets off this many others on average
FOLLOW_BLOCKS = 0.05  # mean delay of a follower
ZIPF_EXPONENT = 0.9
PRICE_MIN, PRICE_MAX = 0.02, 50_000.0
PRICE_DIGITS = 5
TRADE_VALUE = 500.0  # median price times size
SIZE_DEVIATION = 1.2
SIZE_DIGITS = 4
SYMBOLS_MAX = 100_000

CONSONANTS, VOWELS = "BDFGKLMNPRSTVZ", "AEIOU"
SYLLABLES = tuple(first + second for first in CONSONANTS for second in VOWELS)
NAME_STRIDE = 130_363  # coprime to the number of names: neighbours get unlike ones
STATIC, ANCHOR, INTERVAL, BURST, TRADES = range(5)  # what is drawn


class Interval(NamedTuple):
    """What one interval of a level adds: height of the tent, log volatility, log activity."""

    height: Floats
    volatility: Floats
    activity: Floats


class Market:
    """Instruments that trade at an average of `rate` ticks a second in all."""

    def __init__(self, seed: int, symbols: int, rate: float) -> None:
        if not 1 <= symbols <= SYMBOLS_MAX:
            raise FleetError(f"a market of {symbols} symbols is outside 1 to {SYMBOLS_MAX}")
        if seed < 0:
            raise FleetError(f"a market with the seed {seed}; wanted 0 or above")
        if not 0 < rate < np.inf:
            raise FleetError(f"a market of {rate} ticks a second; wanted a number above 0")
        self.symbols = tuple(_name(number) for number in range(symbols))
        self.rate = rate
        self._seed = seed
        random = self._random(STATIC)
        price = np.exp(random.uniform(np.log(PRICE_MIN), np.log(PRICE_MAX), symbols))
        self._log_price = np.log(price)
        self._price_scale = 10.0 ** (PRICE_DIGITS - 1 - np.floor(np.log10(price)))
        self._size = TRADE_VALUE / price
        self._size_scale = 10.0 ** np.maximum(SIZE_DIGITS - 1 - np.floor(np.log10(self._size)), 0)
        weight = 1.0 / np.arange(1, symbols + 1) ** ZIPF_EXPONENT
        self._log_weight = np.log(random.permutation(weight / weight.sum()))
        # what was drawn last, by level: a block shares nearly all of it with the one before
        self._intervals: dict[int, tuple[int, Interval]] = {}
        self._last_end: tuple[int, Floats] | None = None
        self._last_block: tuple[int, TickChunk] | None = None

    def ticks(self, start_ns: int, duration_ns: int) -> TickChunk:
        """The ticks of [start, start + duration), in order of time.

        Chunks of time put together are the same ticks as the whole. Cost: about 0.4 us a tick,
        and 0.7 ms a block of a quarter of a second with 1,000 symbols.
        """
        end_ns = start_ns + duration_ns
        numbers = range(start_ns // BLOCK_NS, -(-end_ns // BLOCK_NS))
        return self._joined(list(self._slices(numbers, start_ns, end_ns)))

    def _slices(self, numbers: range, start_ns: int, end_ns: int) -> Iterator[TickChunk]:
        for number in numbers:
            if self._last_block is None or self._last_block[0] != number:
                self._last_block = number, self._block(number)
            block = self._last_block[1]
            first, last = np.searchsorted(block.ts, [start_ns, end_ns])
            yield self._chunk(
                block.symbol[first:last],
                block.ts[first:last],
                price=block.price[first:last],
                size=block.size[first:last],
            )

    def _joined(self, parts: list[TickChunk]) -> TickChunk:
        empty = np.zeros(0)
        return self._chunk(
            np.concatenate([empty.astype(np.int64), *(part.symbol for part in parts)]),
            np.concatenate([empty.astype(np.int64), *(part.ts for part in parts)]),
            price=np.concatenate([empty, *(part.price for part in parts)]),
            size=np.concatenate([empty, *(part.size for part in parts)]),
        )

    def _chunk(self, symbol: Ints, ts: Ints, *, price: Floats, size: Floats) -> TickChunk:
        return TickChunk(self.symbols, symbol, ts, price, size, None)

    def _random(self, *place: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, *place])

    def _correlated(self, random: np.random.Generator) -> Floats:
        own = random.standard_normal(len(self.symbols))
        common = random.standard_normal()
        return np.asarray(MARKET_SHARE**0.5 * common + (1 - MARKET_SHARE) ** 0.5 * own)

    def _interval(self, level: int, number: int) -> Interval:
        """What the level's interval adds; volatility and activity average 1, not their logs."""
        known = self._intervals.get(level)
        if known is None or known[0] != number:
            random = self._random(INTERVAL, level, number)
            height, volatility = self._correlated(random), self._correlated(random)
            drawn = Interval(
                height=height * BLOCK_VOLATILITY * 2.0 ** (level / 2 - 1),
                volatility=CASCADE_STEP * volatility - CASCADE_STEP**2 / 2,
                activity=BURST_STEP * random.standard_normal(len(self.symbols)),
            )
            known = self._intervals[level] = number, drawn
        return known[1]

    def _volatility(self, block: int) -> Floats:
        """The volatility of the block, averaging 1: what the whole cascade gives it."""
        logs = np.zeros(len(self.symbols))
        for level in range(1, LEVELS + 1):
            logs += self._interval(level, block >> level).volatility
        return np.asarray(np.exp(logs))

    def _log_price_at(self, block: int) -> Floats:
        """The log prices at the start of the block, relative to the instruments' own levels."""
        if self._last_end is not None and self._last_end[0] == block:
            return self._last_end[1]
        span = 1 << LEVELS
        anchor, share = block >> LEVELS, (block % span) / span
        left = self._correlated(self._random(ANCHOR, anchor))
        right = self._correlated(self._random(ANCHOR, anchor + 1))
        path = ANCHOR_VOLATILITY * (left * (1 - share) + right * share)
        log_volatility: Floats = np.zeros(len(self.symbols))
        for level in range(LEVELS, 0, -1):
            length = 1 << level
            interval = self._interval(level, block >> level)
            log_volatility = log_volatility + interval.volatility
            tent = 1.0 - abs(2.0 * (block % length) / length - 1.0)
            path = path + interval.height * np.exp(log_volatility) * tent
        return path

    def _block(self, number: int) -> TickChunk:
        start, volatility = self._log_price_at(number), self._volatility(number)
        random = self._random(TRADES, number)
        symbol, when = self._arrivals(number, random)
        end = self._log_price_at(number + 1)
        self._last_end = number + 1, end
        path = _bridged(symbol, when, start, end, volatility * BLOCK_VOLATILITY, random)
        order = np.argsort(when, kind="stable")
        symbol = symbol[order]
        spread = random.choice([-0.5, 0.5], symbol.size)
        scale = self._price_scale[symbol]
        exact = np.exp(self._log_price[symbol] + path[order])
        size = self._size[symbol] * random.lognormal(0.0, SIZE_DEVIATION, symbol.size)
        lots = self._size_scale[symbol]
        return self._chunk(
            symbol,
            number * BLOCK_NS + (when[order] * BLOCK_NS).astype(np.int64),
            price=np.maximum(np.rint(exact * scale + spread), 1.0) / scale,
            size=np.maximum(np.rint(size * lots), 1.0) / lots,
        )

    def _arrivals(self, number: int, random: np.random.Generator) -> tuple[Ints, Floats]:
        """Who trades in the block and when (in blocks), by instrument, then time."""
        burst, log_weight = 0.0, self._log_weight
        for level in range(1, BURST_LEVELS + 1):
            place = number >> level
            burst += self._random(BURST, level, place).normal(-(BURST_STEP**2) / 2, BURST_STEP)
            log_weight = log_weight + self._interval(level, place).activity
        mean = self.rate * BLOCK_NS / 1e9 * np.exp(burst)
        firsts = random.poisson(mean * (1 - FOLLOWERS))
        edges = np.cumsum(np.exp(log_weight))
        symbol = np.searchsorted(edges, random.uniform(0, edges[-1], firsts), side="right")
        symbol = np.minimum(symbol, len(self.symbols) - 1)  # a draw may be rounded up to the edge
        cluster = random.geometric(1 - FOLLOWERS, firsts)
        delays = random.exponential(FOLLOW_BLOCKS, cluster.sum())
        delays[np.cumsum(cluster) - cluster] = 0.0
        when = (np.repeat(random.uniform(0, 1, firsts), cluster) + delays) % 1.0
        symbol = np.repeat(symbol, cluster)
        order = np.lexsort((when, symbol))
        return symbol[order].astype(np.int64), when[order]


def _bridged(
    symbol: Ints,
    when: Floats,
    start: Floats,
    end: Floats,
    volatility: Floats,
    random: np.random.Generator,
) -> Floats:
    """The log price at each tick, by instrument, then time: a Brownian bridge an instrument."""
    first = np.flatnonzero(np.diff(symbol, prepend=-1))
    traded, ticks = symbol[first], np.diff(first, append=symbol.size)
    since = np.diff(when, prepend=0.0)
    since[first] = when[first]
    steps = np.sqrt(since) * random.standard_normal(symbol.size)
    walk = np.cumsum(steps)
    walk -= np.repeat(walk[first] - steps[first], ticks)
    last = first + ticks - 1
    rest = np.sqrt(1.0 - when[last]) * random.standard_normal(first.size)
    drift = end[traded] - start[traded] - volatility[traded] * (walk[last] + rest)
    return np.asarray(start[symbol] + volatility[symbol] * walk + when * np.repeat(drift, ticks))


def _name(number: int) -> str:
    count = len(SYLLABLES)
    place = (number + 1) * NAME_STRIDE % count**3
    parts = (place // count**2, place // count % count, place % count)
    return "".join(SYLLABLES[part] for part in parts) + "-USD"
