"""A whole cluster, and helm as its user runs it."""

import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from tests.helm.chart import CHART, VALUES, Json, helm
from tests.helm.cluster.api import Api
from tests.helm.cluster.controllers import KINDS, Controllers
from tests.helm.cluster.kinds import KEDA, MONITORING, NATIVE, Kind
from tests.helm.cluster.node import FLEET, Node
from tests.helm.cluster.store import Name, Store

NAMESPACE = "trading"
GONE_S_MAX = 60.0  # without any event


class Cluster:
    """An API server that knows `custom` kinds too; `runs` pods, or leaves them on paper."""

    def __init__(
        self,
        folder: Path,
        *,
        custom: tuple[Kind, ...] = (*KEDA, *MONITORING),
        runs: bool = False,
        fleet: tuple[str, ...] = FLEET,
    ) -> None:
        self.store = Store()
        self.node = Node(self.store, folder, fleet) if runs else None
        self.controllers = Controllers(self.store) if runs else None
        self.served = (*NATIVE, *custom)
        self.api = Api(self.store, self.served, self.log)
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump(_kubeconfig(self.api.url)))
        self.put("Namespace", NAMESPACE, {})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for part in (self.controllers, self.node, self.api):
            if part is not None:
                part.stop()

    def helm(
        self, version: str, *arguments: str, values: str = "", given: Json | None = None
    ) -> subprocess.CompletedProcess:
        """One run of helm in the namespace; `values` is a set of tests/helm/values."""
        chart = [str(CHART)] if arguments[0] in {"install", "upgrade"} else []
        files = [f"--values={VALUES / values}.yaml"] if values else []
        files += ["--values=-"] if given else []
        return helm(
            version,
            *(*arguments, *chart, *files, "--namespace", NAMESPACE),
            given=given,
            kubeconfig=self.kubeconfig,
        )

    def put(self, kind: str, name: str, document: Json) -> None:
        """Create an object that is there before the chart."""
        namespace = NAMESPACE if KINDS[kind].namespaced else ""
        about = {"apiVersion": KINDS[kind].api_version, "kind": kind, "metadata": {"name": name}}
        self.store.create(Name(KINDS[kind], namespace, name), {**document, **about})

    def get(self, kind: str, name: str) -> Json:
        return self.store.get(self.name(kind, name))

    def name(self, kind: str, name: str) -> Name:
        return Name(next(k for k in self.served if k.name == kind), NAMESPACE, name)

    def objects(self) -> set[tuple[str, str]]:
        """Kind and name of all that is in the namespace."""
        return {
            (kind.name, document["metadata"]["name"])
            for kind in self.served
            if kind.namespaced
            for document in self.store.every(kind.name, NAMESPACE)
        }

    def await_ended(self) -> None:
        """Return once every pod that is to go is gone."""
        with self.store.changed:
            while any("deletionTimestamp" in p["metadata"] for p in self.store.every("Pod")):
                assert self.store.changed.wait(GONE_S_MAX), self.objects()

    def log(self, pod: Name) -> str:
        return self.node.log(pod) if self.node else ""

    def logs(self) -> str:
        """What every pod that is there has printed."""
        return "\n".join(
            f"--- {name}\n{self.log(self.name('Pod', name))}"
            for kind, name in sorted(self.objects())
            if kind == "Pod"
        )


def _kubeconfig(url: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": {"server": url}}],
        "users": [{"name": "me", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "current-context": "here",
    }
