"""Machine code of the parsers is made once, and made again when what it came from has changed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

SAVED = "[cache] data saved to"
PROGRAM = """
from streams.symbols import SymbolTable
table = SymbolTable()
print("slot", table.add(b"BTC-USD"), table.slot(b"BTC-USD"))
"""


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """The two packages as an upgrade may change them."""
    for name in ("streams", "indicators"):
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / name, tmp_path / name, ignore=without)
    return tmp_path


def run(folder: Path) -> str:
    """What the program prints, in a process of its own, with every access to the cache."""
    chosen = {"NUMBA_CACHE_DIR": str(folder / "cache"), "NUMBA_DEBUG_CACHE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=folder, env={**os.environ, **chosen, "PYTHONPATH": str(folder)},
        capture_output=True, text=True, check=True, timeout=240,
    )  # fmt: skip
    return done.stdout


def test_code_is_made_again_when_a_file_that_it_imports_has_changed(copies: Path) -> None:
    first, second = run(copies), run(copies)
    assert SAVED in first
    assert SAVED not in second
    with (copies / "streams" / "numbers.py").open("a") as file:
        file.write("\nCHANGED = True\n")
    third = run(copies)
    assert SAVED in third
    assert first.splitlines()[-1] == third.splitlines()[-1] == "slot 0 0"


def test_code_is_not_made_again_for_a_file_that_it_does_not_import(copies: Path) -> None:
    run(copies)
    with (copies / "streams" / "producer.py").open("a") as file:
        file.write("\nCHANGED = True\n")
    assert SAVED not in run(copies)
