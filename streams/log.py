"""The log of one shard: lease, read, commit, replay, snapshots."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from streams import capsule, lag
from streams.codec import AUTO, CLOCK, DEPLOY
from streams.connection import Link, translated
from streams.errors import StreamError, Unavailable
from streams.functions import MISSING, answer
from streams.keys import NAME, Keys
from streams.records import (
    Batch,
    Commit,
    Decided,
    Decision,
    EntryId,
    Lag,
    Lease,
    Snapshot,
    Status,
)
from streams.symbols import SymbolTable
from streams.wire import COUNT, Wire

SCRIPT = "script"  # the kind of an entry that deploys a script, or decides about one
SHED = "shed"  # the kind of one that says what an overloaded shard gives up
AFTER = "after"  # the field that says behind which entry a decision holds
NOTHING_DECIDED = Decided()
DECISIONS = 100  # that are looked at in one go
SIGNALS = 1_000  # the same
TRIM_TRIES = 3  # a group may join between the look at the groups and the trim


class ShardLog:
    """One shard; `wire` carries read, commit and replay, redis-py the rest.

    All methods raise Unavailable when the server cannot be reached; those that take a fence
    raise Fenced when another worker has taken the shard since. What goes through `wire` belongs
    to its thread; the rest may be called from any.
    """

    def __init__(self, link: Link, keys: Keys, shard: str, wire: Wire) -> None:
        self.shard = shard
        self._link, self._keys, self._wire = link, keys, wire
        self._ticks, self._hash = keys.ticks(shard), keys.shard(shard)

    def acquire(self, owner: str, *, lease_ms: int) -> Lease:
        """A lease with a new fence; raises Held while another's runs or is reserved."""
        words = self._call("acquire", [], self._keys.group, owner, lease_ms)
        _, fence, _, cursor, entries, seq, seq_values, *previous = words
        return Lease(
            shard=self.shard,
            owner=owner,
            fence=int(fence),
            cursor=EntryId.parse(cursor),
            entries=int(entries),
            seq=int(seq),
            seq_values=int(seq_values),
            previous=" ".join(previous),
        )

    def renew(self, fence: int, *, lease_ms: int) -> None:
        """Prolong the lease to `lease_ms` from now."""
        self._call("renew", [], fence, lease_ms)

    def release(self, fence: int, *, successor: str = "", reserve_ms: int = 0) -> None:
        """Give the shard up, for `reserve_ms` to `successor` alone, and wake that one."""
        group, wake = self._keys.group, self._keys.wake(successor)
        self._call("release", [], fence, group, successor, reserve_ms, wake, self.shard)

    def open(self, symbols: SymbolTable, *, codec: str = AUTO) -> None:
        """Say with which symbols entries are to be read from now on."""
        self._wire.open(self.shard, symbols, codec=codec)

    def read(self, cursor: EntryId, *, count: int = COUNT, block_ms: int = 0) -> tuple[Batch, ...]:
        """Batches after `cursor`; empty when nothing came within `block_ms` (0: at once)."""
        got = self._wire.exchange((), {self.shard: cursor}, count=count, block_ms=block_ms)
        if self.shard in got.lost:
            raise got.lost[self.shard]
        return got.batches.get(self.shard, ())

    def commit(self, commit: Commit) -> None:
        """Publish and move the cursor in one atomic step; raises Fenced or Stale.

        To repeat one that was done is no error: it has no effect.
        """
        got = self._wire.exchange((commit,), {})
        if self.shard in got.lost:
            raise got.lost[self.shard]

    def replay(self, after: EntryId, upto: EntryId, *, count: int = COUNT) -> Iterator[Batch]:
        """The entries after `after` up to and with `upto`, as they would have been read."""
        while after < upto:
            batches = self._wire.range(self.shard, after, upto, count=count)
            if not batches:
                return
            yield from batches
            after = batches[-1].upto

    def add_clock(self, fence: int, now_ns: int) -> EntryId:
        """Append a clock entry to the shard's own stream."""
        return self._append(fence, CLOCK, str(now_ns))

    def add_deploy(self, fence: int, kind: str, payload: bytes) -> EntryId:
        """Append a deployment to the shard's own stream."""
        return self._append(fence, DEPLOY, kind, "payload", payload)

    def add_script_decision(self, fence: int, after: EntryId, payload: bytes) -> EntryId:
        """Append a decision about a script, which holds behind an entry, to the stream of them."""
        key = self._keys.script_decisions(self.shard)
        return self._decide(key, fence, SCRIPT, after, payload)

    def script_decisions(self, newer_than: EntryId) -> list[Decision]:
        """The decisions about scripts behind this one, in order."""
        return self._decisions(self._keys.script_decisions(self.shard), newer_than)

    def add_shed(self, fence: int, after: EntryId, payload: bytes) -> EntryId:
        """Append a shedding decision, which holds behind an entry, to the stream of them."""
        return self._decide(self._keys.shed(self.shard), fence, SHED, after, payload)

    def shed_decisions(self, newer_than: EntryId) -> list[Decision]:
        """The shedding decisions behind this one, in order."""
        return self._decisions(self._keys.shed(self.shard), newer_than)

    def newest_shed_decision(self) -> Decision | None:
        """The last shedding decision, if there ever was one."""
        with self._link.at(self._ticks) as client:
            found = client.xrevrange(self._keys.shed(self.shard), count=1)
        return _decision(*found[0]) if found else None

    def forget_decisions(self, cursor: EntryId) -> list[EntryId]:
        """Take back the decisions that hold behind `cursor`; returns those about shedding.

        They are of a batch that was never committed, or whose commit a failover undid.
        """
        keys, forgotten = self._keys, []
        for key in (keys.script_decisions(self.shard), keys.shed(self.shard)):
            unmade = self._ahead(key, cursor)
            if unmade:
                with self._link.at(self._ticks) as client:
                    client.xdel(key, *map(str, unmade))
                forgotten += unmade if key == keys.shed(self.shard) else []
        return forgotten

    def said(self, behind: int) -> Counter[str]:
        """How many of the signals whose number is above `behind` each source gave.

        Only of those that are retained.
        """
        found: Counter[str] = Counter()
        bound = "+"
        while True:
            with self._link.at(self._ticks) as client:
                page = client.xrevrange(self._keys.signals(self.shard), bound, "-", count=SIGNALS)
            for _, fields in page:
                if int(fields[b"seq"]) <= behind:
                    return found
                found[fields[b"source"].decode()] += 1
            if len(page) < SIGNALS:
                return found
            bound = f"({page[-1][0].decode()}"

    def save_snapshot(self, fence: int, snapshot: Snapshot) -> bool:
        """Store a snapshot; False when a newer one is there already.

        It goes in pieces, and the old one stays in force until the last of them is there.
        """
        key = [self._keys.snapshot(self.shard)]
        prefix = capsule.prefix(fence, snapshot)
        chunks = capsule.chunks(snapshot.payload)
        for number, chunk in enumerate(chunks):
            self._call("stow", key, fence, f"{prefix}{number}", chunk)
        words = capsule.header(snapshot, len(chunks), prefix)
        return self._call("seal", key, fence, *words)[0] == "OK"

    def load_snapshot(self) -> Snapshot | None:
        """The newest snapshot, or None; raises Malformed when it is damaged."""
        with self._link.at(self._ticks) as client:
            return capsule.load(client, self._keys.snapshot(self.shard))

    def trim(self, fence: int, *, retention_ms: int, decided: Decided = NOTHING_DECIDED) -> int:
        """Drop what is older than the retention and needed by no group or snapshot.

        With the ticks go the decisions behind them, up to `decided`, the newest that a stored
        snapshot knows. Returns how many ticks' entries went. Age is the entry id's, by the
        server's clock.
        """
        for _ in range(TRIM_TRIES):
            groups = self._groups()
            fleets = [Keys(name) if NAME.fullmatch(name) else self._keys for name in groups]
            keys = [self._keys.script_decisions(self.shard), self._keys.shed(self.shard)]
            keys += [key(self.shard) for fleet in fleets for key in (fleet.snapshot, fleet.shard)]
            words = (self._keys.group, retention_ms, *map(str, decided), *groups)
            word, *rest = self._call("trim", keys, fence, *words)
            if word == "OK":
                return int(rest[0])
        return 0

    def lag(self) -> Lag:
        """How far the cursor is behind; never unknown."""
        with self._link.at(self._ticks) as client:
            return lag.measure(client, self._ticks, self._hash)

    def status(self) -> Status:
        """The shard as anyone may see it."""
        with self._link.at(self._ticks) as client:
            return lag.status(client, self.shard, self._ticks, self._hash)

    def _decide(self, key: str, fence: int, kind: str, after: EntryId, payload: bytes) -> EntryId:
        words = (fence, DEPLOY, kind, AFTER, str(after), "payload", payload)
        keys = [key, self._hash]
        return EntryId.parse(answer(call(self._link, "append", keys, words), self.shard)[1])

    def _decisions(self, key: str, newer_than: EntryId) -> list[Decision]:
        with self._link.at(self._ticks) as client:
            found = client.xrange(key, f"({newer_than}", "+")
        return [_decision(entry, fields) for entry, fields in found]

    def _ahead(self, key: str, cursor: EntryId) -> list[EntryId]:
        """The decisions that hold behind `cursor`: the newest ones, so it looks from the end."""
        ahead: list[EntryId] = []
        while True:
            bound = f"({ahead[-1]}" if ahead else "+"
            with self._link.at(self._ticks) as client:
                found = client.xrevrange(key, bound, "-", count=DECISIONS)
            page = [_decision(entry, fields) for entry, fields in found]
            fresh = [one.entry for one in page if one.after > cursor]
            ahead += fresh
            if len(fresh) < DECISIONS:
                return ahead

    def _append(self, fence: int, *fields: str | bytes) -> EntryId:
        return EntryId.parse(self._call("append", [], fence, *fields)[1])

    def _groups(self) -> list[str]:
        """Names of the groups on the source stream, ours first."""
        with self._link.at(self._ticks) as client:
            found = lag.groups(client, self._ticks)
        return [self._keys.group, *(name for name in found if name != self._keys.group)]

    def _call(self, function: str, keys: list[str], *words: Any) -> list[str]:
        return answer(
            call(self._link, function, [self._ticks, self._hash, *keys], words), self.shard
        )


def _decision(entry: bytes, fields: Mapping[bytes, bytes]) -> Decision:
    after = EntryId.parse(fields[AFTER.encode()])
    return Decision(EntryId.parse(entry), after, fields[b"payload"])


def call(link: Link, function: str, keys: list[str], words: tuple[Any, ...]) -> bytes:
    """The raw answer of a server function; loads the library where the server lost it."""
    name = link.library.name(function)
    for last_try in (False, True):
        try:
            with link.at(keys[0]) as client:
                reply: bytes = client.fcall(name, len(keys), *keys, *words)
        except Unavailable as error:
            if MISSING not in str(error) or last_try:
                raise
            link.load_functions()
        else:
            return reply
    raise AssertionError


def renew_all(
    link: Link, keys: Keys, fences: Mapping[str, int], *, lease_ms: int
) -> dict[str, StreamError]:
    """Prolong many leases in one round trip; returns the shards that were lost, and why.

    Those whose server is away are left as they are, unless all are: then it raises Unavailable.
    """
    shards, name = list(fences), link.library.name("renew")
    replies = link.pipelined(
        [keys.ticks(shard) for shard in shards],
        [
            ("FCALL", name, 2, keys.ticks(shard), keys.shard(shard), fences[shard], lease_ms)
            for shard in shards
        ],
    )
    lost: dict[str, StreamError] = {}
    away: dict[str, StreamError] = {}
    for shard, reply in zip(shards, replies, strict=True):
        try:
            answer(_good(reply), shard)
        except Unavailable as error:
            away[shard] = error
        except StreamError as error:
            lost[shard] = error
    if away and len(away) == len(shards):
        raise away[shards[0]]
    return lost


def _good(reply: Any) -> bytes:
    """The reply, which is raised where it is an error."""
    if isinstance(reply, StreamError):
        raise reply
    if isinstance(reply, Exception):
        raise translated(reply) from reply
    good: bytes = reply
    return good
