"""The kinds that the API server knows, and what it says of them when it is asked."""

from dataclasses import dataclass
from typing import Any

from tests.helm.chart import KUBERNETES, Json


@dataclass(frozen=True)
class Kind:
    """A kind of object, and where its objects are."""

    api_version: str
    name: str
    plural: str
    namespaced: bool = True
    subresources: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        return self.api_version.rpartition("/")[2]

    @property
    def root(self) -> str:
        return f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"

    @property
    def named(self) -> Json:
        """Group, version and kind, as documents about kinds name them."""
        return {"group": self.group, "version": self.version, "kind": self.name}


NATIVE = (
    Kind("v1", "Namespace", "namespaces", namespaced=False),
    Kind("v1", "Pod", "pods", subresources=("log",)),
    Kind("v1", "Service", "services"),
    Kind("v1", "ServiceAccount", "serviceaccounts"),
    Kind("v1", "ConfigMap", "configmaps"),
    Kind("v1", "Secret", "secrets"),
    Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    Kind("v1", "Event", "events"),
    Kind("apps/v1", "Deployment", "deployments", subresources=("scale",)),
    Kind("apps/v1", "ReplicaSet", "replicasets"),
    Kind("apps/v1", "StatefulSet", "statefulsets", subresources=("scale",)),
    Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", "crds", namespaced=False),
    Kind("apiregistration.k8s.io/v1", "APIService", "apiservices", namespaced=False),
)
KEDA = (
    Kind("keda.sh/v1alpha1", "ScaledObject", "scaledobjects"),
    Kind("keda.sh/v1alpha1", "TriggerAuthentication", "triggerauthentications"),
)
MONITORING = (
    Kind("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors"),
    Kind("monitoring.coreos.com/v1", "PrometheusRule", "prometheusrules"),
)
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def answer(kinds: tuple[Kind, ...], path: str) -> Json | None:
    """What the server says about itself at a path; None where it is not asked about that."""
    if path == "/version":
        major, minor = KUBERNETES.split(".")
        return {"major": major, "minor": minor, "gitVersion": f"v{KUBERNETES}.0"}
    if path == "/openapi/v3":
        where = {kind.root for kind in kinds}
        return {"paths": {at[1:]: {"serverRelativeURL": f"/openapi/v3{at}"} for at in where}}
    if path.startswith("/openapi/v3/"):
        at = path.removeprefix("/openapi/v3")
        return {"openapi": "3.0.0", "paths": dict(_patches(kinds, at))}
    if path in {"/api", "/apis"}:
        items = [kind for kind in kinds if bool(kind.group) == (path == "/apis")]
        return _discovery(items)
    of_version = [kind for kind in kinds if kind.root == path]
    return _resources(of_version) if of_version else None


def _patches(kinds: tuple[Kind, ...], root: str) -> Any:
    """That every kind can be validated by the server, so that helm leaves it to the server."""
    for kind in kinds:
        if kind.root == root:
            parameter = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
            patch = {"parameters": [parameter], "x-kubernetes-group-version-kind": kind.named}
            within = "/namespaces/{namespace}" if kind.namespaced else ""
            yield f"{root}{within}/{kind.plural}/{{name}}", {"patch": patch}


def _resources(kinds: list[Kind]) -> Json:
    """One version of a group, as clients asked before groups were told all at once."""
    described = [
        {
            "name": kind.plural,
            "singularName": kind.name.lower(),
            "namespaced": kind.namespaced,
            "kind": kind.name,
            "verbs": VERBS,
        }
        for kind in kinds
    ]
    version = kinds[0].api_version
    about = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version}
    return {**about, "resources": described}


def _discovery(kinds: list[Kind]) -> Json:
    groups: dict[str, dict[str, list[Json]]] = {}
    for kind in kinds:
        groups.setdefault(kind.group, {}).setdefault(kind.version, []).append(
            {
                "resource": kind.plural,
                "responseKind": kind.named,
                "scope": "Namespaced" if kind.namespaced else "Cluster",
                "singularResource": kind.name.lower(),
                "verbs": VERBS,
                "subresources": [
                    {"subresource": name, "responseKind": kind.named, "verbs": ["get", "patch"]}
                    for name in kind.subresources
                ],
            }
        )
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": group} if group else {},
                "versions": [
                    {"version": version, "freshness": "Current", "resources": resources}
                    for version, resources in versions.items()
                ],
            }
            for group, versions in groups.items()
        ],
    }
