"""The compiled loops of coarser bars: which close on which row, and what is held of them."""

from typing import Any

import numba
import numpy as np
from numba import types

from indicators.coarse import BUCKET, CELLS, CLOSED, FIRST, GATHERED, LAST, LEAST, MOST
from indicators.template import CHAINED, FORMING


def _read(kind: Any, dimensions: int) -> Any:
    return types.Array(kind, dimensions, "C", readonly=True)


GATHER = types.int64(
    types.float64[:, ::1],
    _read(types.int64, 1),
    _read(types.float64, 1),
    _read(types.float64, 2),
    _read(types.int64, 1),
    _read(types.uint8, 1),
    _read(types.int64, 1),
    types.uint8[::1],
    types.int64[::1],
    types.float64[:, ::1],
    types.uint8[::1],
)
HOLD = types.void(
    types.float64[:, ::1],
    _read(types.int64, 1),
    _read(types.uint8, 1),
    _read(types.float64, 2),
    _read(types.uint8, 1),
    types.int64,
    types.int64,
    types.float64[:, ::1],
)


@numba.njit(forceinline=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _joined(rule: Any, kept: Any, x: Any) -> Any:
    """A field of a bar with one row more; a missing value changes nothing."""
    if kept != kept:
        return x
    if x != x or rule == FIRST:
        return kept
    if rule == MOST:
        return max(kept, x)
    if rule == LEAST:
        return min(kept, x)
    if rule == LAST:
        return x
    return kept + x


@numba.njit(forceinline=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _write_bar(bar: Any, s: Any, fresh: Any, given: Any, row: Any, rules: Any) -> None:
    """The coarser bar with this row in it, which begins it where `fresh`."""
    for k in range(bar.size):
        x = given[k, row]
        bar[k] = x if fresh else _joined(rules[k], s[CELLS + k], x)


@numba.njit(GATHER, cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def gather(
    state: Any,
    slots: Any,
    time: Any,
    given: Any,
    rules: Any,
    final: Any,
    where: Any,
    closing: Any,
    places: Any,
    bars: Any,
    finals: Any,
) -> Any:
    """Coarser bars that close, in the order of the rows: how many, or -1 - the first bad row.

    `where` is the section's first cell and the length of its bars in seconds. `closing` (rows,)
    is how many close on each row; the bars' slots, fields and kinds are written to the others.
    A row without a time changes nothing.
    """
    for row in range(slots.size):
        if not 0 <= slots[row] < state.shape[0]:
            return -1 - row
    cell, seconds, fields, made = where[0], float(where[1]), given.shape[0], 0
    bar = np.empty(fields)
    for row in range(slots.size):
        if time[row] != time[row]:
            continue
        s = state[slots[row], cell : cell + CELLS + fields]
        bucket = np.ceil(time[row] / seconds)
        stale = s[GATHERED] > 0.0 and s[BUCKET] != bucket
        if stale:
            places[made], finals[made] = slots[row], final[row]
            bars[:, made] = s[CELLS:]
            made += 1
        fresh = stale or s[GATHERED] == 0.0
        _write_bar(bar, s, fresh, given, row, rules)
        ends = bucket * seconds == time[row]
        if ends:
            places[made] = slots[row]
            finals[made] = CHAINED if stale and final[row] == FORMING else final[row]
            bars[:, made] = bar
            made += 1
        closing[row] = int(stale) + int(ends)
        if final[row] != FORMING:
            s[BUCKET] = bucket
            s[GATHERED] = 0.0 if ends else (1.0 if fresh else s[GATHERED] + 1.0)
            s[CELLS:] = bar
    return made


@numba.njit(HOLD, cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def hold(
    state: Any,
    slots: Any,
    closing: Any,
    results: Any,
    final: Any,
    held: Any,
    cell: Any,
    values: Any,
) -> None:
    """Write to `values` (series, rows) the results of the last bar that closed up to each row."""
    at = 0
    for row in range(slots.size):
        s = state[slots[row]]
        at += closing[row]
        for k in range(values.shape[0]):
            if closing[row] > 0:
                values[k, row] = results[k, at - 1]
                if final[row] != FORMING:
                    s[held + k] = results[k, at - 1]
            else:
                values[k, row] = s[held + k] if s[cell + CLOSED] > 0.0 else np.nan
        if closing[row] > 0 and final[row] != FORMING:
            s[cell + CLOSED] += closing[row]
