"""Pods pass Pod Security `restricted`, start, drain and report the way a cluster expects."""

import json
import re

import pytest

from tests.helm.chart import (
    VALUE_SETS,
    Json,
    RefusedError,
    of_kind,
    pods,
    render,
    the,
    with_value,
)

# Pod Security Standards, "restricted".
VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral"),
    *("persistentVolumeClaim", "projected", "secret"),
}
USER_MIN = 10_000  # below it, a container's user may be someone on the node


def violations(pod: Json) -> list[str]:
    """What Pod Security `restricted` would say; empty when it admits the pod."""
    spec, [container] = pod["spec"], pod["spec"]["containers"]
    of_pod, of_container = spec.get("securityContext", {}), container.get("securityContext", {})
    both = {**of_pod, **of_container}
    wrong = {
        "host namespaces": any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")),
        "privileged": both.get("privileged", False),
        "privilege escalation": both.get("allowPrivilegeEscalation") is not False,
        "capabilities": of_container.get("capabilities") != {"drop": ["ALL"]},
        "host ports": any("hostPort" in port for port in container.get("ports", [])),
        "volumes": any(not VOLUMES & volume.keys() for volume in spec.get("volumes", [])),
        "root": both.get("runAsNonRoot") is not True or both.get("runAsUser") == 0,
        "seccomp": both.get("seccompProfile") != {"type": "RuntimeDefault"},
        "proc mount, sysctls, SELinux": bool(
            {"procMount", "sysctls", "seLinuxOptions", "appArmorProfile"} & both.keys()
        ),
        "other containers": bool({"initContainers", "ephemeralContainers"} & spec.keys()),
    }
    return [what for what, found in wrong.items() if found]


@pytest.mark.parametrize("values", VALUE_SETS)
def test_pod_security_restricted_admits_every_pod(values: str) -> None:
    found = pods(render(values))
    assert found.keys() >= ({"worker"} if values == "bare" else {"worker", "selftest"})
    for component, pod in found.items():
        assert not violations(pod), component


@pytest.mark.parametrize("values", VALUE_SETS)
def test_a_pod_has_nothing_it_does_not_need(values: str) -> None:
    documents = render(values)
    assert not [doc for doc in documents if "Role" in doc["kind"] or doc["kind"] == "Secret"]
    for pod in pods(documents).values():
        spec, [container] = pod["spec"], pod["spec"]["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert spec["securityContext"].get("runAsUser", USER_MIN) >= USER_MIN
        assert ("runAsUser" in spec["securityContext"]) == (values != "openshift")
        for volume in spec.get("volumes", []):
            assert "sizeLimit" in volume.get("emptyDir", {"sizeLimit": ""})


@pytest.mark.parametrize("values", VALUE_SETS)
def test_a_pod_asks_for_what_it_needs_and_is_not_throttled(values: str) -> None:
    for pod in pods(render(values)).values():
        resources = pod["spec"]["containers"][0]["resources"]
        assert {"cpu", "memory"} <= resources["requests"].keys()
        assert resources["limits"].keys() == {"memory"}


@pytest.mark.parametrize("values", VALUE_SETS)
def test_an_image_is_pinned_by_tag_or_digest(values: str) -> None:
    for pod in pods(render(values)).values():
        image = pod["spec"]["containers"][0]["image"]
        assert re.search(r":\d+\.\d+\.\d+[\w.-]*$|@sha256:[0-9a-f]{64}$", image), image


def test_the_worker_is_started_probed_and_stopped_as_it_expects() -> None:
    spec = pods(render())["worker"]["spec"]
    [worker] = spec["containers"]
    assert worker["args"] == [
        *("worker", "--config", "/etc/signalfleet/fleet.yaml", "--name", "$(POD_NAME)")
    ]
    probes = {key: worker[f"{key}Probe"]["httpGet"] for key in ("startup", "liveness", "readiness")}
    paths = {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    assert probes == {key: {"path": path, "port": "http"} for key, path in paths.items()}
    environment = {entry["name"]: entry.get("value") for entry in worker["env"]}
    [port] = worker["ports"]
    assert environment["FLEET_HTTP__PORT"] == str(port["containerPort"])
    assert environment["FLEET_HTTP__HOST"] == "0.0.0.0"


def test_a_rollout_never_takes_a_worker_away_before_its_successor_is_ready() -> None:
    strategy = the(render(), "Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxUnavailable": 0, "maxSurge": "25%"}


def test_a_drain_of_nodes_is_never_blocked() -> None:
    spec = the(render(), "PodDisruptionBudget")["spec"]
    assert spec["maxUnavailable"] == 1
    assert "minAvailable" not in spec
    assert spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    for nothing in (0, "0%"):
        with pytest.raises(RefusedError, match="maxUnavailable"):
            render("bare", with_value("podDisruptionBudget.maxUnavailable", nothing))


def test_the_pods_of_a_rollout_are_spread_on_their_own() -> None:
    spreads = pods(render())["worker"]["spec"]["topologySpreadConstraints"]
    keys = [spread["topologyKey"] for spread in spreads]
    assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert all(spread["matchLabelKeys"] == ["pod-template-hash"] for spread in spreads)


def test_a_change_of_configuration_restarts_the_workers_and_nothing_else_does() -> None:
    def annotations(key: str, value: object) -> Json:
        pod = pods(render("tryout", with_value(key, value)))["worker"]
        return pod["metadata"]["annotations"]

    before = annotations("config.shards", 16)
    assert annotations("config.shards", 17) != before
    assert annotations("extraConfig", {"worker": {"symbols_max": 7}}) != before
    assert annotations("metrics.dashboard.enabled", True) == before


@pytest.mark.parametrize("values", VALUE_SETS)
def test_selectors_are_few_and_free_of_versions(values: str) -> None:
    selector = the(render(values), "Deployment")["spec"]["selector"]["matchLabels"]
    assert selector == {
        "app.kubernetes.io/name": "signalfleet",
        "app.kubernetes.io/instance": "demo",
        "app.kubernetes.io/component": "worker",
    }


def environment(values: str, component: str) -> Json:
    [container] = pods(render(values))[component]["spec"]["containers"]
    return {
        entry["name"]: entry.get("value") or entry["valueFrom"].get("secretKeyRef")
        for entry in container["env"]
        if entry["name"].startswith("FLEET_REDIS__")
    }


LOGIN = {
    "FLEET_REDIS__USERNAME": {"name": "redis-login", "key": "username"},
    "FLEET_REDIS__PASSWORD": {"name": "redis-login", "key": "password"},
}
CA = {"FLEET_REDIS__CA_FILE": "/etc/signalfleet/tls/ca.crt"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("tryout", {"FLEET_REDIS__URL": "redis://demo-signalfleet-valkey.trading.svc:6379/0"}),
        ("tls-acl", {"FLEET_REDIS__URL": "rediss://redis.data:6380/0", **LOGIN, **CA}),
        ("secret-url", {"FLEET_REDIS__URL": {"name": "redis-login", "key": "url"}, **CA}),
        (
            "valkey-streams",
            {
                "FLEET_REDIS__URL": "redis://demo-signalfleet-valkey.trading.svc:6379/0",
                "FLEET_REDIS__PASSWORD": {"name": "valkey-login", "key": "password"},
            },
        ),
    ],
)
def test_worker_and_selftest_log_in_to_the_same_server(values: str, expected: Json) -> None:
    assert environment(values, "worker") == expected
    assert environment(values, "selftest") == expected


def test_a_worker_logs_in_to_its_collector_and_the_test_does_not_know_of_it() -> None:
    found = pods(render("traces"))
    [worker] = found["worker"]["spec"]["containers"]
    given = {e["name"]: e for e in worker["env"] if e["name"].startswith("FLEET_TELEMETRY")}
    endpoint, headers, ca_file = given.values()
    assert endpoint["value"] == "https://collector.monitoring:4318"
    secret = {"name": "collector-login", "key": "headers"}
    assert headers["valueFrom"] == {"secretKeyRef": secret}
    [mount] = [m for m in worker["volumeMounts"] if m["name"] == "telemetry-ca"]
    assert ca_file["value"] == f"{mount['mountPath']}/ca.crt"
    assert "collector" not in json.dumps(found["selftest"])


def test_helm_test_has_a_pod_to_run() -> None:
    pod = the(render(), "Pod")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert pod["spec"]["containers"][0]["args"] == [
        "selftest",
        "--config",
        "/etc/signalfleet/fleet.yaml",
    ]
    assert pod["spec"]["restartPolicy"] == "Never"
    assert pod["spec"]["activeDeadlineSeconds"] > 0


def test_helm_test_runs_on_the_nodes_that_the_workers_run_on() -> None:
    worker, selftest = (pods(render("everything"))[name]["spec"] for name in ("worker", "selftest"))
    for key in ("nodeSelector", "tolerations"):
        assert selftest[key] == worker[key]


def test_a_volume_of_the_charts_own_server_outlives_the_release() -> None:
    server = the(render("valkey-streams"), "StatefulSet")["spec"]
    [claim] = server["volumeClaimTemplates"]  # which helm and Kubernetes both leave alone
    assert claim["spec"]["resources"]["requests"]["storage"] == "5Gi"
    assert "persistentVolumeClaimRetentionPolicy" not in server
    assert not of_kind(render("valkey-streams"), "PersistentVolumeClaim")
