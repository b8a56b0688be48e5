"""The declarative language inside the jail: `ta` records a graph as data and computes nothing."""

import math
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, NoReturn

from sandbox.errors import BadScript
from sandbox.vetting import FILENAME
from sandbox.wire import NAME_CHARS_MAX

PARAMS_MAX: Final = 32
INTEGER_MAX: Final = 2**53  # larger ones are floats everywhere else, too
Number = int | float


class Graph:
    """Nodes in the order they were made; equal nodes are one."""

    def __init__(self, nodes_max: int, chosen: dict[str, Any]) -> None:
        self.nodes_max, self.chosen = nodes_max, chosen
        self.nodes: list[list[Any]] = []
        self.known: dict[str, int] = {}
        self.params: dict[str, dict[str, Number]] = {}

    def add(self, kind: str, name: str, arguments: list[Any], named: dict[str, Any]) -> "Node":
        """The node of these parts: a new one, or the equal one that is there."""
        if len(name) > NAME_CHARS_MAX:
            raise AttributeError(f"ta has no name of {len(name)} characters")
        parts = [kind, name, arguments, named]
        key = repr(parts)
        if key not in self.known:
            if len(self.nodes) >= self.nodes_max:
                raise BadScript(
                    f"build() made more than {self.nodes_max} nodes (limit graph_nodes_max)"
                )
            self.known[key] = len(self.nodes)
            self.nodes.append([*parts, _line()])
        return Node(self, self.known[key])

    def encode(self, value: Any) -> Any:
        """A node as its number in an object, a plain value as itself."""
        if type(value) is Node:
            return {"node": value._index}
        if hasattr(value, "dtype") and getattr(value, "shape", None) == ():
            value = value.item()
        if value is None or type(value) is bool:
            return value
        if type(value) is str:
            return _short(value, "text")
        if type(value) in (int, float):
            return _finite(value)
        raise TypeError(f"ta takes nodes, numbers and text, not a {type(value).__name__[:40]}")


class Node:
    """A series to be: operators and attributes make further nodes."""

    __slots__ = ("_graph", "_index")

    def __init__(self, graph: Graph, index: int) -> None:
        self._graph, self._index = graph, index

    def __getattr__(self, name: str) -> "Node":
        if name.startswith("_"):
            raise AttributeError(name)
        return self._graph.add("output", name, [self._graph.encode(self)], {})

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a series has no truth value while the graph is built: use ta.where(condition, a, b),"
            " & | ~ instead of and or not, ta.min and ta.max instead of min and max"
        )

    def __iter__(self) -> NoReturn:
        raise TypeError(
            "a series cannot be unpacked: read its outputs by name, for instance m.hist"
        )

    def __len__(self) -> NoReturn:
        raise TypeError("a series has no length")

    __hash__ = None  # type: ignore[assignment]


def _operator(sign: str) -> Callable[[Node, Any], Node]:
    def apply(self: Node, other: Any) -> Node:
        graph = self._graph
        return graph.add("operator", sign, [graph.encode(self), graph.encode(other)], {})

    return apply


def _reflected(sign: str) -> Callable[[Node, Any], Node]:
    def apply(self: Node, other: Any) -> Node:
        graph = self._graph
        return graph.add("operator", sign, [graph.encode(other), graph.encode(self)], {})

    return apply


def _unary(sign: str) -> Callable[[Node], Node]:
    def apply(self: Node) -> Node:
        return self._graph.add("unary", sign, [self._graph.encode(self)], {})

    return apply


for _name, _sign in (
    *(("add", "+"), ("sub", "-"), ("mul", "*"), ("truediv", "/"), ("pow", "**"), ("mod", "%")),
    *(("and", "&"), ("or", "|")),
):
    setattr(Node, f"__{_name}__", _operator(_sign))
    setattr(Node, f"__r{_name}__", _reflected(_sign))
for _name, _sign in (
    ("lt", "<"),
    ("le", "<="),
    ("gt", ">"),
    ("ge", ">="),
    ("eq", "=="),
    ("ne", "!="),
):
    setattr(Node, f"__{_name}__", _operator(_sign))
for _name, _sign in (("neg", "-"), ("pos", "+"), ("invert", "~"), ("abs", "abs")):
    setattr(Node, f"__{_name}__", _unary(_sign))


class Named:
    """`ta.something`: a field of the bar as it stands, an indicator when called."""

    __slots__ = ("_graph", "_name")

    def __init__(self, graph: Graph, name: str) -> None:
        self._graph, self._name = graph, name

    def __call__(self, *arguments: Any, **named: Any) -> Node:
        """A node for the call."""
        graph = self._graph
        if not all(key.isidentifier() for key in named):
            raise TypeError(f"ta.{self._name} takes parameters by plain names only")
        return graph.add(
            "call", self._name, [graph.encode(_node(item)) for item in arguments],
            {key: graph.encode(_node(item)) for key, item in named.items()},
        )  # fmt: skip


def _node(value: Any) -> Any:
    """A name that was not called, as the field it must be."""
    return value._graph.add("field", value._name, [], {}) if type(value) is Named else value


class Builder:
    """The `ta` of build(ta). What a name means is decided outside the jail."""

    FIELDS = ("open", "high", "low", "close", "volume", "hl2", "hlc3", "ohlc4")

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self.FIELDS:
            return self._graph.add("field", name, [], {})
        return Named(self._graph, name)

    def const(self, value: Number) -> Node:
        """A series that is the same number on every bar."""
        return self._graph.add("const", "const", [self._graph.encode(value)], {})

    def param(
        self, name: str, default: Number, *, min: Number | None = None, max: Number | None = None,  # noqa: A002
    ) -> Number:  # fmt: skip
        """The number that the deployment chose for `name`, within its bounds; else `default`."""
        if type(name) is not str or not name.isidentifier():
            raise ValueError("ta.param() needs a plain name")
        if len(self._graph.params) >= PARAMS_MAX:
            raise ValueError(f"more than {PARAMS_MAX} parameters")
        for number in (default, min, max):
            if type(number) not in (int, float) and (number is not None or number is default):
                raise ValueError(f"param {name} needs plain numbers, not {number!r:.40}")
        value = self._graph.chosen.get(name, default)
        if type(default) is int and type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not type(default) and not (type(default) is float and type(value) is int):
            raise ValueError(f"param {name} must be a {type(default).__name__}, not {value!r:.40}")
        low, high = min, max
        if (low is not None and value < low) or (high is not None and value > high):
            raise ValueError(f"param {name} is {value}, it must be from {low} to {high}")
        self._graph.params[name] = {
            key: _finite(bound)
            for key, bound in {"default": default, "value": value, "min": low, "max": high}.items()
            if bound is not None
        }
        return type(default)(value)


def build_graph(
    build: Callable[[Any], Any], *, nodes_max: int, params: dict[str, Any], outputs_max: int
) -> dict[str, Any]:
    """What `build(ta)` returned, as data: nodes, outputs by name, parameters."""
    graph = Graph(nodes_max, params)
    answer = build(Builder(graph))
    named = answer if isinstance(answer, dict) else {"value": answer}
    if not named or len(named) > outputs_max:
        raise BadScript(f"build() must return 1 to {outputs_max} outputs (limit outputs_max)")
    outputs = {}
    for name, value in named.items():
        node = _node(value)
        if type(name) is not str or not name:
            raise BadScript("an output's name must be text")
        _short(name, "an output's name")
        if type(node) in (int, float, bool):
            node = graph.add("const", "const", [graph.encode(node)], {})
        if type(node) is not Node:
            raise BadScript(f"output {name!r:.70} is a {type(node).__name__}, not a node of ta")
        outputs[name] = node._index
    unknown = set(params) - set(graph.params)
    if unknown:
        raise BadScript(f"build() has no parameter {', '.join(sorted(unknown))}")
    return {"nodes": graph.nodes, "outputs": outputs, "params": graph.params}


def _finite(value: Number) -> Number:
    """The number as JSON can carry it."""
    if not math.isfinite(value):
        raise ValueError(f"ta takes finite numbers, not {value}")
    return value if -INTEGER_MAX <= value <= INTEGER_MAX else float(value)


def _short(text: str, what: str) -> str:
    if len(text) > NAME_CHARS_MAX or not text.isprintable():
        raise ValueError(f"{what} may have {NAME_CHARS_MAX} printable characters, not {text!r:.70}")
    return text


def _line() -> int:
    """The line of the script that is making a node."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename != FILENAME:
        frame = frame.f_back
    return 0 if frame is None else frame.f_lineno
