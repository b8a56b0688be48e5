"""What an overloaded shard gives up, least valuable first, and when it takes it back.

Final bars are exact at every tier below 4. A decision changes what comes out of the shard, so it
becomes an entry of the shard's log before it takes effect: replay then agrees. This module only
decides; clocks and counts are arguments.
"""

from dataclasses import dataclass, fields, replace
from enum import IntEnum


class Tier(IntEnum):
    """What is given up; each tier includes the ones before it."""

    NOTHING = 0
    CONFLATE = 1  # forming values within a bar: one an instrument in a second of event time
    FORMING = 2  # every forming value
    PLANS = 3  # scripts of plans that are not of high priority, plans of low priority
    TICKS = 4  # ticks of symbols of low priority: the only loss, and off by default


class Priority(IntEnum):
    """What a user says of a plan, script or symbol."""

    LOW = 0
    NORMAL = 1
    HIGH = 2


GIVES_UP = {
    Tier.NOTHING: "nothing",
    Tier.CONFLATE: "forming values but one a second",
    Tier.FORMING: "forming values",
    Tier.PLANS: "forming values, scripts of plans below high priority, plans of low priority",
    Tier.TICKS: "the same and the ticks of symbols of low priority",
}


@dataclass(frozen=True, slots=True)
class Objective:
    """The event-time lag that the shard is to keep, and how patient it is."""

    lag_s: float = 5.0
    enter_s: float = 2.0  # over the objective for so long: one tier up
    dwell_s: float = 5.0  # the least time in a tier before the next one up
    falling: float = 0.9  # of the lag at the tier's start: below it the tier works, wait
    release: float = 0.5  # of the objective: below it ...
    calm_s: float = 30.0  # ... for so long: one tier down
    tier_max: Tier = Tier.PLANS


DEFAULT_OBJECTIVE = Objective()


@dataclass(frozen=True, slots=True)
class Shed:
    """Exact counts of what was not done."""

    forming: int = 0  # forming rows
    scripts: int = 0  # bars that suspended scripts said nothing about
    plans: int = 0  # bars that suspended plans said nothing about
    ticks: int = 0

    def __add__(self, other: "Shed") -> "Shed":
        """Sum by kind."""
        return Shed(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Shedding:
    """The tier of a shard and the decision that led to it; `shed` is of the tier that ended."""

    tier: Tier = Tier.NOTHING
    since_s: float = 0.0
    reason: str = "within the objective"
    shed: Shed = Shed()
    lag_s: float = 0.0  # at the last time that the tier was weighed
    weighed_s: float = 0.0
    over_since_s: float | None = None
    calm_since_s: float | None = None


def decide(
    before: Shedding,
    lag_s: float | None,
    now_s: float,
    *,
    shed: Shed = Shed(),
    objective: Objective = DEFAULT_OBJECTIVE,
) -> Shedding:
    """Tier after another measurement of the event-time lag: the same, or one up or down.

    Where `tier` differs from before, the value is a decision: the caller writes it to the log
    with `shed`, what the ended tier gave up, and starts counting anew. An unknown lag, or one
    between release and objective, restarts both spells and changes nothing.
    """
    if before.tier > objective.tier_max:
        return _enter(Tier(before.tier - 1), "a lower tier_max", lag_s or 0.0, now_s, shed)
    if lag_s is not None and lag_s > objective.lag_s:
        return _over(before, lag_s, now_s, shed, objective)
    if lag_s is not None and lag_s < objective.release * objective.lag_s:
        return _calm(before, lag_s, now_s, shed, objective)
    return replace(before, over_since_s=None, calm_since_s=None)


def _over(
    before: Shedding, lag_s: float, now_s: float, shed: Shed, objective: Objective
) -> Shedding:
    since_s = now_s if before.over_since_s is None else before.over_since_s
    waiting = replace(before, over_since_s=since_s, calm_since_s=None)
    dwelt_s = now_s - before.weighed_s
    if before.tier >= objective.tier_max or now_s - since_s < objective.enter_s:
        return waiting
    if before.tier and dwelt_s < objective.dwell_s:
        return waiting
    if before.tier and lag_s < objective.falling * before.lag_s:
        return replace(waiting, lag_s=lag_s, weighed_s=now_s)
    reason = f"event lag {lag_s:.3g} s over {objective.lag_s:g} s"
    return _enter(Tier(before.tier + 1), reason, lag_s, now_s, shed)


def _calm(
    before: Shedding, lag_s: float, now_s: float, shed: Shed, objective: Objective
) -> Shedding:
    if before.tier == Tier.NOTHING:
        return replace(before, over_since_s=None)
    since_s = now_s if before.calm_since_s is None else before.calm_since_s
    if now_s - since_s < objective.calm_s:
        return replace(before, over_since_s=None, calm_since_s=since_s)
    below_s = objective.release * objective.lag_s
    reason = f"event lag below {below_s:g} s for {now_s - since_s:.3g} s"
    return _enter(Tier(before.tier - 1), reason, lag_s, now_s, shed)


def _enter(tier: Tier, reason: str, lag_s: float, now_s: float, shed: Shed) -> Shedding:
    return Shedding(tier, now_s, reason, shed, lag_s, now_s)


def computes_every_forming_row(tier: Tier) -> bool:
    """Whether each forming row is computed."""
    return tier < Tier.CONFLATE


def computes_forming_rows(tier: Tier) -> bool:
    """Whether an instrument's first forming row in a second is computed."""
    return tier < Tier.FORMING


def runs_script(tier: Tier, priority: Priority) -> bool:
    """Whether the scripts of a plan of this priority speak."""
    return tier < Tier.PLANS or priority == Priority.HIGH


def runs_plan(tier: Tier, priority: Priority) -> bool:
    """Whether a plan speaks."""
    return tier < Tier.PLANS or priority > Priority.LOW


def takes_ticks(tier: Tier, priority: Priority) -> bool:
    """Whether a symbol's ticks are applied; one that is not is counted as shed."""
    return tier < Tier.TICKS or priority > Priority.LOW
