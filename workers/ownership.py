"""Which shards this worker should hold: takes what is free, gives up what belongs elsewhere.

Every worker computes the same placement from the same list of live workers; where two differ
for a moment, the lease in Redis decides, and its fence is what makes a mistake harmless.
"""

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from threading import Event, Lock
from time import monotonic

import structlog

from streams.connection import Link
from streams.errors import Held, StreamError, Unavailable
from streams.keys import Keys
from streams.log import ShardLog, renew_all
from streams.records import Lease
from streams.wire import Wire
from workers.backoff import Backoff
from workers.bell import Bell
from workers.dataplane import DataPlane, Give, Take
from workers.membership import Membership
from workers.metrics import Metrics
from workers.placement import place
from workers.program import Program
from workers.scripting.keeper import ScriptKeeper
from workers.settings import Settings
from workers.takeover import take_over

BEATS_PER_LEASE = 10
BEAT_S_MAX = 0.25
POLL_S = 0.01
COOL_OFF_S = 5.0  # how long a worker leaves a shard alone that failed in its hands

logger = structlog.get_logger()


@dataclass(slots=True)
class Holding:
    """A shard whose lease is ours; `ready` once the data plane processes it."""

    lease: Lease
    ready: bool = False
    leaving: bool = False


class Ownership:
    """Takes and gives up shards so that the fleet agrees, until it is told to stop."""

    def __init__(
        self,
        settings: Settings,
        name: str,
        link: Link,
        keys: Keys,
        program: Program,
        metrics: Metrics,
        background: Executor,
        keeper: ScriptKeeper,
    ) -> None:
        self.name = name
        self.plane = DataPlane(
            settings,
            Wire(link, keys, shards=settings.shards),
            metrics,
            background,
            keeper,
            self._gone,
        )
        self._settings, self._link, self._keys = settings, link, keys
        self._program, self._metrics, self._background = program, metrics, background
        self._shards = [*map(str, range(settings.shards)), *settings.sources]
        self._membership = Membership(link, keys, name, alive_ms=settings.worker.lease_ms)
        self._keeper = keeper
        self._holdings: dict[str, Holding] = {}
        self._resting: dict[str, float] = {}
        self._wanted: frozenset[str] = frozenset()
        self._lock = Lock()
        self._backoff = Backoff()

    @property
    def settled(self) -> bool:
        """Whether every shard that should be here is being processed here."""
        with self._lock:
            ready = {shard for shard, holding in self._holdings.items() if holding.ready}
        return bool(self._wanted) and self._wanted <= ready

    @property
    def holdings(self) -> tuple[str, ...]:
        """Names of the shards held now."""
        with self._lock:
            return tuple(self._holdings)

    def run(self, stop: Event) -> None:
        """Follow the fleet until `stop`; then hand everything over."""
        beat_s = min(self._settings.worker.lease_ms / 1_000 / BEATS_PER_LEASE, BEAT_S_MAX)
        bell = Bell(self._link, self._keys.wake)
        while not stop.is_set():
            try:
                self._beat()
                bell.wait(beat_s)
                self._backoff.reset()
            except Unavailable as error:
                pause_s = self._backoff.next_s()
                logger.warning("server away", reason=str(error), retry_s=round(pause_s, 3))
                stop.wait(pause_s)
        self._hand_over_all()
        bell.close()

    def _beat(self) -> None:
        """Show that we live, keep what is ours, and move towards the placement."""
        peers = self._membership.beat(self.holdings, {})
        with self._lock:
            fences = {shard: held.lease.fence for shard, held in self._holdings.items()}
        lost = renew_all(self._link, self._keys, fences, lease_ms=self._settings.worker.lease_ms)
        for shard in lost:
            self._give(shard, "")
        names = {peer.name for peer in peers} | {self.name}
        current = {shard: peer.name for peer in peers for shard in peer.shards}
        placed = place(self._shards, sorted(names), current=current)
        self._wanted = frozenset(shard for shard, owner in placed.items() if owner == self.name)
        for shard in fences.keys() - self._wanted:
            self._give(shard, placed[shard])
        for shard in self._free(current):
            self._try(shard)
        self._metrics.shards.set(len(fences))

    def _free(self, current: Mapping[str, str]) -> list[str]:
        """Shards that we want, do not hold, and that no one else says to hold."""
        now = monotonic()
        with self._lock:
            return [
                shard
                for shard in sorted(self._wanted - self._holdings.keys())
                if current.get(shard, self.name) == self.name
                and now >= self._resting.get(shard, 0.0)
            ]

    def _try(self, shard: str) -> None:
        log = ShardLog(
            self._link,
            self._keys,
            shard,
            Wire(self._link, self._keys, shards=self._settings.shards),
        )
        try:
            lease = log.acquire(self.name, lease_ms=self._settings.worker.lease_ms)
        except Held:
            return
        with self._lock:
            self._holdings[shard] = Holding(lease)
        self._background.submit(self._prepare, log, lease)

    def _prepare(self, log: ShardLog, lease: Lease) -> None:
        """Bring the shard's state up to its committed entry, then let it be processed."""
        started = monotonic()
        try:
            run = take_over(log, lease, self._program, self._settings.worker, self._keeper.bench)
        except Exception as error:
            logger.exception("take-over failed", shard=lease.shard)
            self._gone(lease.shard, rest=not isinstance(error, StreamError))
            return
        took_s = monotonic() - started
        self._metrics.takeover_seconds.observe(took_s)
        logger.info(
            "shard taken", shard=lease.shard, previous=lease.previous, took_s=round(took_s, 3)
        )
        with self._lock:
            self._holdings[lease.shard].ready = True
        self.plane.commands.put(Take(run))

    def _give(self, shard: str, successor: str) -> None:
        with self._lock:
            holding = self._holdings.get(shard)
            if holding is None or holding.leaving or not holding.ready:
                return
            holding.leaving = True
        self.plane.commands.put(Give(shard, successor))

    def _gone(self, shard: str, rest: bool) -> None:
        """A shard is no longer ours; one that failed in our hands rests before we try again."""
        with self._lock:
            self._holdings.pop(shard, None)
            if rest:
                self._resting[shard] = monotonic() + COOL_OFF_S

    def _hand_over_all(self) -> None:
        """Leave the list first, so that the others know where our shards go."""
        deadline = monotonic() + self._settings.worker.drain_s
        try:
            self._membership.leave()
        except Unavailable:
            logger.warning("server away", reason="leaving without a word")
        while self.holdings and monotonic() < deadline:
            for shard in self.holdings:  # again and again: some are only now being taken
                self._give(shard, "")
            Event().wait(POLL_S)
        if self.holdings:
            logger.error("drain timed out", shards=list(self.holdings))
