"""What a shard knows of its backfill: how far it reaches, and that it has no clock."""

import struct
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from indicators.bar_kernels import Bools, Ints

HEAD = struct.Struct("<?7x")


@dataclass(slots=True)
class History:
    """Per slot, the end of what history told; 0 where there was none.

    `newest` says that the last rows of the log are history: like a file, it has no clock.
    """

    until: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    newest: bool = False

    def resize(self, slots: int) -> None:
        """Room for `slots` instruments."""
        if self.until.size < slots:
            self.until = np.concatenate((self.until, np.zeros(slots - self.until.size, np.int64)))

    def reach(self, slots: Ints, ts: Ints) -> None:
        """Take note of ticks of history, (rows,); a tick tells of its own nanosecond too."""
        np.maximum.at(self.until, slots, ts + 1)

    def covers(self, slots: Ints, closes: Ints) -> Bools:
        """Which bars, (rows,), history tells all of: they are not published."""
        return closes <= self.until[slots]

    def save(self) -> bytes:
        """The flag, then the times."""
        return HEAD.pack(self.newest) + self.until.tobytes()

    @classmethod
    def load(cls, blob: bytes) -> Self:
        """What `save` wrote; raises ValueError for anything else."""
        if len(blob) < HEAD.size:
            raise ValueError(f"history of {len(blob)} bytes")
        (newest,) = HEAD.unpack_from(blob)
        return cls(np.frombuffer(blob, np.int64, offset=HEAD.size).copy(), newest)
