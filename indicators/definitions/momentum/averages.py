"""Momentum as the distance between averages, or of a price from one."""

from typing import NamedTuple

from indicators.bounds import Number, Positive, Window
from indicators.catalogue import Average, average_column, indicator, moving_average
from indicators.definitions.momentum.changes import roc
from indicators.definitions.overlap.averages import ema, sma, wma
from indicators.definitions.overlap.lines import linreg
from indicators.definitions.overlap.prices import hl2
from indicators.definitions.volatility.measures import rvi
from indicators.definitions.volatility.ranges import atr
from indicators.operators import earlier, rolling_mean
from indicators.series import CLOSE, HIGH, LOW, Series


def _ordered(prefix: str, fast: int, slow: int) -> str:
    fast, slow = sorted((fast, slow))
    return f"{prefix}_{fast}_{slow}"


def _ao_column(fast: int, slow: int) -> str:
    return _ordered("AO", fast, slow)


@indicator(columns=_ao_column)
def ao(high: Series = HIGH, low: Series = LOW, fast: Window = 5, slow: Window = 34) -> Series:
    """Awesome oscillator: a quick mean of the bar's middle less a slow one.

    Unit: unit of high
    Source: Williams (1998), New Trading Dimensions
    """
    fast, slow = sorted((fast, slow))
    middle = hl2(high, low)
    return sma(middle, fast) - sma(middle, slow)


def _apo_column(fast: int, slow: int) -> str:
    return _ordered("APO", fast, slow)


@indicator(columns=_apo_column)
def apo(
    close: Series = CLOSE, fast: Window = 12, slow: Window = 26, mamode: Average = "sma"
) -> Series:
    """Absolute price oscillator: a quick mean less a slow one.

    Unit: unit of close
    Source: Appel (1985), The Moving Average Convergence-Divergence Trading Method
    """
    fast, slow = sorted((fast, slow))
    return moving_average(mamode, close, fast) - moving_average(mamode, close, slow)


def _bias_column(length: int, mamode: str) -> str:
    return f"BIAS_{average_column(mamode, length)}"


@indicator(columns=_bias_column)
def bias(close: Series = CLOSE, length: Window = 26, mamode: Average = "sma") -> Series:
    """Distance of the price from its mean, as a share of the mean.

    Unit: share, 0 at the mean
    Source: pandas-ta 0.4.71b0
    """
    return close / moving_average(mamode, close, length) - 1.0


@indicator(columns="CFO_{length}")
def cfo(close: Series = CLOSE, length: Window = 9, scalar: Number = 100.0) -> Series:
    """Chande's forecast oscillator: the price less a regression line, as a share of the price.

    As in pandas-ta without TA-Lib the forecast is the line one row before its end; Chande's is
    the line one row past it.
    Unit: percent of close
    Source: Chande and Kroll (1994), The New Technical Trader
    """
    return scalar * (close - linreg(close, length, tsf=True)) / close


@indicator(columns="COPC_{fast}_{slow}_{length}")
def coppock(
    close: Series = CLOSE, length: Window = 10, fast: Window = 11, slow: Window = 14
) -> Series:
    """Coppock's curve: the weighted mean of two rates of change.

    Unit: percent
    Source: Coppock (1962), Barron's
    """
    return wma(roc(close, fast) + roc(close, slow), length)


class Power(NamedTuple):
    """How far the bar's ends are from the mean."""

    bull: Series
    bear: Series


@indicator(columns=("BULLP_{length}", "BEARP_{length}"))
def eri(
    high: Series = HIGH, low: Series = LOW, close: Series = CLOSE, length: Window = 13
) -> Power:
    """Elder's ray: the high and the low less an exponential mean of the close.

    Unit: unit of close
    Source: Elder (1993), Trading for a Living
    """
    mean = ema(close, length)
    return Power(high - mean, low - mean)


def _inertia_column(length: int, rvi_length: int, refined: bool, thirds: bool) -> str:
    return f"INERTIA{'r' if refined else 't' * thirds}_{length}_{rvi_length}"


@indicator(columns=_inertia_column)
def inertia(
    close: Series = CLOSE,
    high: Series = HIGH,
    low: Series = LOW,
    length: Window = 20,
    rvi_length: Window = 14,
    scalar: Positive = 100.0,
    refined: bool = False,
    thirds: bool = False,
    mamode: Average = "ema",
) -> Series:
    """Inertia: the end of a regression line through the relative volatility.

    `refined` and `thirds` are those of `rvi`.
    Unit: 0 to 100
    Source: Dorsey (1995), The Inertia Indicator, TASC 13:9
    """
    return linreg(rvi(close, high, low, rvi_length, scalar, refined, thirds, mamode), length)


class Line(NamedTuple):
    """A line and the average of it."""

    line: Series
    signal: Series


def _kst_columns(
    signal: int,
    roc1: int, roc2: int, roc3: int, roc4: int, sma1: int, sma2: int, sma3: int, sma4: int,
) -> tuple[str, ...]:  # fmt: skip
    spans = (roc1, roc2, roc3, roc4, sma1, sma2, sma3, sma4)
    return f"KST_{'_'.join(map(str, spans))}", f"KSTs_{signal}"


@indicator(columns=_kst_columns)
def kst(
    close: Series = CLOSE,
    signal: Window = 9,
    roc1: Window = 10,
    roc2: Window = 15,
    roc3: Window = 20,
    roc4: Window = 30,
    sma1: Window = 10,
    sma2: Window = 10,
    sma3: Window = 10,
    sma4: Window = 15,
) -> Line:
    """Know sure thing: four smoothed rates of change, the slower ones weighing more.

    Unit: a hundred times percent
    Source: Pring (1992), The All-Season Investor
    """
    spans = ((roc1, sma1), (roc2, sma2), (roc3, sma3), (roc4, sma4))
    first, second, third, fourth = (rolling_mean(roc(close, r), s) for r, s in spans)
    line = 100.0 * (first + 2.0 * second + 3.0 * third + 4.0 * fourth)
    return Line(line, rolling_mean(line, signal))


@indicator(columns="PGO_{length}")
def pgo(
    high: Series = HIGH, low: Series = LOW, close: Series = CLOSE, length: Window = 14
) -> Series:
    """Pretty good oscillator: distance from the mean in average true ranges.

    Unit: average true ranges
    Source: Johnson; pandas-ta 0.4.71b0
    """
    return (close - sma(close, length)) / ema(atr(high, low, close, length), length)


class Oscillator(NamedTuple):
    """A line, its distance from its average, and that average."""

    line: Series
    histogram: Series
    signal: Series


def _oscillator_columns(prefix: str, fast: int, slow: int, signal: int) -> tuple[str, ...]:
    return tuple(f"{_ordered(prefix + part, fast, slow)}_{signal}" for part in ("", "h", "s"))


def _ppo_columns(fast: int, slow: int, signal: int) -> tuple[str, ...]:
    return _oscillator_columns("PPO", fast, slow, signal)


@indicator(columns=_ppo_columns)
def ppo(
    close: Series = CLOSE,
    fast: Window = 12,
    slow: Window = 26,
    signal: Window = 9,
    scalar: Number = 100.0,
    mamode: Average = "sma",
) -> Oscillator:
    """Percentage price oscillator: a quick mean less a slow one, as a share of the slow one.

    Unit: percent
    Source: Appel (2005), Technical Analysis: Power Tools for Active Investors, ch. 8
    """
    fast, slow = sorted((fast, slow))
    base = moving_average(mamode, close, slow)
    line = scalar * (moving_average(mamode, close, fast) - base) / base
    mean = ema(line, signal)
    return Oscillator(line, line - mean, mean)


def _trix_columns(length: int, signal: int) -> tuple[str, ...]:
    signal, length = sorted((length, signal))
    return f"TRIX_{length}_{signal}", f"TRIXs_{length}_{signal}"


@indicator(columns=_trix_columns)
def trix(
    close: Series = CLOSE,
    length: Window = 30,
    signal: Window = 9,
    scalar: Number = 100.0,
    drift: Window = 1,
) -> Line:
    """Rate of change of a triple exponential mean, and its mean.

    Unit: percent
    Source: Hutson (1983), Good TRIX, TASC 1:5
    """
    signal, length = sorted((length, signal))
    triple = ema(ema(ema(close, length), length), length)
    before = earlier(triple, drift)
    line = scalar * ((triple - before) / before)
    return Line(line, rolling_mean(line, signal))


def _tsi_columns(fast: int, slow: int, signal: int) -> tuple[str, ...]:
    return tuple(f"{_ordered(name, fast, slow)}_{signal}" for name in ("TSI", "TSIs"))


@indicator(columns=_tsi_columns)
def tsi(
    close: Series = CLOSE,
    fast: Window = 13,
    slow: Window = 25,
    signal: Window = 13,
    scalar: Number = 100.0,
    mamode: Average = "ema",
    drift: Window = 1,
) -> Line:
    """True strength: the twice smoothed change over the twice smoothed size of the change.

    Unit: -100 to 100
    Source: Blau (1991), True Strength Index, TASC 9:11
    """
    fast, slow = sorted((fast, slow))
    change = close - earlier(close, drift)
    size = ema(ema(abs(change), slow), fast)
    line = scalar * ema(ema(change, slow), fast) / size
    return Line(line, moving_average(mamode, line, signal))


class Ergodic(NamedTuple):
    """A line, its average, and the distance between them."""

    line: Series
    signal: Series
    oscillator: Series


def _smi_columns(fast: int, slow: int, signal: int, scalar: float) -> tuple[str, ...]:
    return tuple(
        f"{_ordered(f'SMI{part}', fast, slow)}_{signal}_{float(scalar)}" for part in ("", "s", "o")
    )


@indicator(columns=_smi_columns)
def smi(
    close: Series = CLOSE,
    fast: Window = 5,
    slow: Window = 20,
    signal: Window = 5,
    scalar: Number = 1.0,
) -> Ergodic:
    """Ergodic indicator: true strength with an exponential signal, and their distance.

    pandas-ta's name for it, SMI, is elsewhere the stochastic momentum index.
    Unit: -1 to 1
    Source: Blau (1995), Momentum, Direction, and Divergence
    """
    line, mean = tsi(close, fast, slow, signal, scalar)
    return Ergodic(line, mean, line - mean)
