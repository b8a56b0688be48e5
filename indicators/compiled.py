"""How this package's loops over rows are compiled: once, to disk, without the interpreter lock."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
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


def column_of[T: np.generic](values: npt.ArrayLike, dtype: type[T]) -> npt.NDArray[T]:
    """The values as a column that a loop takes: as they are, if they are one."""
    # writable too: a read-only array is another type to the compiler, so another compilation
    if isinstance(values, np.ndarray) and values.dtype == dtype and values.flags.carray:
        return values
    return np.require(np.asarray(values), dtype, ["C_CONTIGUOUS", "WRITEABLE"])
