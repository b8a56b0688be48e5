"""From series to a program: instructions, scratch columns, places in the state."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray

from indicators.declare import Operator
from indicators.series import Parameter, Series, is_coarse, walk

type Application = tuple[str, tuple[Parameter, ...], tuple[bytes, ...]]


SMALL_CELLS = 8
"""Numbers in one line of memory."""


@dataclass(frozen=True)
class Step:
    """One instruction: an operator with where it reads, writes and keeps its state."""

    operator: Operator
    operands: tuple[int, ...]
    parameters: tuple[float, ...]
    state_at: int
    cells: int


@dataclass(frozen=True)
class Program:
    """What the machine runs. Columns are the fields, the constants, then scratch reused.

    `departures` are the outputs in the order in which they are ready: after which step (-1:
    before the first), from which column, which output. A column is reused once its value left.
    """

    fields: tuple[str, ...]
    constants: tuple[float, ...]
    steps: tuple[Step, ...]
    departures: tuple[tuple[int, int, int], ...]
    columns: int
    width: int

    @cached_property
    def arrays(self) -> tuple[NDArray[np.int64], ...]:
        """The program as the machine takes it; compiles what was never compiled before."""
        from indicators.kernels import address

        instructions, operands, parameters = [], [0], [0.0]
        for step in self.steps:
            place = (len(operands), len(parameters), step.state_at, step.cells)
            instructions.append((address(step.operator), *place))
            operands += step.operands
            parameters += step.parameters
        cells_max = max((step.cells for step in self.steps), default=0)
        return (
            np.array(instructions, np.int64).reshape(-1, 5),
            np.array(operands, np.int64),
            np.array(parameters, np.float64),
            np.array(self.constants, np.float64),
            np.array(self.departures, np.int64).reshape(-1, 3),
            np.array([self.columns, cells_max], np.int64),
        )


def column_name(series: Series) -> str:
    """What a program calls the column that holds a field, or a series over coarser bars."""
    return series.digest.hex() if is_coarse(series) else series.name


def assemble(roots: list[Series], cell: int = 0) -> Program:
    """The program that computes every root, its state from that cell on."""
    order = list(walk(roots))
    layout = _Layout(order, roots)
    for series in order:
        if series.operator is not None and series.digest not in layout.places:
            layout.place(series, series.operator)
    layout.stack(cell)
    return Program(
        fields=tuple(column_name(series) for series in layout.fields),
        constants=tuple(cast("float", series.parameters[0]) for series in layout.constants),
        steps=tuple(layout.steps),
        departures=tuple(layout.departures),
        columns=layout.columns,
        width=layout.width,
    )


class _Layout:
    """Hands out scratch columns, takes them back after their last use, and stacks up state."""

    def __init__(self, order: list[Series], roots: list[Series]) -> None:
        leaves = [series for series in order if series.operator is None]
        self.fields = [series for series in leaves if series.name != "constant"]
        self.constants = [series for series in leaves if series.name == "constant"]
        self.places = {s.digest: k for k, s in enumerate(self.fields + self.constants)}
        self.columns, self.width = len(leaves), 0
        self.steps: list[Step] = []
        self.free: list[int] = []
        self.outputs: dict[Application, dict[int, Series]] = {}
        for series in order:
            self.outputs.setdefault(_application(series), {})[series.output] = series
        used = [one for each in self.outputs.values() for one in next(iter(each.values())).inputs]
        self.uses = Counter(series.digest for series in used)
        self.wanted: dict[bytes, list[int]] = {}
        for k, root in enumerate(roots):
            self.wanted.setdefault(root.digest, []).append(k)
        self.departures: list[tuple[int, int, int]] = []
        for series in leaves:
            self._depart(series, -1)

    def place(self, series: Series, operator: Operator) -> None:
        """Add the instruction that computes a series, and its operator's other outputs."""
        wanted = self.outputs[_application(series)]
        written = [self._column() for _ in range(operator.outputs)]
        self.places |= {each.digest: written[k] for k, each in wanted.items()}
        read = [self.places[each.digest] for each in series.inputs]
        cells = 0 if operator.state is None else 1 + operator.fact(operator.state, series)
        numbers = _numbers(series, operator)
        self.steps.append(Step(operator, (*read, *written), numbers, 0, cells))
        for each in wanted.values():
            self._depart(each, len(self.steps) - 1)
        self.free += [
            column
            for k, column in enumerate(written)
            if k not in wanted or self.uses[wanted[k].digest] == 0
        ]
        for each in series.inputs:
            self.uses[each.digest] -= 1
            if self.uses[each.digest] == 0 and each.operator is not None:
                self.free.append(self.places[each.digest])

    def stack(self, cell: int) -> None:
        """Give every step its place in the state: the small ones first, side by side.

        A row then touches few lines of memory, and the counters of a long window lie in one
        line with its first cells.
        """
        self.width = cell
        for k in sorted(range(len(self.steps)), key=lambda k: self.steps[k].cells > SMALL_CELLS):
            self.steps[k] = replace(self.steps[k], state_at=self.width)
            self.width += self.steps[k].cells

    def _depart(self, series: Series, step: int) -> None:
        column = self.places[series.digest]
        self.departures += [(step, column, k) for k in self.wanted.get(series.digest, ())]

    def _column(self) -> int:
        if self.free:
            return self.free.pop()
        self.columns += 1
        return self.columns - 1


def _application(series: Series) -> Application:
    return series.name, series.parameters, tuple(each.digest for each in series.inputs)


def _numbers(series: Series, operator: Operator) -> tuple[float, ...]:
    numbers = [float(operator.fact(operator.warmup, series))]
    for parameter in series.parameters:
        if isinstance(parameter, tuple):
            numbers += [float(len(parameter)), *parameter]
        else:
            numbers.append(float(parameter))
    return tuple(numbers)
