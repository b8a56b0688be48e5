"""Install, upgrade, rollback and uninstall, as far as the API server sees them."""

from pathlib import Path

import pytest

from tests.helm.chart import HELM, HELMS, VALUE_SETS, Json, of_kind, render
from tests.helm.cluster.cluster import NAMESPACE, Cluster
from tests.helm.cluster.kinds import KEDA, MONITORING

SERVER: Json = {"redis": {"url": "redis://10.0.0.5:6379/0"}}
SCALED: Json = {**SERVER, "autoscaling": {"enabled": True}}
OF_HELM = ("Secret", "sh.helm.release.v1.")
# Every set with the newest helm, the fullest one with each.
SETS = [(HELM, values) for values in VALUE_SETS]
SETS += [(version, "everything") for version in HELMS if version != HELM]


def objects(cluster: Cluster) -> set[tuple[str, str]]:
    """What is there but helm's own record of its releases."""
    return {(kind, name) for kind, name in cluster.objects() if not name.startswith(OF_HELM[1])}


@pytest.mark.parametrize(("version", "values"), SETS)
def test_a_strict_server_takes_every_step_of_a_release_and_nothing_is_left(
    values: str, version: str, tmp_path: Path
) -> None:
    with Cluster(tmp_path) as cluster:
        done = cluster.helm(version, "install", "demo", values=values)
        assert done.returncode == 0, done.stderr
        first = {name: cluster.get(*name) for name in objects(cluster)}
        rendered = [doc for doc in render(values, version=version) if doc["kind"] != "Pod"]
        assert first.keys() == {(doc["kind"], doc["metadata"]["name"]) for doc in rendered}
        changed = {"logLevel": "debug", "commonLabels": {"more": "here"}}
        done = cluster.helm(version, "upgrade", "demo", values=values, given=changed)
        assert done.returncode == 0, done.stderr
        assert all("more" in cluster.get(*name)["metadata"]["labels"] for name in first)
        assert cluster.helm(version, "rollback", "demo").returncode == 0
        for name, before in first.items():
            now = cluster.get(*name)
            assert now.get("spec") == before.get("spec"), name
            assert now["metadata"]["labels"] == before["metadata"]["labels"], name
        done = cluster.helm(version, "uninstall", "demo")
        assert done.returncode == 0, done.stderr
        assert not cluster.objects()


@pytest.mark.parametrize("version", ["3.18", HELM])
def test_a_release_leaves_its_neighbour_alone(version: str, tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster:
        assert cluster.helm(version, "install", "one", values="keda").returncode == 0
        mine = {name: cluster.get(*name) for name in cluster.objects()}
        assert cluster.helm(version, "install", "two", values="keda").returncode == 0
        assert len(objects(cluster)) == 2 * (len(mine) - 1)
        assert cluster.helm(version, "uninstall", "two").returncode == 0
        assert {name: cluster.get(*name) for name in cluster.objects()} == mine


@pytest.mark.parametrize("version", HELMS)
@pytest.mark.parametrize(
    ("given", "custom", "advice"),
    [
        (SCALED, MONITORING, "install KEDA, or use autoscaling.provider=hpa"),
        (
            {**SERVER, "metrics": {"serviceMonitor": {"enabled": True}}},
            KEDA,
            "this cluster has no ServiceMonitor (monitoring.coreos.com/v1); use auto or false",
        ),
    ],
)
def test_a_kind_that_is_missing_is_named_before_anything_is_there(
    given: Json, custom: tuple, advice: str, version: str, tmp_path: Path
) -> None:
    with Cluster(tmp_path, custom=custom) as cluster:
        done = cluster.helm(version, "install", "demo", given=given)
        assert done.returncode != 0
        assert advice in done.stderr
        assert not cluster.objects()


@pytest.mark.parametrize("version", HELMS)
def test_without_the_prometheus_operator_the_notes_say_what_is_left_out(
    version: str, tmp_path: Path
) -> None:
    with Cluster(tmp_path, custom=()) as cluster:
        done = cluster.helm(version, "install", "demo", given=SERVER)
        assert done.returncode == 0, done.stderr
        assert "no ServiceMonitor: this cluster does not know the kind" in done.stdout
        assert "no PrometheusRule: this cluster does not know the kind" in done.stdout


@pytest.mark.parametrize(
    ("version", "provider"), [(HELM, "hpa"), *((version, "keda") for version in HELMS)]
)
def test_an_autoscalers_number_outlives_upgrade_and_rollback(
    version: str, provider: str, tmp_path: Path
) -> None:
    with Cluster(tmp_path) as cluster:
        given = {**SERVER, "autoscaling": {"enabled": True, "provider": provider}}
        assert cluster.helm(version, "install", "demo", given=given).returncode == 0
        scale(cluster, 5, "kube-controller-manager")
        again = {**given, "logLevel": "debug"}
        assert cluster.helm(version, "upgrade", "demo", given=again).returncode == 0
        assert replicas(cluster) == 5
        assert cluster.helm(version, "rollback", "demo").returncode == 0
        assert replicas(cluster) == 5


@pytest.mark.parametrize(("version", "scaled_by_hand", "left"), [
    ("3.18", False, 1), ("3.18", True, 1), ("4.1", False, 1), ("4.1", True, 5), ("4.3", True, 5),
])  # fmt: skip
def test_turning_autoscaling_on_does_what_the_documentation_says(
    version: str, scaled_by_hand: bool, left: int, tmp_path: Path
) -> None:
    with Cluster(tmp_path) as cluster:
        given = {**SERVER, "worker": {"replicas": 5}}
        assert cluster.helm(version, "install", "demo", given=given).returncode == 0
        if scaled_by_hand:
            scale(cluster, 6, "kubectl")
            scale(cluster, 5, "kubectl")
        done = cluster.helm(version, "upgrade", "demo", given={**given, **SCALED})
        assert done.returncode == 0, done.stderr
        assert replicas(cluster) == left
        assert "Kubernetes may have set it to 1" in done.stdout


def scale(cluster: Cluster, number: int, manager: str) -> None:
    """What `kubectl scale`, or an HPA, asks the server."""
    name = cluster.name("Deployment", "demo-signalfleet")
    document = cluster.store.get(name)
    document["spec"]["replicas"] = number
    cluster.store.replace(name, document, manager)


def replicas(cluster: Cluster) -> int:
    return int(cluster.get("Deployment", "demo-signalfleet")["spec"]["replicas"])


def test_what_the_server_refuses_fails_the_install(tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster:
        given = {**SERVER, "worker": {"extraEnv": [{"name": "TZ", "valu": "UTC"}]}}
        done = cluster.helm(HELM, "install", "demo", given=given)
        assert done.returncode != 0
        assert "valu" in done.stderr


def test_the_namespace_of_the_tests_is_the_one_that_is_rendered_for() -> None:
    [url] = [
        variable["value"]
        for variable in of_kind(render("tryout"), "Deployment")[0]["spec"]["template"]["spec"][
            "containers"
        ][0]["env"]
        if variable["name"] == "FLEET_REDIS__URL"
    ]
    assert f".{NAMESPACE}.svc" in url
