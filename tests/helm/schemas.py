"""What a Kubernetes API server knows of each kind: its schema, to the last key."""

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.chart import KUBERNETES, Json

jsonschema = pytest.importorskip("jsonschema", reason="uv sync --group chart")
kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="uv sync --group chart")

INVALID = (jsonschema.ValidationError, kubernetes_validate.ValidationError)


@cache
def custom_kinds() -> dict[str, Any]:
    """Validators of the kinds that only KEDA and the Prometheus operator bring."""
    kinds = yaml.safe_load((Path(__file__).parent / "crds.yaml").read_text())
    shared = {"definitions": kinds.pop("definitions")}
    return {
        kind: jsonschema.Draft7Validator({**schema, **shared}) for kind, schema in kinds.items()
    }


@cache
def validate(text: str, kubernetes: str = KUBERNETES) -> None:
    """Raises one of INVALID for anything in a JSON document that strict validation refuses.

    Cached: most documents come out the same from every helm.
    """
    document = json.loads(text)
    if document["kind"] in custom_kinds():
        custom_kinds()[document["kind"]].validate(document)
    else:
        kubernetes_validate.validate(document, kubernetes, strict=True)


@cache
def definitions() -> Json:
    """Kubernetes' own definitions by name, with how each list of theirs is merged."""
    folder = files("kubernetes_validate") / "kubernetes-json-schema"
    text = (folder / f"v{KUBERNETES}.0-local" / "_definitions.json").read_text()
    return json.loads(text)["$defs"]


@cache
def definition_of(api_version: str, kind: str) -> Json:
    """The definition of a kind; empty for a custom one, whose lists are replaced whole."""
    group, _, version = api_version.rpartition("/")
    wanted = {"group": group, "version": version, "kind": kind}
    for definition in definitions().values():
        if wanted in definition.get("x-kubernetes-group-version-kind", []):
            return definition
    return {}
