"""What a worker sees of its shards and of the fleet, and what it tells of it.

What is written for all (the pressure on the fleet, the log of decisions) is written by the worker
that conducts: should two think so for a moment, the same line stands there twice.
"""

from dataclasses import asdict
from time import monotonic

import orjson
import structlog

from streams.ahead import measure_all
from streams.connection import Link, translation
from streams.keys import Keys
from workers.accounts import Accounts
from workers.load import ShardLoad
from workers.membership import Beat, View
from workers.memory import share_in_use
from workers.meter import Meter, loads
from workers.metrics import Metrics
from workers.pressure import Pressure, Strain, Thresholds, assess, assess_fleet
from workers.scaling import Required, Unknown
from workers.settings import Settings
from workers.sizing import Sizer

FLEET = "fleet"  # the field of the pressure hash that is of the whole fleet
LOG_ENTRIES_MAX = 10_000
MS_PER_S = 1_000
NOT_HEARD = Unknown("unknown: no worker has worked it out of late")

logger = structlog.get_logger()


class Observer:
    """Measures now and then; `loads` and `required` are what came out last."""

    def __init__(
        self,
        settings: Settings,
        link: Link,
        keys: Keys,
        metrics: Metrics,
        accounts: Accounts,
    ) -> None:
        self._settings, self._link, self._keys = settings, link, keys
        self._metrics, self._meters, self._clock = metrics, accounts.meters, accounts.clock
        self._sizer = Sizer(settings.scaling, settings.shard_names)
        self._measured_at = float("-inf")
        self._fleet = Pressure()
        self._decided: int | None = 0
        self._told: dict[str, tuple[int, str]] = {}
        self._conducts = False
        self._heard: Required | Unknown = NOT_HEARD
        self._heard_of = 0.0  # when the conductor said so, by the monotonic clock
        self.loads: dict[str, ShardLoad] = {}
        metrics.required.read = self._required_workers

    @property
    def required(self) -> Required | Unknown:
        """Workers that the fleet needs now: as this worker works it out, or heard it last."""
        if self._conducts:
            return self._sizer.required()
        # Its age is looked at here: nothing is heard of a server that is away.
        age_s = monotonic() - self._heard_of
        return self._heard if age_s <= self._settings.scaling.age_s_max else NOT_HEARD

    def _required_workers(self) -> float | None:
        answer = self.required
        return float(answer.workers) if isinstance(answer, Required) else None

    def hear(self, beat: Beat) -> None:
        """Take note of what the conductor says of the fleet."""
        self._conducts, self._heard = beat.conducts, NOT_HEARD
        if beat.shared is not None:
            about = orjson.loads(beat.shared)
            made = about["required"]
            self._heard_of = monotonic() - (beat.now_ms - about["at_ms"]) / MS_PER_S
            self._heard = Required(**made) if "workers" in made else Unknown(**made)

    def shared(self, now_ms: int) -> bytes:
        """What the other workers are to hear."""
        return orjson.dumps({"at_ms": now_ms, "required": asdict(self.required)})

    def measure(self) -> bool:
        """Measure this worker's shards when it is time; whether it was. Raises: Unavailable."""
        now = monotonic()
        if now - self._measured_at < self._settings.balance.measure_s:
            self.loads = {
                shard: self.loads.get(shard, ShardLoad(moved_ms=meter.moved_ms))
                for shard, meter in dict(self._meters).items()
            }
            return False
        self._measured_at = now
        meters = dict(self._meters)
        ahead = measure_all(self._link, self._keys, list(meters))
        memory = share_in_use(self._link)
        for shard, meter in meters.items():
            if shard in ahead:
                meter.observe(ahead[shard], now, self._settings.scaling.half_life_s)
            self._press(meter, memory, now)
        self.loads = loads(meters, self._clock.now_ms())
        for shard, meter in meters.items():
            self._gauge(shard, meter, self.loads[shard])
        return True

    def _press(self, meter: Meter, memory: float, now: float) -> None:
        settings, wall_ms = self._settings.pressure, self._clock.now_ms()
        strain = Strain(meter.event_lag_s(wall_ms), meter.arrival_lag_s(wall_ms), memory)
        thresholds = Thresholds(
            event_lag_s=settings.lag_s, arrival_lag_s=settings.lag_s, calm_s=settings.calm_s
        )
        meter.pressure = assess(meter.pressure, strain, now, thresholds)

    def _gauge(self, shard: str, meter: Meter, load: ShardLoad) -> None:
        metrics = self._metrics
        metrics.lag_entries.labels(shard).set(meter.waiting_entries)
        metrics.lag_seconds.labels(shard).set(load.arrival_lag_s or 0.0)
        metrics.snapshot_age.labels(shard).set(monotonic() - meter.snapshot_at)
        metrics.pressure.labels(shard).set(load.level)
        metrics.shedding_tier.labels(shard).set(load.tier)
        if shard not in self._meters:  # given up meanwhile: no gauge may stay behind
            metrics.forget(shard)

    def known(self, view: View) -> dict[str, ShardLoad]:
        """Load of every shard as it was measured last, be it by an owner before this one."""
        self._sizer.observe(view.loads)
        return self._sizer.known(view.loads)

    def reflect(self, now_ms: int, view: View | None) -> None:
        """Tell how our shards are, and the fleet where this worker sees it. Raises: Unavailable."""
        if view is not None:
            self._assess(view)
        self._tell(now_ms, view, self.required)

    def _assess(self, view: View) -> None:
        levels = {
            shard: Pressure(level=load.level, reason=load.reason)
            for shard, load in view.loads.items()
        }
        self._fleet = assess_fleet(self._fleet, levels, monotonic())

    def _tell(self, now_ms: int, view: View | None, answer: Required | Unknown) -> None:
        """Write the pressure on our shards; the conductor writes what is of the fleet."""
        pressures = {shard: (load.level, load.reason) for shard, load in self.loads.items()}
        if view is not None:
            pressures[FLEET] = (self._fleet.level, self._fleet.reason)
        with translation(), self._link.client.pipeline(transaction=False) as pipe:
            for name, (level, reason) in pressures.items():
                told = orjson.dumps({"level": level, "at_ms": now_ms, "reason": reason})
                pipe.hset(self._keys.pressure, name, told)
                if self._told.get(name, (0, ""))[0] != level:
                    entry = {"of": name, "level": level, "reason": reason}
                    pipe.xadd(self._keys.pressure_log, entry, maxlen=LOG_ENTRIES_MAX)
                    logger.info("pressure changed", of=name, pressure=level, reason=reason)
            if view is not None and self._is_news(answer):
                entry = {"workers": len(view.peers), "reason": answer.reason}
                pipe.xadd(self._keys.decisions, entry, maxlen=LOG_ENTRIES_MAX)
                logger.info("workers required", running=len(view.peers), reason=answer.reason)
            pipe.execute()
        self._told = pressures

    def _is_news(self, answer: Required | Unknown) -> bool:
        """Whether the answer is another number than before, or none any more."""
        decided = answer.workers if isinstance(answer, Required) else None
        changed, self._decided = decided != self._decided, decided
        return changed
