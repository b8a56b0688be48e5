"""The log of one shard: lease, read, commit, replay, snapshots."""

from collections.abc import Iterator, Mapping

from streams.connection import Link
from streams.keys import Keys
from streams.records import Batch, Commit, EntryId, Lag, Lease, Snapshot, Status
from streams.symbols import SymbolTable
from streams.wire import Wire


class ShardLog:
    """One shard; `wire` carries read, commit and replay, redis-py the rest.

    All methods raise Unavailable when the server cannot be reached; those that take a fence
    raise Fenced when another worker has taken the shard since.
    """

    def __init__(self, link: Link, keys: Keys, shard: str, wire: Wire) -> None:
        raise NotImplementedError

    def acquire(self, owner: str, *, lease_ms: int) -> Lease:
        """A lease with a new fence; raises Held while another's runs or is reserved."""
        raise NotImplementedError

    def renew(self, fence: int, *, lease_ms: int) -> None:
        """Prolong the lease to `lease_ms` from now."""
        raise NotImplementedError

    def release(self, fence: int, *, successor: str = "", reserve_ms: int = 0) -> None:
        """Give the shard up, for `reserve_ms` to `successor` alone, and wake the others."""
        raise NotImplementedError

    def open(self, symbols: SymbolTable, *, codec: str = "auto") -> None:
        """Say with which symbols entries are to be read from now on."""
        raise NotImplementedError

    def read(self, cursor: EntryId, *, count: int = 5000, block_ms: int = 0) -> tuple[Batch, ...]:
        """Batches after `cursor`; empty when nothing came within `block_ms` (0: at once)."""
        raise NotImplementedError

    def commit(self, commit: Commit) -> None:
        """Publish and move the cursor in one atomic step; raises Fenced or Stale."""
        raise NotImplementedError

    def replay(self, after: EntryId, upto: EntryId, *, count: int = 5000) -> Iterator[Batch]:
        """The entries after `after` up to and with `upto`, as they would have been read."""
        raise NotImplementedError

    def add_clock(self, fence: int, now_ns: int) -> EntryId:
        """Append a clock entry to the shard's own stream."""
        raise NotImplementedError

    def add_deploy(self, fence: int, kind: str, payload: bytes) -> EntryId:
        """Append a deployment to the shard's own stream."""
        raise NotImplementedError

    def save_snapshot(self, fence: int, snapshot: Snapshot) -> bool:
        """Store a snapshot; False when a newer one is there already."""
        raise NotImplementedError

    def load_snapshot(self) -> Snapshot | None:
        """The newest snapshot, or None."""
        raise NotImplementedError

    def trim(self, fence: int, *, retention_ms: int) -> int:
        """Drop entries that no one needs any more; returns how many."""
        raise NotImplementedError

    def lag(self) -> Lag:
        """How far the cursor is behind; never unknown."""
        raise NotImplementedError

    def status(self) -> Status:
        """The shard as anyone may see it."""
        raise NotImplementedError


def renew_all(
    link: Link, keys: Keys, fences: Mapping[str, int], *, lease_ms: int
) -> dict[str, Exception]:
    """Prolong many leases in one round trip; returns the shards that were lost, and why."""
    raise NotImplementedError
