"""A script's state as plain JSON and back, exactly: what take-over carries.

Plain JSON stays plain; what JSON lacks is an object with a "$" key. Lists, dicts, deques and
the script's own objects are numbered in order of first sight, so that a thing met twice comes
back as one thing.
"""

import math
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any, Final

import numpy as np
import orjson

from sandbox.errors import BadCapsule

DEPTH_MAX: Final = 64
INTEGER_MAX: Final = 2**53  # beyond it, readers of JSON disagree
INTEGER_DIGITS_MAX: Final = 2_000
FACTORIES: Final = {"list": list, "dict": dict, "int": int, "float": float, "str": str}
ARRAYS: Final = {"f8": np.float64, "i8": np.int64, "b1": np.bool_}
ARRAY_CODES: Final[dict[np.dtype[Any], str]] = {
    np.dtype(kind): code for code, kind in ARRAYS.items()
}


def freeze(value: object, classes: dict[str, type]) -> bytes:
    """JSON of `value`; raises BadCapsule naming the path to what cannot be saved."""
    try:
        return orjson.dumps(_Freezer(classes).any(value, "", 0))
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise BadCapsule(f"state cannot be saved: {error}") from None


def thaw(blob: bytes, classes: dict[str, type]) -> Any:
    """What `freeze` was given; raises BadCapsule for anything it did not write."""
    try:
        return _Thawer(classes).any(orjson.loads(blob))
    except (ValueError, KeyError, TypeError, IndexError, RecursionError, OverflowError) as error:
        raise BadCapsule(f"saved state cannot be read: {type(error).__name__}: {error}") from None


class _Freezer:
    def __init__(self, classes: dict[str, type]) -> None:
        self.names = {kind: name for name, kind in classes.items()}
        self.seen: dict[int, int] = {}
        self.kept: list[object] = []  # keeps ids unique while we work

    def any(self, value: Any, path: str, depth: int) -> Any:
        kind = type(value)
        if value is None or kind is bool or kind is str:
            return value
        if kind is float:
            return value if math.isfinite(value) else {"$": "float", "v": repr(value)}
        if kind is int:
            return self._integer(value, path)
        if depth > DEPTH_MAX:
            raise BadCapsule(f"state is nested deeper than {DEPTH_MAX} at {path[:80]}")
        if kind is tuple:
            return {"$": "tuple", "v": self._items(value, path, depth)}
        if isinstance(value, np.generic):
            return self._scalar(value, path)
        return self._container(value, kind, path, depth)

    def _integer(self, value: int, path: str) -> Any:
        if abs(value) < INTEGER_MAX:
            return value
        if value.bit_length() > INTEGER_DIGITS_MAX * 3:
            raise BadCapsule(f"state holds a whole number of {value.bit_length()} bits at {path}")
        return {"$": "int", "v": str(value)}

    def _scalar(self, value: np.generic, path: str) -> Any:
        code = ARRAY_CODES.get(value.dtype)
        if code is None:
            raise BadCapsule(f"state holds a numpy {value.dtype} at {path}")
        return {"$": "scalar", "t": code, "v": self.any(value.item(), path, 0)}

    def _container(self, value: Any, kind: type, path: str, depth: int) -> Any:
        known = self.seen.get(id(value))
        if known is not None:
            return {"$": "ref", "v": known}
        self.seen[id(value)] = len(self.seen)
        self.kept.append(value)
        if kind is list:
            return self._items(value, path, depth)
        if kind is dict:
            if all(type(key) is str and not key.startswith("$") for key in value):
                return {
                    key: self.any(item, f"{path}[{key!r}]" if path else key, depth + 1)
                    for key, item in value.items()
                }
            return {"$": "dict", "v": self._pairs(value, path, depth)}
        if kind is deque:
            return {"$": "deque", "n": value.maxlen, "v": self._items(value, path, depth)}
        if kind in (Counter, OrderedDict):
            return {"$": kind.__name__, "v": self._pairs(value, path, depth)}
        if kind is defaultdict:
            return self._defaultdict(value, path, depth)
        if kind is np.ndarray and value.dtype in ARRAY_CODES:
            items = self._items(value.ravel().tolist(), path, depth)
            return {"$": "array", "t": ARRAY_CODES[value.dtype], "s": value.shape, "v": items}
        if kind in self.names:
            fields = self._pairs(vars(value), path, depth)
            return {"$": "new", "c": self.names[kind], "v": fields}
        raise BadCapsule(_refusal(kind, path))

    def _defaultdict(self, value: Any, path: str, depth: int) -> Any:
        factory = value.default_factory
        name = None if factory is None else getattr(factory, "__name__", "something else")
        if name is not None and FACTORIES.get(name) is not factory:
            raise BadCapsule(f"state holds a defaultdict of {name} at {path}")
        return {"$": "defaultdict", "f": name, "v": self._pairs(value, path, depth)}

    def _items(self, values: Any, path: str, depth: int) -> list[Any]:
        return [self.any(value, f"{path}[]", depth + 1) for value in values]

    def _pairs(self, values: Any, path: str, depth: int) -> list[Any]:
        return [
            [self.any(key, path, depth + 1), self.any(value, f"{path}[{key!r:.40}]", depth + 1)]
            for key, value in values.items()
        ]


def _refusal(kind: type, path: str) -> str:
    if kind in (set, frozenset):
        return f"state holds a set at {path[:80]}: its order is lost when saved; use a dict or list"
    return (
        f"state holds a {kind.__name__[:40]} at {path[:80]}; keep numbers, text, lists, tuples,"
        " dicts, deques, arrays or objects of the script's own classes"
    )


class _Thawer:
    def __init__(self, classes: dict[str, type]) -> None:
        self.classes = classes
        self.seen: list[Any] = []

    def any(self, value: Any) -> Any:
        if isinstance(value, list):
            made: list[Any] = self._new([])
            made.extend(self.any(item) for item in value)
            return made
        if not isinstance(value, dict):
            return value
        if "$" not in value:
            plain: dict[str, Any] = self._new({})
            plain.update((key, self.any(item)) for key, item in value.items())
            return plain
        return self._tagged(value)

    def _new(self, made: Any) -> Any:
        self.seen.append(made)
        return made

    def _tagged(self, value: dict[str, Any]) -> Any:
        match value["$"]:
            case "ref":
                return self.seen[value["v"]]
            case "float":
                return float(value["v"])
            case "int":
                return int(value["v"])
            case "scalar":
                return ARRAYS[value["t"]](self.any(value["v"]))
            case "tuple":
                return tuple(self.any(item) for item in value["v"])
            case "array":
                return self._array(value)
            case "deque":
                made = self._new(deque(maxlen=value["n"]))
                made.extend(self.any(item) for item in value["v"])
                return made
            case "new":
                return self._object(value)
            case tag:
                return self._mapping(tag, value)

    def _array(self, value: dict[str, Any]) -> Any:
        position = len(self.seen)
        self.seen.append(None)
        flat = [self.any(item) for item in value["v"]]
        self.seen[position] = np.array(flat, dtype=ARRAYS[value["t"]]).reshape(value["s"])
        return self.seen[position]

    def _object(self, value: dict[str, Any]) -> Any:
        kind = self.classes[value["c"]]
        made = self._new(object.__new__(kind))
        for key, item in value["v"]:
            vars(made)[key] = self.any(item)
        return made

    def _mapping(self, tag: str, value: dict[str, Any]) -> Any:
        made: Any
        if tag == "defaultdict":
            made = defaultdict(None if value["f"] is None else FACTORIES[value["f"]])
        else:
            made = {"dict": dict, "Counter": Counter, "OrderedDict": OrderedDict}[tag]()
        self._new(made)
        for key, item in value["v"]:
            made[self.any(key)] = self.any(item)
        return made
