"""What a script sees of one instrument, and what the jail keeps for it."""

import types
from collections.abc import Callable
from typing import Any

from sandbox.capsule import freeze
from sandbox.errors import BadCapsule, BadScript
from sandbox.facades import Facade


class Bar:
    """One bar as a script sees it; a new object each time, so that keeping it is safe."""

    __slots__ = ("close", "high", "low", "open", "symbol", "ts", "values", "volume")

    def __init__(  # the fields of a bar
        self, ts: float, open: float, high: float, low: float, close: float, volume: float,  # noqa: A002
        values: dict[str, float], symbol: str,
    ) -> None:  # fmt: skip
        self.ts, self.open, self.high, self.low = ts, open, high, low
        self.close, self.volume, self.values, self.symbol = close, volume, values, symbol


class Instrument:
    """One instrument's copy of a script: its module level, its state, what it last said."""

    __slots__ = ("bars", "last", "minute", "namespace", "on_bar", "said", "state", "symbol")

    def __init__(self, namespace: dict[str, Any], symbol: str) -> None:
        self.namespace, self.symbol = namespace, symbol
        self.on_bar: Callable[[Bar, Any], Any] = namespace.get("on_bar", _no_entry)
        self.state: Any = {}
        self.bars = 0
        self.last: dict[str, float] = {}
        self.minute, self.said = 0, 0  # minute of event time, and signals in it


def _no_entry(*_: Any) -> None:
    raise BadScript("the script defines no on_bar(bar, state)")


def own_classes(namespace: dict[str, Any]) -> dict[str, type]:
    """Classes that the script defines at its module level, by name."""
    return {
        name: value
        for name, value in namespace.items()
        if isinstance(value, type) and value.__module__ == "script"
    }


def module_data(namespace: dict[str, Any], baseline: dict[str, bytes]) -> dict[str, bytes]:
    """Names of the module level that hold data which is not in `baseline` as it is now."""
    classes = own_classes(namespace)
    found = {}
    for name, value in namespace.items():
        if name in namespace["_given_"] or name == "_given_" or _is_code(value):
            continue
        try:
            blob = freeze(value, classes)
        except BadCapsule:
            if name in baseline:
                raise
            continue  # it never was data: a set of constants, a facade's function
        if baseline.get(name) != blob:
            found[name] = blob
    return found


def _is_code(value: object) -> bool:
    return isinstance(value, type | types.FunctionType | types.BuiltinFunctionType | Facade)
