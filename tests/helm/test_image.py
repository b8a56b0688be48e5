"""The image: locked, small in rights, quick to its first value, and runnable as it will be run."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Server, free_port
from tests.helm.chart import REPOSITORY

DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
FIRST_ANSWER_S_MAX = 60.0  # in which a starved machine starts Python
# The Dockerfile's own base comes from a registry. Where none can be reached, Debian's packages
# make one: the same Debian family, the Python that the project also supports.
BASE = "localhost/signalfleet-test-base"
IMAGE = "localhost/signalfleet-test"
SUITE, PACKAGES = "trixie", "python3,python3-venv,ca-certificates"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"

pytestmark = pytest.mark.timeout(900)  # a build from nothing, on a busy machine


def run(*command: str | Path, **options: object) -> str:
    done = subprocess.run(
        [str(part) for part in command], text=True, capture_output=True, check=False, **options
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def test_hadolint_has_no_complaint() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    if not hadolint.exists():
        pytest.skip("hadolint is not installed: uv sync --group chart")
    run(hadolint, REPOSITORY / "Dockerfile")


def test_nothing_is_copied_that_the_build_context_lacks() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    let_in = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = {
        source.split("/")[0]
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
        if not source.startswith("--")
    }
    assert copied == let_in
    assert all((REPOSITORY / name).exists() for name in let_in)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    assert set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= copied


def test_the_image_is_pinned_and_its_user_is_a_number() -> None:
    assert re.search(r"^ARG PYTHON_IMAGE=\S+:\d+\.\d+\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)
    assert re.search(r"^USER \d{5,}:\d{5,}$", DOCKERFILE, re.MULTILINE)
    assert ":latest" not in DOCKERFILE


@pytest.mark.parametrize("left", ["nothing", "half", "whole"])
def test_a_start_mends_what_a_killed_start_left_of_the_kernels(left: str, tmp_path: Path) -> None:
    image, cache = tmp_path / "image", tmp_path / "tmp" / "kernels"
    (image / "kernels" / "of").mkdir(parents=True)
    (image / "kernels" / "of" / "one.nbi").write_text("whole")
    fleet = image / "venv" / "bin" / "fleet"
    fleet.parent.mkdir(parents=True)
    fleet.write_text('#!/bin/sh\necho "$@"\n')
    fleet.chmod(0o755)
    script = (REPOSITORY / "docker" / "fleet").read_text().replace("/opt/signalfleet", str(image))
    if left == "whole":
        shutil.copytree(image / "kernels", cache)
    cache.parent.mkdir(exist_ok=True)
    # In a container every start has the process id 1; here the shell tells its own.
    half = 'mkdir -p "$NUMBA_CACHE_DIR.$$/of"; : > "$NUMBA_CACHE_DIR.$$/of/one.nbi"\n'
    path = tmp_path / "fleet"
    path.write_text(
        script.replace("set -eu\n", "set -eu\n" + half if left == "half" else "set -eu\n")
    )
    said = run("sh", path, "worker", env={**os.environ, "NUMBA_CACHE_DIR": str(cache)})
    assert said == "worker\n"
    assert [str(one.relative_to(cache)) for one in cache.rglob("*")] == ["of", "of/one.nbi"]
    assert (cache / "of" / "one.nbi").read_text() == "whole"
    assert list(cache.parent.iterdir()) == [cache]


@pytest.fixture(scope="module")
def base() -> str:
    """A base image of Debian's packages, made once a machine."""
    if shutil.which("buildah") is None or os.getuid() != 0:
        pytest.skip("needs buildah, as root")
    if subprocess.run(["buildah", "inspect", BASE], capture_output=True, check=False).returncode:
        if shutil.which("mmdebstrap") is None:
            pytest.skip("no base image, and no mmdebstrap to make one")
        with tempfile.TemporaryDirectory() as folder:
            tar = Path(folder) / "base.tar"
            run("mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, tar)
            container = run("buildah", "from", "scratch").strip()
            run("buildah", "add", "--quiet", container, tar, "/")
        if Path(CERTIFICATES).exists():  # a network's own authority, should there be one
            run("buildah", "copy", "--quiet", container, CERTIFICATES, CERTIFICATES)
        for name in ("SSL_CERT_FILE", "PIP_CERT"):
            run("buildah", "config", "--env", f"{name}={CERTIFICATES}", container)
        run("buildah", "commit", "--rm", "--quiet", container, BASE)
    return BASE


@pytest.fixture(scope="module")
def image(base: str) -> Iterator[str]:
    if not (REPOSITORY / "workers" / "warm.py").exists():
        pytest.skip("workers.warm, which compiles the kernels, is not there")
    run(
        *("buildah", "build-using-dockerfile", "--quiet"),
        # No container runtime is needed, so this works inside a container too.
        *("--isolation", "chroot", "--network", "host"),
        *("--build-arg", f"PYTHON_IMAGE={base}", "--tag", IMAGE, REPOSITORY),
    )
    yield IMAGE
    run("buildah", "rmi", IMAGE)


@pytest.fixture(scope="module")
def root(image: str) -> Iterator[Path]:
    """The image's files, mounted."""
    container = run("buildah", "from", image).strip()
    yield Path(run("buildah", "mount", container).strip())
    run("buildah", "rm", container)


@pytest.fixture(scope="module")
def inside(image: str, root: Path) -> list[str]:
    """Start of a command that runs as the image's user with a read-only root and its own /tmp."""
    config = json.loads(run("buildah", "inspect", image))["OCIv1"]["config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["fleet"]
    script = (
        'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" '
        '&& mount -t tmpfs -o size=64m,mode=1777 tmpfs "$0/tmp" && mount -t proc proc "$0/proc" '
        '&& exec chroot --userspec=10001:10001 "$0" "$@"'
    )
    environment = ["env", "-i", *config["Env"]]
    return ["unshare", "--mount", "sh", "-c", script, str(root), *environment]


def test_the_root_cannot_be_written_to_and_nothing_needs_it(inside: list[str]) -> None:
    denied = subprocess.run(
        [*inside, "touch", "/opt/signalfleet/x"], capture_output=True, check=False, text=True
    )
    assert "Read-only file system" in denied.stderr
    assert "Usage" in run(*inside, "fleet", "worker", "--help")


def test_no_kernel_is_compiled_in_a_container(inside: list[str]) -> None:
    warm = "/opt/signalfleet/venv/bin/python -P -m workers.warm"
    # numba names every kernel that it saves, which it does when it has compiled one.
    script = f"fleet worker --help >/dev/null && NUMBA_DEBUG_CACHE=1 {warm}"
    output = run(*inside, "sh", "-c", script)
    assert output.count("[cache] data loaded from") > 10
    assert "[cache] data saved to" not in output


def test_a_worker_runs_and_drains_as_kubernetes_would_run_it(
    inside: list[str], server: Server
) -> None:
    port = free_port()
    settings = {"FLEET_REDIS__URL": server.url, "FLEET_HTTP__PORT": str(port)}
    variables = [f"{name}={value}" for name, value in settings.items()]
    worker = subprocess.Popen(
        [*inside, *variables, "fleet", "worker", "--name", "image-test"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert answers(f"http://127.0.0.1:{port}/healthz", worker)
        worker.send_signal(signal.SIGTERM)
        _, log = worker.communicate(timeout=60)
        assert worker.returncode == 0, log
    finally:
        worker.kill()


def answers(url: str, process: subprocess.Popen[str]) -> bool:
    deadline = time.monotonic() + FIRST_ANSWER_S_MAX
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1) as reply:
                return bool(reply.status == 200)
        except OSError:
            time.sleep(0.05)  # nothing to await: the port opens when the worker is up
    return False


def test_the_bill_of_materials_names_every_package(root: Path) -> None:
    bill = json.loads((root / "opt/signalfleet/sbom.cdx.json").read_text())
    named = {f"{part['name']}=={part['version']}" for part in bill["components"]}
    found = {
        "{}=={}".format(*path.name.removesuffix(".dist-info").rsplit("-", 1))
        for path in root.glob("opt/signalfleet/venv/lib/python3*/site-packages/*.dist-info")
    }
    assert len(found) > 20
    normal = re.compile(r"[-_.]+")
    missing = {normal.sub("-", name).lower() for name in found} - {
        normal.sub("-", name).lower() for name in named
    }
    assert {name.split("==")[0] for name in missing} <= {"signalfleet"}
