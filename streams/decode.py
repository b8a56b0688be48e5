"""From the bytes of a reply to batches: the compiled parser, and Python for what it leaves."""

from dataclasses import replace
from typing import Any

import hiredis
import numpy as np
import pyarrow as pa

from streams import (
    codec_json,  # noqa: F401 - fills the table of codecs
    resp,
)
from streams.arrow import open_frame, read_frame
from streams.arrow_quick import outline_of, quick_rows
from streams.buffer import ReplyBuffer
from streams.codec import AUTO, CODECS, Clock, Deploy, Frame, Tick, read_entry
from streams.columns import Columns, columns_of, room
from streams.deadletter import readable
from streams.errors import Malformed, Unavailable
from streams.keys import is_numbered, shard_of
from streams.numbers import FIRST_NS, LAST_NS, shown
from streams.records import CLOCK_SLOT, Batch, Control, EntryId, Reject
from streams.symbols import SymbolTable, padded

ENTRY_BYTES_MAX = 8 << 20
ROWS_MIN = 64
WANTED_NOT_AHEAD = "at most a day after the entry's own time"
AHEAD_NS_MAX = 86_400_000_000_000  # a day: clocks differ, time zones get mixed up
BATCH_ROWS = 1 << 14  # where frames make more rows than entries were asked for


class Decoder:
    """Reads the entries of one shard; new symbols go into its table as they appear."""

    def __init__(self, shard: str, symbols: SymbolTable, *, shards: int, codec: str = AUTO) -> None:
        if codec != AUTO and codec not in CODECS:
            raise ValueError(f"codec {codec!r}: wanted {AUTO} or one of {', '.join(CODECS)}")
        self.shard, self.symbols, self.codec = shard, symbols, codec
        self._shards = shards if is_numbered(shard) else 0
        self._places = np.zeros(2 * resp.KNOWN, np.int64)
        self._compiled = codec in (AUTO, "plain", "cryptofeed")

    def batches(self, buffer: ReplyBuffer, count: int) -> tuple[Batch, ...]:
        """The next `count` entries of the reply; a batch ends with a deployment or the reply."""
        run = _Run(self.shard, self.symbols, count)
        while run.left > 0:
            step = self._parse if self._compiled else self._scan
            status = step(buffer, run)
            if status == resp.MORE:
                buffer.fill()
            elif status == resp.FULL:
                run.reserve(1)
            elif status == resp.OTHER:
                run.entry_done(self._read(buffer, run))
            elif status == resp.OVERSIZE:
                run.entry_done(_skip(buffer, run))
            elif status == resp.BROKEN:
                raise Unavailable("the reply is not a list of stream entries")
            if run.control is not None or run.history:
                run.close()
        run.close()
        return tuple(run.done)

    def frame(self, payload: bytes, entry: EntryId) -> tuple[Batch, ...]:
        """The rows of a frame as the batches that an entry with it gives; Malformed if broken."""
        run = _Run(self.shard, self.symbols, 1)
        self._take(run, entry, {b"frame": payload})
        run.entry_done(entry)
        run.close()
        return tuple(run.done)

    def _parse(self, buffer: ReplyBuffer, run: "_Run") -> int:
        """Let the compiled parser go as far as it can; says why it stopped."""
        before = buffer.start
        status, buffer.start, run.stop, left, row = resp.parse(
            buffer.data,
            buffer.start,
            buffer.end,
            run.left,
            ENTRY_BYTES_MAX,
            self._places,
            run.row,
            *self.symbols.index,
            *run.columns,
        )
        run.advance(row, run.left - left, buffer.start - before)
        return int(status)

    def _scan(self, buffer: ReplyBuffer, run: "_Run") -> int:
        """Find the end of the next entry, for a codec that Python reads."""
        status, run.stop = resp.scan(
            buffer.data, buffer.start, buffer.end, ENTRY_BYTES_MAX, self._places
        )
        return int(resp.OTHER if status == resp.DONE else status)

    def _read(self, buffer: ReplyBuffer, run: "_Run") -> EntryId:
        """Take in the entry that ends at `run.stop`."""
        reader = hiredis.Reader()
        reader.feed(buffer.peek(buffer.start, run.stop))
        run.bytes_in += run.stop - buffer.start
        buffer.start = run.stop
        name, flat = reader.gets()
        entry = EntryId.parse(name)
        pairs = flat or []
        fields = dict(zip(pairs[::2], pairs[1::2], strict=True))
        try:
            self._take(run, entry, fields)
        except Malformed as error:
            run.rejects.append(Reject(entry, None, str(error), readable(fields)))
        return entry

    def _take(self, run: "_Run", entry: EntryId, fields: dict[bytes, bytes]) -> None:
        content = read_entry(fields, self.codec)
        match content:
            case Clock(ts):
                run.reserve(1)
                run.add(entry, slot=CLOCK_SLOT, ts=ts, price=np.nan, size=0.0, key=0)
            case Deploy(kind, payload):
                run.control = Control(entry, kind, payload)
            case Frame(payload, history):
                if history:
                    run.begin_history()
                self._take_frame(run, entry, payload)
            case _:
                run.reserve(len(content))
                several = len(content) > 1
                for row, item in enumerate(content):
                    self._take_item(run, entry, item, row if several else None, fields)

    def _take_frame(self, run: "_Run", entry: EntryId, payload: bytes) -> None:
        """Take in a frame, in kernels alone if it is of the usual make with nothing new in it."""
        data = np.frombuffer(payload, np.uint8)
        outline = outline_of(data)
        if outline is not None:
            room_left = run.reserve(outline.rows)
            if quick_rows(data, outline, entry, self.symbols, room_left):
                run.row += outline.rows
                return
        batch = open_frame(payload)
        room_left = run.reserve(batch.num_rows)
        rows, rejects = read_frame(batch, entry, self.symbols, self._slot, room_left)
        run.row += rows
        run.rejects += rejects

    def _take_item(
        self,
        run: "_Run",
        entry: EntryId,
        item: Tick | Malformed,
        row: int | None,
        fields: dict[bytes, bytes],
    ) -> None:
        try:
            if isinstance(item, Malformed):
                raise item
            self._add_tick(run, entry, item)
        except Malformed as error:
            run.rejects.append(Reject(entry, row, str(error), readable(fields)))

    def _add_tick(self, run: "_Run", entry: EntryId, tick: Tick) -> None:
        ts = entry.ms * resp.NS_PER_MS if tick.ts is None else tick.ts
        if not FIRST_NS <= ts <= LAST_NS:
            raise Malformed(f"ts: missing, and the entry id {entry} is no time either")
        slot = self._slot(tick.symbol)
        salt = self.symbols.index.salts[slot]
        key = resp.trade_key(padded(tick.trade), 0, len(tick.trade), salt)
        run.add(entry, slot=slot, ts=ts, price=tick.price, size=tick.size, key=int(key))

    def _slot(self, symbol: bytes) -> int:
        """The slot of a symbol; raises Malformed for one that is not of this shard."""
        slot = self.symbols.slot(symbol)
        if slot is not None:
            return slot
        if self._shards:
            home = shard_of(symbol, self._shards)
            if str(home) != self.shard:
                raise Malformed(
                    f"symbol: {shown(symbol)} lives in shard {home} of {self._shards},"
                    f" wanted shard {self.shard}"
                )
        return self.symbols.add(symbol)


class _Run:
    """The entries of one reply as they are taken in.

    All rows of a batch are in one piece of memory: where that is full, the batch ends. An entry
    is never divided.
    """

    def __init__(self, shard: str, symbols: SymbolTable, count: int) -> None:
        self.shard, self.left, self._symbols = shard, count, symbols
        self.stop = self.row = self._begin = 0
        self.columns = room(max(count, ROWS_MIN))
        self.done: list[Batch] = []
        self._last: EntryId | None = None
        self._reset()

    def _reset(self) -> None:
        self.entries = self.bytes_in = 0
        self.rejects: list[Reject] = []
        self.control: Control | None = None
        self.history = False

    def begin_history(self) -> None:
        """Let what follows be a batch of history, which ends with its entry."""
        self.close()
        self.history = True

    def advance(self, row: int, entries: int, size: int) -> None:
        """Take note of what the compiled parser consumed."""
        self.bytes_in += size
        self.entries += entries
        self.left -= entries
        if row > self.row:
            ms, seq = self.columns.entry_ms[row - 1], self.columns.entry_seq[row - 1]
            self._last = EntryId(int(ms), int(seq))
        self.row = row

    def entry_done(self, entry: EntryId) -> None:
        """Take note of an entry that Python consumed."""
        self._last = entry
        self.entries += 1
        self.left -= 1

    def add(self, entry: EntryId, **row: Any) -> None:
        """Add one row; there is room for it."""
        for name, value in row.items():
            getattr(self.columns, name)[self.row] = value
        self.columns.entry_ms[self.row], self.columns.entry_seq[self.row] = entry
        self.row += 1

    def reserve(self, rows: int) -> Columns:
        """Room for the rows of the next entry."""
        if self.row + rows > len(self.columns.slot):
            self.close()
            self.columns, self.row, self._begin = room(max(rows, self.left, BATCH_ROWS)), 0, 0
        return self.columns.cut(self.row, self.row + rows)

    def close(self) -> None:
        """End the batch, if anything is in it."""
        if not self.entries:
            return
        assert self._last is not None
        rows, self._begin = self.columns.cut(self._begin, self.row), self.row
        rows = self._timely(rows)
        self.done.append(
            Batch(
                self.shard,
                self._last,
                self.entries,
                *rows,
                tuple(self.rejects),
                self.control,
                self.bytes_in,
                self.history,
            )
        )
        self._reset()

    def _timely(self, rows: Columns) -> Columns:
        """The rows without those from the future: one would make all that follow it late."""
        if not len(rows.ts) or np.maximum.reduce(rows.ts) <= _latest(int(rows.entry_ms[0])):
            return rows  # entries come in the order of their ids: the first is the strictest
        own_ms = np.clip(rows.entry_ms, resp.FIRST_MS, resp.LAST_MS).astype(np.int64)
        ahead = rows.ts > own_ms * resp.NS_PER_MS + AHEAD_NS_MAX
        ahead &= (rows.entry_ms >= resp.FIRST_MS) & (rows.slot != CLOCK_SLOT)
        if not ahead.any():
            return rows
        for row in np.flatnonzero(ahead).tolist():
            self._set_aside(rows, row)
        return columns_of([column[~ahead] for column in rows])

    def _set_aside(self, rows: Columns, row: int) -> None:
        entry = EntryId(int(rows.entry_ms[row]), int(rows.entry_seq[row]))
        newest = self.rejects[-1] if self.rejects else None
        if newest and newest.entry == entry and newest.reason.endswith(WANTED_NOT_AHEAD):
            self.rejects[-1] = replace(newest, rows=newest.rows + 1)  # one letter for a frame
            return
        fields = {
            "symbol": self._symbols.names[rows.slot[row]],
            "ts": str(rows.ts[row]),
            "price": repr(float(rows.price[row])),
            "size": repr(float(rows.size[row])),
        }
        reason = f"ts: got {rows.ts[row]}, wanted {WANTED_NOT_AHEAD}"
        self.rejects.append(Reject(entry, None, reason, fields))


def _latest(entry_ms: int) -> int:
    """The newest time that a tick of an entry may have, ns; 0 where its id is no time."""
    return entry_ms * resp.NS_PER_MS + AHEAD_NS_MAX if entry_ms >= resp.FIRST_MS else 0


def _skip(buffer: ReplyBuffer, run: _Run) -> EntryId:
    """Pass over an entry beyond the bounds, and set it aside without its content."""
    buffer.line()
    entry = EntryId.parse(buffer.take(_size(buffer) + 2)[:-2])
    names, total = _size(buffer), 0
    for _ in range(names):
        size = _size(buffer)
        buffer.skip(size + 2)
        total += size
    reason = (
        f"entry: got {names // 2} fields of {total} bytes,"
        f" wanted at most {resp.FIELDS_MAX // 2} of {ENTRY_BYTES_MAX}"
    )
    run.rejects.append(Reject(entry, None, reason, {}))
    run.bytes_in += total
    return entry


def _size(buffer: ReplyBuffer) -> int:
    return int(buffer.line()[1:])


WARM_ENTRY = (
    b"*2\r\n$15\r\n1763823000000-0\r\n*6\r\n"
    b"$6\r\nsymbol\r\n$1\r\nS\r\n$5\r\nprice\r\n$3\r\n1.5\r\n$2\r\nid\r\n$1\r\n1\r\n"
)


def warm() -> None:
    """Compile the kernels or load them from their cache: before a lease runs, not under it."""
    waiting = memoryview(2 * WARM_ENTRY)

    def receive(room_for: memoryview) -> int:
        room_for[: len(waiting)] = waiting
        return len(waiting)

    Decoder("warm", SymbolTable(), shards=1).batches(ReplyBuffer(receive, ENTRY_BYTES_MAX), 2)
    columns = {
        "symbol": pa.array(["S"]).dictionary_encode(),
        "ts": pa.array([FIRST_NS], pa.timestamp("ns")),
        "price": pa.array([1.5]),
        "size": pa.array([1.0]),
    }
    batch = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    decoder = Decoder("warm", SymbolTable(), shards=1)
    for _ in range(2):  # the general way for a new symbol, the quick one for a known one
        decoder.frame(sink.getvalue().to_pybytes(), EntryId(1763823000000, 0))
