"""Every combination of values, helm and Kubernetes gives objects that a strict server takes."""

import copy
import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from helm.generate import values as leaves
from tests.helm import schemas
from tests.helm.chart import (
    CHART,
    HELMS,
    KUBERNETES_ALL,
    VALUE_SETS,
    VALUES,
    Json,
    RefusedError,
    _render,
    of_kind,
    pods,
    render,
    selects,
    the,
)

LONG = "a-release-with-the-longest-name-that-helm-would-allow"  # 53 characters, helm's limit
NAME_LENGTH_MAX = 63


@pytest.mark.parametrize("version", HELMS)
@pytest.mark.parametrize("kubernetes", KUBERNETES_ALL)
@pytest.mark.parametrize("values", VALUE_SETS)
def test_every_object_is_valid_to_the_last_key(values: str, kubernetes: str, version: str) -> None:
    documents = render(values, version=version, kubernetes=kubernetes)
    assert the(documents, "Deployment")
    for document in documents:
        schemas.validate(json.dumps(document), kubernetes)


@pytest.mark.parametrize("values", VALUE_SETS)
def test_the_versions_of_helm_agree_on_every_document(values: str) -> None:
    first, *others = (render(values, version=version) for version in HELMS)
    by_name = [sorted(documents, key=str) for documents in (first, *others)]
    assert all(documents == by_name[0] for documents in by_name[1:])


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Deployment", ("spec",)),
        ("NetworkPolicy", ("spec",)),
        ("ScaledObject", ("spec", "fallback")),
        ("ScaledObject", ("spec", "triggers", 0, "metadata")),
        ("ServiceMonitor", ("spec", "endpoints", 0)),
        ("PrometheusRule", ("spec", "groups", 0, "rules", 0)),
    ],
)
def test_a_key_that_does_not_exist_would_be_noticed(kind: str, path: tuple[str | int, ...]) -> None:
    document = copy.deepcopy(of_kind(render("keda"), kind)[0])
    place = document
    for part in path:
        place = place[part]  # type: ignore[index]
    place["replicass"] = "1"
    with pytest.raises(schemas.INVALID):
        schemas.validate(json.dumps(document), "1.36")


def test_a_kubernetes_that_is_too_old_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"kubeVersion: >=1\.27"):
        render("bare", kubernetes="1.26")


@pytest.mark.parametrize("values", VALUE_SETS)
def test_rendering_twice_gives_the_same(values: str) -> None:
    again = _render.__wrapped__  # past the cache
    arguments = ("{}", "demo", "3.18", "1.31", ())
    chart = Path(__file__).resolve().parents[2] / "helm" / "signalfleet"
    assert again(chart, values, *arguments) == again(chart, values, *arguments)


@pytest.mark.parametrize("values", VALUE_SETS)
def test_the_longest_release_name_fits_everywhere(values: str) -> None:
    for document in render(values, release=LONG):
        name = document["metadata"]["name"]
        longest = {"ScaledObject": f"keda-hpa-{name}", "StatefulSet": f"{name}-0123456789"}
        assert len(longest.get(document["kind"], name)) <= NAME_LENGTH_MAX
        labels = document["metadata"].get("labels", {})
        assert all(len(value) <= NAME_LENGTH_MAX for value in labels.values())


@pytest.mark.parametrize("release", ["1st", "my.fleet"])
def test_a_release_whose_services_could_not_be_made_is_refused(release: str) -> None:
    complaint = f"fullnameOverride: missing, and no Service may be called {release}-signalfleet"
    with pytest.raises(RefusedError, match=re.escape(complaint)):
        render("tryout", release=release)
    assert render("tryout", {"fullnameOverride": "ta"}, release=release)


@pytest.mark.parametrize("values", VALUE_SETS)
def test_a_name_that_yaml_takes_for_something_else_stays_a_name(values: str) -> None:
    given = yaml.safe_load((VALUES / f"{values}.yaml").read_text())
    for leaf in leaves((CHART / "values.yaml").read_text()):
        place, *rest = nested(given, leaf.path)
        if rest and isinstance(rest[0], str) and not {"pattern", "enum"} & leaf.rules.keys():
            place[leaf.path[-1]] = "1"
    documents = render(values, given | {"fullnameOverride": "ta"}, release="1e3")
    for document in documents:
        schemas.validate(json.dumps(document), "1.36")
        labels = document["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "1e3"


def nested(given: Json, path: tuple[str, ...]) -> list[Any]:
    """The mapping that holds a key, and the key's value where it has one that is not empty."""
    for part in path[:-1]:
        given = given.get(part) or {}
    return [given, *([given[path[-1]]] if given.get(path[-1]) else [])]


@pytest.mark.parametrize("values", ["tryout", "keda-streams", "keda"])
@pytest.mark.parametrize(
    "releases",
    list(combinations(["signalfleet", "demo", "demo-signalfleet", LONG, LONG[:-1] + "x"], 2)),
    ids="+".join,
)
def test_two_releases_in_one_namespace_do_not_meet(values: str, releases: tuple[str, str]) -> None:
    mine, theirs = (render(values, release=release) for release in releases)
    names = [{(doc["kind"], doc["metadata"]["name"]) for doc in docs} for docs in (mine, theirs)]
    assert not names[0] & names[1]
    for selector in selectors(mine):
        for pod in pods(theirs).values():
            assert not selects(selector, pod["metadata"]["labels"])


@pytest.mark.parametrize("values", VALUE_SETS)
def test_no_object_is_there_twice(values: str) -> None:
    names = [(doc["apiVersion"], doc["kind"], doc["metadata"]["name"]) for doc in render(values)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("values", VALUE_SETS)
def test_every_selector_finds_a_pod_of_the_release(values: str) -> None:
    documents = render(values)
    labels = [pod["metadata"]["labels"] for pod in pods(documents).values()]
    for selector in selectors(documents):
        assert any(selects(selector, pod) for pod in labels)


@pytest.mark.parametrize("values", VALUE_SETS)
def test_no_variable_mount_or_port_is_given_twice(values: str) -> None:
    for pod in pods(render(values)).values():
        [container] = pod["spec"]["containers"]
        volumes = [volume["name"] for volume in pod["spec"].get("volumes", [])]
        for names in (
            [variable["name"] for variable in container.get("env", [])],
            [mount["mountPath"] for mount in container["volumeMounts"]],
            [port["name"] for port in container.get("ports", [])],
            volumes,
        ):
            assert len(names) == len(set(names))


@pytest.mark.parametrize("values", VALUE_SETS)
def test_every_mount_has_its_volume_and_every_volume_its_mount(values: str) -> None:
    documents = render(values)
    claims = {
        claim["metadata"]["name"]
        for server in of_kind(documents, "StatefulSet")
        for claim in server["spec"].get("volumeClaimTemplates", [])
    }
    for component, pod in pods(documents).items():
        [container] = pod["spec"]["containers"]
        volumes = {volume["name"] for volume in pod["spec"].get("volumes", [])}
        mounts = {mount["name"] for mount in container["volumeMounts"]}
        assert mounts == volumes | (claims if component == "valkey" else set())


def selectors(documents: tuple[Json, ...]) -> list[Json]:
    """Every selector of pods: of services, policies, budgets, controllers and spreads."""
    found = []
    for document in documents:
        spec = document.get("spec", {})
        if document["kind"] == "Service":
            found.append({"matchLabels": spec["selector"]})
        elif document["kind"] == "NetworkPolicy":
            found.append(spec["podSelector"])
        elif document["kind"] in {"Deployment", "StatefulSet", "PodDisruptionBudget"}:
            found.append(spec["selector"])
            spreads = spec.get("template", {}).get("spec", {}).get("topologySpreadConstraints", [])
            found += [spread["labelSelector"] for spread in spreads]
    return found
