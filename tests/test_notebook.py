"""The example for notebooks runs as it stands."""

import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.conftest import REPOSITORY


def test_the_notebook_shows_parity_and_speed_on_real_bars() -> None:
    for needed in ("pandas_ta", "bokeh_sampledata"):
        if find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed")
    done = subprocess.run(
        [sys.executable, "examples/notebook.py"],
        cwd=REPOSITORY,
        env={"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "30 indicators agree within 1e-9" in done.stdout
    assert "the same to the bit" in done.stdout
    faster = re.search(r"\((\d+) times as fast\)", done.stdout)
    assert faster is not None
    assert int(faster[1]) >= 2  # the two are measured side by side: a loaded machine slows both
