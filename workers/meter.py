"""One shard's meter: the data plane counts, the heartbeat reads, and asks the server the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from indicators.compiled import compiled
from streams.ahead import Ahead
from streams.records import Batch
from workers.load import Pace, ShardLoad
from workers.pressure import Pressure
from workers.scaling import Arrivals, observe_arrivals
from workers.state import ShardState

HOT_DECAY = 0.5  # of what was counted before, each time that the hottest is read
NS_PER_S = 1_000_000_000
MS_PER_S = 1_000


@dataclass(slots=True)
class Meter:
    """What is counted of one shard while it is ours.

    The data plane's thread writes what is counted, the heartbeat's what is derived; each reads
    the other's numbers whole, one at a time.
    """

    state: ShardState
    moved_ms: int = 0
    rows: int = 0
    entries: int = 0
    pace: Pace = field(default_factory=Pace)
    applied_ns: int = 0  # event time of the row that was processed last
    oldest_ms: int = 0  # of what was read last and is not yet committed; 0: nothing waits
    counts: NDArray[np.float64] = field(default_factory=lambda: np.zeros(64))
    arrivals: Arrivals = field(default_factory=Arrivals)
    ahead: Ahead | None = None
    pressure: Pressure = field(default_factory=Pressure)
    tier: int = 0
    snapshot_at: float = field(default_factory=monotonic)

    def count(self, batches: Sequence[Batch], busy_s: float) -> None:
        """Take note of batches that were processed in `busy_s`."""
        rows = sum(batch.rows for batch in batches)
        self.rows += rows
        self.entries += sum(batch.entries for batch in batches)
        self.pace = self.pace.observe(rows, busy_s)
        self._room(len(self.state.symbols))
        for batch in batches:
            tally(self.counts, batch.slot)
            if batch.rows:
                self.applied_ns = int(batch.ts[-1])

    def _room(self, slots: int) -> None:
        if self.counts.size < slots:
            counts = np.zeros(2 * slots)
            counts[: self.counts.size] = self.counts
            self.counts = counts

    @property
    def rows_per_entry(self) -> float:
        """Rows that one entry of the log has brought so far."""
        return self.rows / self.entries if self.entries else 1.0

    @property
    def waiting_entries(self) -> int:
        """Entries that wait in the log, as of the last measurement."""
        return self.ahead.waiting if self.ahead else 0

    def observe(self, ahead: Ahead, at_s: float, half_life_s: float) -> None:
        """Take note of what the server said of the stream."""
        self.ahead = ahead
        self.arrivals = observe_arrivals(self.arrivals, ahead.added, at_s, half_life_s)

    def arrival_lag_s(self, wall_ms: int) -> float:
        """Age of the oldest entry that is not yet committed, as far as it was read."""
        return max(0, wall_ms - self.oldest_ms) / MS_PER_S if self.oldest_ms else 0.0

    def event_lag_s(self, wall_ms: int) -> float:
        """How far the event time of the last row is behind the newest in the stream.

        Event time that the wall clock did not see pass is the haste of the feed (a file at full
        speed), not a delay of ours: it is never more than the age of the oldest entry. The newest
        time ever applied would hide every delay behind one tick from the future.
        """
        arrival_s = self.arrival_lag_s(wall_ms)
        applied_ns = self.applied_ns or self.state.newest_ts
        if self.ahead is None or self.ahead.newest_ns is None or not applied_ns:
            return arrival_s
        behind_s = float(self.ahead.newest_ns - applied_ns) / NS_PER_S
        return min(arrival_s, max(0.0, behind_s))

    def load(self, wall_ms: int) -> ShardLoad:
        """What the fleet is told of this shard."""
        arrival, ahead = self.arrivals.per_s, self.ahead
        hot, share = self._hottest()
        return ShardLoad(
            arrival=None if arrival is None else arrival * self.rows_per_entry,
            backlog=None if ahead is None else ahead.waiting * self.rows_per_entry,
            rate=self.pace.per_s,
            event_lag_s=self.event_lag_s(wall_ms),
            arrival_lag_s=self.arrival_lag_s(wall_ms),
            moved_ms=self.moved_ms,
            level=self.pressure.level,
            reason=self.pressure.reason,
            tier=self.tier,
            hot=hot,
            hot_share=share,
        )

    def _hottest(self) -> tuple[str, float]:
        """The busiest instrument of late, and its share of the rows."""
        counts, names = self.counts, self.state.symbols.names
        rows = float(counts.sum())
        if not rows:
            return "", 0.0
        slot = int(np.argmax(counts))
        share = float(counts[slot]) / rows
        counts *= HOT_DECAY
        return names[slot], round(share, 3)


@compiled
def tally(counts: NDArray[np.float64], slots: NDArray[np.int64]) -> None:
    """Count the rows of each slot; a clock row has none."""
    for slot in slots:
        if slot >= 0:
            counts[slot] += 1.0


def loads(meters: Mapping[str, Meter], wall_ms: int) -> dict[str, ShardLoad]:
    """The load of every shard, by name."""
    return {shard: meter.load(wall_ms) for shard, meter in meters.items()}
