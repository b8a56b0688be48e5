"""A graph that a jail sent, checked and turned into series: data in, never code."""

import difflib
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from indicators import Plan
from indicators.catalogue import CATALOGUE, Built
from indicators.errors import IndicatorError
from indicators.series import FIELD_NAMES, Series, as_series, constant, field, is_coarse
from sandbox.errors import BadScript
from sandbox.limits import Limits
from sandbox.protocol import clean, violation
from sandbox.wire import NAME_CHARS_MAX
from sandbox.words import LINES, OUTPUT_ALIASES, WORDS, call, usage

FINEST: Final = "1s"  # every `on` is a multiple of such bars: for as long as no plan is known
SERIES_PER_NODE: Final = 4  # how many series the graph may come to, for each node it may have
PRICES: Final = ("hl2", "hlc3", "ohlc4")
CONDITIONS: Final = frozenset(
    {"less", "less_equal", "equal", "unequal", "both", "either", "opposite", "missing"}
)
OPERATORS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
    "%": operator.mod,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "&": operator.and_,
    "|": operator.or_,
}
UNARY: Final[dict[str, Callable[[Any], Any]]] = {
    "-": operator.neg,
    "+": lambda x: x,
    "~": operator.invert,
    "abs": abs,
}


@dataclass(frozen=True)
class Declared:
    """What build(ta) declared: series by output, and which of them are conditions.

    A condition's signal fires when it comes true; any other output's when its number changes.
    `graph` is the checked data that it was read from: read again, it gives the same.
    """

    outputs: dict[str, Series]
    conditions: frozenset[str]
    params: dict[str, dict[str, float]]
    graph: dict[str, Any]

    def plan(self, timeframe: str = FINEST) -> Plan:
        """The plan of the outputs over bars of `timeframe`.

        IndicatorError where it has an `on` that cannot be made of them.
        """
        return Plan(self.outputs, timeframe)


def declared(graph: Any, limits: Limits) -> Declared:
    """The series of a graph; BadScript names the line where the script asks for too much.

    Raises JailFailed (protocol) for what no honest builder sends.
    """
    if not isinstance(graph, dict):
        raise violation("a graph that is none")
    nodes, outputs = graph.get("nodes"), graph.get("outputs")
    if not isinstance(nodes, list) or not isinstance(outputs, dict):
        raise violation("a graph of the wrong shape")
    if len(nodes) > limits.graph_nodes_max:
        raise violation("a graph beyond graph_nodes_max")
    if not 0 < len(outputs) <= limits.outputs_max:
        raise violation("a graph with too many outputs or none")
    reader = _Reader(limits)
    for node in nodes:
        reader.read(node)
    named = {_output_name(name): reader.series(index) for name, index in outputs.items()}
    try:
        plan = Plan(named, FINEST)
    except IndicatorError as error:
        raise BadScript(f"build(): {error}") from None
    if plan.width > limits.graph_cells_max:
        raise BadScript(
            f"build() needs {plan.width} numbers of state for each instrument"
            f" (limit graph_cells_max is {limits.graph_cells_max})"
        )
    conditions = frozenset(name for name, series in named.items() if _is_condition(series))
    return Declared(named, conditions, _params(graph.get("params")), graph)


class _Reader:
    """Nodes in, in order; each may use only those before it."""

    def __init__(self, limits: Limits) -> None:
        self.series_max = SERIES_PER_NODE * limits.graph_nodes_max
        self.made: list[Series | Built] = []
        self.names: list[str] = []  # what was called, for its outputs' other names
        self.seen: set[bytes] = set()

    def read(self, node: Any) -> None:
        if not isinstance(node, list) or len(node) != 5:
            raise violation("a node of the wrong shape")
        kind, name, arguments, named, line = node
        if not (isinstance(kind, str) and isinstance(name, str) and len(name) <= NAME_CHARS_MAX):
            raise violation("a node without kind or name")
        if not isinstance(arguments, list) or not isinstance(named, dict) or type(line) is not int:
            raise violation("a node without arguments or line")
        read = _KINDS.get(kind)
        if read is None:
            raise violation("a node of unknown kind")
        try:
            made = read(self, name, arguments, named)
        except (IndicatorError, TypeError, ValueError, ArithmeticError) as error:
            raise BadScript(f"line {line}: ta.{clean(name)}: {clean(str(error))}") from None
        self._count(made, line)
        self.made.append(made)
        self.names.append(name)

    def _count(self, made: Series | Built, line: int) -> None:
        fresh = [made] if isinstance(made, Series) else list(made.series)
        self.seen.update(series.digest for series in _unseen(fresh, self.seen))
        if len(self.seen) > self.series_max:
            raise BadScript(
                f"line {line}: the graph comes to more than {self.series_max} series"
                f" ({SERIES_PER_NODE} times limit graph_nodes_max)"
            )

    # --- references

    def series(self, index: Any) -> Series:
        """The one series of an earlier node."""
        made, name = self.earlier(index)
        if isinstance(made, Series):
            return made
        if name in made.fields:
            return made.series[made.fields.index(name)]
        if len(made.series) == 1:
            return made.series[0]
        raise BadScript(f"ta.{name} has several outputs; say which: {', '.join(made.fields)}")

    def earlier(self, index: Any) -> tuple[Series | Built, str]:
        if type(index) is not int or not 0 <= index < len(self.made):
            raise violation("a node that refers to no earlier one")
        return self.made[index], self.names[index]

    def argument(self, value: Any) -> Any:
        """A series, or a plain value as it is."""
        if isinstance(value, dict):
            if set(value) != {"node"}:
                raise violation("a reference of the wrong shape")
            return self.series(value["node"])
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str) and len(value) <= NAME_CHARS_MAX:
            return value
        if isinstance(value, int | float) and math.isfinite(value):
            return value
        raise violation("an argument of the wrong kind")

    # --- kinds

    def field(self, name: str, *_: Any) -> Series | Built:
        if name in PRICES:
            return CATALOGUE[name].build().series[0]
        if name in FIELD_NAMES:
            return field(name)
        if name in CATALOGUE or name in WORDS:
            raise TypeError(f"it must be called: {usage(name)}")
        raise _unknown(name)

    def const(self, _: str, arguments: list[Any], *__: Any) -> Series | Built:
        (value,) = arguments
        if isinstance(value, bool | int | float) and math.isfinite(value):
            return constant(float(value))
        raise TypeError("it takes one finite number")

    def operator(self, name: str, arguments: list[Any], *_: Any) -> Series | Built:
        if name not in OPERATORS or len(arguments) != 2:
            raise violation("an operator that there is not")
        left, right = (as_series(self.argument(value)) for value in arguments)
        made: Series = OPERATORS[name](left, right)
        return made

    def unary(self, name: str, arguments: list[Any], *_: Any) -> Series | Built:
        if name not in UNARY or len(arguments) != 1:
            raise violation("an operator that there is not")
        made: Series = UNARY[name](as_series(self.argument(arguments[0])))
        return made

    def output(self, name: str, arguments: list[Any], *_: Any) -> Series | Built:
        if len(arguments) != 1 or not isinstance(arguments[0], dict):
            raise violation("an output of nothing")
        made, called = self.earlier(arguments[0].get("node"))
        if isinstance(made, Series):
            raise TypeError(f"this is one series, it has no output .{name}")
        alias = LINES.get(called, "value") if name == "line" else OUTPUT_ALIASES.get(name, name)
        wanted = name if name in made.fields else alias
        if wanted not in made.fields:
            raise TypeError(f"ta.{called} has no output .{name}; it has {', '.join(made.fields)}")
        return made.series[made.fields.index(wanted)]

    def call(self, name: str, arguments: list[Any], named: dict[str, Any]) -> Series | Built:
        if name not in WORDS and name not in CATALOGUE:
            raise _unknown(name)
        positional = [self.argument(value) for value in arguments]
        by_name = {clean(key, NAME_CHARS_MAX): self.argument(item) for key, item in named.items()}
        try:
            return call(name, positional, by_name)
        except TypeError as error:
            raise TypeError(f"{error}; it is {usage(name)}") from None


_KINDS: Final[dict[str, Callable[..., Series | Built]]] = {
    "field": _Reader.field,
    "const": _Reader.const,
    "operator": _Reader.operator,
    "unary": _Reader.unary,
    "output": _Reader.output,
    "call": _Reader.call,
}


def _is_condition(series: Series) -> bool:
    """Whether it is true or false, on whichever timeframe."""
    return (series.inputs[0] if is_coarse(series) else series).name in CONDITIONS


def _unseen(roots: list[Series], seen: set[bytes]) -> list[Series]:
    """The series below `roots` that are not in `seen`; what is below a seen one is seen."""
    found: list[Series] = []
    fresh: set[bytes] = set()
    stack = list(roots)
    while stack:
        series = stack.pop()
        if series.digest not in seen and series.digest not in fresh:
            fresh.add(series.digest)
            found.append(series)
            stack.extend(series.inputs)
    return found


def _unknown(name: str) -> TypeError:
    known = [*WORDS, *CATALOGUE, *FIELD_NAMES, *PRICES, "const", "param"]
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"; nearest: {', '.join(near)}" if near else ""
    return TypeError(f"ta has no such name{hint}")


def _output_name(name: Any) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= NAME_CHARS_MAX or clean(name) != name:
        raise violation("an output's name of the wrong kind")
    return name


def _params(params: Any) -> dict[str, dict[str, float]]:
    if not isinstance(params, dict):
        raise violation("parameters of the wrong shape")
    for described in params.values():
        if not isinstance(described, dict) or not all(
            type(value) in (int, float) for value in described.values()
        ):
            raise violation("a parameter of the wrong shape")
    return params
