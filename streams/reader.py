"""A thin asyncio client for those who read signals or values."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, NamedTuple, Self

from streams.asynchronous import client_of, hang_up, is_clustered, look_again, pipelined
from streams.connection import REPLY_S, SERVER_ERRORS, translated
from streams.errors import Malformed
from streams.keys import DEFAULT_NAME, Keys
from streams.records import ZERO, EntryId
from streams.signals import Signal, Values

COUNT = 1000
BLOCK_MS = 1000
POLL_S = 0.01  # between two looks at a cluster, where one read cannot wait for many shards


class Position(NamedTuple):
    """Where a reader stands in one shard: the last entry it was given, and that entry's `seq`.

    None as `seq` is not known: then the first entry that comes is taken as the one that was due.
    """

    entry: EntryId
    seq: int | None


START = Position(ZERO, 0)


class Gap(NamedTuple):
    """The next entry's `seq` is not the one that was due: entries are missing, or were undone."""

    wanted: int
    seen: int


class Received(NamedTuple):
    """One thing that came: from which shard, as which entry, and what."""

    shard: str
    entry: EntryId
    item: Signal | Values | Gap | Malformed


class SignalReader:
    """Reads the output streams of some shards, without end.

    `positions` holds where it stands and may be given back to a later reader: it goes on with the
    next entry, and tells with a Gap when that is no longer there.
    """

    decode: type[Signal | Values] = Signal

    def __init__(
        self,
        url: str,
        shards: Iterable[str | int],
        *,
        name: str = DEFAULT_NAME,
        positions: Mapping[str, Position] | None = None,
    ) -> None:
        self._client = client_of(url, reply_s=REPLY_S + BLOCK_MS / 1000)
        given = positions or {}
        self.positions = {str(shard): given.get(str(shard), START) for shard in shards}
        self._shard_of = {self.key(Keys(name), shard).encode(): shard for shard in self.positions}

    def key(self, keys: Keys, shard: str) -> str:
        """The stream that is read for a shard."""
        return keys.signals(shard)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up."""
        await hang_up(self._client)

    async def skip_to_end(self) -> None:
        """Stand behind what is there now: only what comes from here on is given.

        Raises: Unavailable, Refused.
        """
        async with self._translation():
            for key, shard in self._shard_of.items():
                newest: Any = await self._client.xrevrange(key, count=1)
                if newest:
                    name, fields = newest[0]
                    self.positions[shard] = Position(EntryId.parse(name), int(fields[b"seq"]))

    async def __aiter__(self) -> AsyncIterator[Received]:
        """All that comes, in order within a shard; raises Unavailable when the server is gone."""
        while True:
            for received in await self.read():
                yield received

    async def read(self, *, block_ms: int = BLOCK_MS) -> list[Received]:
        """What is there, or comes within `block_ms`. Raises: Unavailable, Refused."""
        async with self._translation():
            streams = await self._streams(block_ms)
        found = []
        for key, entries in streams:
            for name, fields in _flattened(entries):
                found += self._take(self._shard_of[key], EntryId.parse(name), fields)
        return found

    @asynccontextmanager
    async def _translation(self) -> AsyncIterator[None]:
        try:
            yield
        except SERVER_ERRORS as error:
            await look_again(self._client)
            raise translated(error) from error

    async def _streams(self, block_ms: int) -> Iterable[tuple[bytes, Any]]:
        """What came, by key: in one read that waits, or, in a cluster, in many that do not."""
        if not is_clustered(self._client):
            after: Any = {
                key: str(self.positions[shard].entry) for key, shard in self._shard_of.items()
            }
            reply: Any = await self._client.xread(after, count=COUNT, block=max(block_ms, 1))
            return reply.items() if isinstance(reply, dict) else reply or []
        deadline = time.monotonic() + block_ms / 1000
        while True:
            found = await self._look()
            if found or time.monotonic() >= deadline:
                return found
            await asyncio.sleep(POLL_S)

    async def _look(self) -> list[tuple[bytes, Any]]:
        commands = [
            ("XRANGE", key, f"({self.positions[shard].entry}", "+", "COUNT", COUNT)
            for key, shard in self._shard_of.items()
        ]
        replies = await pipelined(self._client, commands)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return [(key, got) for key, got in zip(self._shard_of, replies, strict=True) if got]

    def _take(self, shard: str, entry: EntryId, fields: Mapping[bytes, bytes]) -> list[Received]:
        last = self.positions[shard]
        try:
            item = self.decode.decode(fields)
        except Malformed as error:
            self.positions[shard] = Position(entry, last.seq)
            return [Received(shard, entry, error)]
        self.positions[shard] = Position(entry, item.seq)
        received = [Received(shard, entry, item)]
        if last.seq is not None and item.seq != last.seq + 1:
            received.insert(0, Received(shard, entry, Gap(last.seq + 1, item.seq)))
        return received


class ValuesReader(SignalReader):
    """The same for the indicator values."""

    decode = Values

    def key(self, keys: Keys, shard: str) -> str:
        """The stream that is read for a shard."""
        return keys.values(shard)


def _flattened(entries: Any) -> Any:
    """redis-py wraps a stream's entries in one more list in RESP3."""
    return entries[0] if entries and isinstance(entries[0], list) else entries
