"""The books of a data plane: what its turns read, did and published, for metrics and meters."""

from collections.abc import Iterable, Mapping, Sequence
from time import monotonic, time_ns
from typing import NamedTuple

from streams.records import Batch, Commit, Exchange
from workers.latency import NS_PER_S, Passage, first_tick
from workers.meter import Meter
from workers.metrics import Metrics
from workers.processor import Output
from workers.run import ShardRun

NS_PER_MS = 1_000_000


class UnderWay(NamedTuple):
    """The first tick of what a shard has processed and not yet committed."""

    event_ns: int
    entry_ns: int
    read_ns: int
    read_at: float  # the same moment by the monotonic clock

    def passage(self, sent_at: float, done_at: float) -> Passage:
        """Its whole way."""
        return Passage.of(
            *(self.event_ns, self.entry_ns, self.read_ns),
            compute_s=sent_at - self.read_at,
            commit_s=done_at - sent_at,
        )


class Accounts:
    """What one worker's data plane did, turn by turn and shard by shard.

    The data plane's thread writes, the heartbeat's reads `meters`.
    """

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self.meters: dict[str, Meter] = {}
        self._read_at, self._read_ns, self._row_s = 0.0, 0, 0.0
        self._sent_at: float | None = None
        self._under_way: dict[str, UnderWay] = {}

    def open(self, run: ShardRun) -> None:
        """Meter a shard from now on; one that only obeyed a deployment keeps its meter."""
        if run.shard not in self.meters:
            moved = run.lease.previous == run.lease.owner  # it was handed to us
            self.meters[run.shard] = Meter(
                run.state, moved_ms=time_ns() // NS_PER_MS if moved else 0
            )

    def close(self, shard: str) -> None:
        """No series and no meter of the shard may stay behind."""
        self.meters.pop(shard, None)
        self._under_way.pop(shard, None)
        self.metrics.forget(shard)

    def lost(self, error: Exception) -> None:
        """A shard went because of `error`."""
        self.metrics.commits.labels(result=type(error).__name__.lower()).inc()

    def idle(self, shard: str) -> None:
        """Nothing of the shard waits."""
        self.meters[shard].oldest_ms = 0

    def snapshotted(self, shard: str) -> None:
        """A snapshot of the shard is at the server."""
        if shard in self.meters:
            self.meters[shard].snapshot_at = monotonic()

    def read(self, exchange: Exchange, elapsed_s: float) -> None:
        """A turn's round trip is done: what follows is of the batches that it brought."""
        rows = sum(batch.rows for batches in exchange.batches.values() for batch in batches)
        self._row_s = max(0.0, elapsed_s - exchange.waited_s) / rows if rows else 0.0
        self._read_at = exchange.read_at
        self._read_ns = time_ns() - round((monotonic() - exchange.read_at) * NS_PER_S)

    def processed(
        self, shard: str, batches: Sequence[Batch], outputs: Sequence[Output], compute_s: float
    ) -> None:
        """Take note of the batches of a turn that were processed, and are yet to be committed."""
        metrics, meter = self.metrics, self.meters[shard]
        for output in outputs:
            shed = output.shed
            metrics.count_shed(shed.forming, shed.plans, shed.scripts)
        metrics.bars.inc(sum(output.bars for output in outputs))
        metrics.bytes_in.inc(sum(batch.bytes_in for batch in batches))
        busy_s = compute_s + self._row_s * sum(batch.rows for batch in batches)
        meter.count(batches, busy_s)
        metrics.busy.inc(busy_s)
        if batches[0].rows:
            meter.oldest_ms = int(batches[0].entry_ms[0])
        tick = first_tick(batches)
        if tick is not None:
            self._under_way[shard] = UnderWay(*tick, self._read_ns, self._read_at)

    def sending(self, at: float) -> None:
        """Commits go out; what is sent again was sent when it was sent first."""
        if self._sent_at is None:
            self._sent_at = at

    def committed(self, commits: Sequence[Commit], at: float) -> None:
        """Take note of what was published: once a turn, not once a shard."""
        sent_at, self._sent_at = self._sent_at, None
        if not commits:
            return
        metrics = self.metrics
        metrics.commits_done.inc(len(commits))
        metrics.count(total(commit.counts for commit in commits))
        metrics.signals.inc(sum(len(commit.signals) for commit in commits))
        metrics.values.inc(sum(len(commit.values) for commit in commits))
        assert sent_at is not None
        for commit in commits:
            batch = self._under_way.pop(commit.shard, None)
            if batch is not None:
                metrics.latency.observe(batch.passage(sent_at, at))


def total(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sum of counts by name."""
    summed: dict[str, int] = {}
    for counts in parts:
        for name, count in counts.items():
            summed[name] = summed.get(name, 0) + count
    return summed
