"""The values that cross between a worker and the log: ids, batches, commits, leases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from streams.errors import StreamError

type Fields = Sequence[bytes | str]
"""An entry as it is sent: name, value, name, value, ... in UTF-8; texts go faster than bytes."""

type Bytes = NDArray[np.uint8]
type Ints = NDArray[np.int64]
type Words = NDArray[np.uint64]
type Floats = NDArray[np.float64]

CLOCK_SLOT = -1


class EntryId(NamedTuple):
    """Id of a stream entry; orders as the server orders."""

    ms: int
    seq: int

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """The id that a text such as `1763823000123-4` names; ValueError if it names none."""
        ms, _, seq = (text.decode() if isinstance(text, bytes) else text).partition("-")
        return cls(int(ms), int(seq or 0))

    def __str__(self) -> str:
        return f"{self.ms}-{self.seq}"


ZERO = EntryId(0, 0)


@dataclass(frozen=True, slots=True)
class Reject:
    """An entry, or a row of a frame, that can never be read; `rows` that share this reason."""

    entry: EntryId
    row: int | None
    reason: str
    fields: Mapping[str, str]
    rows: int = 1


@dataclass(frozen=True, slots=True)
class Control:
    """A deployment that came through the log."""

    entry: EntryId
    kind: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Decision:
    """Something that was decided about a shard, and holds behind the log entry `after`."""

    entry: EntryId
    after: EntryId
    payload: bytes


class Decided(NamedTuple):
    """The newest decisions that are known: about scripts, about shedding."""

    scripts: EntryId = ZERO
    shed: EntryId = ZERO


class Batch(NamedTuple):
    """One contiguous run of a shard's log as columns, each of shape (rows,).

    A clock entry is a row with slot -1, its time in `ts` and NaN as price. `key` tells a trade
    of an instrument from another (0 = the producer gave no id). All rows are `history`, which
    moves state and is not published, or none is.
    """

    shard: str
    upto: EntryId
    entries: int
    slot: Ints
    ts: Ints
    price: Floats
    size: Floats
    key: Words
    entry_ms: Words
    entry_seq: Words
    rejects: tuple[Reject, ...] = ()
    control: Control | None = None
    bytes_in: int = 0
    history: bool = False

    @property
    def rows(self) -> int:
        """Number of rows in the columns."""
        return len(self.slot)


class Keep(NamedTuple):
    """What bounds an output stream: entries before `since` go, and the oldest above `entries`."""

    since: EntryId
    entries: int


class Commit(NamedTuple):
    """What one batch did: outputs, and the move of the cursor from `prev` to `new`.

    `seq` and `seq_values` say how many entries the shard ever published before this one: the
    server refuses a commit that was built on another count. One with `new` equal to `prev` asks
    whether the shard is still where it was, and changes nothing. `keeps` trims signals, values and
    dead letters, in this order; left out, nothing is trimmed.
    """

    shard: str
    fence: int
    prev: EntryId
    new: EntryId
    entries: int
    signals: Sequence[Fields] = ()
    values: Sequence[Fields] = ()
    deadletters: Sequence[Fields] = ()
    counts: Mapping[str, int] = MappingProxyType({})
    seq: int = 0
    seq_values: int = 0
    keeps: Sequence[Keep] = ()


@dataclass(frozen=True, slots=True)
class Lease:
    """Ownership of a shard, and where its owner stands: all of it as of the acquisition."""

    shard: str
    owner: str
    fence: int
    cursor: EntryId
    entries: int
    seq: int
    seq_values: int
    previous: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State as of an entry: the `entries` committed up to it, and who can load the payload."""

    entry: EntryId
    entries: int
    digest: str
    version: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a shard is behind its stream."""

    entries: int
    seconds: float
    lost: int


@dataclass(frozen=True, slots=True)
class Status:
    """One shard as anyone may see it; `lease_ms` is what is left of the lease."""

    shard: str
    owner: str
    fence: int
    lease_ms: int
    cursor: EntryId
    entries: int
    seq: int
    seq_values: int
    counts: Mapping[str, int]
    lag: Lag


@dataclass(frozen=True, slots=True)
class Exchange:
    """What one round trip brought.

    `batches` holds, for each shard with news, its batches in order; `lost` the shards whose
    commit was refused and why (their batches are left out); `repeated` counts commits that the
    server had already done; `away` holds the shards whose server could not be asked, and why: what
    became of their commits is unknown, and the others went on. `waited_s` of the round trip went by
    until there was something to read: the rest was work. `settled_at` and `read_at` are moments of
    the monotonic clock: the replies to all commits were in, what was read began to come in.
    """

    batches: Mapping[str, tuple[Batch, ...]]
    lost: Mapping[str, StreamError]
    repeated: int
    waited_s: float = 0.0
    settled_at: float = 0.0
    read_at: float = 0.0
    away: Mapping[str, StreamError] = field(default_factory=dict)
