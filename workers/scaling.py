"""How many workers the load needs, and how the fleet may go there.

`required` is the one number that autoscaling follows: what the arrivals need plus what draining
the backlog in time needs. Backlog alone flaps: it is nothing exactly when capacity is right. What
is not known is `Unknown`, never a small number. `scale` moves a fleet towards it the way a
Kubernetes HorizontalPodAutoscaler does. Clocks are arguments.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import ceil, floor, isfinite

ROUNDING = 1e-9  # so that 3 workers' worth of load is not 4 workers


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Rate estimate over a counter that only grows; `per_s` is None until two readings."""

    per_s: float | None = None
    count: int | None = None
    at_s: float = 0.0


def observe_arrivals(before: Arrivals, count: int, at_s: float, half_life_s: float) -> Arrivals:
    """Estimate after another reading of the counter, exponentially weighted by time.

    A counter that went back (the server lost data, or the stream is another) starts anew.
    """
    if before.count is None or count < before.count:
        return Arrivals(None, count, at_s)
    elapsed_s = at_s - before.at_s
    if elapsed_s <= 0:
        return before
    newest = (count - before.count) / elapsed_s
    if before.per_s is None:
        return Arrivals(newest, count, at_s)
    kept = 0.5 ** (elapsed_s / half_life_s)
    return Arrivals(kept * before.per_s + (1 - kept) * newest, count, at_s)


@dataclass(frozen=True, slots=True)
class BusyRate:
    """Rows that were processed in how many busy seconds; waiting does not count."""

    rows: float = 0.0
    busy_s: float = 0.0

    @property
    def per_s(self) -> float | None:
        """Rows that one worker can do in a second, or None before any work was measured."""
        return self.rows / self.busy_s if self.busy_s > 0 and self.rows > 0 else None


def combine(rates: Iterable[BusyRate]) -> BusyRate:
    """Measure of one average worker of several."""
    known = [rate for rate in rates if rate.per_s is not None]
    return BusyRate(sum(rate.rows for rate in known), sum(rate.busy_s for rate in known))


def total(values: Iterable[float | None]) -> float | None:
    """Sum of the values, or None where one of them is unknown."""
    known, seen = 0.0, list(values)
    for value in seen:
        if value is None:
            return None
        known += value
    return known


@dataclass(frozen=True, slots=True)
class Demand:
    """What was measured of the whole fleet; None is unknown."""

    arrival: float | None  # rows a second
    backlog: float | None  # rows
    rate_per_worker: float | None  # rows a busy second
    shards: int
    age_s: float = 0.0  # of the oldest of these measurements


@dataclass(frozen=True, slots=True)
class Sizing:
    """What the fleet is sized for."""

    workers_min: int = 1
    workers_max: int = 16
    utilisation: float = 0.75  # share of a second that a worker should be busy
    drain_s: float = 120.0  # in which a backlog should be gone
    age_s_max: float = 30.0  # measurements older than this are unknown


@dataclass(frozen=True, slots=True)
class Required:
    """Workers that the load needs, and why."""

    workers: int
    arrivals: float  # workers that the arrivals need
    catch_up: float  # workers that draining the backlog needs
    bound: str = ""  # which limit changed the number

    @property
    def reason(self) -> str:
        """Line for people, such as `12: arrivals 9.1, catch-up 2.9`."""
        text = f"{self.workers}: arrivals {self.arrivals:.1f}, catch-up {self.catch_up:.1f}"
        return f"{text}, {self.bound}" if self.bound else text


@dataclass(frozen=True, slots=True)
class Unknown:
    """The number is not known: an error to whoever asks, and no reason to scale."""

    reason: str


def required(demand: Demand, sizing: Sizing) -> Required | Unknown:
    """Workers that the demand needs, within the limits and never more than shards.

    `ceil((arrival / utilisation + backlog / drain_s) / rate_per_worker)`. Without arrivals and
    backlog the rate does not matter.
    """
    missing = _missing(demand, sizing)
    if missing:
        return Unknown(f"unknown: {', '.join(missing)}")
    arrival, backlog = demand.arrival or 0.0, demand.backlog or 0.0
    rate = demand.rate_per_worker or float("inf")
    arrivals, catch_up = arrival / sizing.utilisation / rate, backlog / sizing.drain_s / rate
    if not isfinite(arrivals + catch_up):
        return Unknown(f"unknown: a rate per worker of {rate:g} rows/s gives no finite number")
    workers, bound = _within(ceil(arrivals + catch_up - ROUNDING), demand.shards, sizing)
    return Required(workers, arrivals, catch_up, bound)


def _missing(demand: Demand, sizing: Sizing) -> list[str]:
    idle = demand.arrival == 0 and demand.backlog == 0
    readings = {
        "arrival rate": demand.arrival,
        "backlog": demand.backlog,
        "rate per worker": 1.0 if idle else demand.rate_per_worker or None,
    }
    missing = [
        name
        for name, value in readings.items()
        if value is None or not isfinite(value) or value < 0
    ]
    if not demand.age_s <= sizing.age_s_max:
        missing.append(f"measured {demand.age_s:.0f} s ago, limit {sizing.age_s_max:.0f} s")
    return missing


def _within(workers: int, shards: int, sizing: Sizing) -> tuple[int, str]:
    highest = min(sizing.workers_max, shards)
    if workers > highest:
        limit = "max" if highest == sizing.workers_max else "shards"
        return highest, f"{limit} {highest} of {workers}"
    lowest = min(sizing.workers_min, highest)
    return (lowest, f"min {lowest}") if workers < lowest else (workers, "")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How fast a fleet may follow, as in the `behavior` of a HorizontalPodAutoscaler."""

    tolerance: float = 0.1
    up_window_s: float = 0.0
    up_share: float = 1.0  # of the workers at the start of the period ...
    up_workers: int = 4  # ... or so many, whichever is more
    up_period_s: float = 30.0
    down_window_s: float = 300.0
    down_share: float = 0.25
    down_period_s: float = 60.0


@dataclass(frozen=True, slots=True)
class History:
    """What `scale` remembers: (seconds, workers asked for) and (seconds, workers added)."""

    asked: tuple[tuple[float, int], ...] = ()
    added: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Scaling:
    """Workers that should run now, why, and what to hand in the next time."""

    workers: int
    reason: str
    history: History = field(repr=False)


def scale(
    current: int,
    wanted: Required | Unknown,
    now_s: float,
    history: History,
    *,
    behaviour: Behaviour = Behaviour(),
) -> Scaling:
    """Next number of workers; the caller must go there, or say so by the next `current`.

    Up to the least that was asked for within the window up (0: what is asked for now), down to
    the most within the window down; no faster than the behaviour allows; not at all within the
    tolerance, or while the number is unknown.
    """
    history = _forget(history, now_s, behaviour)
    if isinstance(wanted, Unknown):
        return Scaling(current, f"{current} kept, {wanted.reason}", history)
    asked = (*(history.asked or ((now_s, current),)), (now_s, wanted.workers))
    history = replace(history, asked=asked)
    if current and abs(wanted.workers / current - 1) <= behaviour.tolerance + ROUNDING:
        return Scaling(current, f"{current} kept, {wanted.reason}", history)
    steady = _steady(current, wanted.workers, history, now_s, behaviour)
    target = _limited(current, steady, history, now_s, behaviour)
    if target == current:
        return Scaling(current, f"{current} kept, {wanted.reason}, window", history)
    limit = f", held at {target} by the pace" if target != steady else ""
    history = replace(history, added=(*history.added, (now_s, target - current)))
    return Scaling(target, f"{current} -> {target}, {wanted.reason}{limit}", history)


def _forget(history: History, now_s: float, behaviour: Behaviour) -> History:
    asked_s = max(behaviour.up_window_s, behaviour.down_window_s)
    added_s = max(behaviour.up_period_s, behaviour.down_period_s)
    return History(
        tuple(one for one in history.asked if now_s - one[0] <= asked_s),
        tuple(one for one in history.added if now_s - one[0] < added_s),
    )


def _steady(current: int, wanted: int, history: History, now_s: float, behaviour: Behaviour) -> int:
    """Nearest to the current number of all that the two windows allow."""

    def within(window_s: float) -> list[int]:
        return [wanted, *(n for at_s, n in history.asked if now_s - at_s < window_s)]

    return max(
        min(current, max(within(behaviour.down_window_s))), min(within(behaviour.up_window_s))
    )


def _limited(
    current: int, steady: int, history: History, now_s: float, behaviour: Behaviour
) -> int:
    def start(period_s: float) -> int:
        return current - sum(n for at_s, n in history.added if now_s - at_s < period_s)

    if steady > current:
        began = start(behaviour.up_period_s)
        most = max(ceil(began * (1 + behaviour.up_share)), began + behaviour.up_workers)
        return max(current, min(steady, most))
    began = start(behaviour.down_period_s)
    return min(current, max(steady, floor(began * (1 - behaviour.down_share))))
