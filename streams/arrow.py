"""Frames: an Arrow IPC stream of rows into columns, checked before anything is unpacked."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streams.arrow_walk import declared_bytes
from streams.codec import WANTED_PRICE, WANTED_SIZE
from streams.columns import Columns, columns_of
from streams.compiled import njit
from streams.deadletter import readable
from streams.errors import Malformed
from streams.numbers import FIRST_NS, LAST_NS, shown
from streams.records import Bytes, EntryId, Floats, Ints, Reject, Words
from streams.resp import NS_PER_MS, trade_key
from streams.symbols import PAD, SymbolTable, find_slot

FRAME_BYTES_MAX = 64 << 20  # unpacked
FRAME_ROWS_MAX = 1 << 20
REJECTS_MAX = 100  # of one frame and reason, one by one; the rest share a dead letter
UNIT_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}

BROKEN = (pa.ArrowException, OSError, ValueError, LookupError, TypeError, MemoryError)
"""What pyarrow raises for bytes that are no frame."""

type Bools = NDArray[np.bool_]
type SlotOf = Callable[[bytes], int]


class Fault(NamedTuple):
    """Rows that share a defect, and the words for one of them."""

    rows: Bools
    reason: Callable[[int], str]


def open_frame(payload: bytes) -> pa.RecordBatch:
    """The frame as one record batch, not yet validated; raises Malformed if it is broken."""
    try:
        batch = _unpack(payload)
    except BROKEN as error:
        raise _broken(error) from None
    if batch.num_rows > FRAME_ROWS_MAX:
        raise Malformed(f"frame: got {batch.num_rows} rows, wanted at most {FRAME_ROWS_MAX}")
    return batch


def read_frame(
    batch: pa.RecordBatch, entry: EntryId, symbols: SymbolTable, slot_of: SlotOf, room: Columns
) -> tuple[int, list[Reject]]:
    """Read a frame into `room`: how many rows are good, and what became of the others.

    Raises Malformed if the frame is broken.
    """
    try:
        batch.validate(full=True)
        columns, rejects = _any_columns(batch, entry, symbols, slot_of)
    except BROKEN as error:
        raise _broken(error) from None
    rows = len(columns.slot)
    for into, column in zip(room, columns, strict=True):
        into[:rows] = column
    return rows, rejects


def _broken(error: BaseException) -> Malformed:
    what = str(error).splitlines()[0] if str(error) else type(error).__name__
    return Malformed(f"frame: {shown(what)}, wanted an Arrow IPC stream")


def _any_columns(
    table: pa.RecordBatch, entry: EntryId, symbols: SymbolTable, slot_of: SlotOf
) -> tuple[Columns, list[Reject]]:
    faults: list[Fault] = []
    slot = _slots(table, symbols, slot_of, faults)
    ts = _times(table, entry, faults)
    price = _prices(table, faults)
    size = _sizes(table, faults)
    key = _keys(table, slot, symbols)
    good, rejects = _judge(faults, entry, table)
    columns: list[Any] = [slot, ts, price, size, key]
    if rejects:
        columns = [column[good] for column in columns]
    rows = len(columns[0])
    ms, seq = np.full(rows, entry.ms, np.uint64), np.full(rows, entry.seq, np.uint64)
    return columns_of([*columns, ms, seq]), rejects


def _unpack(payload: bytes) -> pa.RecordBatch:
    declared = declared_bytes(np.frombuffer(payload, np.uint8))
    if declared > FRAME_BYTES_MAX:
        raise Malformed(f"frame: unpacks to {declared} bytes, wanted at most {FRAME_BYTES_MAX}")
    with pa.ipc.open_stream(pa.py_buffer(payload)) as reader:
        batches = list(reader)
        if len(batches) == 1:
            return batches[0]
        if not batches:
            return pa.RecordBatch.from_pylist([], schema=reader.schema)
        for one in batches:
            one.validate(full=True)
        whole = pa.Table.from_batches(batches, reader.schema).unify_dictionaries()
        return whole.combine_chunks().to_batches()[0]


def _column(batch: pa.RecordBatch, name: str) -> Any:
    """The only column of that name, or None."""
    places = batch.schema.get_all_field_indices(name)
    if len(places) > 1:
        raise Malformed(f"{name}: got {len(places)} columns in the frame, wanted one")
    return batch.column(places[0]) if places else None


def _floats(batch: pa.RecordBatch, name: str) -> Floats | None:
    """The column as float64, NaN where it is null; None if there is none."""
    column = _column(batch, name)
    if column is None:
        return None
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise Malformed(f"{name}: got a column of {column.type}, wanted float64")
    if not pa.types.is_float64(column.type):
        column = column.cast(pa.float64(), safe=False)
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)  # null becomes NaN


def _slots(
    batch: pa.RecordBatch, symbols: SymbolTable, slot_of: SlotOf, faults: list[Fault]
) -> Ints:
    column = _column(batch, "symbol")
    if column is None:
        raise Malformed(f"symbol: missing; the frame has {shown(','.join(batch.schema.names))}")
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode() if _is_text(column.type) else column
    if not pa.types.is_dictionary(column.type) or not _is_text(column.type.value_type):
        raise Malformed(f"symbol: got a column of {column.type}, wanted strings")
    names = column.dictionary
    which = _integers(column.indices, np.dtype(column.indices.type.to_pandas_dtype()), len(names))
    slots, defects = np.full(len(names) + 1, -1, np.int64), {len(names): "missing"}
    slots[:-1] = find_slots(*_texts(names), symbols.index)
    for place in _by_appearance(which[slots[which] < 0]):
        if place < len(names) and names[place].is_valid:
            try:
                slots[place] = slot_of(names[place].cast(pa.large_binary()).as_py())
            except Malformed as error:
                defects[place] = str(error).removeprefix("symbol: ")
    rows: Ints = slots[which]
    faults.append(Fault(rows < 0, lambda row: f"symbol: {defects.get(int(which[row]), 'missing')}"))
    return rows


def _by_appearance(places: Ints) -> list[int]:
    """The distinct values in order of their first appearance."""
    distinct, first = np.unique(places, return_index=True)
    ordered: list[int] = distinct[np.argsort(first)].tolist()
    return ordered


def _is_text(kind: Any) -> bool:
    types = pa.types
    return any(
        test(kind)
        for test in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    )


def _integers(column: Any, kind: np.dtype[Any], null: int) -> Any:
    """The values of a column of whole numbers as a view of its memory; `null` where it is null."""
    if column.null_count:
        column = column.cast(pa.int64()).fill_null(null)
        kind = np.dtype(np.int64)
    values = np.frombuffer(column.buffers()[1] or b"", kind)
    return values[column.offset : column.offset + len(column)]


def _texts(column: Any) -> tuple[Bytes, Any]:
    """The bytes of a column of texts, and the len + 1 offsets of its texts in them."""
    wide = pa.types.is_large_string(column.type) or pa.types.is_large_binary(column.type)
    _, offsets, buffer = column.buffers()
    data = np.zeros((buffer.size if buffer else 0) + PAD, np.uint8)
    if buffer:
        data[: buffer.size] = np.frombuffer(buffer, np.uint8)
    if not offsets:
        return data, np.zeros(1, np.int64)
    places = np.frombuffer(offsets, np.int64 if wide else np.int32)
    return data, places[column.offset : column.offset + len(column) + 1]


@njit(cache=True, nogil=True)
def find_slots(data, offsets, table):  # type: ignore[no-untyped-def]
    """The slot of each name between two offsets, -1 for an unknown one."""
    slots = np.empty(len(offsets) - 1, np.int64)
    for place in range(len(slots)):
        start = offsets[place]
        slots[place] = find_slot(data, start, offsets[place + 1] - start, table)
    return slots


def _times(batch: pa.RecordBatch, entry: EntryId, faults: list[Fault]) -> Ints:
    column = _column(batch, "ts")
    own = entry.ms * NS_PER_MS
    own = own if own <= LAST_NS else 0
    absent: Bools | None = None
    if column is None:
        ts = np.full(batch.num_rows, own, np.int64)
    elif pa.types.is_timestamp(column.type):
        ts = _in_range(_integers(column, np.dtype(np.int64), 0), UNIT_NS[column.type.unit])
        absent = column.is_null().to_numpy(zero_copy_only=False) if column.null_count else None
        ts = ts if absent is None else np.where(absent, own, ts)
    else:
        raise Malformed(f"ts: got a column of {column.type}, wanted timestamp[ns]")
    faults.append(
        Fault(
            (ts < FIRST_NS),
            lambda row: (
                f"ts: missing, and the entry id {entry} is no time either"
                if column is None or (absent is not None and absent[row])
                else f"ts: got {shown(str(column[row].value))}, wanted a time in 2001 to 2262"
            ),
        )
    )
    return ts


def _in_range(raw: Ints, unit_ns: int) -> Ints:
    """Times in ns; 0 for what is before 2001 or does not fit."""
    good = (raw >= FIRST_NS // unit_ns) & (raw <= LAST_NS // unit_ns)
    return np.where(good, raw, 0) * unit_ns


def _prices(batch: pa.RecordBatch, faults: list[Fault]) -> Floats:
    price = _floats(batch, "price")
    bid, ask = _floats(batch, "bid"), _floats(batch, "ask")
    if price is None and (bid is None or ask is None):
        raise Malformed("price: missing; wanted a column price, or bid and ask")
    seen = price
    with np.errstate(invalid="ignore", over="ignore"):
        if bid is not None and ask is not None:
            quote = np.where((bid > 0) & (ask > 0), (bid + ask) / 2, np.nan)
            price = quote if price is None else np.where(np.isnan(price), quote, price)
        assert price is not None
        bad = ~((price > 0) & (price < np.inf))
    if seen is not None:
        faults.append(Fault(bad, lambda row: f"price: got '{seen[row]}', wanted {WANTED_PRICE}"))
    else:
        assert bid is not None
        assert ask is not None
        quotes = (bid, ask)
        faults.append(Fault(bad, lambda row: _quote_reason(row, *quotes)))
    return price


def _quote_reason(row: int, bid: Floats, ask: Floats) -> str:
    name, value = ("ask", ask[row]) if bid[row] > 0 else ("bid", bid[row])
    return f"{name}: got '{value}', wanted {WANTED_PRICE}"


def _sizes(batch: pa.RecordBatch, faults: list[Fault]) -> Floats:
    size = _floats(batch, "size")
    if size is None:
        return np.zeros(batch.num_rows)
    column = _column(batch, "size")
    if column.null_count:
        size = np.where(column.is_null().to_numpy(zero_copy_only=False), 0.0, size)
    good = (size >= 0) & (size < np.inf)
    seen = size
    faults.append(Fault(~good, lambda row: f"size: got '{seen[row]}', wanted {WANTED_SIZE}"))
    return size


def _keys(batch: pa.RecordBatch, slot: Ints, symbols: SymbolTable) -> Words:
    column = _column(batch, "id")
    if column is None:
        return np.zeros(len(slot), np.uint64)
    try:
        names = column.cast(pa.string()).fill_null("")
    except pa.ArrowException:
        raise Malformed(f"id: got a column of {column.type}, wanted strings") from None
    return np.asarray(trade_keys(*_texts(names), slot, symbols.index.salts), np.uint64)


@njit(cache=True, nogil=True)
def trade_keys(data, offsets, slot, salts):  # type: ignore[no-untyped-def]
    """The key of each trade id between two offsets; 0 where the row has no slot."""
    keys = np.zeros(len(slot), np.uint64)
    for row in range(len(slot)):
        if slot[row] >= 0:
            start = offsets[row]
            keys[row] = trade_key(data, start, offsets[row + 1] - start, salts[slot[row]])
    return keys


def _row_fields(batch: pa.RecordBatch, row: int) -> dict[str, str]:
    """One row of the frame as text."""
    fields = {
        name.encode(): _text(batch.column(place)[row]).encode("utf-8", "replace")
        for place, name in enumerate(batch.schema.names)
    }
    return readable(fields)


def _text(value: Any) -> str:
    """A value as text; a time beyond any calendar as its number."""
    try:
        return str(value)
    except (ValueError, OverflowError):
        temporal = pa.types.is_temporal(value.type)
        return str(value.value) if temporal else f"{value.type} that cannot be shown"


def _judge(
    faults: list[Fault], entry: EntryId, batch: pa.RecordBatch
) -> tuple[Bools, list[Reject]]:
    """Which rows are good, and a dead letter for each that is not, by its first fault."""
    good = np.ones(batch.num_rows, np.bool_)
    rejects: list[Reject] = []
    for fault in faults:
        if not fault.rows.any():
            continue
        bad = np.flatnonzero(fault.rows & good).tolist()
        rejects += [
            Reject(entry, row, fault.reason(row), _row_fields(batch, row))
            for row in bad[:REJECTS_MAX]
        ]
        rest = bad[REJECTS_MAX:]
        if rest:
            reason = f"{fault.reason(rest[0])}; so or alike in {len(rest)} rows from here on"
            fields = _row_fields(batch, rest[0])
            rejects.append(Reject(entry, rest[0], reason, fields, rows=len(rest)))
        good &= ~fault.rows
    return good, rejects
