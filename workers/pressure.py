"""How hard the load presses on a shard and on the fleet, and how much a worker may read.

Levels: 0 calm, 1 busy (do not grow), 2 strained (slow down), 3 full (halve). A level rises at
once and falls one at a time, after a calm spell well below where it began. Clocks are arguments.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Strain:
    """What was measured of one shard; None is unknown, 0 for an empty stream or no limit."""

    event_lag_s: float | None  # newest event time in the stream less that of the last applied tick
    arrival_lag_s: float | None  # age of the oldest entry that is not yet committed
    memory: float | None  # share in use, of the server's or the worker's limit: the fuller


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where levels 1, 2 and 3 begin, and when they end."""

    event_lag_s: tuple[float, float, float] = (1.0, 5.0, 30.0)
    arrival_lag_s: tuple[float, float, float] = (1.0, 5.0, 30.0)
    memory: tuple[float, float, float] = (0.7, 0.85, 0.95)
    lag_release: float = 0.5  # of where the level begins: its lags must be below that ...
    memory_release: float = 0.9
    calm_s: float = 5.0  # ... for so long
    shards_share: float = 0.1  # of the shards at a level put the fleet at that level


@dataclass(frozen=True, slots=True)
class Pressure:
    """Level of a shard or of the fleet, since when, and why."""

    level: int = 0
    since_s: float = 0.0
    reason: str = "calm"
    calm_since_s: float | None = None


DEFAULT_THRESHOLDS = Thresholds()


@dataclass(frozen=True, slots=True)
class _Reading:
    """One measure beside the thresholds that it is held against."""

    name: str
    value: float | None
    unit: str
    begins: tuple[float, float, float]
    release: float

    def level(self) -> int:
        return sum(self.value is not None and self.value >= begin for begin in self.begins)

    def is_below(self, level: int) -> bool:
        return self.value is not None and self.value < self.release * self.begins[level - 1]

    def text(self, level: int) -> str:
        return (
            f"{self.name} {self.value:.3g}{self.unit}, from {self.begins[level - 1]:g}{self.unit}"
        )


def assess(
    before: Pressure,
    strain: Strain,
    now_s: float,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
) -> Pressure:
    """Pressure on a shard after another measurement; the same value where nothing changed.

    An unknown measure raises nothing and relieves nothing.
    """
    readings = _readings(strain, thresholds)
    worst = max(readings, key=_Reading.level)
    level = worst.level()
    if level > before.level:
        return Pressure(level, now_s, worst.text(level))
    if before.level == 0:
        return before
    if not all(reading.is_below(before.level) for reading in readings):
        return replace(before, calm_since_s=None)
    if before.calm_since_s is None:
        return replace(before, calm_since_s=now_s)
    if now_s - before.calm_since_s < thresholds.calm_s:
        return before
    lower = before.level - 1
    return Pressure(lower, now_s, f"down from {before.level}" if lower else "calm")


def _readings(strain: Strain, thresholds: Thresholds) -> tuple[_Reading, ...]:
    lag, memory = thresholds.lag_release, thresholds.memory_release
    return (
        _Reading("event lag", strain.event_lag_s, " s", thresholds.event_lag_s, lag),
        _Reading("arrival lag", strain.arrival_lag_s, " s", thresholds.arrival_lag_s, lag),
        _Reading("memory", strain.memory, "", thresholds.memory, memory),
    )


def assess_fleet(
    before: Pressure,
    shards: Mapping[str, Pressure],
    now_s: float,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
) -> Pressure:
    """Pressure on the fleet: the level that a tenth of its shards, and one at least, has reached.

    One hot shard is a matter of its own producers; the reason names it. Hysteresis is in the
    shards' levels already.
    """
    if not shards:
        return before
    levels = sorted((one.level for one in shards.values()), reverse=True)
    level = levels[max(1, round(thresholds.shards_share * len(levels))) - 1]
    name = min(shards, key=lambda shard: (-shards[shard].level, shard))
    worst = shards[name]
    reached = sum(one >= level for one in levels)
    reason = "calm"
    if worst.level:
        count = f"{reached} of {len(levels)} shards at {level}, " if level else ""
        reason = f"{count}worst {name} at {worst.level}: {worst.reason}"
    since_s = before.since_s if level == before.level else now_s
    return Pressure(level, since_s, reason)


@dataclass(frozen=True, slots=True)
class ReadSize:
    """How much a worker may have in its hands at once."""

    turn_s: float = 0.05  # busy time that one shard may take before the next has its turn
    rows_min: int = 100
    rows_max: int = 5_000
    row_bytes: int = 512  # of a row on its way through: reply, columns, outputs
    memory_share: float = 0.25  # of what is free


DEFAULT_READ_SIZE = ReadSize()


def rows_max(
    rate_per_s: float | None, memory_free_bytes: int, size: ReadSize = DEFAULT_READ_SIZE
) -> int:
    """Rows to read next: what can be done in a turn and fits in the memory that is free.

    One batch is in the worker's hands and one in the socket at most, whatever the backlog, so
    reading cannot outrun processing. At least 1, so that a shard never stands still.
    """
    turn = 0.0 if rate_per_s is None else rate_per_s * size.turn_s
    rows = max(size.rows_min, min(turn, size.rows_max))
    fit = size.memory_share * memory_free_bytes / (2 * size.row_bytes)
    return max(1, int(min(rows, fit)))


def entries_max(rows: int, rows_per_entry: float) -> int:
    """Entries that hold about so many rows; at least 1, as a frame cannot be read in part."""
    return max(1, int(rows / max(1.0, rows_per_entry)))
