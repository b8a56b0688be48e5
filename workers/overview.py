"""The fleet as anyone may see it: every shard, every worker."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from streams.connection import Link
from streams.keys import Keys
from streams.log import ShardLog
from streams.records import Status
from streams.wire import Wire
from workers.load import ShardLoad
from workers.membership import Membership, Peer
from workers.pressure import Pressure, assess_fleet
from workers.scaling import Required, Unknown
from workers.settings import Settings
from workers.sizing import Sizer


@dataclass(frozen=True, slots=True)
class Overview:
    """One look at a fleet."""

    name: str
    shards: Sequence[Status]
    workers: Sequence[Peer]
    required: Required | Unknown

    @property
    def counts(self) -> Mapping[str, int]:
        """The account of all shards together."""
        total = dict.fromkeys(("applied", "late", "repeated", "dead", "shed"), 0)
        for shard in self.shards:
            for name, amount in shard.counts.items():
                total[name] = total.get(name, 0) + amount
        return total

    @property
    def loads(self) -> Mapping[str, ShardLoad]:
        """What its owner measured of each shard."""
        return {shard: load for peer in self.workers for shard, load in peer.loads.items()}

    @property
    def pressure(self) -> Pressure:
        """How hard the load presses on the fleet."""
        levels = {
            shard: Pressure(level=load.level, reason=load.reason)
            for shard, load in self.loads.items()
        }
        return assess_fleet(Pressure(), levels, 0.0)

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
            "required": self.required.workers if isinstance(self.required, Required) else None,
            "why": self.required.reason,
            "pressure": {"level": self.pressure.level, "reason": self.pressure.reason},
            "shards": [self._shard(shard) for shard in self.shards],
            "workers": [
                {"name": peer.name, "age_ms": peer.age_ms, "shards": peer.shards}
                for peer in self.workers
            ],
        }

    def _shard(self, shard: Status) -> dict[str, Any]:
        about = {**asdict(shard), "cursor": str(shard.cursor)}
        load = self.loads.get(shard.shard)
        if load is None:
            return about
        return {**about, **asdict(load), "cost": load.cost, "backlog_s": load.backlog_s}


def look(link: Link, settings: Settings) -> Overview:
    """The fleet now. Raises: Unavailable."""
    keys = Keys(settings.name)
    wire = Wire(link, keys, shards=settings.shards)
    names = settings.shard_names
    shards = [ShardLog(link, keys, name, wire).status() for name in names]
    peers = Membership(link, keys, "", alive_ms=settings.worker.lease_ms).view().peers
    sizer = Sizer(settings.scaling, names)
    for peer in peers:
        sizer.observe(peer.loads)
    return Overview(settings.name, shards, peers, sizer.required())
