"""What a real worker measures: every metric is documented, and its latencies add up."""

import re
import time
import urllib.request
from collections.abc import Iterator

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.parser import text_string_to_metric_families

from streams.ahead import Ahead
from streams.records import CLOCK_SLOT, Batch, Commit, EntryId, Exchange
from streams.symbols import SymbolTable
from tests.conftest import REPOSITORY, Server
from tests.workers.fleet import Fleet, fleet, wait_until
from workers.accounts import Accounts
from workers.clock import ServerClock
from workers.latency import STAGES, WAITING_MAX, Latency, Way, first_tick, moments
from workers.meter import Meter
from workers.metrics import Metrics
from workers.program import Program
from workers.state import ShardState

SHARDS = 2
CONFIG = {
    "shards": SHARDS,
    "plans": {"echo": {"timeframe": "1t", "signals": {"echo": {"when": "close > 0"}}}},
}
NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
AGE_S = 5.0
ROUNDS = 20
NS = st.integers(0, 2 * 10**18)
SECONDS = st.floats(-1.0, 1e6)

type Families = dict[str, Metric]


@pytest.fixture(scope="module")
def worker(
    server_process: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Fleet, str]]:
    """One worker that owns every shard, and the address of its metrics."""
    with server_process.client() as client:
        client.flushall()
        client.function_flush()
    with fleet(server_process, tmp_path_factory.mktemp("fleet"), CONFIG) as running:
        running.start("one")
        wait_until(lambda: running.owners() == {"one": SHARDS}, "it owns every shard")
        line = next(line for line in running.log("one").splitlines() if '"serving"' in line)
        yield running, f"http://127.0.0.1:{orjson.loads(line)['port']}/metrics"


def families(url: str) -> Families:
    with urllib.request.urlopen(url, timeout=60) as answer:
        text = answer.read().decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def by_stage(found: Families, suffix: str) -> dict[str, float]:
    family = found["signalfleet_latency_seconds"]
    return {s.labels["stage"]: s.value for s in family.samples if s.name.endswith(suffix)}


def whole(found: Families, suffix: str) -> float:
    family = found["signalfleet_end_to_end_seconds"]
    return next(s.value for s in family.samples if s.name.endswith(suffix))


def settled(running: Fleet, url: str) -> Families:
    """The metrics once all that was pushed is committed and counted."""
    running.await_caught_up()
    pushed = sum(running.counts().values())
    wait_until(
        lambda: families(url)["signalfleet_ticks"].samples[0].value == pushed, "it is counted"
    )
    return families(url)


def test_the_stages_of_a_real_worker_add_up_to_what_its_ticks_took(
    worker: tuple[Fleet, str],
) -> None:
    running, url = worker
    before = settled(running, url)
    began_ns = time.time_ns()
    for number in range(ROUNDS):
        running.push([(name, 1.0 + number, time.time_ns()) for name in ("AAA", "BBB", "CCC")])
    old_ns = time.time_ns() - int(AGE_S * NS_PER_S)
    running.await_caught_up()
    running.push([("OLD", 1.0, old_ns)])
    after = settled(running, url)
    ended_ns = time.time_ns()

    counts = by_stage(after, "_count")
    assert set(counts) == set(STAGES)
    assert set(counts.values()) == {whole(after, "_count")}
    assert whole(after, "_count") - whole(before, "_count") >= 2
    assert sum(by_stage(after, "_sum").values()) == pytest.approx(whole(after, "_sum"), abs=1e-6)

    # Beside what others saw: of the old tick alone, and of all of them together.
    first, last = by_stage(before, "_sum"), by_stage(after, "_sum")
    spent = {stage: last[stage] - first[stage] for stage in STAGES}
    observed = whole(after, "_count") - whole(before, "_count")
    assert all(spent[stage] > 0 for stage in ("compute", "commit"))
    assert AGE_S - 0.001 <= spent["push"] <= observed * (ended_ns - began_ns) / NS_PER_S + AGE_S
    [signal] = [one for one in running.published("signals") if one["symbol"] == "OLD"]
    until_published_s = (signal["ts_publish"] - old_ns) / NS_PER_S
    total = whole(after, "_sum") - whole(before, "_sum")
    assert until_published_s <= total
    assert total <= AGE_S + observed * (ended_ns - began_ns) / NS_PER_S


def test_a_worker_that_only_waits_observes_no_latency(worker: tuple[Fleet, str]) -> None:
    running, url = worker
    running.push([("AAA", 1.0, time.time_ns())])
    before = settled(running, url)
    time.sleep(0.3)  # several reads that come back with nothing
    assert whole(families(url), "_count") == whole(before, "_count")
    assert whole(families(url), "_sum") == whole(before, "_sum")


def test_every_metric_is_documented_and_every_documented_one_is_there(
    worker: tuple[Fleet, str],
) -> None:
    _, url = worker
    text = (REPOSITORY / "docs" / "operations.md").read_text()
    documented = dict(re.findall(r"^\| `(signalfleet_\w+)` \|[^|]*\| (.*?) \|$", text, re.M))
    served = {}
    for name, family in families(url).items():
        if not name.endswith("_created"):  # the library's own, of each counter and histogram
            served[name + "_total" * (family.type == "counter")] = family.documentation
    assert documented == served
    assert {
        re.sub("_(sum|count|bucket)$", "", name)
        for name in re.findall(r"signalfleet_[a-z_]+", text)
    } <= served.keys()


def stages_ns(way: Way) -> list[int]:
    return np.diff(moments([way])[:, 0]).tolist()


@given(ways=st.lists(st.builds(Way, NS, NS, NS, SECONDS, SECONDS), min_size=1))
def test_whatever_the_clocks_say_no_stage_is_negative_and_the_stages_add_up(
    ways: list[Way],
) -> None:
    found = moments(ways)
    assert (np.diff(found, axis=0) >= 0).all()
    for way, (event, entry, read, sent, done) in zip(ways, found.T.tolist(), strict=True):
        assert read == way.read_ns
        assert sent - read == pytest.approx(max(way.compute_s, 0) * NS_PER_S, abs=1)
        assert done - sent == pytest.approx(max(way.commit_s, 0) * NS_PER_S, abs=1)
        if way.event_ns <= way.entry_ns <= way.read_ns:
            assert (event, entry) == way[:2]


def test_a_producer_whose_clock_is_ahead_shifts_nothing_into_other_stages() -> None:
    hour = 3_600 * NS_PER_S
    right = stages_ns(Way(10 * NS_PER_S, 11 * NS_PER_S, 12 * NS_PER_S, 1.0, 2.0))
    ahead = stages_ns(Way(10 * NS_PER_S + hour, 11 * NS_PER_S, 12 * NS_PER_S, 1.0, 2.0))
    assert right == [NS_PER_S, NS_PER_S, NS_PER_S, 2 * NS_PER_S]
    assert ahead == [0, *right[1:]]


def batch(slots: list[int], *, history: bool = False) -> Batch:
    rows = len(slots)
    words = np.arange(rows, dtype=np.uint64)
    column = np.ones(rows)
    return Batch(
        *("0", EntryId(1, 0), rows, np.array(slots, np.int64), np.arange(rows) * 10),
        *(column, column, words, words + np.uint64(100), words),
        history=history,
    )


def test_the_tick_that_waited_longest_stands_for_its_batch_not_a_clock_and_not_history() -> None:
    clock, tick = [CLOCK_SLOT], [3, 4]
    assert first_tick([batch(tick)]) == (0, 100 * NS_PER_MS)
    assert first_tick([batch(clock + tick)]) == (10, 101 * NS_PER_MS)
    assert first_tick([batch([]), batch(clock), batch(tick)]) == (0, 100 * NS_PER_MS)
    assert first_tick([batch(clock)]) is None
    assert first_tick([batch(tick, history=True)]) is None


def test_a_tick_from_the_future_hides_no_lag_and_a_clock_that_is_off_makes_none() -> None:
    wall_ms, year_ns = 1_763_812_800_000, 365 * 86_400 * NS_PER_S
    state = ShardState.new(Program({}), SymbolTable(10), 10)
    meter = Meter(state, oldest_ms=wall_ms - 20_000)
    for ahead_ns in (year_ns, 0):
        one = batch([3])
        one.ts[:] = wall_ms * NS_PER_MS - 20 * NS_PER_S + ahead_ns
        meter.count([one], 0.1)
        state.move(one, one.ts)
    meter.ahead = Ahead(added=9, waiting=5, newest_ns=wall_ms * NS_PER_MS - 10 * NS_PER_S)
    assert meter.event_lag_s(wall_ms) == pytest.approx(10.0)
    clock = ServerClock()
    clock.hear(wall_ms)  # a server that is at another year than we
    assert 0 <= clock.now_ms() - wall_ms < 60_000


def accounts_of(read_at: float) -> Accounts:
    """The books of a worker that read one tick of shard 0 at a moment of the monotonic clock."""
    accounts = Accounts(Metrics())
    accounts.meters["0"] = Meter(ShardState.new(Program({}), SymbolTable(10), 10))
    accounts.read(Exchange({}, {}, 0, read_at=read_at), 0.0)
    accounts.processed("0", [batch([3])], [], accounts.reading, 0.0, 0.0)
    return accounts


def took(accounts: Accounts, stage: str) -> float | None:
    name, labels = "signalfleet_latency_seconds_sum", {"stage": stage}
    return accounts.metrics.registry.get_sample_value(name, labels)


COMMIT = Commit("0", 1, EntryId(1, 0), EntryId(2, 0), 1)


def test_a_commit_that_had_to_be_sent_again_took_from_the_first_time_on() -> None:
    accounts = accounts_of(100.0)
    accounts.sending(101.0)
    accounts.sending(105.0)
    accounts.committed([COMMIT], 106.0)
    assert (took(accounts, "compute"), took(accounts, "commit")) == (1.0, 5.0)
    accounts.read(Exchange({}, {}, 0, read_at=106.0), 0.0)
    accounts.processed("0", [batch([3])], [], accounts.reading, 0.0, 0.0)
    accounts.sending(107.0)
    accounts.committed([COMMIT], 109.0)
    assert (took(accounts, "compute"), took(accounts, "commit")) == (2.0, 7.0)


def test_what_was_lost_with_its_shard_was_not_published_and_took_no_time() -> None:
    accounts = accounts_of(100.0)
    accounts.sending(101.0)
    accounts.close("0")
    accounts.committed([], 102.0)
    accounts.sending(110.0)
    accounts.committed([COMMIT], 111.0)  # of the shard, taken anew, without a tick in it
    assert took(accounts, "commit") == 0.0


def test_a_bound_of_a_bucket_is_within_it() -> None:
    registry = CollectorRegistry()
    latency = Latency(registry)
    latency.observe(Way(0, 0, NS_PER_S, 0.0, 120.0))

    def at(stage: str, bound: str) -> float | None:
        labels = {"stage": stage, "le": bound}
        return registry.get_sample_value("signalfleet_latency_seconds_bucket", labels)

    assert (at("queue", "0.5"), at("queue", "1.0"), at("queue", "2.0")) == (0, 1, 1)
    assert (at("commit", "60.0"), at("commit", "+Inf")) == (0, 1)
    total = registry.get_sample_value("signalfleet_end_to_end_seconds_sum")
    assert total == pytest.approx(121.0)


def test_ways_that_no_one_asks_for_are_counted_and_old_tapes_do_not_overflow() -> None:
    registry = CollectorRegistry()
    latency = Latency(registry)
    years_s = 20 * 365 * 86_400
    count = 2 * WAITING_MAX + 7
    for _ in range(count):
        latency.observe(Way(0, years_s * NS_PER_S, years_s * NS_PER_S, 0.25, 0.5))
    for name, wanted in (("count", count), ("sum", count * (years_s + 0.75))):
        found = registry.get_sample_value(f"signalfleet_end_to_end_seconds_{name}")
        assert found == pytest.approx(wanted, rel=1e-12)
    assert not latency._waiting
