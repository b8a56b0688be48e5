"""What is shipped: the chart as a package, its notes, and the image it points to."""

import re
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml

from streams.keys import shard_of
from tests.helm.chart import (
    CHART,
    HELM,
    HELMS,
    REPOSITORY,
    VALUE_SETS,
    VALUES,
    Json,
    helm,
    render,
)

METADATA = yaml.safe_load((CHART / "Chart.yaml").read_text())


@pytest.fixture(scope="module", params=HELMS)
def package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    run = helm(request.param, "package", str(CHART), "--destination", str(folder))
    assert run.returncode == 0, run.stderr
    return folder / f"signalfleet-{METADATA['version']}.tgz"


def test_the_package_has_what_its_user_needs_and_nothing_else(package: Path) -> None:
    with tarfile.open(package) as tar:
        names = {name.removeprefix("signalfleet/") for name in tar.getnames()}
    assert {
        *("Chart.yaml", "README.md", "values.yaml", "values.schema.json"),
        *("templates/tests/selftest.yaml", "templates/NOTES.txt"),
        *("files/alerts.yaml", "files/panels.yaml"),
    } <= names
    tracked = {str(path.relative_to(CHART)) for path in CHART.rglob("*") if path.is_file()}
    assert names <= tracked


def test_the_package_renders_as_the_folder_does(package: Path) -> None:
    assert render("everything", chart=package) == render("everything")


@pytest.mark.parametrize("version", HELMS)
@pytest.mark.parametrize("values", VALUE_SETS)
def test_helm_lint_has_no_complaint(values: str, version: str) -> None:
    run = helm(version, "lint", "--strict", str(CHART), "-f", str(VALUES / f"{values}.yaml"))
    assert run.returncode == 0, run.stdout
    assert not re.search(r"\[(WARNING|ERROR)\]", run.stdout)


@pytest.mark.parametrize("version", ["4.1", "4.3"])  # helm 3 asks a cluster even for a dry run
def test_the_notes_say_the_next_step(version: str) -> None:
    run = helm(
        version,
        *("install", "demo", str(CHART), "--namespace", "trading", "--dry-run=client"),
        *("--set", "valkey.enabled=true"),
    )
    assert run.returncode == 0, run.stderr
    notes = run.stdout.partition("NOTES:")[2]
    assert "kubectl -n trading rollout status deployment/demo-signalfleet" in notes
    assert "helm -n trading test demo" in notes
    assert "config.plans is empty" in notes
    assert "its data goes with its pod" in notes


def test_the_notes_count_their_steps_without_a_hole() -> None:
    given = {"valkey": {"enabled": True}, "config": {"plans": {"core": {"timeframe": "1m"}}}}
    for steps, tested in (("1234", True), ("123", False)):
        run = helm(
            HELM,
            *("install", "demo", str(CHART), "--dry-run=client", "--values=-"),
            given={**given, "selftest": {"enabled": tested}},
        )
        notes = run.stdout.partition("NOTES:")[2]
        assert "".join(re.findall(r"^(\d)\. ", notes, re.MULTILINE)) == steps


@pytest.mark.parametrize("shards", [2, 16, 32, 100])
def test_the_notes_push_a_tick_into_the_shard_of_its_symbol(shards: int) -> None:
    run = helm(
        HELM,
        *("install", "demo", str(CHART), "--dry-run=client", "--set", "valkey.enabled=true"),
        *("--set", f"config.shards={shards}", "--set", "config.plans.core.timeframe=1m"),
    )
    assert run.returncode == 0, run.stderr
    [(shard, symbol)] = re.findall(r"XADD 'ticks:\{(\d+)\}' '\*' symbol (\S+)", run.stdout)
    assert int(shard) == shard_of(symbol.encode(), shards)


@pytest.mark.parametrize(
    ("given", "note"),
    [
        ({"config": {"scripts": {"tenants": {"desk": {}}}}}, "no script runs without a key"),
        ({"scripts": {"existingSecret": {"name": "key"}}}, "so every script is refused"),
    ],
)
def test_the_notes_say_what_scripts_still_lack(given: Json, note: str) -> None:
    command = ("install", "demo", str(CHART), "--dry-run=client", "--values=-")
    run = helm(HELM, *command, given={**given, "valkey": {"enabled": True}})
    assert note in run.stdout
    both = helm(HELM, *command, f"--values={VALUES / 'scripts.yaml'}", given=given)
    assert "script runs" not in both.stdout
    assert "script is refused" not in both.stdout


def test_chart_and_project_have_one_version() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert METADATA["appVersion"] == project["version"]


def test_values_in_the_readme_are_values_of_the_chart() -> None:
    readme = (CHART / "README.md").read_text()
    [example] = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    assert render("bare", {"redis": None} | yaml.safe_load(example))
