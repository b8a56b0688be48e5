"""Traces of real workers at a collector of the test's own, which decodes what OTLP carries."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2

from streams.errors import Fenced
from tests.conftest import Server, free_port
from tests.workers.fleet import fleet, wait_until
from tests.workers.scripted import CONFIG as SCRIPTS
from tests.workers.scripted import COUNTER, await_status, put
from workers.accounts import Accounts
from workers.metrics import Metrics
from workers.settings import SettingsError, TelemetrySettings, load_settings
from workers.tracing import Sampler, open_traces

NOON_NS = 1_763_812_800_000_000_000
SECOND_NS = 1_000_000_000
SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
TOKEN = "Bearer a token that no span may carry"
DRAIN_S = 3.0
STOP_S_SPARE = 8.0  # for the interpreter of a busy machine to end
PLAIN: dict[str, Any] = {
    "shards": 2,
    "worker": {"lease_ms": 1_000, "snapshot_s": 1.0, "drain_s": DRAIN_S},
    "plans": {"core": {"timeframe": "1s", "values": {"c": "close"}}},
}


class Collector:
    """Keeps every span that it is sent; stalled, it accepts requests and answers none."""

    def __init__(self, *, stalled: bool = False) -> None:
        self.spans: list[trace_pb2.Span] = []
        self.resources: list[dict[str, str]] = []
        self.tokens: set[str] = set()
        self.raw = b""
        self.asked, self._ended, self._lock = Event(), Event(), Lock()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.asked.set()
                if stalled:
                    collector._ended.wait()
                    return
                assert self.path == "/v1/traces"
                collector.take(body, self.headers.get("authorization", ""))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing: pytest shows what fails."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()

    def take(self, body: bytes, token: str) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._lock:
            self.raw += body
            self.tokens.add(token)
            for group in request.resource_spans:
                self.resources.append(
                    {each.key: each.value.string_value for each in group.resource.attributes}
                )
                self.spans += [span for scope in group.scope_spans for span in scope.spans]

    def named(self, name: str) -> list[trace_pb2.Span]:
        with self._lock:
            return [span for span in self.spans if span.name == name]

    def inside(self, parent: trace_pb2.Span) -> dict[str, trace_pb2.Span]:
        with self._lock:
            return {
                span.name: span
                for span in self.spans
                if span.trace_id == parent.trace_id and span.parent_span_id == parent.span_id
            }

    def close(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def collecting(*, stalled: bool = False) -> Iterator[Collector]:
    started = Collector(stalled=stalled)
    try:
        yield started
    finally:
        started.close()


def traced(url: str, config: dict[str, Any] = PLAIN, **more: Any) -> dict[str, Any]:
    telemetry = {"endpoint": url, "share": 1.0, "per_s_max": 1_000, **more}
    return {**config, "telemetry": telemetry}


def ticks(first_s: int, count: int) -> list[tuple[str, float, int]]:
    return [
        (symbol, 100.0 + at, NOON_NS + at * SECOND_NS)
        for at in range(first_s, first_s + count)
        for symbol in SYMBOLS
    ]


def about(span: trace_pb2.Span) -> dict[str, Any]:
    values = {}
    for each in span.attributes:
        assert each.key.startswith("signalfleet.")
        kind = each.value.WhichOneof("value")
        values[each.key.removeprefix("signalfleet.")] = getattr(each.value, kind)
    return values


def test_a_batch_is_one_trace_and_no_trace_tells_symbols_scripts_or_secrets(
    server: Server, tmp_path: Path
) -> None:
    with collecting() as collector:
        config = traced(collector.url, SCRIPTS, headers={"authorization": TOKEN})
        with fleet(server, tmp_path, config) as running:
            running.start("one")
            wait_until(lambda: running.owners() == {"one": 2}, "it owns every shard")
            source = put(running, "counter", COUNTER)
            await_status(running, source)
            began_ns = time.time_ns()
            running.push(ticks(0, 5))
            running.await_caught_up()
            wait_until(lambda: bool(collector.named("scripts")), "a batch with a script is told")
            assert running.stop("one") == 0
            ended_ns = time.time_ns()

        batches = collector.named("batch")
        rows = sum(about(span)["rows"] for span in batches)
        assert rows == sum(running.counts().values()) == 5 * len(SYMBOLS)
        assert sum(about(span)["entries"] for span in batches) == rows
        signals = sum(about(span)["signals"] for span in batches)
        assert signals == len(running.ledger("signals")) > 0
        for batch in batches:
            assert not batch.parent_span_id
            assert set(about(batch)) == {
                *("shard", "rows", "entries", "signals", "values", "push_s")
            }
            stages = collector.inside(batch)
            queue, compute, commit = (stages[name] for name in ("queue", "compute", "commit"))
            assert began_ns - SECOND_NS < batch.start_time_unix_nano == queue.start_time_unix_nano
            assert queue.end_time_unix_nano == compute.start_time_unix_nano
            assert compute.end_time_unix_nano == commit.start_time_unix_nano
            assert commit.end_time_unix_nano == batch.end_time_unix_nano < ended_ns
            for name, span in collector.inside(compute).items():
                assert name == "scripts"
                assert compute.start_time_unix_nano <= span.start_time_unix_nano
                assert span.start_time_unix_nano < span.end_time_unix_nano
                assert span.end_time_unix_nano <= compute.end_time_unix_nano

        assert collector.tokens == {TOKEN}
        for secret in (*SYMBOLS, "on_bar", "state[", "token", SCRIPTS["scripts"]["key"]):
            assert secret.encode() not in collector.raw
        wanted = {
            "service.name": "signalfleet",
            "service.namespace": "fleet",
            "service.instance.id": "one",
        }
        assert all(wanted.items() <= resource.items() for resource in collector.resources)


def test_take_overs_snapshots_and_hand_overs_are_told_up_to_the_last(
    server: Server, tmp_path: Path
) -> None:
    with collecting() as collector, fleet(server, tmp_path, traced(collector.url)) as running:
        running.start("one")
        wait_until(lambda: running.owners() == {"one": 2}, "it owns every shard")
        running.push(ticks(0, 5))
        wait_until(lambda: bool(collector.named("snapshot")), "a snapshot is told")
        assert about(collector.named("snapshot")[0])["bytes"] > 0
        running.start("two")
        wait_until(lambda: set(running.owners()) == {"one", "two"}, "the second has its share")
        assert running.stop("two") == 0
        wait_until(lambda: running.owners() == {"one": 2}, "it came back")
        assert running.stop("one") == 0
        # What was told last was told while the workers ended.
        given = [about(span) for span in collector.named("hand-over")]
        assert sorted(each["why"] for each in given) == ["drain"] * 3 + ["placement"]
        [moved] = [each for each in given if each["why"] == "placement"]
        assert moved["successor"] == "two"
        found = [about(span)["found"] for span in collector.named("take-over")]
        assert sorted(found)[:2] == ["free", "free"]
        assert "handed" in found


def test_a_steal_and_a_failed_take_over_are_told_and_the_end_of_a_lost_shard_is_not() -> None:
    with collecting() as collector:
        settings = TelemetrySettings(endpoint=collector.url)
        traces = open_traces(settings, fleet="fleet", worker="one")
        accounts = Accounts(Metrics(), traces)
        accounts.leaving("0", "two", "steal")
        accounts.released("0")
        accounts.leaving("1", "two", "steal")
        accounts.lost("1", Fenced("another holds it"))
        accounts.not_taken("2", Fenced("a secret"), 0.5)
        assert traces is not None
        traces.close(10.0)
        assert sorted(span.name for span in collector.spans) == ["steal", "take-over"]
        [stolen], [failed] = collector.named("steal"), collector.named("take-over")
        assert about(stolen) == {"shard": "0", "successor": "two", "why": "steal"}
        assert failed.end_time_unix_nano - failed.start_time_unix_nano == SECOND_NS // 2
        assert failed.status.code == trace_pb2.Status.STATUS_CODE_ERROR
        assert failed.status.message == "Fenced"


def test_a_collector_that_is_not_there_costs_a_line_and_nothing_else(
    server: Server, tmp_path: Path
) -> None:
    config = traced(f"http://127.0.0.1:{free_port()}", timeout_s=1.0)
    with fleet(server, tmp_path, config) as running:
        process = running.start("one")
        for first_s in (0, 5, 10):
            running.push(ticks(first_s, 5))
            running.await_caught_up()
        wait_until(lambda: "traces not delivered" in running.log("one"), "it is said")
        running.push(ticks(15, 5))
        running.await_caught_up()
        assert process.poll() is None
        began = time.monotonic()
        assert running.stop("one") == 0
        assert time.monotonic() - began < DRAIN_S + STOP_S_SPARE
        assert running.log("one").count("traces not delivered") == 1
        assert "Traceback" not in running.log("one")
        assert running.counts()["applied"] == 20 * len(SYMBOLS)


def test_a_collector_that_never_answers_stops_neither_the_work_nor_the_end(
    server: Server, tmp_path: Path
) -> None:
    with collecting(stalled=True) as collector:
        config = traced(collector.url, timeout_s=60.0)
        with fleet(server, tmp_path, config) as running:
            running.start("one")
            running.push(ticks(0, 5))
            assert collector.asked.wait(60)
            running.push(ticks(5, 5))
            running.await_caught_up()
            began = time.monotonic()
            assert running.stop("one") == 0
            assert time.monotonic() - began < DRAIN_S + STOP_S_SPARE
            assert running.owners() == {"": 2}


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60
    )


def test_what_makes_traces_is_not_imported_where_no_one_asks_for_them() -> None:
    # redis-py imports the metrics of an SDK that is installed, whoever asks for what.
    done = python(
        "import sys, workers.commands.worker, workers.commands.up\n"
        "from workers.settings import Settings\n"
        "from workers.tracing import open_traces\n"
        "assert open_traces(Settings().telemetry, fleet='fleet', worker='one') is None\n"
        "makers = 'opentelemetry.sdk.trace', 'opentelemetry.exporter', 'google', 'requests'\n"
        "print([name for name in sys.modules if name.startswith((*makers, 'workers.otel'))])"
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize("command", ["worker", "up"])
def test_asking_for_traces_without_the_extra_says_what_to_install(
    command: str, server: Server, tmp_path: Path
) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(yaml.safe_dump({"redis": {"url": server.url}, **traced("http://collector")}))
    done = python(
        "import sys; sys.modules['opentelemetry'] = None\nfrom workers.cli import main; main()",
        *(command, "--config", str(path)),
    )
    assert done.returncode == 2
    assert "telemetry.endpoint" in done.stderr
    assert "signalfleet[otel]" in done.stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"endpoint": "collector:4318"}, "telemetry.endpoint: wanted http://host:port"),
        ({"endpoint": "http://:4318"}, "telemetry.endpoint: wanted http://host:port"),
        ({"endpoint": "https://me:pw@collector"}, "telemetry.headers"),
        ({"share": 0}, "telemetry.share"),
        ({"share": 1.1}, "telemetry.share"),
        ({"per_s_max": 0}, "telemetry.per_s_max"),
        ({"sample": 1}, "telemetry.sample: unknown key"),
    ],
)
def test_a_bad_setting_of_traces_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        load_settings(overrides={"telemetry": given})
    assert "pw" not in str(refused.value)


def test_a_share_of_the_batches_is_taken_and_never_more_than_the_bound_in_a_second() -> None:
    half = Sampler(0.5, 1_000_000)
    taken = sum(half.takes(0.0) for _ in range(10_000))
    assert 4_500 < taken < 5_500
    bounded = Sampler(1.0, 3)
    assert [bounded.takes(at) for at in (0.0, 0.1, 0.2, 0.3, 0.9)] == [True] * 3 + [False] * 2
    assert [bounded.takes(at) for at in (1.0, 1.1, 1.2, 1.3)] == [True] * 3 + [False]
