"""Autoscaling follows one number, and not knowing it never shrinks the fleet."""

import pytest

from tests.helm.chart import HELMS, VALUE_SETS, Json, of_kind, render, the, with_value

SCALED = [
    values for values in VALUE_SETS if values in {"cluster", "hpa"} or values.startswith("keda")
]


@pytest.mark.parametrize("values", VALUE_SETS)
def test_replicas_are_fixed_or_scaled_and_never_both(values: str) -> None:
    documents = render(values)
    scalers = of_kind(documents, "ScaledObject") + of_kind(documents, "HorizontalPodAutoscaler")
    assert ("replicas" in the(documents, "Deployment")["spec"]) == (not scalers)


@pytest.mark.parametrize("values", ["keda", "cluster"])
def test_keda_asks_the_fleet_for_the_number_of_workers(values: str) -> None:
    documents = render(values)
    [trigger] = the(documents, "ScaledObject")["spec"]["triggers"]
    [service] = of_kind(documents, "Service")
    [port] = service["spec"]["ports"]
    name = service["metadata"]["name"]
    assert trigger["type"] == "metrics-api"
    assert trigger["metricType"] == "AverageValue"
    assert trigger["metadata"] == {
        "url": f"http://{name}.trading.svc:{port['port']}/scale",
        "valueLocation": "required",
        "targetValue": "1",
    }


def test_workers_that_are_still_catching_up_are_asked_and_scraped_too() -> None:
    assert of_kind(render("keda"), "Service")[0]["spec"]["publishNotReadyAddresses"] is True


@pytest.mark.parametrize("values", [values for values in SCALED if values != "hpa"])
def test_when_the_number_is_unknown_the_fleet_keeps_its_size(values: str) -> None:
    fallback = the(render(values), "ScaledObject")["spec"]["fallback"]
    assert fallback["behavior"] == "currentReplicasIfHigher"
    assert fallback["failureThreshold"] == 3


def test_prometheus_without_an_answer_is_an_error_and_not_a_zero() -> None:
    [trigger] = the(render("keda-prometheus"), "ScaledObject")["spec"]["triggers"]
    assert trigger["metadata"]["ignoreNullValues"] == "false"
    query = 'max(signalfleet_required_workers{job="fleet", env="prod"})'
    assert trigger["metadata"]["query"] == query


@pytest.mark.parametrize("values", SCALED)
def test_the_fleet_grows_at_once_and_shrinks_slowly(values: str) -> None:
    documents = render(values)
    if values == "hpa":
        behavior = the(documents, "HorizontalPodAutoscaler")["spec"]["behavior"]
    else:
        advanced = the(documents, "ScaledObject")["spec"]["advanced"]
        behavior = advanced["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert behavior["scaleUp"]["selectPolicy"] == "Max"
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 300
    assert behavior["scaleDown"]["selectPolicy"] == "Min"


@pytest.mark.parametrize("shards", [2, 32])
def test_several_streams_are_summed_because_an_hpa_takes_the_largest(shards: int) -> None:
    given = {"config": {"shards": shards}, "autoscaling": {"maxReplicas": 2}}
    spec = the(render("keda-streams", given), "ScaledObject")["spec"]
    names = [trigger["name"] for trigger in spec["triggers"]]
    streams = [trigger["metadata"]["stream"] for trigger in spec["triggers"]]
    assert streams == [f"ticks:{{{shard}}}" for shard in range(shards)]
    assert spec["advanced"]["scalingModifiers"]["formula"].split(" + ") == names


def test_one_stream_needs_no_sum() -> None:
    spec = the(render("valkey-streams"), "ScaledObject")["spec"]
    [trigger] = spec["triggers"]
    assert "scalingModifiers" not in spec["advanced"]
    assert trigger["metadata"]["address"] == "demo-signalfleet-valkey.trading.svc:6379"


@pytest.mark.parametrize(
    ("url", "kind", "where"),
    [
        ("rediss://a:1/3", "redis-streams", {"address": "a:1", "databaseIndex": "3"}),
        ("rediss+cluster://a,b:2", "redis-cluster-streams", {"addresses": "a:6379,b:2"}),
        (
            "rediss+sentinel://a,b:2/main/3?x=y",
            "redis-sentinel-streams",
            {"addresses": "a:26379,b:2", "sentinelMaster": "main", "databaseIndex": "3"},
        ),
    ],
)
def test_keda_finds_redis_by_every_kind_of_url(url: str, kind: str, where: Json) -> None:
    documents = render("keda-streams", with_value("redis.url", url))
    trigger = the(documents, "ScaledObject")["spec"]["triggers"][0]
    assert trigger["type"] == kind
    found = {key: trigger["metadata"].get(key) for key in ("address", "addresses")}
    assert {key: value for key, value in found.items() if value} == {
        key: value for key, value in where.items() if key.startswith("address")
    }
    assert trigger["metadata"].get("databaseIndex") == where.get("databaseIndex")
    assert trigger["metadata"].get("sentinelMaster") == where.get("sentinelMaster")
    assert trigger["metadata"]["enableTLS"] == "true"


def test_keda_logs_in_with_the_secrets_that_the_workers_use() -> None:
    documents = render("keda-streams")
    login = the(documents, "TriggerAuthentication")
    triggers = the(documents, "ScaledObject")["spec"]["triggers"]
    assert {trigger["authenticationRef"]["name"] for trigger in triggers} == {
        login["metadata"]["name"]
    }
    assert login["spec"] == {
        "secretTargetRef": [
            {"parameter": "username", "name": "redis-login", "key": "username"},
            {"parameter": "password", "name": "redis-login", "key": "password"},
        ],
        "configMapTargetRef": [{"parameter": "ca", "name": "redis-ca", "key": "ca.crt"}],
    }


def test_a_plain_hpa_reads_one_external_metric_of_this_release() -> None:
    [metric] = the(render("hpa"), "HorizontalPodAutoscaler")["spec"]["metrics"]
    assert metric["external"]["metric"] == {
        "name": "signalfleet_required_workers",
        "selector": {"matchLabels": {"namespace": "trading", "service": "demo-signalfleet"}},
    }
    assert metric["external"]["target"] == {"type": "AverageValue", "averageValue": "1"}


@pytest.mark.parametrize("version", HELMS)
def test_large_numbers_stay_whole(version: str) -> None:
    given = with_value("autoscaling.keda.redisStreams.lagCount", 20_000_000)
    spec = the(render("valkey-streams", given, version=version), "ScaledObject")["spec"]
    assert spec["triggers"][0]["metadata"]["lagCount"] == "20000000"
