"""What a deployment names: a script, the numbers it was given, its budgets."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

from sandbox.limits import Limits

BATCH_BARS: Final = 512  # at most, of one batch: what limits of a batch are measured on
Param = str | int | float | bool


@dataclass(frozen=True)
class Script:
    """A source and how to run it. `vetted=False` is for testing the walls behind vetting."""

    name: str
    source: str
    params: Mapping[str, Param] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    vetted: bool = True

    @property
    def digest(self) -> str:
        """Name of this version by its content: source and parameters, 16 hex digits."""
        params = orjson.dumps(dict(self.params), option=orjson.OPT_SORT_KEYS)
        source = self.source.encode("utf-8", "surrogatepass")
        return hashlib.sha256(len(source).to_bytes(8) + source + params).hexdigest()[:16]


@dataclass(frozen=True)
class Bars:
    """Closed bars of many instruments in order of time: columns of equal length (rows,).

    `ts` is the close, ns since the epoch; `values` are the plan's outputs, NaN where missing;
    `symbols` gives the name of every slot that occurs.
    """

    slots: NDArray[np.int64]
    ts: NDArray[np.int64]
    columns: Mapping[str, NDArray[np.float64]]  # open high low close volume
    values: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    symbols: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.slots)

    def cut(self, start: int, stop: int) -> "Bars":
        """Rows from `start` up to `stop`."""
        return Bars(
            slots=self.slots[start:stop],
            ts=self.ts[start:stop],
            columns={name: column[start:stop] for name, column in self.columns.items()},
            values={name: column[start:stop] for name, column in self.values.items()},
            symbols=self.symbols,
        )


COLUMNS: Sequence[str] = ("open", "high", "low", "close", "volume")
