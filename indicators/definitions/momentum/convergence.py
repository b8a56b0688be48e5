"""Kin of the MACD: two averages, their gap, and the gap's own average."""

from typing import Annotated, NamedTuple

from indicators.bounds import Bounds, Number, Window
from indicators.catalogue import indicator
from indicators.definitions.momentum.changes import Macd, macd
from indicators.definitions.seeded import seeded_average, seeded_ema
from indicators.definitions.volume.flows import vwma
from indicators.operators import earlier, rolling_mean
from indicators.series import CLOSE, VOLUME, Series

KINDS = ("sma", "ema", "wma", "dema", "tema", "trima", "ema", "ema", "t3")
Kind = Annotated[int, Bounds(0, len(KINDS) - 1)]
FAST_ROWS, SLOW_ROWS = 12, 26


def _ordered(prefix: str, parts: str, fast: int, slow: int, signal: int) -> tuple[str, ...]:
    fast, slow = sorted((fast, slow))
    return tuple(f"{prefix}{part.strip()}_{fast}_{slow}_{signal}" for part in parts)


class MacdExt(NamedTuple):
    """Gap between two averages, its own average, and their gap."""

    macd: Series
    signal: Series
    histogram: Series


def _macdext_columns(fast: int, slow: int, signal: int) -> tuple[str, ...]:
    return _ordered("MACDEXT", " sh", fast, slow, signal)


@indicator(columns=_macdext_columns)
def macdext(
    close: Series = CLOSE,
    fast: Window = 12,
    slow: Window = 26,
    signal: Window = 9,
    fastmatype: Kind = 1,
    slowmatype: Kind = 1,
    signalmatype: Kind = 1,
) -> MacdExt:
    """Moving-average convergence with an average of one's choice for each line.

    Averages go by TA-Lib's numbers: 0 sma, 1 ema, 2 wma, 3 dema, 4 tema, 5 trima, 8 t3.
    Differs: not from pandas-ta-classic, where 6 and 7 (kama and mama) give an ema, and the kinds
    stay where they are when `fast` is the longer one and the two change places.
    Unit: unit of close
    Source: TA-Lib, MACDEXT
    """
    fast, slow = sorted((fast, slow))
    quick = seeded_average(KINDS[fastmatype], close, fast)
    line = quick - seeded_average(KINDS[slowmatype], close, slow)
    smooth = seeded_average(KINDS[signalmatype], line, signal)
    return MacdExt(line, smooth, line - smooth)


@indicator(columns=tuple(f"MACDFIX{part}_{{signal}}_{{signal}}" for part in ("", "h", "s")))
def macdfix(close: Series = CLOSE, signal: Window = 9) -> Macd:
    """Moving-average convergence over 12 and 26 rows.

    Differs: not from pandas-ta-classic. TA-Lib's weighs by 0.15 and 0.075 rather than by 2 / 13
    and 2 / 27.
    Unit: unit of close
    Source: pandas-ta-classic 0.8.32, macdfix
    """
    return macd(close, FAST_ROWS, SLOW_ROWS, signal)


def _vwmacd_columns(fast: int, slow: int, signal: int) -> tuple[str, ...]:
    return _ordered("VWMACD", " hs", fast, slow, signal)


@indicator(columns=_vwmacd_columns)
def vwmacd(
    close: Series = CLOSE,
    volume: Series = VOLUME,
    fast: Window = 12,
    slow: Window = 26,
    signal: Window = 9,
) -> Macd:
    """Moving-average convergence of means weighed by volume, the signal line's too.

    Unit: unit of close
    Source: Dormeier (2011), Investing with Volume Analysis
    """
    fast, slow = sorted((fast, slow))
    line = vwma(close, volume, fast) - vwma(close, volume, slow)
    smooth = vwma(line, volume, signal)
    return Macd(line, line - smooth, smooth)


class TrixHistogram(NamedTuple):
    """The rate of change, its mean, and their gap."""

    trix: Series
    signal: Series
    histogram: Series


@indicator(columns=tuple(f"TRIX{part}_{{length}}_{{signal}}" for part in ("", "s", "h")))
def trixh(
    close: Series = CLOSE,
    length: Window = 18,
    signal: Window = 9,
    scalar: Number = 100.0,
    drift: Window = 1,
) -> TrixHistogram:
    """Growth of an exponential mean taken thrice, with its mean and their gap.

    Each of the three means starts anew from its own first values, unlike those of `trix`.
    Unit: percent
    Source: Hutson (1983), Good TRIX, TASC 1:5
    """
    thrice = seeded_ema(seeded_ema(seeded_ema(close, length), length), length)
    before = earlier(thrice, drift)
    growth = scalar * (thrice - before) / before
    mean = rolling_mean(growth, signal)
    return TrixHistogram(growth, mean, growth - mean)
