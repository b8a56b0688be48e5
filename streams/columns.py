"""Room for rows: the columns that the parser fills and a batch is cut from."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from streams.records import Floats, Ints, Words


class Columns(NamedTuple):
    """Columns of equal length; see `Batch` for what they mean."""

    slot: Ints
    ts: Ints
    price: Floats
    size: Floats
    key: Words
    entry_ms: Words
    entry_seq: Words

    def cut(self, start: int, stop: int) -> "Columns":
        """The rows [start, stop), as views."""
        return columns_of([column[start:stop] for column in self])


def room(rows: int) -> Columns:
    """Columns of that many rows with anything in them."""
    kinds = (np.int64, np.int64, np.float64, np.float64, np.uint64, np.uint64, np.uint64)
    return columns_of([np.empty(rows, kind) for kind in kinds])


def columns_of(columns: Sequence[Any]) -> Columns:
    """Seven arrays of the right kinds as columns."""
    return Columns(*columns)
