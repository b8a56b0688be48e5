"""How this package's loops over rows are compiled: once, to disk, without the interpreter lock."""

from collections.abc import Callable

from numba import njit

from indicators import cache

cache.install()  # here too: whichever module of this package is the first to compile


def compiled[F: Callable[..., object]](function: F) -> F:
    """`function` as machine code, kept on disk; a second process compiles nothing."""
    loop: F = njit(cache=True, nogil=True, error_model="numpy")(function)
    return loop


def inlined[F: Callable[..., object]](function: F) -> F:
    """`function` as machine code that is laid into each compiled loop which calls it."""
    step: F = njit(forceinline=True, error_model="numpy")(function)
    return step
