"""The books of a data plane: what its turns read, did and published, for metrics and meters."""

from collections.abc import Mapping, Sequence
from time import monotonic, time_ns
from typing import NamedTuple

from streams.records import Batch, Commit, Exchange, Snapshot
from workers.clock import ServerClock
from workers.latency import NS_PER_S, Way, first_tick, moments
from workers.meter import Meter
from workers.metrics import Metrics
from workers.processor import Output
from workers.run import ShardRun
from workers.tracing import Span, Traces

STEAL = "steal"


class Reading(NamedTuple):
    """When a turn's batches were at hand, and what reading took for each of their rows."""

    at: float = 0.0
    ns: int = 0  # the same moment by the wall clock
    row_s: float = 0.0


class UnderWay(NamedTuple):
    """The first tick of what a shard has processed and not yet committed."""

    event_ns: int
    entry_ns: int
    read_ns: int
    read_at: float  # the same moment by the monotonic clock
    rows: int
    ran: tuple[float, float] | None  # when scripts ran, by the monotonic clock

    def way(self, sent_at: float, done_at: float) -> Way:
        """All of it, once it is committed."""
        return Way(
            self.event_ns,
            self.entry_ns,
            self.read_ns,
            compute_s=sent_at - self.read_at,
            commit_s=done_at - sent_at,
        )

    def trace(self, commit: Commit, way: Way) -> Span:
        """The way as spans, from the entry on: an event may be of a tape, and years ago."""
        event, entry, read, sent, done = moments([way])[:, 0].tolist()
        scripts = []
        if self.ran is not None:
            began, ended = (self.read_ns + round((at - self.read_at) * NS_PER_S) for at in self.ran)
            scripts.append(Span("scripts", began, ended))
        return Span(
            "batch",
            entry,
            done,
            {
                "shard": commit.shard,
                "rows": self.rows,
                "entries": commit.entries,
                "signals": len(commit.signals),
                "values": len(commit.values),
                "push_s": (entry - event) / NS_PER_S,
            },
            [
                Span("queue", entry, read),
                Span("compute", read, sent, children=scripts),
                Span("commit", sent, done),
            ],
        )


class Accounts:
    """What one worker's data plane did, turn by turn and shard by shard.

    The data plane's thread writes, the heartbeat's reads `meters`.
    """

    def __init__(self, metrics: Metrics, traces: Traces | None = None) -> None:
        self.metrics, self._traces = metrics, traces
        self._leaving: dict[str, tuple[float, str, str]] = {}
        self.meters: dict[str, Meter] = {}
        self.clock = ServerClock()
        self.reading = Reading()
        self._sent_at: float | None = None
        self._under_way: dict[str, UnderWay] = {}

    def open(self, run: ShardRun) -> None:
        """Meter a shard from now on; one that only obeyed a deployment keeps its meter."""
        if run.shard not in self.meters:
            moved = run.lease.previous == run.lease.owner  # it was handed to us
            self.meters[run.shard] = Meter(run.state, moved_ms=self.clock.now_ms() if moved else 0)

    def close(self, shard: str) -> None:
        """No series and no meter of the shard may stay behind."""
        self.meters.pop(shard, None)
        self._under_way.pop(shard, None)
        self.metrics.forget(shard)

    def taken(self, run: ShardRun, from_state: str, took_s: float) -> None:
        """A shard was taken, and stands where its last owner left it."""
        self.metrics.takeover_seconds.observe(took_s)
        self.metrics.takeovers.labels(from_state=from_state).inc()
        entries = run.state.entries
        self._tell("take-over", took_s, shard=run.shard, found=from_state, entries=entries)

    def not_taken(self, shard: str, error: Exception, took_s: float) -> None:
        """A take-over failed."""
        self._tell("take-over", took_s, failed=type(error).__name__, shard=shard)

    def leaving(self, shard: str, successor: str, why: str) -> None:
        """A shard is to be handed over: because of a steal, the placement, or our own end."""
        self._leaving[shard] = (monotonic(), successor, why)

    def released(self, shard: str) -> None:
        """The shard is free for its successor."""
        began, successor, why = self._leaving.pop(shard, (monotonic(), "", ""))
        name = STEAL if why == STEAL else "hand-over"
        self._tell(name, monotonic() - began, shard=shard, successor=successor, why=why)

    def lost(self, shard: str, error: Exception) -> None:
        """A shard went because of `error`."""
        self._leaving.pop(shard, None)
        self.metrics.commits.labels(result=type(error).__name__.lower()).inc()

    def idle(self, shard: str) -> None:
        """Nothing of the shard waits."""
        self.meters[shard].oldest_ms = 0

    def snapshotted(self, shard: str, capsule: Snapshot, took_s: float) -> None:
        """A snapshot of the shard is at the server."""
        self.metrics.snapshot_seconds.observe(took_s)
        self._tell(
            *("snapshot", took_s), shard=shard, entries=capsule.entries, bytes=len(capsule.payload)
        )
        if shard in self.meters:
            self.meters[shard].snapshot_at = monotonic()

    def read(self, exchange: Exchange, elapsed_s: float) -> None:
        """A turn's round trip is done: what follows is of the batches that it brought."""
        rows = sum(batch.rows for batches in exchange.batches.values() for batch in batches)
        self.reading = Reading(
            at=exchange.read_at,
            ns=time_ns() - round((monotonic() - exchange.read_at) * NS_PER_S),
            row_s=max(0.0, elapsed_s - exchange.waited_s) / rows if rows else 0.0,
        )

    def processed(
        self,
        shard: str,
        batches: Sequence[Batch],
        outputs: Sequence[Output],
        reading: Reading,
        compute_s: float,
        waited_s: float,
        ran: tuple[float, float] | None = None,
    ) -> None:
        """Take note of what was read and processed, and is yet to be committed.

        Of `compute_s` the shard waited `waited_s` for scripts, while others had their turns.
        """
        metrics, meter = self.metrics, self.meters[shard]
        for output in outputs:
            shed = output.shed
            metrics.count_shed(shed.forming, shed.plans, shed.scripts)
            if output.bars:
                metrics.bars.inc(output.bars)
        metrics.bytes_in.inc(sum(batch.bytes_in for batch in batches))
        rows = sum(batch.rows for batch in batches)
        busy_s = compute_s + reading.row_s * rows
        meter.count(batches, busy_s)
        metrics.busy.inc(busy_s - waited_s)
        if batches[0].rows:
            meter.oldest_ms = int(batches[0].entry_ms[0])
        tick = first_tick(batches)
        if tick is not None:
            self._under_way[shard] = UnderWay(*tick, reading.ns, reading.at, rows, ran)

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
        metrics.count(total([commit.counts for commit in commits]))
        for commit in commits:
            if commit.signals:
                metrics.signals.inc(len(commit.signals))
            if commit.values:
                metrics.values.inc(len(commit.values))
        assert sent_at is not None
        for commit in commits:
            batch = self._under_way.pop(commit.shard, None)
            if batch is not None:
                way = batch.way(sent_at, at)
                metrics.latency.observe(way)
                if self._traces is not None and self._traces.takes():
                    self._traces.tell(batch.trace(commit, way))

    def _tell(self, name: str, took_s: float, failed: str = "", **about: str | int) -> None:
        """A trace of one span that has ended just now."""
        if self._traces is not None:
            now_ns = time_ns()
            start_ns = now_ns - round(took_s * NS_PER_S)
            self._traces.tell(Span(name, start_ns, now_ns, about, failed=failed))


def total(parts: Sequence[Mapping[str, int]]) -> Mapping[str, int]:
    """The sum of counts by name."""
    if len(parts) == 1:
        return parts[0]
    summed: dict[str, int] = {}
    for counts in parts:
        for name, count in counts.items():
            summed[name] = summed.get(name, 0) + count
    return summed
