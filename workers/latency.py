"""Where the time of a batch goes: from a tick's event to its commit, in stages that add up."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from streams.records import Batch

STAGES: Final = ("push", "queue", "compute", "commit")
BUCKETS_S: Final = (
    *(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 5.0, 10.0, 30.0, 60.0),
)
NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000
BUCKETS_NS: Final = [round(bound * NS_PER_S) for bound in BUCKETS_S]


@dataclass(frozen=True, slots=True)
class Passage:
    """The way of one tick to its commit, in ns of the worker's clock since the epoch.

    The clocks of producer and server are others. What they make negative is cut to 0 from the
    worker's end: an entry that was read is not younger than its read, nor its event than it.
    """

    event_ns: int
    entry_ns: int
    read_ns: int
    sent_ns: int
    done_ns: int

    @classmethod
    def of(
        cls, event_ns: int, entry_ns: int, read_ns: int, compute_s: float, commit_s: float
    ) -> Self:
        """The way of a tick that was read at `read_ns`; what followed is of a steady clock."""
        entry_ns = min(entry_ns, read_ns)
        sent_ns = read_ns + round(max(compute_s, 0.0) * NS_PER_S)
        done_ns = sent_ns + round(max(commit_s, 0.0) * NS_PER_S)
        return cls(min(event_ns, entry_ns), entry_ns, read_ns, sent_ns, done_ns)

    @property
    def stages_ns(self) -> tuple[int, int, int, int]:
        """What each of STAGES took."""
        return (
            self.entry_ns - self.event_ns,
            self.read_ns - self.entry_ns,
            self.sent_ns - self.read_ns,
            self.done_ns - self.sent_ns,
        )

    @property
    def total_ns(self) -> int:
        """From the event to the commit."""
        return self.done_ns - self.event_ns


def first_tick(batches: Sequence[Batch]) -> tuple[int, int] | None:
    """Event and entry time in ns of the tick that waited longest; None where none is live."""
    for batch in batches:
        if batch.rows and not batch.history:
            row = int(np.argmax(batch.slot >= 0))
            if batch.slot[row] >= 0:
                return int(batch.ts[row]), int(batch.entry_ms[row]) * NS_PER_MS
    return None


class _Histogram:
    """Whole nanoseconds, so that sums are exact, and no lock: one thread writes."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS_NS) + 1)
        self._sum_ns = 0

    def observe(self, ns: int) -> None:
        self._counts[bisect_left(BUCKETS_NS, ns)] += 1
        self._sum_ns += ns

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        below, buckets = 0, []
        for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), self._counts, strict=True):
            below += count
            buckets.append((bound, below))
        family.add_metric(labels, buckets, self._sum_ns / NS_PER_S)


class Latency(Collector):
    """Two metrics of the same passages: by stage, and from end to end.

    One thread observes; the sums agree once it rests.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._stages = [_Histogram() for _ in STAGES]
        self._total = _Histogram()
        registry.register(self)

    def observe(self, passage: Passage) -> None:
        """Add the way of one batch's first tick."""
        for histogram, ns in zip(self._stages, passage.stages_ns, strict=True):
            histogram.observe(ns)
        self._total.observe(passage.total_ns)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Both as they stand."""
        stages = HistogramMetricFamily(
            "signalfleet_latency_seconds",
            "Way of a batch's first tick to its commit, by stage.",
            labels=["stage"],
        )
        for stage, histogram in zip(STAGES, self._stages, strict=True):
            histogram.add_to(stages, [stage])
        yield stages
        total = HistogramMetricFamily(
            "signalfleet_end_to_end_seconds",
            "From the event of a batch's first tick to its commit: the sum of the stages.",
        )
        self._total.add_to(total, [])
        yield total
