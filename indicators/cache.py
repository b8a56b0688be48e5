"""Where machine code is kept: a folder that can be set, and may be read-only.

Numba's own rule needs a folder that it can write to, and takes a file's time for its content.
An image or a wheel has neither: so code is looked up by the source's content, in the first of
these folders that has it, or else kept in the first that can be written to: `NUMBA_CACHE_DIR`,
the package's own `__pycache__`, the user's cache folder, a private temporary one.
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Self

import llvmlite.binding as llvm
import numba
from numba.core import caching

PACKAGE = Path(__file__).resolve().parent
SHARED = ("kernels.py", "machine.py", "template.py")
"""Sources that must agree about how code is called, so that all of it changes with them."""


class Locator(caching._CacheLocator):  # type: ignore[misc]
    """Numba asks this first where to keep the code of a function."""

    def __init__(self, function: Callable[..., Any], source: Path, folder: Path) -> None:
        self.function, self.source, self.folder = function, source, folder

    @classmethod
    def from_function(cls, function: Callable[..., Any], source: str) -> Self | None:
        """A locator for a function of this package; None for others."""
        path = Path(source).resolve()
        if PACKAGE not in path.parents:
            return None
        name = f"{path.stem}-{fingerprint(path)}"
        for folder in folders():
            place = folder / name
            if any(place.glob(f"*.{function.__qualname__}-*.nbi")) or writable(place):
                return cls(function, path, place)
        return None

    def get_cache_path(self) -> str:
        """The folder."""
        return str(self.folder)

    def get_source_stamp(self) -> str:
        """Nothing: the folder's name holds all that the code depends on."""
        return ""

    def get_disambiguator(self) -> str:
        """What tells functions of one name apart."""
        return str(self.function.__code__.co_firstlineno)


@cache
def fingerprint(source: Path) -> str:
    """A name for what code depends on: its source, the compiler, the machine it is for."""
    machine = f"{sys.version} {numba.__version__} {llvm.get_host_cpu_name()}"
    features = llvm.get_host_cpu_features().flatten()
    hasher = hashlib.sha256(f"{machine} {features}".encode())
    for path in (source, *(PACKAGE / name for name in SHARED)):
        hasher.update(path.read_bytes())
    return hasher.hexdigest()[:16]


def folders() -> Iterator[Path]:
    """Where code may be, best first."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        yield Path(chosen) / "signalfleet"
    yield PACKAGE / "__pycache__"
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    yield Path(home) / "signalfleet"
    yield private_folder()


@cache
def writable(folder: Path) -> bool:
    """Whether files can be made in a folder; makes the folder if it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


@cache
def private_folder() -> Path:
    """A folder that nobody else could have put code into: it lasts as long as the process."""
    return Path(tempfile.mkdtemp(prefix="signalfleet-"))


def install() -> None:
    """Have Numba use the locator."""
    if Locator not in caching.CacheImpl._locator_classes:
        caching.CacheImpl._locator_classes.insert(0, Locator)
