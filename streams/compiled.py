"""How this package's loops are compiled: kept on disk under the content that they come from."""

from pathlib import Path

from numba import njit

from indicators import cache

__all__ = ["njit"]

cache.install(Path(__file__).resolve().parent)
