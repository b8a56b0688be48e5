"""When a rule speaks: on the change of its condition, per instrument, with cooldown."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indicators.compiled import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SILENT, FINAL, FORMING, REVISED = range(4)
STATUS: Final = {FINAL: "final", FORMING: "forming", REVISED: "revised"}

# Cells of a rule's memory of one instrument.
HELD = 0  # the condition at the last closed bar
HELD_FORMING = 1  # the condition at the last forming row of the open bar
SPOKEN = 2  # forming signals of the open bar
FIRED_TS = 3  # close of the bar that fired last, ns (exact as float64 to 256 ns: only gaps count)
CELLS = 4


@dataclass(frozen=True, slots=True)
class Firing:
    """How often a rule may speak: `every` bar while it holds, or on change; `cooldown` in ns."""

    every_bar: bool = False
    cooldown_ns: int = 0


def fire(
    firing: Firing, memory: Floats, slots: Ints, ts: Ints, condition: Floats, final: Bools
) -> tuple[NDArray[np.int8], Ints]:
    """What each row says, and its place among its bar's forming signals.

    `memory` is `(slots, CELLS)`, born zero, and moves; the rest are `(rows,)` in time order,
    with `ts` the bar close in ns. NaN conditions are false. A forming signal that the close
    of its bar does not confirm is followed by a row REVISED.
    """
    return _fire(memory, slots, ts, condition, final, firing.every_bar, firing.cooldown_ns)


@compiled
def _fire(
    memory: Floats,
    slots: Ints,
    ts: Ints,
    condition: Floats,
    final: Bools,
    every_bar: bool,
    cooldown_ns: int,
) -> tuple[NDArray[np.int8], Ints]:
    rows = slots.size
    status = np.zeros(rows, np.int8)
    ordinal = np.zeros(rows, np.int64)
    for row in range(rows):
        cells = memory[slots[row]]
        holds = condition[row] != 0.0 and not np.isnan(condition[row])
        rested = cells[FIRED_TS] == 0.0 or ts[row] - cells[FIRED_TS] >= cooldown_ns
        if final[row]:
            fires = holds and rested and (every_bar or cells[HELD] == 0.0)
            if fires:
                status[row] = FINAL
                cells[FIRED_TS] = ts[row]
            elif cells[SPOKEN] > 0.0:
                status[row] = REVISED
            cells[HELD] = 1.0 if holds else 0.0
            cells[HELD_FORMING] = cells[HELD]
            cells[SPOKEN] = 0.0
        else:
            if holds and rested and cells[HELD_FORMING] == 0.0:
                status[row] = FORMING
                cells[SPOKEN] += 1.0
                ordinal[row] = np.int64(cells[SPOKEN])
            cells[HELD_FORMING] = 1.0 if holds else 0.0
    return status, ordinal
