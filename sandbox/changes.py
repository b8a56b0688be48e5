"""When the outputs of a declared script become signals: on change, per instrument."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sandbox.graph import Declared
from sandbox.results import Signal

type Numbers = NDArray[np.float64]


def new_levels(declared: Declared, slots: int) -> dict[str, Numbers]:
    """What every instrument has said last, nothing yet: (slots,) zeros by output."""
    return {name: np.zeros(slots) for name in declared.outputs}


def changed(
    declared: Declared,
    levels: dict[str, Numbers],
    slots: NDArray[np.int64],
    columns: Mapping[str, Numbers],
) -> tuple[Signal, ...]:
    """Signals of a batch of final rows, in order of rows; moves `levels` along.

    A number speaks when it differs from the last one of its instrument (missing ones are
    passed over, the first is compared with 0), a condition only when it comes true: as a
    script's returned numbers and truth values do.
    """
    signals = [
        Signal(int(row), name, float(columns[name][row]), {})
        for name in declared.outputs
        for row in _changed_rows(
            levels[name], slots, columns[name], only_true=name in declared.conditions
        )
    ]
    return tuple(sorted(signals, key=lambda signal: signal.row))


def _changed_rows(
    level: Numbers, slots: NDArray[np.int64], column: Numbers, *, only_true: bool
) -> NDArray[np.int64]:
    rows = np.flatnonzero(~np.isnan(column))
    if not len(rows):
        return rows
    rows = rows[np.argsort(slots[rows], kind="stable")]
    owners, values = slots[rows], column[rows]
    first = np.ones(len(rows), np.bool_)
    first[1:] = owners[1:] != owners[:-1]
    before = np.empty(len(rows))
    before[1:] = values[:-1]
    before[first] = level[owners[first]]
    last = np.append(first[1:], True)
    level[owners[last]] = values[last]
    fires = values != before
    if only_true:
        fires &= values != 0.0
    return np.sort(rows[fires])
