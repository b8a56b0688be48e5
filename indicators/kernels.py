"""From a declared step to a compiled loop over rows, kept on disk.

Every kernel has one C signature. A step becomes a kernel through one template, which holds
the rules for missing values, warm-up and forming rows; the step itself never sees them.
"""

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

from indicators.declare import Missing, Operator

NUMBERS = types.CPointer(types.float64)
INTEGERS = types.CPointer(types.int64)
FLAGS = types.CPointer(types.uint8)
ARGUMENTS: dict[str, Any] = {
    "registers": NUMBERS,  # scratch columns, `stride` numbers apart
    "stride": types.int64,
    "operands": INTEGERS,  # which columns: the inputs, then the outputs
    "parameters": NUMBERS,  # the rows to hide, then the step's own
    "state": NUMBERS,  # this operator's cells of slot 0
    "places": INTEGERS,  # of each row, how far its slot's cells are; PREFETCH_ROWS more
    "cells": types.int64,  # cells of this operator
    "final": FLAGS,
    "scratch": NUMBERS,  # room for a copy of the cells
    "rows": types.int64,
}
PREFETCH_ROWS = 12
"""How far ahead of its row a kernel asks for the state: a memory access takes many rows."""
SIGNATURE = types.void(*ARGUMENTS.values())

_STATELESS = """\
def {name}({arguments}):
{prologue}
    for row in range(rows):
        {results} = step({call})
"""
_STATEFUL = """\
def {name}({arguments}):
{prologue}
    hidden = parameters[0]
    for row in range(rows):
        prefetch(advance(state, places[row + {ahead}]))
{ring}
{missing}
        s = advance(state, places[row])
        if final[row] == 0:
            for cell in range(cells):
                scratch[cell] = s[cell]
            s = scratch
        s[0] += 1.0
        {results} = step(s, {call})
        if s[0] <= hidden:
            {results} = {nothing}
"""
_RING = """\
        soon = advance(state, places[row + {ahead}])
        prefetch(advance(soon, {first} + {cells} * int(soon[1])))
"""
_SKIP = """\
        if {absent}:
            {results} = {nothing}
            continue
"""


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


def loop_source(operator: Operator) -> str:
    """The loop over rows for an operator, as Python."""
    inputs = [f"in{k}" for k in range(len(operator.values))]
    outputs = [f"out{k}" for k in range(operator.outputs)]
    columns = inputs + outputs
    prologue = [
        f"    {column} = advance(registers, operands[{k}] * stride)"
        for k, column in enumerate(columns)
    ]
    for k, parameter in enumerate(operator.parameters, start=1):
        text = {
            "int": f"int(parameters[{k}])",
            "float": f"parameters[{k}]",
            "weights": f"carray(advance(parameters, {k + 1}), int(parameters[{k}]))",
        }[parameter.kind]
        prologue.append(f"    given_{parameter.name} = {text}")
    names = {value: f"x{k}" for k, value in enumerate(operator.values)}
    names |= {p.name: f"given_{p.name}" for p in operator.parameters}
    reads = [f"        x{k} = {column}[row]" for k, column in enumerate(inputs)]
    results = ", ".join(f"{column}[row]" for column in outputs)
    nothing = ", ".join("nan" for _ in outputs)
    missing = list(reads)
    if operator.missing is Missing.SKIP and inputs:
        absent = " or ".join(f"x{k} != x{k}" for k in range(len(inputs)))
        missing.append(_SKIP.format(absent=absent, results=results, nothing=nothing))
    stateless, ring = operator.state is None, ""
    if operator.ring is not None:
        first, cells = operator.ring
        ring = _RING.format(ahead=PREFETCH_ROWS // 2, first=first, cells=cells)
    call = ", ".join(f"{argument}={names[argument]}" for argument in operator.signature.parameters)
    source = (_STATELESS if stateless else _STATEFUL).format(
        name=operator.name, arguments=", ".join(ARGUMENTS), prologue="\n".join(prologue),
        missing="\n".join(missing),
        ahead=PREFETCH_ROWS,
        ring=ring, results=results, call=call, nothing=nothing,
    )  # fmt: skip
    return source.replace(
        "    for row in range(rows):\n",
        "    for row in range(rows):\n" + ("\n".join(reads) + "\n" if stateless else ""),
        1,
    )


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
