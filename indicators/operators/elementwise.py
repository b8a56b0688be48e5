"""Functions of one row's numbers: arithmetic, comparisons, conditions, choice.

A comparison or a condition gives 1.0 or 0.0, and is false where an operand is missing.
"""

import math

import numpy as np

from indicators.declare import Value, elementwise, inline


def _always(_: list[int]) -> int:
    return 0


def _either(rows: list[int]) -> int:
    return min(rows)


@inline
def true(x: float) -> bool:
    """Whether `x` is a number other than zero."""
    return x == x and x != 0.0


@elementwise
def add(x: Value, y: Value) -> float:
    """Sum of two numbers."""
    return x + y


@elementwise
def subtract(x: Value, y: Value) -> float:
    """Difference of two numbers."""
    return x - y


@elementwise
def multiply(x: Value, y: Value) -> float:
    """Product of two numbers."""
    return x * y


@elementwise
def divide(x: Value, y: Value) -> float:
    """Quotient; infinite where only `y` is zero, NaN where both are."""
    return x / y


@elementwise
def modulo(x: Value, y: Value) -> float:
    """Remainder with the sign of `y`."""
    return x - y * np.floor(x / y)


@elementwise
def power(x: Value, y: Value) -> float:
    """`x` to the power of `y`; NaN where that is not a real number."""
    return x**y


@elementwise
def negate(x: Value) -> float:
    """`x` with the other sign."""
    return -x


@elementwise
def magnitude(x: Value) -> float:
    """`x` without its sign."""
    return math.fabs(x)


@elementwise(first=_always)
def less(x: Value, y: Value) -> float:
    """Whether `x` is below `y`."""
    return 1.0 if x < y else 0.0


@elementwise(first=_always)
def less_equal(x: Value, y: Value) -> float:
    """Whether `x` is not above `y`."""
    return 1.0 if x <= y else 0.0


@elementwise(first=_always)
def equal(x: Value, y: Value) -> float:
    """Whether two numbers are the same."""
    return 1.0 if x == y else 0.0


@elementwise(first=_always)
def unequal(x: Value, y: Value) -> float:
    """Whether two numbers are there and differ."""
    return 1.0 if x < y or x > y else 0.0


@elementwise(first=_always)
def both(x: Value, y: Value) -> float:
    """Whether both conditions hold."""
    return 1.0 if true(x) and true(y) else 0.0


@elementwise(first=_always)
def either(x: Value, y: Value) -> float:
    """Whether one condition holds at least."""
    return 1.0 if true(x) or true(y) else 0.0


@elementwise(first=_always)
def opposite(x: Value) -> float:
    """Whether a condition does not hold."""
    return 0.0 if true(x) else 1.0


@elementwise(first=_always)
def missing(x: Value) -> float:
    """Whether there is no value."""
    return 1.0 if x != x else 0.0


@elementwise
def choose(condition: Value, x: Value, y: Value) -> float:
    """`x` where the condition holds, else `y`."""
    return x if true(condition) else y


@elementwise(first=_either)
def fill(x: Value, y: Value) -> float:
    """`x`, or `y` where `x` is missing."""
    return x if x == x else y


@elementwise
def larger(x: Value, y: Value) -> float:
    """The greater of two numbers; NaN where one is missing."""
    return x if x > y or x != x else y


@elementwise
def smaller(x: Value, y: Value) -> float:
    """The lesser of two numbers; NaN where one is missing."""
    return x if x < y or x != x else y


@elementwise(first=_either)
def larger_known(x: Value, y: Value) -> float:
    """The greater of the numbers that are there."""
    return x if x > y or y != y else y


@elementwise(first=_either)
def smaller_known(x: Value, y: Value) -> float:
    """The lesser of the numbers that are there."""
    return x if x < y or y != y else y


@elementwise
def sign(x: Value) -> float:
    """1, 0 or -1 as `x` is above, at or below zero."""
    return 1.0 if x > 0.0 else (-1.0 if x < 0.0 else x)


@elementwise
def square_root(x: Value) -> float:
    """Square root; NaN below zero."""
    return math.sqrt(x)


@elementwise
def logarithm(x: Value) -> float:
    """Natural logarithm; NaN below zero."""
    return math.log(x)


@elementwise
def exponential(x: Value) -> float:
    """`e` to the power of `x`."""
    return math.exp(x)


@elementwise
def floor(x: Value) -> float:
    """The nearest whole number that is not above `x`."""
    return np.floor(x)


@elementwise
def ceiling(x: Value) -> float:
    """The nearest whole number that is not below `x`."""
    return np.ceil(x)


@elementwise
def sine(x: Value) -> float:
    """Sine of an angle in radians."""
    return math.sin(x)


@elementwise
def cosine(x: Value) -> float:
    """Cosine of an angle in radians."""
    return math.cos(x)


@elementwise
def arctangent(x: Value) -> float:
    """Angle in radians whose tangent is `x`."""
    return math.atan(x)


@elementwise
def hyperbolic_tangent(x: Value) -> float:
    """Hyperbolic tangent of `x`."""
    return math.tanh(x)
