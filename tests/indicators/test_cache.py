"""Machine code is made once, and found again by other processes."""

import os
import subprocess
import sys
from pathlib import Path

SAVED = "[cache] data saved to"
PROGRAM = """
import numpy as np
from indicators import Plan
plan = Plan.parse(["rsi()", "macd()", "bbands(close, 20)"])
closes = np.arange(100.0) % 7
out = plan.run(plan.new_state(1), np.zeros(100, np.int64), {"close": closes})
print("value", out["RSI_14"][-1])
"""


def run(folder: Path, **environment: str) -> str:
    """What the program prints, in a process of its own, with every access to the cache."""
    chosen = {"NUMBA_CACHE_DIR": str(folder), "NUMBA_DEBUG_CACHE": "1", **environment}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | chosen, capture_output=True, text=True, check=True, timeout=240,
    )  # fmt: skip
    return done.stdout


def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    first, second = run(tmp_path), run(tmp_path)
    assert first.count(SAVED) > 10
    assert SAVED not in second
    assert first.splitlines()[-1] == second.splitlines()[-1]
    assert second.splitlines()[-1].startswith("value ")


def test_a_folder_that_cannot_be_written_is_passed_over() -> None:
    assert "value " in run(Path("/proc/nowhere"), XDG_CACHE_HOME="/proc/nowhere")


def test_importing_the_package_loads_no_pandas_and_compiles_nothing() -> None:
    program = "import sys, indicators; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not {"pandas", "indicators.machine"} & set(done.stdout.split())
