"""The data plane: commits out and batches in, for many shards over one connection a node."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import hiredis
import orjson

from streams.buffer import ReplyBuffer
from streams.codec import AUTO
from streams.connection import CONNECT_S, REPLY_S, SERVER_ERRORS, Link, translated
from streams.decode import ENTRY_BYTES_MAX, Decoder
from streams.errors import Refused, StreamError, Unavailable
from streams.functions import MISSING, answer, server_error
from streams.keys import Keys, shard_name
from streams.records import Batch, Commit, EntryId, Exchange
from streams.symbols import SymbolTable

COUNT = 5000
REPLY_BYTES_MAX = 32 << 20  # aimed at by the number of entries asked for
ENTRY_BYTES_GUESS = 8192  # until a shard has been read
POLL_S = 0.002  # between two looks at a cluster, where one read cannot wait for many shards
REST_S = 0.1  # how long a shard whose server is away is left alone
FIELDS_MAX = 1000  # of an output entry: a server function cannot unpack many thousands

type Batches = dict[str, tuple[Batch, ...]]


class _NotNow(Unavailable):
    """The server answered that it cannot now: the connection itself is good."""


class Wire:
    """Raw connections for the hot path; not to be shared between threads."""

    def __init__(self, link: Link, keys: Keys, *, shards: int) -> None:
        self._link, self._keys, self._shards = link, keys, shards
        self._decoders: dict[str, Decoder] = {}
        self._entry_bytes: dict[str, float] = {}
        self._lines: dict[str, _Line] = {}
        self._resting: dict[str, tuple[float, Unavailable]] = {}

    def open(self, shard: str, symbols: SymbolTable, *, codec: str = AUTO) -> None:
        """Say with which symbols a shard's entries are to be read from now on."""
        self._decoders[shard] = Decoder(shard, symbols, shards=self._shards, codec=codec)

    def shut(self, shard: str) -> None:
        """Forget a shard."""
        self._decoders.pop(shard, None)
        self._entry_bytes.pop(shard, None)

    def exchange(
        self,
        commits: Sequence[Commit],
        cursors: Mapping[str, EntryId],
        *,
        count: int = COUNT,
        block_ms: int = 0,
    ) -> Exchange:
        """Send every commit and the next read in one write; return what came back.

        Raises Unavailable when the connection was lost: it is then unknown which commits took
        effect, and the caller sends the same ones again. `block_ms` 0 returns at once.
        """
        try:
            return self._exchange(commits, cursors, count, block_ms)
        except SERVER_ERRORS as error:
            self.close()
            raise translated(error) from error
        except BaseException:  # whatever it is, the rest of the replies is still to come
            self.close()
            raise

    def range(
        self, shard: str, after: EntryId, upto: EntryId, *, count: int = COUNT
    ) -> tuple[Batch, ...]:
        """Up to `count` entries after `after`, up to and with `upto`."""
        key = self._keys.ticks(shard)
        asked = str(min(count, self._count([shard], count)))
        command = packed(("XRANGE", key, f"({after}", str(upto), "COUNT", asked))
        try:
            line = self._line(key)
            line.send(command, REPLY_S)
            batches = self._entries(line.buffer, shard)
        except SERVER_ERRORS as error:
            self.close()
            raise translated(error) from error
        except BaseException:
            self.close()
            raise
        return batches

    def close(self) -> None:
        """Close the connections; the next exchange opens new ones."""
        for line in self._lines.values():
            line.close()
        self._lines.clear()

    def _exchange(
        self,
        commits: Sequence[Commit],
        cursors: Mapping[str, EntryId],
        count: int,
        block_ms: int,
    ) -> Exchange:
        if self._link.clustered:
            return self._exchange_clustered(commits, cursors, count, block_ms)
        line = self._line("")
        sent = b"".join(self._packed(commit) for commit in commits)
        if cursors:
            sent += self._read_command(cursors, count, block_ms)
        line.send(sent, REPLY_S + block_ms / 1000)
        lost: dict[str, StreamError] = {}
        repeated = sum(self._commit_reply(line.buffer, commit, lost) for commit in commits)
        asked = time.monotonic()
        if cursors:
            line.buffer.await_some()
        read_at = time.monotonic()
        batches = self._read_reply(line.buffer, cursors, lost) if cursors else {}
        kept = {shard: got for shard, got in batches.items() if shard not in lost}
        return Exchange(kept, lost, repeated, read_at - asked, asked, read_at)

    def _exchange_clustered(
        self,
        commits: Sequence[Commit],
        cursors: Mapping[str, EntryId],
        count: int,
        block_ms: int,
    ) -> Exchange:
        """The same where a read of two shards is not allowed: it looks often, and waits itself.

        A server that is away, or a slot that is on its way, is left out, and the others go on.
        """
        deadline = time.monotonic() + block_ms / 1000
        asked = {commit.shard for commit in commits} | cursors.keys()
        now = time.monotonic()
        self._resting = {
            shard: rest for shard, rest in self._resting.items() if now < rest[0] and shard in asked
        }
        away = {shard: error for shard, (_, error) in self._resting.items()}
        lost: dict[str, StreamError] = {}
        batches, repeated = self._look(commits, cursors, count, lost, away)
        settled_at = read_at = time.monotonic()
        waited_s = 0.0
        while cursors and not batches and time.monotonic() < deadline:
            time.sleep(POLL_S)
            waited_s += POLL_S
            read_at = time.monotonic()
            batches, _ = self._look((), cursors, count, lost, away)
        self._rest(away)
        if away and away.keys() >= asked:
            raise next(iter(away.values()))
        kept = {shard: got for shard, got in batches.items() if shard not in lost}
        return Exchange(kept, lost, repeated, waited_s, settled_at, read_at, away)

    def _rest(self, away: Mapping[str, Unavailable]) -> None:
        """Leave shards alone for a moment: to ask a server that is gone can take seconds."""
        until = time.monotonic() + REST_S
        for shard, error in away.items():
            self._resting.setdefault(shard, (until, error))
        if away:
            self._link.refresh()
            time.sleep(POLL_S)

    def _look(
        self,
        commits: Sequence[Commit],
        cursors: Mapping[str, EntryId],
        count: int,
        lost: dict[str, StreamError],
        away: dict[str, Unavailable],
    ) -> tuple[Batches, int]:
        """Commits, and one read without waiting for each shard; sent before one is awaited.

        Returns the batches, and how many commits the server had done already.
        """
        sent: dict[str, list[Commit]] = {shard: [] for shard in cursors}
        for commit in commits:
            sent.setdefault(commit.shard, []).append(commit)
        lines: dict[str, _Line] = {}
        for shard, due in sent.items():
            if shard in away:
                continue
            data = b"".join(self._packed(commit) for commit in due)
            if shard in cursors:
                data += self._read_command({shard: cursors[shard]}, count, 0)
            with self._apart(shard, lines, away):
                lines[shard] = self._line(self._keys.ticks(shard))
                lines[shard].send(data, REPLY_S)
        found: Batches = {}
        repeated = 0
        for shard, line in lines.items():  # in the order of sending, which is that of the replies
            if shard in away:
                continue
            with self._apart(shard, lines, away):
                cursor = {shard: cursors[shard]} if shard in cursors else {}
                done, got = self._replies(line, sent[shard], cursor, lost)
                repeated += done
                found |= got
        return found, repeated

    def _replies(
        self,
        line: "_Line",
        commits: Sequence[Commit],
        cursor: Mapping[str, EntryId],
        lost: dict[str, StreamError],
    ) -> tuple[int, Batches]:
        """All replies about one shard, taken off the line whatever they say."""
        repeated, refusal = 0, None
        for commit in commits:
            try:
                repeated += self._commit_reply(line.buffer, commit, lost)
            except _NotNow as error:
                refusal = error
        batches = self._read_reply(line.buffer, cursor, lost) if cursor else {}
        if refusal is not None:
            raise refusal
        return repeated, batches

    @contextmanager
    def _apart(
        self, shard: str, lines: Mapping[str, "_Line"], away: dict[str, Unavailable]
    ) -> Iterator[None]:
        """Keep what befalls one server of a cluster from the others."""
        try:
            yield
        except _NotNow as error:
            away[shard] = error
        except (Unavailable, *SERVER_ERRORS) as error:
            if shard in lines:
                lines[shard].close()
                self._lines = {
                    node: line for node, line in self._lines.items() if line is not lines[shard]
                }
            meaning = error if isinstance(error, Unavailable) else translated(error)
            if not isinstance(meaning, Unavailable):
                raise meaning from error
            away[shard] = meaning

    def _line(self, key: str) -> "_Line":
        node = self._link.node(key) if self._link.clustered else ""
        line = self._lines.get(node)
        if line is None:
            line = self._lines[node] = _Line(self._link.dedicated(node))
        return line

    def _packed(self, commit: Commit) -> bytes:
        keys, shard = self._keys, commit.shard
        assert commit.prev <= commit.new
        outputs = (commit.signals, commit.values, commit.deadletters)
        assert all(2 <= len(fields) <= FIELDS_MAX for entries in outputs for fields in entries)
        counts = {name: amount for name, amount in commit.counts.items() if amount}
        words: list[Any] = ["FCALL", self._link.library.name("commit"), "5", keys.ticks(shard)]
        words += [keys.shard(shard), keys.signals(shard), keys.values(shard)]
        words += [keys.deadletter(shard), commit.fence, keys.group, str(commit.prev)]
        words += [str(commit.new), commit.entries, commit.seq, commit.seq_values]
        words.append(orjson.dumps([(str(keep.since), str(keep.entries)) for keep in commit.keeps]))
        words += [orjson.dumps(counts), orjson.dumps(outputs, default=bytes.decode)]
        return packed(words)

    def _commit_reply(
        self, buffer: ReplyBuffer, commit: Commit, lost: dict[str, StreamError]
    ) -> bool:
        """Whether the server had done this commit already; a refusal goes into `lost`."""
        line = buffer.line()
        try:
            if line[:1] == b"-":
                self._raise(line)
            reply = buffer.take(int(line[1:]) + 2)[:-2]
            return answer(reply, commit.shard)[0] == "DUP"
        except Unavailable:
            raise
        except StreamError as error:
            lost.setdefault(commit.shard, error)
            return False

    def _raise(self, line: bytes) -> None:
        text = line[1:].decode("utf-8", "backslashreplace")
        if MISSING in text:
            self._link.load_functions()
        if text.startswith(("MOVED", "ASK")):
            self._link.refresh()
        error = server_error(text)
        raise _NotNow(str(error)) if isinstance(error, Unavailable) else error

    def _count(self, shards: Iterable[str], count: int) -> int:
        """How many entries to ask of each shard so that the reply stays within bounds."""
        sizes = [self._entry_bytes.get(shard, ENTRY_BYTES_GUESS) for shard in shards]
        return max(1, min(count, int(REPLY_BYTES_MAX / sum(sizes))))

    def _read_command(self, cursors: Mapping[str, EntryId], count: int, block_ms: int) -> bytes:
        words = ["XREAD", "COUNT", str(self._count(cursors, count))]
        if block_ms > 0:
            words += ["BLOCK", str(block_ms)]
        words.append("STREAMS")
        words += [self._keys.ticks(shard) for shard in cursors]
        words += [str(cursor) for cursor in cursors.values()]
        return packed(words)

    def _read_reply(
        self, buffer: ReplyBuffer, cursors: Mapping[str, EntryId], lost: dict[str, StreamError]
    ) -> Batches:
        """The batches of an XREAD reply: `*n` of pairs in RESP2, `%n` in RESP3."""
        line = buffer.line()
        if line[:1] == b"-":
            if line.startswith(b"-WRONGTYPE"):
                self._find_wrong_types(cursors, lost)
                return {}
            self._raise(line)
        if line in (b"*-1", b"_"):
            return {}
        batches = {}
        for _ in range(int(line[1:])):
            if line[:1] == b"*":
                buffer.line()
            name = buffer.take(int(buffer.line()[1:]) + 2)[:-2]
            shard = shard_name(name.decode("utf-8", "surrogateescape"))
            batches[shard] = self._entries(buffer, shard)
        return batches

    def _find_wrong_types(
        self, cursors: Mapping[str, EntryId], lost: dict[str, StreamError]
    ) -> None:
        """One key that is no stream fails the read of all: say which, so that the rest goes on."""
        for shard in cursors:
            key = self._keys.ticks(shard)
            with self._link.at(key) as client:
                seen = client.type(key)
            if seen not in (b"stream", b"none"):
                lost[shard] = Refused(f"shard {shard}: {key} is a {seen.decode()}, not a stream")

    def _entries(self, buffer: ReplyBuffer, shard: str) -> tuple[Batch, ...]:
        line = buffer.line()
        if line[:1] == b"-":
            self._raise(line)
        batches = self._decoders[shard].batches(buffer, int(line[1:]))
        entries = sum(batch.entries for batch in batches)
        if entries:
            self._entry_bytes[shard] = sum(batch.bytes_in for batch in batches) / entries
        return batches


def packed(words: Sequence[Any]) -> bytes:
    """A command as RESP."""
    command: Any = tuple(words)
    raw: bytes = hiredis.pack_command(command)
    return raw


class _Line:
    """One connection and the buffer of its replies."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._socket = connection._sock  # redis-py logs in, we read the bytes
        self.buffer = ReplyBuffer(self._socket.recv_into, 2 * ENTRY_BYTES_MAX)

    def send(self, data: bytes, timeout_s: float) -> None:
        """Send all of it; replies may then take `timeout_s` each."""
        self._socket.settimeout(max(timeout_s, CONNECT_S))
        self._socket.sendall(data)

    def close(self) -> None:
        self._connection.disconnect()
