"""Every value does something, and a bad one is refused with a message that names its key."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from helm import generate
from tests.helm.chart import (
    CHART,
    CUSTOM_KINDS,
    HELMS,
    VALUE_SETS,
    Json,
    RefusedError,
    render,
    with_value,
)

VALUES = list(generate.values((CHART / "values.yaml").read_text()))
SCHEMA: Json = json.loads((CHART / "values.schema.json").read_text())


def others(value: generate.Value) -> Iterator[Any]:
    """Values that the schema allows and that are not the default, likeliest first."""
    rules = value.rules
    if "examples" in rules:
        yield from rules["examples"]
    elif "enum" in rules:
        yield from (choice for choice in rules["enum"] if choice != value.default)
    elif isinstance(value.default, bool):
        yield not value.default
    elif isinstance(value.default, int):
        yield value.default + 1
        yield value.default - 1


# The richest first: most values show there, and the search stops at the first that does.
LIKELIEST = ("everything", "traces", "keda", "valkey-streams", "tls-acl", "keda-prometheus", "hpa")
# The chart's own server takes the place of another.
COMPANIONS = {"valkey.enabled": {"redis": {"url": ""}}}


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.key)
def test_every_value_changes_some_render(value: generate.Value) -> None:
    for other in others(value):
        for values in dict.fromkeys((*LIKELIEST, *VALUE_SETS)):
            try:
                changed = render(
                    values, with_value(value.key, other) | COMPANIONS.get(value.key, {})
                )
            except RefusedError:
                continue  # a cross-field check; another set has what it takes
            if changed != render(values):
                return
    pytest.fail(f"{value.key} changes nothing")


@pytest.mark.parametrize("template", sorted(CHART.glob("templates/**/*.*")), ids=lambda p: p.name)
def test_templates_use_only_values_that_are_declared(template: Any) -> None:
    declared = {value.key for value in VALUES}
    for used in re.findall(r"\.Values\.([\w.]+)", template.read_text()):
        used = used.rstrip(".")
        below, above = f"{used}.", [key for key in declared if used.startswith(f"{key}.")]
        assert used in declared or above or any(key.startswith(below) for key in declared), used


def test_schema_and_table_are_what_values_yaml_says() -> None:
    for path, text in generate.generated(CHART).items():
        assert path.read_text() == text, f"{path.name}: run python helm/generate.py"


def test_a_value_without_a_description_is_refused_by_line() -> None:
    with pytest.raises(generate.UndeclaredError, match=r"values\.yaml:4: a\.b has no"):
        list(generate.values("a:\n  # -- Fine.\n  c: 1\n  b: 2\n"))


BAD = [
    ({"worker": {"replica": 3}}, "worker", "replica"),
    ({"workers": 3}, "workers"),
    ({"config": {"shards": 0}}, "config", "shards"),
    ({"config": {"shards": "16"}}, "config", "shards"),
    ({"config": {"plans": {"core": {"values": {}}}}}, "config", "plans", "timeframe"),
    ({"config": {"name": "my fleet"}}, "config", "name"),
    ({"extraConfig": {"redis": {"url": "redis://a"}}}, "extraConfig", "redis", "url"),
    ({"extraConfig": {"scripts": {"key": "secret"}}}, "extraConfig", "scripts", "key"),
    ({"config": {"scripts": {"tenants": {"desk": {"plan": []}}}}}, "config", "tenants", "plan"),
    ({"image": {"tag": "latest"}}, "image", "tag"),
    ({"image": {"digest": "sha256:abc"}}, "image", "digest"),
    ({"redis": {"url": "redis://user:secret@host"}}, "redis", "url"),
    ({"redis": {"url": "redis://host:1/0?password=secret"}}, "redis", "url"),
    ({"redis": {"url": "redis+sentinel://h/m?sentinel_password=secret"}}, "redis", "url"),
    ({"redis": {"url": "http://host"}}, "redis", "url"),
    ({"fullnameOverride": "9lives"}, "fullnameOverride"),
    ({"redis": {"password": "secret"}}, "redis", "password"),
    ({"telemetry": {"endpoint": "http://user:secret@host"}}, "telemetry", "endpoint"),
    ({"http": {"port": 80}}, "http", "port"),
    ({"logLevel": "loud"}, "logLevel"),
    ({"uid": 0}, "uid"),
    ({"worker": {"resources": {"cpu": 1}}}, "worker", "resources"),
    ({"worker": {"extraVolumes": [{"name": "x", "hostPath": {}}]}}, "worker", "extraVolumes"),
    ({"worker": {"tmpSize": "big"}}, "worker", "tmpSize"),
    ({"commonLabels": {"app.kubernetes.io/name": "x"}}, "commonLabels"),
    ({"autoscaling": {"provider": "vpa"}}, "autoscaling", "provider"),
    ({"autoscaling": {"minReplicas": 0}}, "autoscaling", "minReplicas"),
    ({"autoscaling": {"behavior": {"scaleSideways": {}}}}, "autoscaling", "behavior"),
    ({"metrics": {"serviceMonitor": {"enabled": "yes"}}}, "metrics", "serviceMonitor", "enabled"),
    ({"valkey": {"image": {"tag": "latest"}}}, "valkey", "image", "tag"),
]


@pytest.mark.parametrize("version", HELMS)
@pytest.mark.parametrize("bad", BAD, ids=lambda bad: ".".join(bad[1:]))
def test_a_bad_value_is_refused_by_its_key(bad: tuple[Any, ...], version: str) -> None:
    given, *keys = bad
    with pytest.raises(RefusedError) as refused:
        render("bare", given, version=version)
    message = str(refused.value)
    # helm 3 writes a.b.c, helm 4 /a/b/c, and either may name the last key in the sentence.
    assert re.search(r"[./].*".join(map(re.escape, keys[:1])), message)
    assert all(key in message for key in keys), message


def test_a_source_stream_is_a_shard_that_a_worker_may_have() -> None:
    sources = {"config": {"shards": 1}, "extraConfig": {"sources": ["trades-A", "trades-B"]}}
    assert render("bare", {**sources, "worker": {"replicas": 3}})
    assert render("hpa", {**sources, "autoscaling": {"maxReplicas": 3}})


def test_global_values_are_let_through() -> None:
    assert render("bare", {"global": {"anything": 1}}) == render("bare")


CROSS = [
    ("bare", {"redis": {"url": ""}}, ["redis.url: no server is named"]),
    ("tryout", {"redis": {"url": "redis://a"}}, ["redis.url: several servers"]),
    ("tryout", {"redis": {"username": "u"}}, ["redis.existingSecret:"]),
    (
        "bare",
        {"redis": {"existingSecret": {"passwordKey": "p"}}},
        ["redis.existingSecret.name: missing"],
    ),
    ("bare", {"redis": {"existingSecret": {"name": "s"}}}, ["redis.existingSecret: name urlKey"]),
    ("tls-acl", {"redis": {"username": "u"}}, ["redis.username:"]),
    ("tls-acl", {"redis": {"tls": {"caConfigMap": "c"}}}, ["redis.tls.caConfigMap:"]),
    ("bare", {"redis": {"tls": {"caSecret": "c"}}}, ["redis.tls: a CA"]),
    ("secret-url", {"networkPolicy": {"redisPorts": []}}, ["networkPolicy.redisPorts:"]),
    (
        "bare",
        {"telemetry": {"existingSecret": {"headersKey": "h"}}},
        ["telemetry.existingSecret.name: missing"],
    ),
    (
        "bare",
        {"telemetry": {"existingSecret": {"name": "s"}}},
        ["telemetry.existingSecret: name headersKey", "telemetry.endpoint: missing"],
    ),
    (
        "bare",
        {"config": {"worker": {"drain_s": 45}}},
        ["worker.terminationGracePeriodSeconds: 45 must be more than config.worker.drain_s, 45"],
    ),
    (
        "bare",
        {"extraConfig": {"worker": {"drain_s": 50}}},
        ["worker.terminationGracePeriodSeconds:"],
    ),
    ("bare", {"worker": {"replicas": 17}}, ["worker.replicas: 17 workers for config.shards=16"]),
    (
        "bare",
        {"worker": {"extraEnv": [{"name": "POD_NAME", "value": "x"}]}},
        ["worker.extraEnv: POD_NAME"],
    ),
    (
        "bare",
        {"worker": {"extraEnv": [{"name": "FLEET_SHARDS", "value": "8"}]}},
        ["worker.extraEnv: FLEET_SHARDS is a setting; its place is config or extraConfig"],
    ),
    ("keda", {"autoscaling": {"maxReplicas": 65}}, ["autoscaling.maxReplicas: 65 is more than"]),
    ("hpa", {"autoscaling": {"minReplicas": 9}}, ["autoscaling.minReplicas: 9 is more than"]),
    (
        "keda",
        {"autoscaling": {"keda": {"fallback": {"replicas": 33}}}},
        ["autoscaling.keda.fallback.replicas:"],
    ),
    ("keda-streams", {"config": {"shards": 33}}, ["autoscaling.keda.trigger: redis-streams"]),
    (
        "secret-url",
        {"autoscaling": {"enabled": True, "keda": {"trigger": "redis-streams"}}},
        ["autoscaling.keda.trigger: redis-streams needs redis.url"],
    ),
    (
        "keda-streams",
        {"extraConfig": {"sources": ["trades-A"]}},
        ["autoscaling.keda.trigger: redis-streams does not ask for extraConfig.sources"],
    ),
    (
        "bare",
        {"extraConfig": {"sources": ["trades-A"]}, "worker": {"replicas": 18}},
        ["worker.replicas: 18 workers for config.shards=16 and 1 of extraConfig.sources"],
    ),
    (
        "keda-prometheus",
        {"autoscaling": {"keda": {"prometheus": {"serverAddress": ""}}}},
        ["autoscaling.keda.prometheus.serverAddress:"],
    ),
    (
        "bare",
        {"worker": {"replicas": 99, "terminationGracePeriodSeconds": 30}, "redis": {"url": ""}},
        ["worker.replicas:", "worker.terminationGracePeriodSeconds:", "redis.url:"],
    ),
]


@pytest.mark.parametrize("version", HELMS)
@pytest.mark.parametrize(("values", "given", "complaints"), CROSS)
def test_values_that_do_not_fit_together_are_all_named_at_once(
    values: str, given: Json, complaints: list[str], version: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        render(values, given, version=version)
    for complaint in complaints:
        assert re.search(rf"^{re.escape(complaint)}", str(refused.value), re.MULTILINE)


# In no client's built-in list: its presence means that a real cluster was asked.
LIVE = "apiregistration.k8s.io/v1"


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"autoscaling": {"enabled": True}}, "autoscaling.provider: this cluster has no keda"),
        ({"metrics": {"serviceMonitor": {"enabled": True}}}, "metrics.serviceMonitor.enabled:"),
        ({"metrics": {"prometheusRule": {"enabled": True}}}, "metrics.prometheusRule.enabled:"),
    ],
)
def test_a_kind_that_the_cluster_lacks_is_named_before_anything_is_applied(
    given: Json, complaint: str
) -> None:
    with pytest.raises(RefusedError, match=re.escape(complaint)):
        render("bare", given, kinds=(LIVE,))
    assert render("bare", given, kinds=(LIVE, *CUSTOM_KINDS))
    assert render("bare", given, kinds=())  # helm template alone cannot know
