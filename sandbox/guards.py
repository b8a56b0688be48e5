"""Run-time guards of a vetted script: for what vetting cannot decide."""

import builtins
import sys
from collections.abc import Callable
from typing import Any

from sandbox.names import BUILTINS


def script_builtins(own: set[type]) -> dict[str, Any]:
    """The built-ins of a script; classes that it makes are noted in `own`."""
    allowed = {name: getattr(builtins, name) for name in BUILTINS - {"print"}}

    def build_class(body: Any, name: str, *bases: type) -> type:
        made: type = builtins.__build_class__(body, name, *bases)
        own.add(made)
        return made

    allowed.update(__build_class__=build_class, __import__=_loaded_numpy)
    return allowed


def guards(own: set[type]) -> tuple[Callable[[Any, str], Any], Callable[[Any], Any]]:
    """Run-time guards for what vetting cannot decide: only the script's own objects pass."""

    def read(target: Any, name: str) -> Any:
        if type(target) not in own:
            raise AttributeError(f"scripts may not read .{name} of a {type(target).__name__}")
        return getattr(target, name)

    def write(target: Any) -> Any:
        if type(target) not in own:
            raise TypeError(f"scripts may not change a {type(target).__name__}")
        return target

    return read, write


def _loaded_numpy(name: str, *_: Any) -> Any:
    """Numpy's C code looks its own modules up through the running script's built-ins."""
    module = sys.modules.get(name) if name.split(".")[0] == "numpy" else None
    if module is None:
        raise ImportError("scripts cannot import at run time")
    return module
