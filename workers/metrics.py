"""What the fleet measures, by Prometheus' conventions: base units, no label per instrument."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from workers.latency import BUCKETS_S, Latency

FREE, HANDED, SILENT = FOUND = ("free", "handed", "silent")  # with whom a shard was, when taken


class KnownGauge(Collector):
    """A gauge that is read when it is asked for, and has no sample while that gives None."""

    def __init__(self, name: str, text: str, registry: CollectorRegistry) -> None:
        self._name, self._text = name, text
        self.read: Callable[[], float | None] = lambda: None
        registry.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The sample, if there is one: not knowing is never a number, nor the last one known."""
        family = GaugeMetricFamily(self._name, self._text)
        value = self.read()
        if value is not None:
            family.add_metric([], value)
        yield family


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
                f"signalfleet_{name}", text, labels, registry=registry, buckets=BUCKETS_S
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
        self.pressure = gauge("pressure_level", "Pressure on a shard, 0 to 3.", "shard")
        self.shedding_tier = gauge("shedding_tier", "What a shard gives up, 0 to 4.", "shard")
        self.required = KnownGauge(
            "signalfleet_required_workers", "Workers that the whole fleet needs.", registry
        )
        self.steals = counter("steals", "Shards handed to a worker that had room.")
        self.shed_ticks = counter("shed_ticks", "Ticks of low priority dropped by tier 4.")
        self.shed_forming = counter("shed_forming", "Forming rows not computed.")
        self.shed_plans = counter("shed_plan_bars", "Bars that suspended plans did not publish.")
        self.shed_scripts = counter(
            "shed_script_bars", "Bars that suspended scripts said nothing about."
        )
        self.lag_entries = gauge("lag_entries", "Entries not yet committed.", "shard")
        self.lag_seconds = gauge("lag_seconds", "Age of the oldest uncommitted entry.", "shard")
        self.snapshot_age = gauge("snapshot_age_seconds", "Age of the newest snapshot.", "shard")
        self._of_shard = (
            *(self.lag_entries, self.lag_seconds, self.snapshot_age),
            *(self.pressure, self.shedding_tier),
        )
        self.latency = Latency(registry)
        self.snapshot_seconds = histogram("snapshot_seconds", "Time to write one snapshot.")
        self.takeover_seconds = histogram("takeover_seconds", "Time to load and replay a shard.")
        self.commits_done = self.commits.labels(result="done")
        for found in FOUND:  # from 0 on, or the first of them would be no increase
            self.takeovers.labels(from_state=found)

    def forget(self, shard: str) -> None:
        """Drop the series of a shard that this worker gave up."""
        for gauge in self._of_shard:
            gauge.remove(shard)

    def count_shed(self, forming: int, plans: int, scripts: int) -> None:
        """Add what one batch gave up."""
        if forming or plans or scripts:
            self.shed_forming.inc(forming)
            self.shed_plans.inc(plans)
            self.shed_scripts.inc(scripts)

    def count(self, counts: Mapping[str, int]) -> None:
        """Add one commit's tick counts."""
        counters = {
            "applied": self.ticks,
            "late": self.late,
            "repeated": self.repeated,
            "dead": self.dead,
            "shed": self.shed_ticks,
        }
        for name, amount in counts.items():
            if amount:
                counters[name].inc(amount)
