"""The fleet as anyone may see it: every shard, every worker."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from streams.connection import Link
from streams.keys import Keys
from streams.log import ShardLog
from streams.records import Status
from streams.wire import Wire
from workers.membership import Membership, Peer
from workers.settings import Settings


@dataclass(frozen=True, slots=True)
class Overview:
    """One look at a fleet."""

    name: str
    shards: Sequence[Status]
    workers: Sequence[Peer]

    @property
    def counts(self) -> Mapping[str, int]:
        """The account of all shards together."""
        total = dict.fromkeys(("applied", "late", "repeated", "dead"), 0)
        for shard in self.shards:
            for name, amount in shard.counts.items():
                total[name] = total.get(name, 0) + amount
        return total

    @property
    def lag_entries(self) -> int:
        """Entries that no commit covers yet."""
        return sum(shard.lag.entries for shard in self.shards)

    @property
    def lag_seconds(self) -> float:
        """Age of the oldest of them."""
        return max((shard.lag.seconds for shard in self.shards), default=0.0)

    def as_json(self) -> dict[str, Any]:
        """What `fleet status --json` prints."""
        return {
            "name": self.name,
            "lag_entries": self.lag_entries,
            "lag_seconds": self.lag_seconds,
            "counts": self.counts,
            "shards": [{**asdict(shard), "cursor": str(shard.cursor)} for shard in self.shards],
            "workers": [asdict(worker) for worker in self.workers],
        }


def look(link: Link, settings: Settings) -> Overview:
    """The fleet now. Raises: Unavailable."""
    keys = Keys(settings.name)
    wire = Wire(link, keys, shards=settings.shards)
    names = [*map(str, range(settings.shards)), *settings.sources]
    shards = [ShardLog(link, keys, name, wire).status() for name in names]
    alive_ms = settings.worker.lease_ms
    return Overview(settings.name, shards, Membership(link, keys, "", alive_ms=alive_ms).peers())
