"""Where machine code is kept: a folder that can be set, and may be read-only.

Numba's own rule needs a folder that it can write to, and takes a file's time for its content.
An image or a wheel has neither: so code is looked up by the source's content, in the first of
these folders that has it, or else kept in the first that can be written to: `NUMBA_CACHE_DIR`,
the package's own `__pycache__`, the user's cache folder, a private temporary one.
"""

import hashlib
import os
import re
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
IMPORTED = r"^\s*from {}\.([\w.]+) import"
INSTALLED: set[Path] = set()


class Locator(caching._CacheLocator):  # type: ignore[misc]
    """Numba asks this first where to keep the code of a function."""

    def __init__(self, function: Callable[..., Any], source: Path, folder: Path) -> None:
        self.function, self.source, self.folder = function, source, folder

    @classmethod
    def from_function(cls, function: Callable[..., Any], source: str) -> Self | None:
        """A locator for a function of a package that installed the cache; None for others."""
        path = Path(source).resolve()
        package = next((one for one in INSTALLED if one in path.parents), None)
        if package is None:
            return None
        name = f"{path.stem}-{fingerprint(path, package)}"
        for folder in folders(package):
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
def fingerprint(source: Path, package: Path) -> str:
    """A name for what code depends on: its sources, the compiler, the machine it is for."""
    machine = f"{sys.version} {numba.__version__} {llvm.get_host_cpu_name()}"
    features = llvm.get_host_cpu_features().flatten()
    hasher = hashlib.sha256(f"{machine} {features}".encode())
    for path in (source, *sources(source, package), *(PACKAGE / name for name in SHARED)):
        hasher.update(path.read_bytes())
    return hasher.hexdigest()[:16]


def sources(source: Path, package: Path) -> list[Path]:
    """What a module imports from its package, near and far: its code may be built into ours."""
    found: set[Path] = set()
    ahead = [source]
    while ahead:
        for module in re.findall(IMPORTED.format(package.name), ahead.pop().read_text(), re.M):
            path = package.joinpath(*module.split(".")).with_suffix(".py")
            if path.is_file() and path not in found:
                found.add(path)
                ahead.append(path)
    return sorted(found)


def folders(package: Path) -> Iterator[Path]:
    """Where code may be, best first."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        yield Path(chosen) / "signalfleet"
    yield package / "__pycache__"
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


def install(package: Path = PACKAGE) -> None:
    """Have Numba use the locator for the functions of this package."""
    INSTALLED.add(package)
    if Locator not in caching.CacheImpl._locator_classes:
        caching.CacheImpl._locator_classes.insert(0, Locator)
