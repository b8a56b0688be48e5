"""Plans: named series, compiled together, run over batches of bars of many instruments."""

import hashlib
from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from indicators.errors import IndicatorError
from indicators.program import Program, assemble
from indicators.series import Series

type Numbers = NDArray[np.float64]


class Plan:
    def __init__(self, named: Mapping[str, Series]) -> None:
        self.series = dict(named)
        self.outputs = tuple(self.series)
        self.program: Program = assemble(list(self.series.values()))
        self.fields = self.program.fields
        self.width = self.program.width

    def new_state(self, slots: int) -> Numbers:
        return np.zeros((slots, self.width))

    def run(
        self,
        state: Numbers,
        slots: NDArray[np.int64],
        columns: Mapping[str, Numbers],
        final: NDArray[np.bool_] | None = None,
    ) -> dict[str, Numbers]:
        from indicators.machine import execute

        rows = len(slots)
        given = np.empty((len(self.fields), rows))
        for k, name in enumerate(self.fields):
            given[k] = columns[name]
        flags = np.ones(rows, np.uint8) if final is None else final.view(np.uint8)
        results = np.empty((len(self.outputs), rows))
        bad = execute(*self.program.arrays, state, slots, given, flags, results)
        if bad >= 0:
            raise IndicatorError(f"row {bad}: slot")
        return dict(zip(self.outputs, results, strict=True))
