"""What a script gave for one batch of bars, checked and ready to publish."""

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

Field = str | float | int | bool | None


@dataclass(frozen=True)
class Signal:
    """Said on row `row`: by signal(), or because an output changed."""

    row: int
    name: str
    value: float | None
    fields: dict[str, Field]


@dataclass(frozen=True)
class Failure:
    """An error that the script raised on row `row`, at its line `line` (0 if unknown)."""

    row: int
    line: int
    text: str


def _no_numbers() -> NDArray[np.float64]:
    return np.empty(0, np.float64)


@dataclass(frozen=True)
class Results:
    """One batch of one script.

    `outcome`: done (whatever single rows raised), refused (the breaker is open, nothing ran), or
    why it was cut: deadline, memory, state, output, crashed, forbidden, protocol, error (it
    could not be started again), misfit (its plan's bars cannot make those that it asks for) or
    lost (the zygote is gone; no fault of the script). There are
    rows after done, and after memory, state and output that single rows met. `cpu_ns` is what
    it cost.
    """

    numbers: NDArray[np.float64] = field(default_factory=_no_numbers)
    signals: tuple[Signal, ...] = ()
    outputs: tuple[tuple[int, dict[str, float | None]], ...] = ()
    errors: tuple[Failure, ...] = ()
    errors_total: int = 0
    log: tuple[tuple[int, str], ...] = ()
    log_dropped: int = 0
    signals_cut: int = 0
    limits: tuple[str, ...] = ()  # limits that were met
    outcome: str = "done"
    message: str = ""
    traceback: tuple[str, ...] = ()
    cpu_ns: int = 0
    wall_ns: int = 0
    restarted: bool = False  # the process was started anew before this batch

    def joined(self, other: Self) -> Self:
        """The results of both batches, `other` being the later one."""
        shift = len(self.numbers)
        moved = [replace(item, row=item.row + shift) for item in other.signals]
        failed = [replace(item, row=item.row + shift) for item in other.errors]
        return replace(
            other,
            numbers=np.concatenate([self.numbers, other.numbers]),
            signals=(*self.signals, *moved),
            outputs=(*self.outputs, *((row + shift, named) for row, named in other.outputs)),
            errors=(*self.errors, *failed),
            errors_total=self.errors_total + other.errors_total,
            log=(*self.log, *((row + shift, text) for row, text in other.log)),
            log_dropped=self.log_dropped + other.log_dropped,
            signals_cut=self.signals_cut + other.signals_cut,
            limits=tuple(sorted({*self.limits, *other.limits})),
            cpu_ns=self.cpu_ns + other.cpu_ns,
            wall_ns=self.wall_ns + other.wall_ns,
            restarted=self.restarted or other.restarted,
        )
