"""Words for expressions and rules: earlier values, extremes, crossings, choice, arithmetic."""

from indicators import operators
from indicators.bounds import Shift, Window
from indicators.catalogue import indicator
from indicators.series import CLOSE, HIGH, LOW, Series


@indicator(columns=None)
def lag(x: Series, length: Shift = 1) -> Series:
    """The value that many rows ago.

    Unit: unit of x
    Source: definition
    """
    return operators.earlier(x, length) if length else x


@indicator(columns=None)
def diff(x: Series, length: Window = 1) -> Series:
    """How much the value has changed in that many rows.

    Unit: unit of x
    Source: definition
    """
    return x - operators.earlier(x, length)


@indicator(columns=None)
def highest(x: Series = HIGH, length: Window = 14) -> Series:
    """Greatest value of the last rows.

    Unit: unit of x
    Source: definition
    """
    return operators.rolling_max(x, length)


@indicator(columns=None)
def lowest(x: Series = LOW, length: Window = 14) -> Series:
    """Least value of the last rows.

    Unit: unit of x
    Source: definition
    """
    return operators.rolling_min(x, length)


@indicator(columns=None)
def where(condition: Series, x: Series, y: Series) -> Series:
    """`x` where the condition holds, else `y`.

    Unit: unit of x
    Source: definition
    """
    return operators.choose(condition, x, y)


@indicator(columns=None)
def cross_above(x: Series, y: Series, equal: bool = True) -> Series:
    """Whether `x` was below `y` a row ago and no longer is; strictly above unless `equal`.

    Unit: 1 or 0
    Source: pandas-ta 0.4.71b0, cross(above=True)
    """
    now = x >= y if equal else x > y
    return now & (operators.earlier(x, 1) < operators.earlier(y, 1))


@indicator(columns=None)
def cross_below(x: Series, y: Series, equal: bool = True) -> Series:
    """Whether `x` was above `y` a row ago and no longer is; strictly below unless `equal`.

    Unit: 1 or 0
    Source: pandas-ta 0.4.71b0, cross(above=False)
    """
    now = x <= y if equal else x < y
    return now & (operators.earlier(x, 1) > operators.earlier(y, 1))


@indicator(columns=None, name="abs")
def absolute(x: Series = CLOSE) -> Series:
    """`x` without its sign.

    Unit: unit of x
    Source: definition
    """
    return operators.magnitude(x)


@indicator(columns=None)
def log(x: Series = CLOSE) -> Series:
    """Natural logarithm; missing below zero.

    Unit: none
    Source: definition
    """
    return operators.logarithm(x)


@indicator(columns=None)
def exp(x: Series) -> Series:
    """`e` to the power of `x`.

    Unit: none
    Source: definition
    """
    return operators.exponential(x)


@indicator(columns=None)
def sqrt(x: Series = CLOSE) -> Series:
    """Square root; missing below zero.

    Unit: square root of the unit of x
    Source: definition
    """
    return operators.square_root(x)


@indicator(columns=None, name="max")
def greatest(x: Series, y: Series, *others: Series) -> Series:
    """The greatest of these numbers; missing where one is.

    Unit: unit of x
    Source: definition
    """
    result = operators.larger(x, y)
    for other in others:
        result = operators.larger(result, other)
    return result


@indicator(columns=None, name="min")
def least(x: Series, y: Series, *others: Series) -> Series:
    """The least of these numbers; missing where one is.

    Unit: unit of x
    Source: definition
    """
    result = operators.smaller(x, y)
    for other in others:
        result = operators.smaller(result, other)
    return result
