"""Runs a program over a batch: one call into compiled code, whatever the plan holds."""

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from indicators.kernels import advance
from indicators.template import CHAINED, PREFETCH_ROWS

BLOCK_ROWS_LEAST, BLOCK_ROWS_MOST, BLOCK_NUMBERS = 64, 256, 8_192
"""Rows that pass through the whole program together: so many that scratch stays in cache."""
ADDRESS, OPERANDS, PARAMETERS, STATE, CELLS = range(5)
"""Columns of a program's instructions."""
AFTER, COLUMN, OUTPUT = range(3)
"""Columns of a program's departures."""


@intrinsic  # type: ignore[untyped-decorator]
def call(typing_context: Any, address: Any, arguments: Any) -> Any:  # noqa: ARG001
    """Call the kernel at `address` with a tuple of its arguments."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        place, packed = given
        kinds = [context.get_value_type(each) for each in signature.args[1]]
        function = builder.inttoptr(place, ir.FunctionType(ir.VoidType(), kinds).as_pointer())
        builder.call(function, [builder.extract_value(packed, k) for k in range(len(kinds))])
        return context.get_dummy_value()

    return types.void(address, arguments), generate


@intrinsic  # type: ignore[untyped-decorator]
def start_of(typing_context: Any, array: Any) -> Any:  # noqa: ARG001
    """The pointer to an array's first element."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, given[0]).data

    return types.CPointer(array.dtype)(array), generate


def _read(kind: Any, dimensions: int) -> Any:
    return types.Array(kind, dimensions, "C", readonly=True)


SIGNATURE = types.int64(
    _read(types.int64, 2),
    _read(types.int64, 1),
    _read(types.float64, 1),
    _read(types.float64, 1),
    _read(types.int64, 2),
    _read(types.int64, 1),
    types.float64[:, ::1],
    _read(types.int64, 1),
    _read(types.float64, 2),
    _read(types.uint8, 1),
    types.float64[:, ::1],
)


@numba.njit(forceinline=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _depart(
    departures: Any,
    leaving: Any,
    step: Any,
    scratch: Any,
    stride: Any,
    outputs: Any,
    start: Any,
    count: Any,
) -> Any:
    """Copy the outputs that are ready after a step; the answer is the next one to leave."""
    while leaving < departures.shape[0] and departures[leaving, AFTER] == step:
        place = departures[leaving, COLUMN] * stride
        output = outputs[departures[leaving, OUTPUT]]
        output[start : start + count] = scratch[place : place + count]
        leaving += 1
    return leaving


@numba.njit(SIGNATURE, cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def execute(
    instructions: Any,
    operands: Any,
    parameters: Any,
    constants: Any,
    departures: Any,
    sizes: Any,
    state: Any,
    slots: Any,
    columns: Any,
    final: Any,
    outputs: Any,
) -> Any:
    """Run every instruction over every block of rows; the answer is the first bad row, or -1.

    `columns` (fields, rows) are the inputs, `outputs` (outputs, rows) the results; `departures`
    say after which instruction which scratch column is copied to which output; `sizes` are how
    many scratch columns there are and the most cells that one operator has.
    """
    rows = slots.size
    for row in range(rows):
        if not 0 <= slots[row] < state.shape[0]:
            return row
    fields, width = columns.shape[0], state.shape[1]
    registers, cells_max = sizes[0], sizes[1]
    block = min(max(BLOCK_NUMBERS // max(registers, 1), BLOCK_ROWS_LEAST), BLOCK_ROWS_MOST)
    stride = max(1, min(rows, block))
    scratch = np.empty(registers * stride + cells_max)
    states = np.empty(stride + PREFETCH_ROWS, np.int64)
    for k in range(constants.size):
        scratch[(fields + k) * stride : (fields + k + 1) * stride] = constants[k]
    bottom, first_state = start_of(scratch), start_of(state)
    first_operand, first_parameter = start_of(operands), start_of(parameters)
    start = 0
    while start < rows:
        count = min(stride, rows - start)
        if start + count < rows and final[start + count] == CHAINED:
            count -= 1  # the row before it has to be in the same block
        for k in range(count + PREFETCH_ROWS):
            states[k] = slots[start + min(k, count - 1)] * width
        for k in range(fields):
            scratch[k * stride : k * stride + count] = columns[k, start : start + count]
        leaving = 0
        for k in range(-1, instructions.shape[0]):
            if k >= 0:
                call(
                    instructions[k, ADDRESS],
                    (
                        bottom,
                        stride,
                        advance(first_operand, instructions[k, OPERANDS]),
                        advance(first_parameter, instructions[k, PARAMETERS]),
                        advance(first_state, instructions[k, STATE]),
                        start_of(states),
                        instructions[k, CELLS],
                        advance(start_of(final), start),
                        advance(bottom, registers * stride),
                        count,
                    ),
                )
            leaving = _depart(departures, leaving, k, scratch, stride, outputs, start, count)
        start += count
    return -1
