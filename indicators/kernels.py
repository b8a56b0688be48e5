"""From a declared step to a compiled loop over rows, kept on disk; one C signature for all."""

import hashlib
import types as python_types
from collections.abc import Callable
from functools import cache
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.extending import intrinsic

from indicators.declare import Operator
from indicators.template import ARGUMENTS, loop_source

NUMBERS = types.CPointer(types.float64)
INTEGERS = types.CPointer(types.int64)
FLAGS = types.CPointer(types.uint8)
KINDS = {
    "registers": NUMBERS,
    "stride": types.int64,
    "operands": INTEGERS,
    "parameters": NUMBERS,
    "state": NUMBERS,
    "places": INTEGERS,
    "cells": types.int64,
    "final": FLAGS,
    "scratch": NUMBERS,
    "rows": types.int64,
}
SIGNATURE = types.void(*(KINDS[name] for name in ARGUMENTS))


@intrinsic  # type: ignore[untyped-decorator]
def advance(typing_context: Any, pointer: Any, count: Any) -> Any:  # noqa: ARG001
    """The pointer `count` elements further on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(typing_context: Any, pointer: Any) -> Any:  # noqa: ARG001
    """Ask for the cache line at a pointer, to be written soon."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        write, keep, data = number(1), number(3), number(1)
        builder.call(function, [builder.bitcast(arguments[0], byte), write, keep, data])
        return context.get_dummy_value()

    return types.void(pointer), generate


@cache
def address(operator: Operator) -> int:
    """Where the operator's machine code is; compiled now, or found on disk."""
    source = loop_source(operator)
    step = numba.njit(forceinline=True, error_model="numpy")(operator.step)
    names = {
        "__name__": __name__,
        "step": step,
        "advance": advance,
        "prefetch": prefetch,
        "carray": numba.carray,
        "nan": float("nan"),
    }
    exec(compile(source, __file__, "exec"), names)  # noqa: S102  (our own template)
    loop = names[operator.name]
    loop.__qualname__ = f"{operator.name}_{digest(operator)[:16]}"
    compiled = numba.cfunc(SIGNATURE, cache=True, error_model="numpy")(loop)
    _kept.append(compiled)
    return int(compiled.address)


_kept: list[Any] = []  # machine code lives as long as its owner


def digest(operator: Operator) -> str:
    """A fingerprint of everything that the machine code is made from."""
    hasher = hashlib.sha256(f"{numba.__version__} {loop_source(operator)}".encode())
    _mark(hasher, operator.step, set())
    return hasher.hexdigest()


def _mark(hasher: Any, function: Callable[..., Any], seen: set[str]) -> None:
    """Feed a function's bytecode, and that of the helpers it calls, to the hasher."""
    function = getattr(function, "py_func", function)
    code, known = function.__code__, function.__globals__
    hasher.update(code.co_code + repr((code.co_names, code.co_varnames)).encode())
    constants = [c for c in code.co_consts if not isinstance(c, python_types.CodeType)]
    hasher.update(repr([c for c in constants if c != function.__doc__]).encode())
    for name in code.co_names:
        value = known.get(name)
        helper = getattr(value, "py_func", None)
        if helper is None:
            hasher.update(f"{name}={value!r};".encode() if isinstance(value, int | float) else b"")
        elif name not in seen:
            seen.add(name)
            _mark(hasher, helper, seen)
