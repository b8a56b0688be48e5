"""The books of a data plane: what its turns read, did and published, for metrics and meters."""

from collections.abc import Iterable, Mapping, Sequence
from time import monotonic, time_ns

from streams.records import Batch, Commit
from workers.meter import Meter
from workers.metrics import Metrics
from workers.processor import Output
from workers.run import ShardRun

NS_PER_MS = 1_000_000
MS_PER_S = 1_000


class Accounts:
    """What one worker's data plane did, turn by turn and shard by shard.

    The data plane's thread writes, the heartbeat's reads `meters`.
    """

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self.meters: dict[str, Meter] = {}

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

    def committed(self, commits: Sequence[Commit], took_s: float) -> None:
        """Take note of what was published: once a turn, not once a shard."""
        if not commits:
            return
        metrics = self.metrics
        metrics.commits_done.inc(len(commits))
        metrics.count(total(commit.counts for commit in commits))
        metrics.signals.inc(sum(len(commit.signals) for commit in commits))
        metrics.values.inc(sum(len(commit.values) for commit in commits))
        metrics.commit_seconds.observe(took_s)

    def processed(
        self,
        shard: str,
        batches: Sequence[Batch],
        outputs: Sequence[Output],
        *,
        began_ns: int,
        compute_s: float,
        row_s: float,
    ) -> None:
        """Take note of batches that were processed, from `began_ns` of the wall clock on.

        `row_s` is what reading and committing took for each row of this turn.
        """
        metrics, meter = self.metrics, self.meters[shard]
        for output in outputs:
            shed = output.shed
            metrics.count_shed(shed.forming, shed.plans, shed.scripts)
        metrics.bars.inc(sum(output.bars for output in outputs))
        metrics.bytes_in.inc(sum(batch.bytes_in for batch in batches))
        busy_s = compute_s + row_s * sum(batch.rows for batch in batches)
        meter.count(batches, busy_s)
        metrics.busy.inc(busy_s)
        metrics.compute_seconds.observe(compute_s)
        if batches[0].rows:
            meter.oldest_ms = int(batches[0].entry_ms[0])
            waited_ms = began_ns // NS_PER_MS - meter.oldest_ms
            metrics.queue_seconds.observe(max(waited_ms, 0) / MS_PER_S)


def total(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sum of counts by name."""
    summed: dict[str, int] = {}
    for counts in parts:
        for name, count in counts.items():
            summed[name] = summed.get(name, 0) + count
    return summed
