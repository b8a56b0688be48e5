"""The data plane: commits out and batches in, for many shards over one connection a node."""

from collections.abc import Mapping, Sequence

from streams.connection import Link
from streams.keys import Keys
from streams.records import Commit, EntryId, Exchange
from streams.symbols import SymbolTable


class Wire:
    """Raw connections for the hot path; not to be shared between threads."""

    def __init__(self, link: Link, keys: Keys, *, shards: int) -> None:
        raise NotImplementedError

    def open(self, shard: str, symbols: SymbolTable, *, codec: str = "auto") -> None:
        """Say with which symbols a shard's entries are to be read from now on."""
        raise NotImplementedError

    def shut(self, shard: str) -> None:
        """Forget a shard."""
        raise NotImplementedError

    def exchange(
        self,
        commits: Sequence[Commit],
        cursors: Mapping[str, EntryId],
        *,
        count: int = 5000,
        block_ms: int = 0,
    ) -> Exchange:
        """Send every commit and the next read in one write; return what came back.

        Raises Unavailable when the connection was lost: it is then unknown which commits took
        effect, and the caller sends the same ones again. `block_ms` 0 returns at once.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Close the connections; the next exchange opens new ones."""
        raise NotImplementedError
