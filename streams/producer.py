"""A thin asyncio client for those who push ticks."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import pyarrow as pa

from streams.asynchronous import client_of, hang_up, look_again, pipelined
from streams.connection import REPLY_S, SERVER_ERRORS, translated
from streams.errors import Refused, StreamError
from streams.heed import Heed
from streams.keys import DEFAULT_NAME, Keys, shard_of
from streams.pace import Pace
from streams.records import EntryId, Floats, Ints

FRAME_ROWS = 1000
FLUSH_ROWS = 1000
LINGER_S = 0.01
RETRY_S_MAX = 30.0
BACKOFF_S, BACKOFF_S_MAX = 0.05, 1.0
STEP = 1 << 20  # sequence numbers between two producers' choices, at the least expected
TOO_SMALL = "equal or smaller"

type Row = tuple[str, float, float, int | None, str]


class TickTable(Protocol):
    """Ticks as columns (rows,): `symbol` indexes `symbols`, `ts` is in ns, `id` may be None."""

    @property
    def symbols(self) -> Sequence[str]:
        """The distinct names."""

    @property
    def symbol(self) -> Ints:
        """Which of `symbols`."""

    @property
    def ts(self) -> Ints:
        """Event time."""

    @property
    def price(self) -> Floats:
        """Trade price, or the middle of a quote."""

    @property
    def size(self) -> Floats:
        """Traded size."""

    @property
    def id(self) -> Sequence[str | None] | None:
        """Trade ids, by which a repeated tick is known."""


class _Entry(NamedTuple):
    id: EntryId
    fields: dict[str, Any]


class TickProducer:
    """Pushes ticks to the shards of a fleet; use it as an asynchronous context manager.

    Every entry has an id of this producer's own choosing, so that sending it again after a lost
    reply adds nothing. Sequence numbers start at a random place, far from any other producer's:
    when two meet in a millisecond, all of the later one's entries are refused and get new ids,
    and none of them changes places. The buffer is bounded: `send` waits when it is full.

    It slows down while the fleet called `heeds` (or a shard that it pushes to) is under pressure;
    None pushes at full speed whatever happens, and leaves the fleet to shed.
    """

    def __init__(
        self,
        url: str,
        *,
        shards: int = 16,
        linger_s: float = LINGER_S,
        retry_s: float = RETRY_S_MAX,
        heeds: str | None = DEFAULT_NAME,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client = client_of(url, reply_s=REPLY_S)
        self._keys, self._shards = Keys(), shards
        self._heed = None if heeds is None else Heed(self._client, Keys(heeds), now)
        self._linger_s, self._retry_s, self._now = linger_s, retry_s, now
        self._rows: dict[int, list[Row]] = {}
        self._count = 0
        self._base = int.from_bytes(os.urandom(5)) * STEP
        self._last: dict[str, EntryId] = {}
        self._flushing = asyncio.Lock()
        self._ticker: asyncio.Task[None] | None = None
        self._failure: StreamError | None = None

    async def __aenter__(self) -> Self:
        self._ticker = asyncio.create_task(self._flush_now_and_then())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def pace(self) -> Pace | None:
        """The share of its full speed that the pressure leaves it, None where it heeds none."""
        return None if self._heed is None else self._heed.pace

    async def send(
        self,
        symbol: str,
        price: float,
        *,
        size: float = 0.0,
        ts: int | None = None,
        trade: str = "",
    ) -> None:
        """Put a tick into the buffer; `ts` in ns, the time of arrival if left out.

        Raises Unavailable when an earlier tick could not be stored in time.
        """
        self._raise_failure()
        shard = shard_of(symbol, self._shards)
        self._rows.setdefault(shard, []).append((symbol, price, size, ts, trade))
        self._count += 1
        if self._count >= FLUSH_ROWS:
            await self.flush()

    async def send_columns(self, ticks: TickTable) -> None:
        """Store every row of a table now, after what is in the buffer; many times faster.

        Raises Unavailable if that takes longer than `retry_s`.
        """
        await self.flush()
        home = np.array([shard_of(symbol, self._shards) for symbol in ticks.symbols], np.int64)
        homes, start = home[ticks.symbol], 0
        async with self._flushing:
            while start < len(homes):
                room = len(homes) if self._heed is None else await self._heed.room(self._last)
                await self._send_rows(ticks, homes[start : start + room], start)
                start += room

    async def _send_rows(self, ticks: TickTable, homes: Ints, start: int) -> None:
        """Store rows of a table from `start` on; `homes` is the shard of each."""
        started = time.monotonic()
        await asyncio.gather(
            *(
                self._store(
                    self._keys.ticks(shard),
                    self.pack_columns(ticks, start + np.flatnonzero(homes == shard)),
                )
                for shard in np.unique(homes).tolist()
            )
        )
        await self._yield(len(homes), time.monotonic() - started)

    async def flush(self) -> None:
        """Store what is in the buffer; raises Unavailable if that takes longer than `retry_s`."""
        async with self._flushing:
            started = time.monotonic()
            rows, self._rows, self._count = self._rows, {}, 0
            await asyncio.gather(
                *(self._store(self._keys.ticks(shard), self.pack(of)) for shard, of in rows.items())
            )
            if rows:
                count = sum(len(of) for of in rows.values())
                await self._yield(count, time.monotonic() - started)

    async def close(self) -> None:
        """Store the rest and hang up."""
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        try:
            self._raise_failure()
            await self.flush()
        finally:
            await hang_up(self._client)

    def pack(self, rows: Iterable[Row]) -> list[dict[str, Any]]:
        """The fields of the entries that hold these rows: one each."""
        return [plain_fields(*row) for row in rows]

    def pack_columns(self, ticks: TickTable, rows: Ints) -> list[dict[str, Any]]:
        """The fields of the entries that hold these rows of a table: one each."""
        ids = ticks.id
        trades = [""] * len(rows) if ids is None else [ids[row] or "" for row in rows.tolist()]
        columns = (
            [ticks.symbols[symbol] for symbol in ticks.symbol[rows].tolist()],
            ticks.price[rows].tolist(),
            ticks.size[rows].tolist(),
            ticks.ts[rows].tolist(),
            trades,
        )
        return [plain_fields(*row) for row in zip(*columns, strict=True)]

    async def _yield(self, rows: int, sending_s: float) -> None:
        """Pause as the pressure asks for."""
        if self._heed is not None:
            await self._heed.pause(self._last, rows, sending_s)

    async def _flush_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._linger_s)
            try:
                await self.flush()
            except StreamError as error:
                self._failure = error
                return

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _store(self, key: str, contents: list[dict[str, Any]]) -> None:
        """Add the entries in order, each exactly once, however often it takes."""
        deadline, pause = time.monotonic() + self._retry_s, BACKOFF_S
        waiting = self._named(key, contents)
        while waiting:
            try:
                waiting = await self._try(key, waiting)
            except SERVER_ERRORS as error:
                meaning = translated(error)
                if isinstance(meaning, Refused) or time.monotonic() + pause > deadline:
                    raise meaning from error
                await asyncio.sleep(pause)
                await look_again(self._client)
                pause = min(2 * pause, BACKOFF_S_MAX)

    async def _try(self, key: str, entries: list[_Entry]) -> list[_Entry]:
        """Add the entries; returns those that another producer was in the way of, renamed."""
        replies = await pipelined(self._client, (_xadd(key, entry) for entry in entries))
        refused = []
        for entry, reply in zip(entries, replies, strict=True):
            if isinstance(reply, Exception):
                if TOO_SMALL not in str(reply):
                    raise reply
                refused.append(entry)
        if not refused:
            return []
        looks = (("XRANGE", key, str(entry.id), str(entry.id)) for entry in refused)
        found = await pipelined(self._client, looks)
        for at in found:
            if isinstance(at, Exception):
                raise at
        missing = [entry.fields for entry, at in zip(refused, found, strict=True) if not at]
        if missing:
            info = await self._client.xinfo_stream(key)
            self._last[key] = EntryId.parse(info["last-generated-id"])
        return self._named(key, missing)

    def _named(self, key: str, contents: list[dict[str, Any]]) -> list[_Entry]:
        """The entries with ids above all that this producer knows of in the stream."""
        last = self._last.get(key, EntryId(0, 0))
        first = EntryId(max(int(self._now() * 1000), last.ms), self._base)
        if first <= last:
            ours = last.seq - self._base in range(STEP)
            first = EntryId(last.ms, last.seq + 1) if ours else EntryId(last.ms + 1, self._base)
        entries = [
            _Entry(EntryId(first.ms, first.seq + number), fields)
            for number, fields in enumerate(contents)
        ]
        if entries:
            self._last[key] = entries[-1].id
        return entries


class FrameProducer(TickProducer):
    """The same for throughput: up to 1,000 ticks an entry, as Arrow IPC streams."""

    def pack(self, rows: Iterable[Row]) -> list[dict[str, Any]]:
        """The fields of the entries that hold these rows: one frame for each thousand."""
        every = list(rows)
        return [
            {"frame": frame_of(every[at : at + FRAME_ROWS])}
            for at in range(0, len(every), FRAME_ROWS)
        ]

    def pack_columns(self, ticks: TickTable, rows: Ints) -> list[dict[str, Any]]:
        """The fields of the entries that hold these rows: one frame for each thousand."""
        return [
            {"frame": pack_frame(ticks, rows[at : at + FRAME_ROWS])}
            for at in range(0, len(rows), FRAME_ROWS)
        ]


class HistoryProducer(FrameProducer):
    """The same for what happened before: it moves the fleet's state, and nothing is published."""

    def pack(self, rows: Iterable[Row]) -> list[dict[str, Any]]:
        """Frames that are marked as history."""
        return [{**fields, "history": "1"} for fields in super().pack(rows)]

    def pack_columns(self, ticks: TickTable, rows: Ints) -> list[dict[str, Any]]:
        """Frames that are marked as history."""
        return [{**fields, "history": "1"} for fields in super().pack_columns(ticks, rows)]


def _xadd(key: str, entry: _Entry) -> tuple[Any, ...]:
    return ("XADD", key, str(entry.id), *chain.from_iterable(entry.fields.items()))


def plain_fields(
    symbol: str, price: float, size: float, ts: int | None, trade: str
) -> dict[str, Any]:
    """The fields of a plain entry."""
    fields = {"symbol": symbol, "price": repr(float(price)), "size": repr(float(size))}
    if ts is not None:
        fields["ts"] = str(ts)
    if trade:
        fields["id"] = trade
    return fields


def frame_of(rows: Sequence[Row]) -> bytes:
    """The rows as an Arrow IPC stream of one record batch."""
    symbol, price, size, ts, trade = zip(*rows, strict=True)
    return _stream(
        symbol=pa.array(symbol, pa.string()).dictionary_encode(),
        ts=pa.array(ts, pa.timestamp("ns")),
        price=pa.array(price, pa.float64()),
        size=pa.array(size, pa.float64()),
        **({"id": pa.array(trade, pa.string())} if any(trade) else {}),
    )


def pack_frame(ticks: TickTable, rows: Ints) -> bytes:
    """These rows of a table as an Arrow IPC stream of one record batch."""
    which = pa.array(ticks.symbol[rows], pa.int32())
    trades = {} if ticks.id is None else {"id": pa.array([ticks.id[row] for row in rows.tolist()])}
    return _stream(
        symbol=pa.DictionaryArray.from_arrays(which, pa.array(ticks.symbols, pa.string())),
        ts=pa.array(ticks.ts[rows], pa.timestamp("ns")),
        price=pa.array(ticks.price[rows]),
        size=pa.array(ticks.size[rows]),
        **trades,
    )


def _stream(**columns: Any) -> bytes:
    batch = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed
