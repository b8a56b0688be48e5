"""Series of a coarser timeframe inside a plan: bars made of the plan's own bars.

A plan has one section for each coarser timeframe. Before the plan's own program runs, a section
gathers the rows into coarser bars, runs the coarser series over those that close, and holds the
last values: they are columns of the plan like open and close. A coarser bar closes with the row
whose close is its own; where no such row came, with the first row of a later bar. So one row may
close two bars.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from indicators.errors import IndicatorError
from indicators.program import Program, assemble
from indicators.series import Series, is_coarse, walk

type Numbers = NDArray[np.float64]
type Flags = NDArray[np.uint8]

TIME = "time_s"
"""The column of each row's close: whole seconds since the epoch."""
FIRST, MOST, LEAST, LAST, TOTAL = range(5)
RULES = {
    "open": FIRST,
    "high": MOST,
    "low": LEAST,
    "close": LAST,
    "volume": TOTAL,
    "day": LAST,
}
"""How a field of a coarser bar is made of the rows in it; a missing value is left out."""
BUCKET, GATHERED, CLOSED, CELLS = range(4)
"""A section's first cells: close of the bar being made over its length, rows in it so far, bars
closed; then the fields of the bar being made, then the values held."""


@dataclass(frozen=True)
class Section:
    """The series of one coarser timeframe."""

    seconds: int
    held: tuple[Series, ...]
    program: Program
    cell: int

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that its bars are made of."""
        return self.program.fields

    @cached_property
    def rules(self) -> NDArray[np.int64]:
        """How each of its fields is made."""
        return np.array([RULES[name] for name in self.fields], np.int64)

    def run(
        self,
        state: Numbers,
        slots: NDArray[np.int64],
        columns: Mapping[str, Numbers],
        final: Flags,
    ) -> Numbers:
        """The values of the last coarser bars that have closed, (series, rows).

        IndicatorError where a slot has no state; the state is then unchanged.
        """
        from indicators.coarse_kernels import gather, hold  # loads the compiler
        from indicators.machine import execute

        rows, fields = len(slots), len(self.fields)
        given = np.empty((fields, rows))
        for k, name in enumerate(self.fields):
            given[k] = columns[name]
        closing, places = np.zeros(rows, np.uint8), np.empty(2 * rows, np.int64)
        bars, finals = np.empty((fields, 2 * rows)), np.empty(2 * rows, np.uint8)
        time = np.ascontiguousarray(columns[TIME], np.float64)
        where = np.array([self.cell, self.seconds], np.int64)
        made = gather(
            *(state, slots, time, given, self.rules, final, where),
            *(closing, places, bars, finals),
        )
        if made < 0:
            bad = -1 - made
            raise IndicatorError(f"row {bad}: slot {slots[bad]}, but state has {len(state)} slots")
        results = np.empty((len(self.held), made))
        if made:
            columns_made = np.ascontiguousarray(bars[:, :made])
            which, kinds = places[:made], finals[:made]
            execute(*self.program.arrays, state, which, columns_made, kinds, results)
        values = np.empty((len(self.held), rows))
        hold(state, slots, closing, results, final, self.cell + CELLS + fields, self.cell, values)
        return values


def layout(roots: list[Series]) -> tuple[Program, tuple[Section, ...]]:
    """The program of the roots, and the sections that it reads; their state follows its own."""
    program = assemble(roots)
    sections: list[Section] = []
    coarse = [each for each in walk(roots) if is_coarse(each)]
    cell = program.width
    # The parameter of this operator is a number of whole seconds; others have texts, too.
    for seconds in sorted({int(each.parameters[0]) for each in coarse}):  # type: ignore[arg-type]
        held = tuple(each for each in coarse if each.parameters[0] == seconds)
        inner = [each.inputs[0] for each in held]
        fields = len(assemble(inner).fields)
        made = assemble(inner, cell + CELLS + fields + len(held))
        sections.append(Section(seconds, held, made, cell))
        cell = made.width
    return program, tuple(sections)


def width(program: Program, sections: tuple[Section, ...]) -> int:
    """Cells of state that one instrument needs."""
    return sections[-1].program.width if sections else program.width
