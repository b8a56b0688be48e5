"""How many workers the fleet needs, from what its workers tell of their shards."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from time import monotonic

from workers.load import ShardLoad, demand
from workers.scaling import Required, Sizing, Unknown, required
from workers.settings import ScalingSettings


class Sizer:
    """Remembers the newest load of every shard, so that a hand-over leaves no hole."""

    def __init__(
        self,
        settings: ScalingSettings,
        shards: Iterable[str],
        *,
        workers_min: int = 1,
        workers_max: int | None = None,
    ) -> None:
        self._settings, self._shards = settings, tuple(shards)
        self._workers_min = workers_min
        self._workers_max = len(self._shards) if workers_max is None else workers_max
        self._seen: dict[str, tuple[ShardLoad, float]] = {}

    def observe(self, loads: Mapping[str, ShardLoad]) -> None:
        """Take note of loads that were told now."""
        now = monotonic()
        for shard, load in loads.items():
            if load.arrival is not None and load.backlog is not None:
                self._seen[shard] = (load, now)

    def known(self, loads: Mapping[str, ShardLoad]) -> dict[str, ShardLoad]:
        """These loads, with what is not yet measured of a shard as it was before it moved."""
        merged = {shard: load for shard, (load, _) in self._seen.items()}
        for shard, load in loads.items():
            if shard not in merged or load.arrival is not None:
                merged[shard] = load
            else:
                merged[shard] = replace(merged[shard], moved_ms=load.moved_ms)
        return merged

    def required(self) -> Required | Unknown:
        """Workers that the load needs, at most one a shard; Unknown where it cannot be said."""
        now, settings = monotonic(), self._settings
        seen = dict(self._seen)  # at once: HTTP threads ask, while the heartbeat's adds shards
        oldest = min((at for _, at in seen.values()), default=now)
        loads = {shard: load for shard, (load, _) in seen.items()}
        sizing = Sizing(
            workers_min=self._workers_min,
            workers_max=self._workers_max,
            utilisation=settings.utilisation,
            drain_s=settings.drain_s,
            age_s_max=settings.age_s_max,
        )
        return required(demand(loads, self._shards, now - oldest), sizing)
