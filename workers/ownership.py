"""Which shards this worker should hold: takes what is free, gives up what belongs elsewhere.

One worker works out the placement for all; where two think they do, or one acts late, the lease in
Redis decides, and its fence is what makes a mistake harmless.
"""

from concurrent.futures import Executor
from dataclasses import dataclass
from threading import Event, Lock
from time import monotonic

import structlog

from streams.connection import Link
from streams.errors import Fenced, Held, Refused, Stale, Unavailable
from streams.keys import Keys
from streams.log import ShardLog, renew_all
from streams.records import Lease
from streams.wire import Wire
from workers.accounts import STEAL, Accounts
from workers.backoff import Backoff
from workers.bell import Bell, Released
from workers.conductor import Conductor, Part
from workers.dataplane import DataPlane, Give, Take
from workers.membership import SHARED, Beat, Membership, View
from workers.metrics import FREE, HANDED, SILENT, Metrics
from workers.observer import Observer
from workers.program import Program
from workers.scripting.keeper import ScriptKeeper
from workers.settings import Settings
from workers.shedder import Shedder
from workers.stealing import StealPolicy
from workers.takeover import take_over
from workers.tracing import Traces

BEATS_PER_LEASE = 10
BEAT_S_MAX = 0.25
PAUSE_BEATS_MAX = 3
LEAVE_BEAT_S = 0.05
LEAVE_BEATS_MAX = 4  # how long a worker that leaves waits to hear who takes its shards
GIVE_S_MAX = 2.0  # how long after its release a shard is still said to be on its way
MS_PER_S = 1_000
DRAIN = "drain"  # why a worker that leaves gives its shards up
COOL_OFF_S = 5.0  # how long a worker leaves a shard alone that failed in its hands
PASSES = (Unavailable, Fenced, Stale)  # errors after which a shard may be tried again at once

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
        traces: Traces | None = None,
    ) -> None:
        self.name = name
        self.plane = DataPlane(
            settings,
            Wire(link, keys, shards=settings.shards),
            Accounts(metrics, traces),
            background,
            keeper,
            Shedder(link, keys, settings.shedding),
            self._gone,
        )
        self._settings, self._link, self._keys = settings, link, keys
        self._program, self._metrics, self._background = program, metrics, background
        self._shards = settings.shard_names
        self.observer = Observer(settings, link, keys, metrics, self.plane.accounts)
        balance = settings.balance
        policy = StealPolicy(
            behind_s=balance.behind_s, room_s=balance.room_s, window_s=balance.window_s
        )
        self._conductor = Conductor(self._shards, policy)
        self._membership = Membership(link, keys, name, alive_ms=settings.worker.lease_ms)
        self._keeper = keeper
        self._holdings: dict[str, Holding] = {}
        self._resting: dict[str, float] = {}
        self._giving: dict[str, tuple[str, float]] = {}
        self._wanted: frozenset[str] = frozenset()
        self._placed = False  # whether we know what we should own, be it nothing
        self._kept_at = float("-inf")  # when the leases were renewed last
        self._lock = Lock()
        self._backoff = Backoff()

    @property
    def settled(self) -> bool:
        """Whether every shard that should be here is being processed here."""
        with self._lock:
            ready = {shard for shard, holding in self._holdings.items() if holding.ready}
        return self._placed and self._wanted <= ready

    @property
    def holdings(self) -> tuple[str, ...]:
        """Names of the shards held now."""
        with self._lock:
            return tuple(self._holdings)

    def run(self, stop: Event) -> None:
        """Follow the fleet until `stop`; then hand everything over."""
        beat_s = min(self._settings.worker.lease_ms / 1_000 / BEATS_PER_LEASE, BEAT_S_MAX)
        bell = Bell(self._link, self._keys.wake(self.name))
        while not stop.is_set():
            self._follow(bell, beat_s, stop)
        self._hand_over_all(bell, beat_s)
        bell.close()

    def _follow(self, bell: Bell, beat_s: float, stop: Event) -> None:
        """One heartbeat, and what is heard until the next."""
        try:
            self._beat()
            self._heed(bell.wait(beat_s))
            self._backoff.reset()
        except Unavailable as error:
            # Not so long that leases end on the servers of a cluster that are there.
            pause_s = min(self._backoff.next_s(), PAUSE_BEATS_MAX * beat_s)
            logger.warning("server away", reason=str(error), retry_s=round(pause_s, 3))
            self._doubt()
            stop.wait(pause_s)

    def _doubt(self) -> None:
        """Claim no shard, and no readiness, once leases that nobody renews have run out."""
        if monotonic() - self._kept_at > self._settings.worker.lease_ms / MS_PER_S:
            self._placed = False
            self._metrics.shards.set(0)

    def _beat(self) -> None:
        """Show that we live, keep what is ours, and move towards the placement."""
        # Leases first: they must not end because a server that holds other keys is away.
        with self._lock:
            fences = {shard: held.lease.fence for shard, held in self._holdings.items()}
        lost = renew_all(self._link, self._keys, fences, lease_ms=self._settings.worker.lease_ms)
        if fences:
            self._kept_at = monotonic()
        for shard in lost:
            self._give(shard, "", "lost")
        measured = self.observer.measure()
        beat = self._membership.beat(self.holdings, self.observer.loads, self._on_their_way())
        self.plane.accounts.clock.hear(beat.now_ms)
        self.observer.hear(beat)
        view = self._membership.view() if beat.conducts else None
        if view is not None:
            self._play(self._conduct(view, beat, measured=measured))
        elif beat.part is not None:
            self._play(Part.heard(beat.part))
        if measured:
            self.observer.reflect(beat.now_ms, view)
        self._kept_at = monotonic()
        self._metrics.shards.set(len(fences))

    def _play(self, part: Part) -> None:
        """Move towards the part that the conductor gave us."""
        leaving = self._membership.leaving
        if not leaving:
            self._wanted, self._placed = frozenset(part.wanted), True
        with self._lock:
            coming = self._wanted - self._holdings.keys()
            taken = any(not holding.ready for holding in self._holdings.values())
        self.plane.expects = taken or bool(coming and not leaving)
        for shard, taker in part.stolen.items():
            if self._give(shard, taker, STEAL):
                self._metrics.steals.inc()
                logger.info("shard stolen", shard=shard, taker=taker)
        for shard, taker in part.give.items():
            self._give(shard, taker, DRAIN if leaving else "placement")
        now = monotonic()
        for shard in () if leaving else part.free:
            if now >= self._resting.get(shard, 0.0):
                self._try(shard)

    def _conduct(self, view: View, beat: Beat, *, measured: bool) -> Part:
        """Work out every worker's part, tell the others theirs, and return ours."""
        parts = self._conductor.parts(view, self.observer.known(view), measured=measured)
        told = {name: part.told() for name, part in parts.items()}
        told[SHARED] = self.observer.shared(beat.now_ms)
        self._membership.direct(told, beat.now_ms)
        return parts.get(self.name, Part())

    def _heed(self, released: Released | None) -> None:
        """Take what was released for us at once; a beat would come later."""
        if released is not None and released.shard and not self._membership.leaving:
            self._try(released.shard)

    def _on_their_way(self) -> dict[str, str]:
        """Shards that we are handing over, and to whom."""
        now = monotonic()
        with self._lock:
            self._giving = {
                shard: (taker, until)
                for shard, (taker, until) in self._giving.items()
                if shard in self._holdings or now < until
            }
            return {shard: taker for shard, (taker, _) in self._giving.items()}

    def _try(self, shard: str) -> None:
        with self._lock:
            if shard in self._holdings:
                return
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
        except Refused as error:  # about this shard: the others go on
            logger.error("shard refused", shard=shard, reason=str(error))
            self._rest(shard)
            return
        with self._lock:
            self._holdings[shard] = Holding(lease)
        self.plane.expects = True
        self._background.submit(self._prepare, log, lease)

    def _prepare(self, log: ShardLog, lease: Lease) -> None:
        """Bring the shard's state up to its committed entry, then let it be processed."""
        started = monotonic()
        try:
            run = take_over(log, lease, self._program, self._settings.worker, self._keeper.bench)
        except Exception as error:
            logger.exception("take-over failed", shard=lease.shard)
            self.plane.accounts.not_taken(lease.shard, error, monotonic() - started)
            self._gone(lease.shard, rest=not isinstance(error, PASSES))
            return
        took_s = monotonic() - started
        logger.info(
            "shard taken", shard=lease.shard, previous=lease.previous, took_s=round(took_s, 3)
        )
        self.plane.accounts.taken(run, _from_state(lease, self.name), took_s)
        with self._lock:  # in one step, so that nobody gives it up before it is there
            self._holdings[lease.shard].ready = True
            self.plane.commands.put(Take(run))

    def _give(self, shard: str, successor: str, why: str) -> bool:
        """Let the data plane give the shard up; whether it can."""
        with self._lock:
            holding = self._holdings.get(shard)
            if holding is None or holding.leaving or not holding.ready:
                return False
            holding.leaving = True
            if successor:
                self._giving[shard] = (successor, monotonic() + GIVE_S_MAX)
        self.plane.accounts.leaving(shard, successor, why)
        self.plane.commands.put(Give(shard, successor))
        return True

    def _gone(self, shard: str, rest: bool) -> None:
        """A shard is no longer ours; one that failed in our hands rests before we try again."""
        with self._lock:
            self._holdings.pop(shard, None)
        if rest:
            self._rest(shard)

    def _rest(self, shard: str) -> None:
        self._resting[shard] = monotonic() + COOL_OFF_S

    def _hand_over_all(self, bell: Bell, beat_s: float) -> None:
        """Give every shard to whom the conductor says, or to anyone where none does in time."""
        began = monotonic()
        deadline, told_by = began + self._settings.worker.drain_s, began
        try:
            if self._membership.resign():
                told_by += LEAVE_BEATS_MAX * beat_s
        except Unavailable:
            logger.warning("server away", reason="leaving without a word")
        while self.holdings and monotonic() < deadline:
            if monotonic() >= told_by:
                for shard in self.holdings:  # again and again: some are only now being taken
                    self._give(shard, "", DRAIN)
            self._follow(bell, min(LEAVE_BEAT_S, beat_s), Event())
        if self.holdings:
            logger.error("drain timed out", shards=list(self.holdings))
        try:
            self._membership.leave()
        except Unavailable:
            logger.warning("server away", reason="left without a word")


def _from_state(lease: Lease, name: str) -> str:
    """How a shard was found: handed to us, free, or with a worker that fell silent."""
    if lease.previous == name:
        return HANDED
    return SILENT if lease.previous else FREE
