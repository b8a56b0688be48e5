"""Series: immutable expressions over the columns of a bar, each equal expression built once."""

import hashlib
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from indicators.declare import Operator

type Parameter = float | tuple[float, ...]

FIELD_NAMES = ("open", "high", "low", "close", "volume", "day")
COARSE = "on"
_known: "WeakValueDictionary[bytes, Series]" = WeakValueDictionary()


class Series:
    """One column of values: a field, a constant, or an operator applied to other series.

    Equal expressions are the same object, so a plan computes each of them once. A comparison
    gives a series of 1.0 and 0.0 and is false where an operand is missing.
    """

    __slots__ = ("__weakref__", "digest", "inputs", "name", "operator", "output", "parameters")

    digest: bytes
    inputs: tuple["Series", ...]
    name: str
    operator: "Operator | None"
    output: int
    parameters: tuple[Parameter, ...]

    def __init__(self) -> None:
        raise TypeError("a series is built from fields, numbers and operators, not by hand")

    def __repr__(self) -> str:
        if is_coarse(self):
            return f"on({self.inputs[0]!r}, {self.parameters[0]}s)"
        if self.operator is None:
            return f"{self.parameters[0]:g}" if self.name == "constant" else self.name
        arguments = ", ".join([*map(repr, self.inputs), *(f"{p}" for p in self.parameters)])
        return f"{self.name}({arguments})" + (f"[{self.output}]" if self.output else "")

    def __bool__(self) -> bool:
        raise TypeError("a series has no truth value: combine conditions with & | ~")

    __hash__ = object.__hash__

    def __add__(self, other: "Series | float") -> "Series":
        return _apply("add", self, other)

    def __radd__(self, other: float) -> "Series":
        return _apply("add", other, self)

    def __sub__(self, other: "Series | float") -> "Series":
        return _apply("subtract", self, other)

    def __rsub__(self, other: float) -> "Series":
        return _apply("subtract", other, self)

    def __mul__(self, other: "Series | float") -> "Series":
        return _apply("multiply", self, other)

    def __rmul__(self, other: float) -> "Series":
        return _apply("multiply", other, self)

    def __truediv__(self, other: "Series | float") -> "Series":
        return _apply("divide", self, other)

    def __rtruediv__(self, other: float) -> "Series":
        return _apply("divide", other, self)

    def __mod__(self, other: "Series | float") -> "Series":
        return _apply("modulo", self, other)

    def __rmod__(self, other: float) -> "Series":
        return _apply("modulo", other, self)

    def __pow__(self, other: "Series | float") -> "Series":
        return _apply("power", self, other)

    def __rpow__(self, other: float) -> "Series":
        return _apply("power", other, self)

    def __neg__(self) -> "Series":
        return _apply("negate", self)

    def __abs__(self) -> "Series":
        return _apply("magnitude", self)

    def __lt__(self, other: "Series | float") -> "Series":
        return _apply("less", self, other)

    def __le__(self, other: "Series | float") -> "Series":
        return _apply("less_equal", self, other)

    def __gt__(self, other: "Series | float") -> "Series":
        return _apply("less", other, self)

    def __ge__(self, other: "Series | float") -> "Series":
        return _apply("less_equal", other, self)

    def __eq__(self, other: object) -> "Series":  # type: ignore[override]
        return _apply("equal", self, other)

    def __ne__(self, other: object) -> "Series":  # type: ignore[override]
        return _apply("unequal", self, other)

    def __and__(self, other: "Series | float") -> "Series":
        return _apply("both", self, other)

    def __rand__(self, other: float) -> "Series":
        return _apply("both", other, self)

    def __or__(self, other: "Series | float") -> "Series":
        return _apply("either", self, other)

    def __ror__(self, other: float) -> "Series":
        return _apply("either", other, self)

    def __invert__(self) -> "Series":
        return _apply("opposite", self)


def field(name: str) -> Series:
    """The column of the bar called `name`: one of FIELD_NAMES."""
    if name not in FIELD_NAMES:
        raise ValueError(f"no field {name!r}: known are {', '.join(FIELD_NAMES)}")
    return _intern(None, name, (), (), 0)


def constant(value: float) -> Series:
    """The same number on every row."""
    return _intern(None, "constant", (float(value),), (), 0)


def coarse(series: Series, seconds: int) -> Series:
    """The series over bars that long: to a plan a column, which it makes itself."""
    return _intern(None, COARSE, (float(seconds),), (series,), 0)


def is_coarse(series: Series) -> bool:
    """Whether this is a series over coarser bars."""
    return series.operator is None and series.name == COARSE


def as_series(value: object) -> Series:
    """`value` itself, or the constant series of a number."""
    if isinstance(value, Series):
        return value
    if isinstance(value, int | float):
        return constant(value)
    raise TypeError(f"expected a series or a number, got {type(value).__name__}: {value!r}")


def node(
    operator: "Operator",
    parameters: tuple[Parameter, ...],
    inputs: tuple[Series, ...],
    output: int,
) -> Series:
    """The series of one output of an operator applied to inputs."""
    return _intern(operator, operator.name, parameters, inputs, output)


def walk(roots: "list[Series]") -> Iterator[Series]:
    """Every series that the roots are made of, each once, inputs before what uses them.

    What is over coarser bars is one of them; what that is made of is not.
    """
    seen: set[bytes] = set()
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        series, ready = stack.pop()
        if ready:
            yield series
        elif series.digest not in seen:
            seen.add(series.digest)
            stack.append((series, True))
            if series.operator is not None:
                stack.extend((each, False) for each in reversed(series.inputs))


def _apply(name: str, *arguments: object) -> Series:
    from indicators.declare import OPERATORS  # the operators are declared in terms of series

    operator = OPERATORS[name]
    return node(operator, (), tuple(as_series(each) for each in arguments), 0)


def _intern(
    operator: "Operator | None",
    name: str,
    parameters: tuple[Parameter, ...],
    inputs: tuple[Series, ...],
    output: int,
) -> Series:
    version = 0 if operator is None else operator.version
    hasher = hashlib.sha256(f"{name}:{version}:{output}:{len(inputs)}:".encode())
    for parameter in parameters:
        numbers = parameter if isinstance(parameter, tuple) else (parameter,)
        hasher.update(struct.pack(f"<q{len(numbers)}d", len(numbers), *numbers))
    for each in inputs:
        hasher.update(each.digest)
    digest = hasher.digest()
    series = _known.get(digest)
    if series is None:
        series = object.__new__(Series)
        series.operator, series.name, series.output = operator, name, output
        series.parameters, series.inputs, series.digest = parameters, inputs, digest
        series = _known.setdefault(digest, series)
    return series


OPEN, HIGH, LOW, CLOSE, VOLUME, DAY = map(field, FIELD_NAMES)
