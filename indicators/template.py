"""The loop over rows, as Python source: the rules for missing values, warm-up and forming rows.

A step is one instrument's business. All that it shares with the others is here, once.
"""

from indicators.declare import Missing, Operator, Parameters, nothing

ARGUMENTS = (
    "registers",  # scratch columns, `stride` numbers apart
    "stride",
    "operands",  # which columns: the inputs, then the outputs
    "parameters",  # the rows to hide, then the step's own
    "state",  # this operator's cells of slot 0
    "places",  # of each row, how far its slot's cells are; PREFETCH_ROWS more
    "cells",  # cells of this operator
    "final",
    "scratch",  # room for a copy of the cells
    "rows",
)
FORMING, FINAL, CHAINED = 0, 1, 2
"""What a row is. A chained one is forming and goes on from the row before it, which is forming."""
PREFETCH_ROWS = 12
"""How far ahead of its row a kernel asks for the state: a memory access takes many rows."""

_FORMING = f"""\
        s = advance(state, places[row])
        if final[row] != {FINAL}:
            if final[row] == {FORMING}:
                for cell in range(cells):
                    scratch[cell] = s[cell]
            s = scratch"""


def loop_source(operator: Operator) -> str:
    """A function of ARGUMENTS that runs the operator's step over all rows."""
    columns = [f"in{k}" for k in range(len(operator.values))]
    columns += [f"out{k}" for k in range(operator.outputs)]
    lines = [f"def {operator.name}({', '.join(ARGUMENTS)}):", "    hidden = parameters[0]"]
    for k, column in enumerate(columns):
        lines.append(f"    {column} = advance(registers, operands[{k}] * stride)")
    for k, parameter in enumerate(operator.parameters, start=1):
        lines.append(f"    given_{parameter.name} = {_parameter(parameter, k)}")
    lines.append("    for row in range(rows):")
    return "\n".join(
        lines + (_stateless(operator) if operator.state is None else _stateful(operator))
    )


def _parameter(parameter: Parameters, place: int) -> str:
    if parameter.kind == "weights":  # how many, then the numbers: so they come last
        return f"carray(advance(parameters, {place + 1}), int(parameters[{place}]))"
    return f"int(parameters[{place}])" if parameter.kind == "int" else f"parameters[{place}]"


def _stateless(operator: Operator) -> list[str]:
    return [*_reads(operator), f"        {_results(operator)} = step({_call(operator)})"]


def _stateful(operator: Operator) -> list[str]:
    results, empty = _results(operator), ", ".join(["nan"] * operator.outputs)
    lines = [f"        prefetch(advance(state, places[row + {PREFETCH_ROWS}]))"]
    if operator.ring is not None:
        first, each = operator.ring
        lines.append(f"        soon = advance(state, places[row + {PREFETCH_ROWS // 2}])")
        lines.append(f"        prefetch(advance(soon, {first} + {each} * int(soon[1])))")
    lines += [*_reads(operator), _FORMING]
    if operator.missing is Missing.SKIP and operator.values:
        absent = " or ".join(f"x{k} != x{k}" for k in range(len(operator.values)))
        lines += [
            f"        if {absent}:",
            f"            {results} = {empty}",
            "            continue",
        ]
    lines += ["        s[0] += 1.0", f"        {results} = step(s, {_call(operator)})"]
    if operator.warmup is not nothing:
        lines += ["        if s[0] <= hidden:", f"            {results} = {empty}"]
    return lines


def _reads(operator: Operator) -> list[str]:
    return [f"        x{k} = in{k}[row]" for k in range(len(operator.values))]


def _results(operator: Operator) -> str:
    return ", ".join(f"out{k}[row]" for k in range(operator.outputs))


def _call(operator: Operator) -> str:
    names = {value: f"x{k}" for k, value in enumerate(operator.values)}
    names |= {p.name: f"given_{p.name}" for p in operator.parameters}
    return ", ".join(f"{name}={names[name]}" for name in operator.signature.parameters)
