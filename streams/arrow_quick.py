"""The frame as most producers make it, in two kernels: text dictionary, ns, float64, no nulls.

They trust nothing: every place, offset and index is checked as it is followed. Whatever is not as
expected goes to the general way, which says what is wrong.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from streams.arrow import BROKEN, FRAME_ROWS_MAX
from streams.arrow_walk import BATCH, DICTIONARY, batch_of, buffer_of, has_column, integer, member
from streams.columns import Columns
from streams.compiled import njit
from streams.numbers import FIRST_NS
from streams.records import Bytes, EntryId
from streams.symbols import PAD, SYMBOL_BYTES_MAX, SymbolTable, find_slot

USUAL = {
    "symbol": pa.dictionary(pa.int32(), pa.string()),
    "ts": pa.timestamp("ns"),
    "price": pa.float64(),
    "size": pa.float64(),
}
PREFIX_BYTES = 8  # of a message: its mark, and the size of what says what it holds
SCHEMA_BYTES_MAX = 4096
SCHEMAS_KEPT = 64  # a producer's frames all begin with the same bytes


class Outline(NamedTuple):
    """Where in a frame's bytes everything is, and how much of it; no rows where it is unusual."""

    rows: int
    names: int
    offsets: int
    texts: int
    texts_bytes: int
    which: int
    ts: int
    price: int
    size: int


def outline_of(data: Bytes) -> Outline | None:
    """Where the rows of a frame of the usual make are; None for any other."""
    schema_bytes = PREFIX_BYTES + int(integer(data, 4, 4))
    if not PREFIX_BYTES < schema_bytes < min(len(data), SCHEMA_BYTES_MAX):
        return None
    if not _is_usual(data[:schema_bytes].tobytes()):
        return None
    outline = Outline(*outline_at(data, schema_bytes))
    return outline if 0 < outline.rows <= FRAME_ROWS_MAX else None


def quick_rows(
    data: Bytes, outline: Outline, entry: EntryId, symbols: SymbolTable, room: Columns
) -> bool:
    """Whether all rows are good, and all their symbols known; if so `room` holds them."""
    name = np.array(entry, np.uint64)
    return bool(fill(data, outline, symbols.index, name, room))


@lru_cache(SCHEMAS_KEPT)
def _is_usual(message: bytes) -> bool:
    """Whether that is the schema of a frame of the usual make."""
    try:
        schema = pa.ipc.read_schema(pa.py_buffer(message))
        return bool(schema.names == list(USUAL) and schema.types == list(USUAL.values()))
    except BROKEN:
        return False


@njit(cache=True, nogil=True)
def outline_at(data, at):  # type: ignore[no-untyped-def]
    """The members of an `Outline`, of the two messages at `at`; all 0 if they are unusual."""
    nothing = (0, 0, 0, 0, 0, 0, 0, 0, 0)
    dictionary, body, end = batch_of(data, at, DICTIONARY)
    if dictionary < 0:
        return nothing
    names = integer(data, member(data, dictionary, 0), 8)
    if not 0 < names < len(data):
        return nothing
    offsets, _ = buffer_of(data, dictionary, 1, body, end, 4 * (names + 1))
    texts, texts_bytes = buffer_of(data, dictionary, 2, body, end, 0)
    if offsets < 0 or texts < 0 or not has_column(data, dictionary, 0, names):
        return nothing
    batch, body, end = batch_of(data, end, BATCH)
    if batch < 0 or integer(data, end + 4, 4) != 0:  # nothing may follow but the end
        return nothing
    rows = integer(data, member(data, batch, 0), 8)
    if not 0 < rows < len(data):
        return nothing
    which, _ = buffer_of(data, batch, 1, body, end, 4 * rows)
    ts, _ = buffer_of(data, batch, 3, body, end, 8 * rows)
    price, _ = buffer_of(data, batch, 5, body, end, 8 * rows)
    size, _ = buffer_of(data, batch, 7, body, end, 8 * rows)
    for column in range(4):
        if not has_column(data, batch, column, rows):
            return nothing
    if min(which, ts, price, size) < 0:
        return nothing
    return rows, names, offsets, texts, texts_bytes, which, ts, price, size


@njit(cache=True, nogil=True)
def fill(data, outline, table, entry, columns):  # type: ignore[no-untyped-def]
    """Whether every row is good; if so the columns hold them all."""
    rows = outline.rows
    which = data[outline.which : outline.which + 4 * rows].view(np.int32)
    ts = data[outline.ts : outline.ts + 8 * rows].view(np.int64)
    price = data[outline.price : outline.price + 8 * rows].view(np.float64)
    size = data[outline.size : outline.size + 8 * rows].view(np.float64)
    offsets = data[outline.offsets : outline.offsets + 4 * (outline.names + 1)].view(np.int32)
    texts_end = min(outline.texts + outline.texts_bytes, len(data) - PAD)
    slots = np.full(outline.names, -2, np.int64)
    for row in range(rows):
        place = which[row]
        if place < 0 or place >= len(slots):
            return False
        if slots[place] == -2:
            start, length = outline.texts + offsets[place], offsets[place + 1] - offsets[place]
            if offsets[place] < 0 or length < 0 or length > SYMBOL_BYTES_MAX:
                return False
            if start + length > texts_end:
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
