"""From series to a program: instructions, scratch columns, places in the state."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from indicators.declare import Operator
from indicators.series import Parameter, Series, walk

type Application = tuple[str, tuple[Parameter, ...], tuple[bytes, ...]]


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
    """What the machine runs. Columns are the fields, the constants, then scratch reused."""

    fields: tuple[str, ...]
    constants: tuple[float, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
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
            np.array([*self.outputs, self.columns, cells_max], np.int64),
        )


def assemble(roots: list[Series]) -> Program:
    """The program that computes every root."""
    order = list(walk(roots))
    fields = tuple(s.name for s in order if s.operator is None and s.name != "constant")
    constants = [s for s in order if s.name == "constant"]
    places = {
        s.digest: k
        for k, s in enumerate(
            [s for s in order if s.operator is None and s.name != "constant"] + constants
        )
    }
    groups: dict[Application, list[Series]] = {}
    for series in order:
        if series.operator is not None:
            groups.setdefault(_application(series), []).append(series)
    uses = {s.digest: 0 for s in order}
    for group in groups.values():
        for each in group[0].inputs:
            uses[each.digest] += 1
    for root in roots:
        uses[root.digest] += 1
    free: list[int] = []
    columns, width, steps = len(places), 0, []
    for series in order:
        if series.operator is None or series.digest in places:
            continue
        group = {each.output: each for each in groups[_application(series)]}
        written = []
        for k in range(series.operator.outputs):
            if free:
                place = free.pop()
            else:
                place, columns = columns, columns + 1
            written.append(place)
            if k in group:
                places[group[k].digest] = place
        read = [places[each.digest] for each in series.inputs]
        cells = 0
        if series.operator.state is not None:
            cells = 1 + series.operator.fact(series.operator.state, series)
        steps.append(Step(series.operator, (*read, *written), _numbers(series), width, cells))
        width += cells
        for each in series.inputs:
            uses[each.digest] -= 1
            if uses[each.digest] == 0 and each.operator is not None:
                free.append(places[each.digest])
        free += [written[k] for k in range(len(written)) if k not in group]
    return Program(
        fields,
        tuple(float(c.parameters[0]) for c in constants),
        tuple(steps),
        tuple(places[root.digest] for root in roots),
        columns,
        width,
    )


def _application(series: Series) -> Application:
    return series.name, series.parameters, tuple(each.digest for each in series.inputs)


def _numbers(series: Series) -> tuple[float, ...]:
    numbers = [float(series.operator.fact(series.operator.warmup, series))]
    for parameter in series.parameters:
        if isinstance(parameter, tuple):
            numbers += [float(len(parameter)), *parameter]
        else:
            numbers.append(parameter)
    return tuple(numbers)
