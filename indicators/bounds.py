"""The kinds of parameter that operators and indicators take, and the bounds of each."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from indicators.errors import ParameterError

WINDOW_ROWS_MAX = 10_000


@dataclass(frozen=True)
class Bounds:
    """Least and greatest value that a parameter may take, both allowed."""

    least: float
    most: float

    def check(self, name: str, value: float) -> None:
        """Raise ParameterError unless `value` is finite and inside."""
        if not (math.isfinite(value) and self.least <= value <= self.most):
            raise ParameterError(
                f"{name}={value:g} is out of bounds: {self.least:g} to {self.most:g}"
            )


Window = Annotated[int, Bounds(1, WINDOW_ROWS_MAX)]
"""A number of rows, at least one."""
ShortWindow = Annotated[int, Bounds(1, 1_000)]
"""A number of rows that an operator looks through one by one."""
Shift = Annotated[int, Bounds(0, WINDOW_ROWS_MAX)]
"""A number of rows, possibly none."""
Number = Annotated[float, Bounds(-1e15, 1e15)]
"""Any finite number; an int stays an int in a column's name."""
Positive = Annotated[float, Bounds(1e-12, 1e15)]
"""A number above zero; an int stays an int in a column's name."""
Fraction = Annotated[float, Bounds(0.0, 1.0)]
"""A share between nothing and all."""
Freedom = Annotated[int, Bounds(0, WINDOW_ROWS_MAX)]
"""Degrees of freedom taken off a divisor."""


@dataclass(frozen=True)
class Choice:
    """The words that a parameter may take."""

    known: Callable[[], tuple[str, ...]]

    def check(self, name: str, value: str) -> None:
        """Raise ParameterError unless `value` is one of the words."""
        if value not in self.known():
            raise ParameterError(f"{name}={value!r}: known are {', '.join(self.known())}")
