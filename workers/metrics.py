"""What the fleet measures, by Prometheus' conventions: base units, no label per instrument."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENCY_BUCKETS_S = (
    *(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 5.0, 10.0, 30.0, 60.0),
)


class Metrics:
    """Every instrument of one worker, on a registry of its own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"signalfleet_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"signalfleet_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(
                f"signalfleet_{name}", text, labels, registry=registry, buckets=LATENCY_BUCKETS_S
            )

        self.ticks = counter("ticks", "Ticks applied to a bar.")
        self.late = counter("ticks_late", "Ticks behind a closed bar, not applied.")
        self.repeated = counter("ticks_repeated", "Ticks whose id was seen before, not applied.")
        self.dead = counter("dead_letters", "Entries or rows that can never be read.")
        self.bytes_in = counter("read_bytes", "Bytes of stream replies read.")
        self.bars = counter("bars", "Bars closed.")
        self.signals = counter("signals", "Signals published.")
        self.values = counter("values", "Value entries published.")
        self.clocks = counter("clocks", "Clock entries added to close due bars.")
        self.commits = counter("commits", "Commits by result.", "result")
        self.takeovers = counter("takeovers", "Shards taken, by what was found.", "from_state")
        self.reconnects = counter("reconnects", "Connections to the server made anew.")
        self.busy = counter("busy_seconds", "Seconds spent on processing, not on waiting.")
        self.script_seconds = counter("script_seconds", "CPU seconds of users' scripts.", "script")
        self.script_quarantined = gauge(
            "script_quarantined", "Shards on which a script is in quarantine.", "script"
        )
        self.shards = gauge("shards_owned", "Shards that this worker owns.")
        self.lag_entries = gauge("lag_entries", "Entries not yet committed.", "shard")
        self.lag_seconds = gauge("lag_seconds", "Age of the oldest uncommitted entry.", "shard")
        self.snapshot_age = gauge("snapshot_age_seconds", "Age of the newest snapshot.", "shard")
        self.commit_seconds = histogram("commit_seconds", "From sending a commit to its reply.")
        self.snapshot_seconds = histogram("snapshot_seconds", "Time to write one snapshot.")
        self.takeover_seconds = histogram("takeover_seconds", "Time to load and replay a shard.")
        latency = histogram(
            "latency_seconds", "From a tick's entry to its commit, by stage.", "stage"
        )
        self.queue_seconds = latency.labels(stage="queue")
        self.compute_seconds = latency.labels(stage="compute")
        self.commits_done = self.commits.labels(result="done")

    def forget(self, shard: str) -> None:
        """Drop the series of a shard that this worker gave up."""
        for gauge in (self.lag_entries, self.lag_seconds, self.snapshot_age):
            gauge.remove(shard)

    def count(self, counts: Mapping[str, int]) -> None:
        """Add one commit's tick counts."""
        counters = {
            "applied": self.ticks,
            "late": self.late,
            "repeated": self.repeated,
            "dead": self.dead,
        }
        for name, amount in counts.items():
            if amount:
                counters[name].inc(amount)
