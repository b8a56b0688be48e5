"""How an operator is declared: a scalar step over one instrument's state.

See the package docstring of `indicators.operators` for a guide.
"""

import enum
import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Concatenate, cast, get_args, get_origin, overload

import numba

from indicators import cache
from indicators.bounds import Bounds
from indicators.errors import ParameterError
from indicators.series import Parameter, Series, as_series, node

cache.install()

SEEN = 0
"""Cell 0 of every operator's state: rows shown to the step so far, this one included."""
WEIGHTS_MAX = 10_000

State = Any
"""One instrument's cells of one operator, float64, all zero before the first row."""
Value = Annotated[Any, "series"]
"""An argument that is a series: the step sees the number of the current row."""
Weights = Annotated[Any, "weights"]
"""A parameter that is a tuple of numbers: the step sees a float64 array."""


class Missing(enum.Enum):
    """What the loop does on a row where an input is missing (NaN)."""

    SKIP = "skip"
    """Answer NaN, do not call the step. The warm-up counts rows that were shown."""
    SPREAD = "spread"
    """Call the step with the NaN, which makes every window that holds it NaN."""
    ROWS = "rows"
    """Call the step with the NaN; the warm-up counts rows from the instrument's first."""


@dataclass(frozen=True)
class Parameters:
    """One parameter of an operator."""

    name: str
    kind: str
    bounds: Bounds | None
    default: Any

    def check(self, value: Any) -> Parameter:
        """The value as the kernels take it, or ParameterError."""
        if self.kind == "weights":
            weights = tuple(float(each) + 0.0 for each in value)
            if not 1 <= len(weights) <= WEIGHTS_MAX or not all(map(math.isfinite, weights)):
                raise ParameterError(f"{self.name}: 1 to {WEIGHTS_MAX} finite numbers are wanted")
            return weights
        if not isinstance(value, int | float) or (self.kind == "int" and value != int(value)):
            raise ParameterError(
                f"{self.name}={value!r} is not a{'n' * (self.kind == 'int')} {self.kind}"
            )
        if self.bounds is not None:
            self.bounds.check(self.name, value)
        return int(value) if self.kind == "int" else float(value) + 0.0  # no negative zero


@dataclass(frozen=True, eq=False)
class Operator:
    """A step with everything that the loops and the plans need to know about it."""

    name: str
    step: Callable[..., Any]
    signature: inspect.Signature
    values: tuple[str, ...]
    parameters: tuple[Parameters, ...]
    outputs: int
    missing: Missing
    version: int
    state: Callable[..., int] | None
    warmup: Callable[..., int]
    memory: Callable[..., float]
    first: Callable[[list[int]], int]
    ring: tuple[int, int] | None = None

    def fact(self, rule: Callable[..., Any], series: Series) -> Any:
        """What a rule over this operator's arguments, taken by name, says of one series."""
        known: dict[str, Any] = dict(zip(self.values, series.inputs, strict=True))
        known |= dict(zip((p.name for p in self.parameters), series.parameters, strict=True))
        return rule(**{name: known[name] for name in inspect.signature(rule).parameters})


OPERATORS: dict[str, Operator] = {}


def inline[F: Callable[..., Any]](function: F) -> F:
    """A helper of steps: compiled into each of them."""
    return cast("F", numba.njit(forceinline=True, error_model="numpy")(function))


class _Declaration:
    """What `@operator(...)` gives: takes the step, gives what builds the series."""

    def __init__(self, **facts: Any) -> None:
        self.facts = facts

    @overload
    def __call__[**P](
        self, step: Callable[Concatenate[State, P], float]
    ) -> Callable[P, Series]: ...
    @overload
    def __call__[**P](
        self, step: Callable[Concatenate[State, P], tuple[float, ...]]
    ) -> Callable[P, tuple[Series, ...]]: ...
    def __call__(self, step: Callable[..., Any]) -> Callable[..., Any]:
        return _builder(_declare(step, **self.facts))


def nothing() -> int:
    """The warm-up of an operator that has a value on its first row."""
    return 0


def operator(
    *,
    state: Callable[..., int],
    warmup: Callable[..., int] = nothing,
    memory: Callable[..., float] | None = None,
    missing: Missing = Missing.SKIP,
    outputs: int = 1,
    ring: tuple[int, int] | None = None,
    version: int = 1,
) -> _Declaration:
    """Declare a step `(s, values and parameters...) -> float` as an operator over series.

    `state`, `warmup` and `memory` are functions of the step's own parameters, taken by name:
    cells of state without the counter in cell 0; rows that answer NaN before the first value;
    rows until the start no longer matters (default: the warm-up and one; `forever` for ever).
    `ring`, where cell 1 is the head of a ring: its first cell and the cells it has for each row,
    so that the loop can ask for that line of memory early.
    Raise `version` when the meaning of the step changes: old snapshots are then refused.
    """
    return _Declaration(
        state=state,
        warmup=warmup,
        memory=memory,
        missing=missing,
        outputs=outputs,
        ring=ring,
        version=version,
        first=max,
    )


@overload
def elementwise[**P](step: Callable[P, float]) -> Callable[P, Series]: ...
@overload
def elementwise[**P](
    *, first: Callable[[list[int]], int] = max, version: int = 1
) -> Callable[[Callable[P, float]], Callable[P, Series]]: ...
def elementwise(
    step: Callable[..., float] | None = None,
    *,
    first: Callable[[list[int]], int] = max,
    version: int = 1,
) -> Any:
    """Declare a function of this row's numbers alone; missing values pass as NaN.

    `first` says from the first rows of the inputs which row has the first value.
    """
    if step is None:
        return functools.partial(elementwise, first=first, version=version)
    facts: dict[str, Any] = {
        "state": None,
        "warmup": nothing,
        "memory": lambda: 0,
        "missing": Missing.SPREAD,
        "outputs": 1,
    }
    return _builder(_declare(step, first=first, version=version, **facts))


def _declare(step: Callable[..., Any], **facts: Any) -> Operator:
    name = step.__name__
    if name in OPERATORS:
        raise TypeError(f"operator {name} is declared twice")
    if not step.__doc__:
        raise TypeError(f"operator {name} has no docstring")
    signature = inspect.signature(step)
    arguments = list(signature.parameters.values())[0 if facts["state"] is None else 1 :]
    values = tuple(a.name for a in arguments if a.annotation is Value)
    parameters = tuple(_parameter(name, a) for a in arguments if a.annotation is not Value)
    if facts["memory"] is None:
        facts["memory"] = _after(facts["warmup"])
    declared = Operator(
        name=name,
        step=step,
        signature=signature.replace(parameters=arguments),
        values=values,
        parameters=parameters,
        **facts,
    )
    OPERATORS[name] = declared
    return declared


def _parameter(operator_name: str, argument: inspect.Parameter) -> Parameters:
    annotation, bounds = argument.annotation, None
    if annotation is Weights:
        return Parameters(argument.name, "weights", None, argument.default)
    if get_origin(annotation) is Annotated:
        annotation, bounds = get_args(annotation)
    if annotation not in (int, float):
        raise TypeError(f"{operator_name}.{argument.name} needs Value, Weights, int or float")
    return Parameters(argument.name, annotation.__name__, bounds, argument.default)


def _after(warmup: Callable[..., int]) -> Callable[..., float]:
    def memory(**arguments: Any) -> float:
        return warmup(**arguments) + 1

    memory.__signature__ = inspect.signature(warmup)  # type: ignore[attr-defined]
    return memory


def _builder(declared: Operator) -> Callable[..., Any]:
    def build(*positional: Any, **named: Any) -> Any:
        bound = declared.signature.bind(*positional, **named)
        bound.apply_defaults()
        inputs = tuple(as_series(bound.arguments[name]) for name in declared.values)
        parameters = tuple(p.check(bound.arguments[p.name]) for p in declared.parameters)
        if declared.outputs == 1:
            return node(declared, parameters, inputs, 0)
        return tuple(node(declared, parameters, inputs, k) for k in range(declared.outputs))

    build.__name__ = build.__qualname__ = declared.name
    build.__doc__ = declared.step.__doc__
    build.__module__ = declared.step.__module__
    build.__signature__ = declared.signature  # type: ignore[attr-defined]
    return build


def forever() -> float:
    """The memory of an operator whose start always matters."""
    return math.inf
