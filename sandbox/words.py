"""The script language's own words for series, beside everything in the catalogue.

A word exists where authors of scripts expect another name, another order of parameters or
another default than the catalogue has. It is a plain function of series, like an indicator.
"""

import inspect
from collections.abc import Callable
from typing import Any, Final

from indicators import operators
from indicators.catalogue import CATALOGUE, Built
from indicators.series import CLOSE, Series, as_series, constant
from indicators.timeframes import on

OCCURRENCES_MAX: Final = 100
OUTPUT_ALIASES: Final = {
    "hist": "histogram",
    "mid": "middle",
    "width": "bandwidth",
}
LINES: Final = {"macd": "macd", "supertrend": "trend"}  # what `.line` means
NOT_A_NUMBER: Final = float("nan")
Words = dict[str, Callable[..., Any]]
WORDS: Final[Words] = {}


def word[F: Callable[..., Any]](function: F) -> F:
    """File a function as a word of the language, by its name without a final underscore."""
    name = function.__name__.rstrip("_")
    if name in WORDS:
        raise TypeError(f"word {name} is defined twice")
    WORDS[name] = function
    return function


def usage(name: str) -> str:
    """The call as an author may write it."""
    if name in WORDS:
        return f"ta.{name}({', '.join(inspect.signature(WORDS[name]).parameters)})"
    return f"ta.{CATALOGUE[name].usage}"


def call(name: str, positional: list[Any], named: dict[str, Any]) -> Series | Built:
    """The series of `ta.name(...)`; raises ParameterError, TypeError or KeyError.

    In the catalogue's own entries a number among the positional arguments starts the
    parameters: `ta.atr(14)` is `atr(length=14)`, `ta.ema(ta.close, 12)` takes both in order.
    """
    if name in WORDS:
        options = dict(named)
        timeframe = options.pop("on", None)
        made: Series | Built = WORDS[name](*positional, **options)
        return made if timeframe is None else _coarser(made, timeframe)
    entry = CATALOGUE[name]
    given, rest = dict(named), list(positional)
    for each in entry.inputs:
        if each.many or not rest or (each.default is not None and not _is_series(rest[0])):
            break
        given[each.name] = as_series(rest.pop(0))
    if any(each.many for each in entry.inputs):
        return entry.build([as_series(value) for value in positional], named)
    for option in entry.options:
        if not rest:
            break
        if option.name in given:
            raise TypeError(f"{option.name} is given twice")
        given[option.name] = rest.pop(0)
    if rest:
        raise TypeError(f"{len(rest)} arguments too many")
    return entry.build((), given)


def _coarser(made: Series | Built, timeframe: object) -> Series | Built:
    """The same over coarser bars, as `on` is for an indicator."""
    if not isinstance(timeframe, str):
        raise TypeError(f"on={timeframe!r} is not a timeframe such as '5m'")
    if isinstance(made, Series):
        return on(made, timeframe)
    return Built(made.fields, tuple(on(each, timeframe) for each in made.series), made.columns)


def _is_series(value: object) -> bool:
    return isinstance(value, Series)


def _built(name: str, *series: Series, **options: Any) -> Built:
    return CATALOGUE[name].build(series, options)


def _one(name: str, *series: Series, **options: Any) -> Series:
    return _built(name, *series, **options).series[0]


@word
def crossover(x: Any, y: Any) -> Series:
    """Whether `x` is above `y` now and was not a bar ago."""
    upper, lower = as_series(x), as_series(y)
    return (upper > lower) & (operators.earlier(upper, 1) <= operators.earlier(lower, 1))


@word
def crossunder(x: Any, y: Any) -> Series:
    """Whether `x` is below `y` now and was not a bar ago."""
    return crossover(y, x)


@word
def cross(x: Any, y: Any) -> Series:
    """Whether `x` and `y` have crossed, either way."""
    return crossover(x, y) | crossunder(x, y)


@word
def shift(x: Any, length: int = 1) -> Series:
    """The value that many bars ago."""
    return _one("lag", as_series(x), length=length)


@word
def change(x: Any = CLOSE, length: int = 1) -> Series:
    """How much the value has changed in that many bars."""
    return _one("diff", as_series(x), length=length)


@word
def rising(x: Any, length: int = 1) -> Series:
    """Whether each of the last bars was above the one before."""
    return _one("lowest", change(x) > 0.0, length=length) > 0.0


@word
def falling(x: Any, length: int = 1) -> Series:
    """Whether each of the last bars was below the one before."""
    return _one("lowest", change(x) < 0.0, length=length) > 0.0


@word
def valuewhen(condition: Series, x: Any, occurrence: int = 0) -> Series:
    """The value of `x` when the condition last held, or that many times before."""
    if type(occurrence) is not int or not 0 <= occurrence <= OCCURRENCES_MAX:
        raise TypeError(f"occurrence must be a whole number from 0 to {OCCURRENCES_MAX}")
    kept = as_series(x)
    for _ in range(occurrence + 1):
        found = operators.last_known(operators.choose(condition, kept, constant(NOT_A_NUMBER)))
        kept = operators.earlier(found, 1)
    return found


@word
def barssince(condition: Series) -> Series:
    """Bars since the condition last held, 0 where it holds."""
    return operators.rows_since(as_series(condition))


@word
def clip(x: Any, low: Any, high: Any) -> Series:
    """`x` held between `low` and `high`."""
    least: Series = operators.larger(as_series(x), as_series(low))
    return operators.smaller(least, as_series(high))


@word
def sign(x: Any) -> Series:
    """1, 0 or -1."""
    return operators.sign(as_series(x))


@word
def floor(x: Any) -> Series:
    """The greatest whole number that is not above `x`."""
    return operators.floor(as_series(x))


@word
def ceil(x: Any) -> Series:
    """The least whole number that is not below `x`."""
    return operators.ceiling(as_series(x))


@word
def sum_(x: Any, length: int = 14) -> Series:
    """Sum of the last values."""
    if type(length) is not int or not 1 <= length <= 10_000:
        raise TypeError("length must be a whole number from 1 to 10000")
    return operators.rolling_sum(as_series(x), length)


@word
def cum(x: Any) -> Series:
    """Sum of all values so far."""
    return operators.running_sum(as_series(x))


@word
def nz(x: Any, otherwise: Any = 0.0) -> Series:
    """`x`, or `otherwise` where it is missing."""
    return operators.fill(as_series(x), as_series(otherwise))


@word
def isnan(x: Any) -> Series:
    """Whether the value is missing."""
    return operators.missing(as_series(x))


@word
def bbands(x: Any = CLOSE, length: int = 20, std: float = 2.0) -> Built:
    """Bollinger's bands with one width for both sides."""
    return _built("bbands", as_series(x), length=length, lower_std=std, upper_std=std)


@word
def keltner(length: int = 20, scalar: float = 2.0) -> Built:
    """Keltner's channel."""
    return _built("kc", length=length, scalar=scalar)


@word
def donchian(length: int = 20) -> Built:
    """Donchian's channel with one length for both sides."""
    return _built("donchian", lower_length=length, upper_length=length)


@word
def supertrend(length: int = 7, multiplier: float = 3.0) -> Built:
    """The trailing stop."""
    return _built("supertrend", length=length, multiplier=multiplier)


@word
def stoch(k: int = 14, smooth_k: int = 3, d: int = 3) -> Built:
    """Stochastic oscillator: length, smoothing, and the mean's length."""
    return _built("stoch", k=k, smooth_k=smooth_k, d=d)
