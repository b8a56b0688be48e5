"""Patterns of symbols, as plans and priorities name them."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray


def matching(names: Sequence[str], patterns: Sequence[str]) -> NDArray[np.bool_]:
    """Which of `names` any of the patterns covers, (names,)."""
    wanted = [any(fnmatchcase(name, pattern) for pattern in patterns) for name in names]
    return np.array(wanted, dtype=np.bool_)
