"""Where the time of a batch goes: from a tick's event to its commit, in stages that add up."""

from collections import deque
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Final, NamedTuple

import numpy as np
from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from streams.records import Batch, Ints

STAGES: Final = ("push", "queue", "compute", "commit")
BUCKETS_S: Final = (
    *(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 5.0, 10.0, 30.0, 60.0),
)
NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000
BUCKETS_NS: Final = np.array([round(bound * NS_PER_S) for bound in BUCKETS_S])
WAITING_MAX: Final = 1_024


class Way(NamedTuple):
    """The way of one tick: when it was, by three clocks, and how long what followed took.

    `event_ns` is the producer's clock, `entry_ns` the server's, `read_ns` the worker's.
    """

    event_ns: int
    entry_ns: int
    read_ns: int
    compute_s: float
    commit_s: float


def moments(ways: Sequence[Way]) -> Ints:
    """Event, entry, read, sent and done of each way, `(5, ways)`, in ns, none before the last.

    What the clocks make negative is cut to 0 from the worker's end: an entry that was read is not
    younger than its read, nor its event than it.
    """
    event, entry, read = np.array([way[:3] for way in ways], np.int64).T
    took_s = np.array([way[3:] for way in ways]).T
    compute, commit = np.rint(np.maximum(took_s, 0.0) * NS_PER_S).astype(np.int64)
    entry = np.minimum(entry, read)
    event = np.minimum(event, entry)
    return np.array((event, entry, read, read + compute, read + compute + commit))


def first_tick(batches: Sequence[Batch]) -> tuple[int, int] | None:
    """Event and entry time in ns of the tick that waited longest; None where none is live."""
    for batch in batches:
        if batch.rows and not batch.history:
            row = 0 if batch.slot[0] >= 0 else int(np.argmax(batch.slot >= 0))
            if batch.slot[row] >= 0:
                return int(batch.ts[row]), int(batch.entry_ms[row]) * NS_PER_MS
    return None


class _Histogram:
    """Counts and a sum, in whole nanoseconds: so sums are exact."""

    def __init__(self) -> None:
        self._counts = np.zeros(len(BUCKETS_NS) + 1, np.int64)
        self._sum_ns = 0

    def observe(self, ns: Ints) -> None:
        places = np.searchsorted(BUCKETS_NS, ns)
        self._counts += np.bincount(places, minlength=len(self._counts))
        self._sum_ns += sum(ns.tolist())  # of tapes that are years old, too much for 64 bits

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        below = np.cumsum(self._counts).tolist()
        bounds = (*map(str, BUCKETS_S), "+Inf")
        buckets = list(zip(bounds, below, strict=True))
        family.add_metric(labels, buckets, self._sum_ns / NS_PER_S)


class Latency(Collector):
    """Two metrics of the same ways: by stage, and from end to end.

    The data plane only puts a way down; many are counted at once, when someone asks.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._waiting: deque[Way] = deque()
        self._lock = Lock()
        self._stages = [_Histogram() for _ in STAGES]
        self._total = _Histogram()
        registry.register(self)

    def observe(self, way: Way) -> None:
        """Add the way of one batch's first tick."""
        self._waiting.append(way)
        if len(self._waiting) >= WAITING_MAX:
            with self._lock:
                self._count()

    def _count(self) -> None:
        ways = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if ways:
            found = moments(ways)
            for histogram, ns in zip(self._stages, np.diff(found, axis=0), strict=True):
                histogram.observe(ns)
            self._total.observe(found[-1] - found[0])

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Both as they stand."""
        stages = HistogramMetricFamily(
            "signalfleet_latency_seconds",
            "Way of a batch's first tick to its commit, by stage.",
            labels=["stage"],
        )
        total = HistogramMetricFamily(
            "signalfleet_end_to_end_seconds",
            "From the event of a batch's first tick to its commit: the sum of the stages.",
        )
        with self._lock:
            self._count()
            for stage, histogram in zip(STAGES, self._stages, strict=True):
                histogram.add_to(stages, [stage])
            self._total.add_to(total, [])
        yield stages
        yield total
