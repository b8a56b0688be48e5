"""The frame as most producers make it, in one kernel: text dictionary, ns, float64, no nulls.

It trusts nothing: offsets and indices are checked as they are followed. Whatever is not as
expected goes to the general way, which says what is wrong.
"""

import math
from typing import Any

import numpy as np
import pyarrow as pa

from streams.columns import Columns
from streams.compiled import njit
from streams.numbers import FIRST_NS
from streams.records import EntryId
from streams.symbols import PAD, SYMBOL_BYTES_MAX, SymbolTable, find_slot

USUAL = {
    "ts": pa.timestamp("ns"),
    "price": pa.float64(),
    "size": pa.float64(),
}
SYMBOL_TYPE = pa.dictionary(pa.int32(), pa.string())


def quick_rows(batch: pa.RecordBatch, entry: EntryId, symbols: SymbolTable, room: Columns) -> bool:
    """Whether the frame is of the usual make and all good; if so `room` holds its rows."""
    schema = batch.schema
    if len(schema) != len(USUAL) + 1 or not schema.field(0).type.equals(SYMBOL_TYPE):
        return False
    arrays = {name: _view(batch, at) for at, name in enumerate(schema.names)}
    if list(arrays) != ["symbol", *USUAL] or any(array is None for array in arrays.values()):
        return False
    names = batch.column(0).dictionary
    _, offsets, texts = names.buffers()
    if names.offset or names.null_count or offsets is None or texts is None:
        return False
    data = np.zeros(texts.size + PAD, np.uint8)
    data[:-PAD] = np.frombuffer(texts, np.uint8)
    places = np.frombuffer(offsets, np.int32)
    if len(places) <= len(names):
        return False
    every = (arrays["symbol"], arrays["ts"], arrays["price"], arrays["size"])
    name = np.array(entry, np.uint64)
    return bool(fill(data, places[: len(names) + 1], *every, symbols.index, name, room))


def _view(batch: pa.RecordBatch, place: int) -> Any:
    """A column's memory as an array; None if it has nulls, another type or too few bytes."""
    field, column, rows = batch.schema.field(place), batch.column(place), batch.num_rows
    kind: Any = np.int32
    if place:
        if field.name not in USUAL or not field.type.equals(USUAL[field.name]):
            return None
        kind = np.int64 if field.name == "ts" else np.float64
    else:
        column = column.indices
    memory = column.buffers()[1]
    if column.null_count or column.offset or memory is None:
        return None
    values = np.frombuffer(memory, kind, count=memory.size // np.dtype(kind).itemsize)[:rows]
    return values if len(values) == rows else None


@njit(cache=True, nogil=True)
def fill(data, offsets, which, ts, price, size, table, entry, columns):  # type: ignore[no-untyped-def]
    """Whether every row is good; if so the columns hold them all."""
    slots = np.full(len(offsets) - 1, -2, np.int64)
    for row in range(len(which)):
        place = which[row]
        if place < 0 or place >= len(slots):
            return False
        if slots[place] == -2:
            start, stop = offsets[place], offsets[place + 1]
            length = stop - start
            if start < 0 or length < 0 or length > SYMBOL_BYTES_MAX or stop > len(data) - PAD:
                return False
            slots[place] = find_slot(data, start, length, table)
        if slots[place] < 0 or ts[row] < FIRST_NS:
            return False
        if not 0.0 < price[row] < math.inf or not 0.0 <= size[row] < math.inf:
            return False
        columns.slot[row], columns.ts[row] = slots[place], ts[row]
        columns.price[row], columns.size[row] = price[row], size[row]
        columns.entry_ms[row], columns.entry_seq[row] = entry[0], entry[1]
        columns.key[row] = np.uint64(0)
    return True
