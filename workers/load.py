"""What a worker measures of each of its shards, and how it tells the others. Pure.

`Pace` is how long rows take; `ShardLoad` is what the whole fleet reads: placement, stealing,
pressure and `required` follow from it and from nothing else.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple, Self

from workers.scaling import BusyRate, Demand, combine, total

PACE_HALF_LIFE_ROWS = 50_000.0
FULL_TURN_ROWS = 2_000.0  # rows of a turn when the shard is as busy as can be
CLOCK_S = 1e-9  # no batch takes less than the clock can tell
COST_FLOOR = 0.01  # busy seconds a second: what costs less is noise, and no reason to move a shard
SPREAD_MIN = 0.05  # of the mean square: batches of one size say nothing about their fixed cost


class Pace(NamedTuple):
    """Decayed sums over batches of (rows, busy seconds), enough for a straight line."""

    batches: float = 0.0
    rows: float = 0.0
    busy_s: float = 0.0
    rows_squared: float = 0.0
    rows_busy_s: float = 0.0

    def observe(self, rows: int, busy_s: float) -> "Pace":
        """The pace after another batch; what is older than the half-life counts half."""
        kept, busy_s = 0.5 ** (rows / PACE_HALF_LIFE_ROWS), max(busy_s, CLOCK_S)
        return Pace(
            kept * self.batches + 1,
            kept * self.rows + rows,
            kept * self.busy_s + busy_s,
            kept * self.rows_squared + rows * rows,
            kept * self.rows_busy_s + rows * busy_s,
        )

    @property
    def per_s(self) -> float | None:
        """Rows that a busy second does in full turns, or None before any was measured.

        Small batches are dear: each has a fixed cost. A shard that trickles would look as if it
        needed many workers, so that cost is spread over the rows of a full turn.
        """
        if self.rows <= 0 or self.busy_s <= 0:
            return None
        mean_s = self.busy_s / self.rows
        spread = self.batches * self.rows_squared - self.rows**2
        row_s = mean_s
        if spread > SPREAD_MIN * self.rows**2:
            slope = (self.batches * self.rows_busy_s - self.rows * self.busy_s) / spread
            fixed_s = max(0.0, (self.busy_s - slope * self.rows) / self.batches)
            row_s = min(mean_s, max(slope, 0.0) + fixed_s / FULL_TURN_ROWS)
        return 1 / row_s if row_s > 0 else 1 / mean_s


@dataclass(frozen=True, slots=True)
class ShardLoad:
    """One shard as its owner measured it; None is unknown."""

    arrival: float | None = None  # rows a second
    backlog: float | None = None  # rows
    rate: float | None = None  # rows a busy second
    event_lag_s: float | None = None
    arrival_lag_s: float | None = None
    moved_ms: int = 0  # when another worker handed it over, server time
    level: int = 0  # of pressure
    reason: str = "calm"
    tier: int = 0  # of shedding
    hot: str = ""  # its busiest instrument ...
    hot_share: float = 0.0  # ... and that one's share of its rows

    @property
    def cost(self) -> float | None:
        """Busy seconds that a second of its arrivals takes."""
        return self._seconds(self.arrival)

    @property
    def backlog_s(self) -> float | None:
        """Busy seconds that its backlog takes."""
        return self._seconds(self.backlog)

    def _seconds(self, rows: float | None) -> float | None:
        if rows == 0:
            return 0.0
        return rows / self.rate if rows is not None and self.rate else None

    def as_json(self) -> dict[str, Any]:
        """The load as it is told; what is as it always is stays untold."""
        told = asdict(self)
        return {f.name: told[f.name] for f in fields(self) if told[f.name] != f.default}

    @classmethod
    def parse(cls, told: Mapping[str, Any]) -> Self:
        """The load that `as_json` told; what a newer worker adds to it is left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in told.items() if name in known})


def costs(loads: Mapping[str, ShardLoad]) -> dict[str, float]:
    """Cost of every shard where it is known, and a floor for holding it at all."""
    known = {shard: load.cost for shard, load in loads.items()}
    return {shard: COST_FLOOR + cost for shard, cost in known.items() if cost is not None}


def backlogs_s(loads: Mapping[str, ShardLoad]) -> dict[str, float]:
    """Backlog in busy seconds of every shard where it is known."""
    return {shard: load.backlog_s for shard, load in loads.items() if load.backlog_s is not None}


def demand(loads: Mapping[str, ShardLoad], shards: Iterable[str], age_s: float) -> Demand:
    """What the fleet is asked to do; unknown as long as one of its shards was not measured."""
    names = list(shards)
    every = [loads.get(shard, ShardLoad()) for shard in names]
    rate = combine(_asked(load) for load in every).per_s
    return Demand(
        arrival=total(load.arrival for load in every),
        backlog=total(load.backlog for load in every),
        rate_per_worker=rate,
        shards=len(names),
        age_s=age_s,
    )


def _asked(load: ShardLoad) -> BusyRate:
    """The rows that a shard asks for, at its own rate: the mean is weighted by them."""
    rows = (load.arrival or 0.0) + (load.backlog or 0.0)
    return BusyRate(rows, rows / load.rate) if load.rate and rows else BusyRate()
