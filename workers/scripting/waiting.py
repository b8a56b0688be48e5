"""Bars that a suspended script has not seen yet: it sees them, unheard, before it speaks again."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from sandbox.script import Bars

CELL_BYTES: Final = 8
PARTS_MAX: Final = 256  # then they are put in one piece
WAITING_BYTES_MAX: Final = 16 << 20  # of one script on one shard; of bars without values 290,000


def queue(waiting: list[Bars], fresh: Bars) -> bool:
    """Let `fresh` wait with the others; whether older bars had to go.

    Where the room is full, all in it goes and it fills anew: so what waits is the same however
    the bars are cut into batches.
    """
    waiting.append(fresh)
    width = 2 + len(fresh.columns) + len(fresh.values)
    rows_max = WAITING_BYTES_MAX // (width * CELL_BYTES)
    if len(waiting) <= PARTS_MAX and sum(len(part) for part in waiting) <= rows_max:
        return False
    joined = joint(waiting)
    lost = (len(joined) - 1) // rows_max * rows_max
    waiting[:] = [joined.cut(lost, len(joined))]
    return lost > 0


def joint(parts: Sequence[Bars]) -> Bars:
    """All bars, one after the other; a value that some of them lack is missing there."""
    last = parts[-1]
    if len(parts) == 1:
        return last
    return Bars(
        slots=np.concatenate([part.slots for part in parts]),
        ts=np.concatenate([part.ts for part in parts]),
        columns={
            name: np.concatenate([part.columns[name] for part in parts]) for name in last.columns
        },
        values={
            name: np.concatenate(
                [part.values.get(name, np.full(len(part), np.nan)) for part in parts]
            )
            for name in last.values
        },
        symbols={slot: name for part in parts for slot, name in part.symbols.items()},
    )


def save(waiting: Bars) -> tuple[dict[str, Any], bytes]:
    """Bars as a head for JSON and their columns in one piece."""
    head = {
        "columns": list(waiting.columns),
        "values": list(waiting.values),
        "symbols": {str(slot): name for slot, name in waiting.symbols.items()},
    }
    parts = [waiting.slots, waiting.ts, *waiting.columns.values(), *waiting.values.values()]
    return head, b"".join(part.tobytes() for part in parts)


def load(head: dict[str, Any], cells: bytes) -> Bars:
    """What `save` wrote; raises ValueError or KeyError for anything else."""
    names, values = head["columns"], head["values"]
    whole = np.frombuffer(cells, np.int64).reshape(2 + len(names) + len(values), -1).copy()
    floats = whole[2:].view(np.float64)
    return Bars(
        slots=whole[0],
        ts=whole[1],
        columns=dict(zip(names, floats, strict=False)),
        values=dict(zip(values, floats[len(names) :], strict=True)),
        symbols={int(slot): name for slot, name in head["symbols"].items()},
    )
