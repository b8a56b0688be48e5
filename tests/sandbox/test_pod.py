"""The jail needs no privilege: the same walls stand inside a pod of restricted Pod Security."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox.conftest import corpus

REPOSITORY = Path(__file__).resolve().parents[2]
POD = REPOSITORY / "tests" / "sandbox" / "pod.py"
pytestmark = [
    pytest.mark.skipif(os.getuid() != 0, reason="only root can build a pod around a test"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="the pod's filter is for x86-64"),
]


def in_pod(*command: str, timeout_s: float = 1_100.0) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(POD), sys.executable, *command],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=timeout_s, check=False,
    )  # fmt: skip


def test_the_pod_is_as_restricted_as_it_says() -> None:
    done = in_pod(
        "-c",
        "import ctypes, errno, os\n"
        "status = open('/proc/self/status').read()\n"
        "assert os.getuid() == os.geteuid() == 10001\n"
        "for line in ('CapEff:\\t0000000000000000', 'CapBnd:\\t0000000000000000',\n"
        "             'NoNewPrivs:\\t1', 'Seccomp:\\t2'):\n"
        "    assert line in status, line\n"
        "for path in ('/x_y', '/tmp/x_y', 'x_y'):\n"
        "    try:\n        open(path, 'w')\n        raise SystemExit(path)\n"
        "    except OSError as error:\n        assert error.errno == errno.EROFS\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "assert libc.unshare(0x10000000) == -1 and ctypes.get_errno() == errno.EPERM\n",
    )
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.timeout(1_200)
def test_the_walls_stand_in_a_pod() -> None:
    arguments = ("-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    chosen = "in_a_jail or without_vetting or benign-imperative or crash or protocol or outlives"
    files = [f"tests/sandbox/test_{name}.py" for name in ("walls", "corpus", "attacks")]
    done = in_pod(*arguments, *files, "-k", chosen)
    assert done.returncode == 0, done.stdout[-4_000:]
    summary = done.stdout.strip().splitlines()[-1]
    assert int(summary.split()[0]) > (300 if corpus("hostile") else 100), summary
