"""What the graph of a series says about it: when it starts, how far back it reaches, its size."""

import math
from typing import Any

from indicators.bounds import Bounds
from indicators.catalogue import REQUIRED, Indicator, Input, Option
from indicators.declare import Missing
from indicators.program import assemble
from indicators.series import CLOSE, OPEN, Series, walk


def first_row(series: Series) -> int:
    """The index of the first row that has a value on ordinary bars, counted from 0."""
    first: dict[bytes, int] = {}
    for each in walk([series]):
        starts = [first[one.digest] for one in each.inputs]
        if each.operator is None:
            first[each.digest] = 0
            continue
        hidden = each.operator.fact(each.operator.warmup, each)
        if each.operator.missing is Missing.ROWS:
            first[each.digest] = max([hidden, *starts])
        else:
            first[each.digest] = each.operator.first(starts) + hidden
    return first[series.digest]


def memory_rows(series: Series) -> float:
    """Rows after which the start of history no longer matters; infinite where it always does."""
    reach: dict[bytes, float] = {}
    for each in walk([series]):
        own = 0.0
        if each.operator is not None:
            own = each.operator.fact(each.operator.memory, each)
        reach[each.digest] = own + max((reach[one.digest] for one in each.inputs), default=0.0)
    return reach[series.digest]


def state_bytes(*series: Series) -> int:
    """Bytes of state that one instrument needs for these series together."""
    return 8 * assemble(list(series)).width


def describe(entry: Indicator) -> dict[str, Any]:
    """Everything there is to say about an indicator with its defaults, ready for JSON.

    `memory_rows` is None where the start always matters. A series that has no default stands in
    as close, the next as open.
    """
    wanted = [each.name for each in entry.inputs if each.default is None and not each.many]
    stand_ins = dict(zip(wanted, (CLOSE, OPEN, CLOSE, OPEN), strict=False))
    made = entry.build((), stand_ins)
    memory = max(memory_rows(series) for series in made.series)
    return {
        "name": entry.name,
        "category": entry.category,
        "summary": entry.summary,
        "usage": entry.usage,
        "inputs": {each.name: _field(each) for each in entry.inputs},
        "parameters": [_option(option) for option in entry.options],
        "outputs": list(entry.outputs),
        "columns": list(made.columns),
        "unit": entry.unit,
        "source": entry.source,
        "first_rows": [first_row(series) for series in made.series],
        "memory_rows": None if math.isinf(memory) else int(memory),
        "state_bytes": state_bytes(*made.series),
    }


def _field(each: Input) -> str | None:
    return None if each.default is None else repr(each.default)


def _option(option: Option) -> dict[str, Any]:
    told: dict[str, Any] = {"name": option.name, "type": option.kind.__name__}
    if option.default is not REQUIRED:
        told["default"] = option.default
    if isinstance(option.rule, Bounds):
        told |= {"least": option.rule.least, "most": option.rule.most}
    elif option.rule is not None:
        told["choices"] = list(option.rule.known())
    return told
