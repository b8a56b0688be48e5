"""What a program can be told of an indicator: the facts of its definition, as plain data."""

from math import isfinite
from typing import Any

from indicators.bounds import Bounds, Choice
from indicators.catalogue import REQUIRED, Indicator, Option
from indicators.facts import first_row, memory_rows, state_bytes
from indicators.series import CLOSE, OPEN, walk


def describe(indicator: Indicator) -> dict[str, Any]:
    """Everything that `fleet indicators --json` says of one, with its default parameters.

    `warmup` is the rows before each output's first value; `memory` the rows after which the
    start of history no longer matters (null: always); `state_bytes` what one instrument takes.
    A series that has no default stands in as close, the next as open.
    """
    wanted = [one.name for one in indicator.inputs if one.required]
    required = dict(zip(wanted, (CLOSE, OPEN, CLOSE, OPEN), strict=False))
    needed = [option.name for option in indicator.options if option.default is REQUIRED]
    built = indicator.build(named={**required, **dict.fromkeys(needed, 1)})
    outputs: list[dict[str, Any]] = []
    for place, (field, series) in enumerate(zip(built.fields, built.series, strict=True)):
        outputs.append(
            {
                "name": field,
                "column": built.columns[place] if built.columns else None,
                "warmup": first_row(series),
                "memory": _finite(memory_rows(series)),
            }
        )
    nodes = list(walk(list(built.series)))
    return {
        "name": indicator.name,
        "category": indicator.category,
        "usage": indicator.usage,
        "summary": indicator.summary,
        "inputs": [
            {"name": one.name, "default": None if one.default is None else repr(one.default)}
            for one in indicator.inputs
        ],
        "parameters": [_parameter(option) for option in indicator.options],
        "outputs": outputs,
        "unit": indicator.unit,
        "source": indicator.source,
        "differs": indicator.differs,
        "warmup": max(output["warmup"] for output in outputs),
        "state_bytes": state_bytes(*built.series),
        "operators": sorted({node.name for node in nodes if node.operator is not None}),
        "description": indicator.description,
    }


def _parameter(option: Option) -> dict[str, Any]:
    about: dict[str, Any] = {"name": option.name, "type": option.kind.__name__}
    if option.default is not REQUIRED:
        about["default"] = option.default
    if isinstance(option.rule, Bounds):
        about |= {"min": option.rule.least, "max": option.rule.most}
    if isinstance(option.rule, Choice):
        about["choices"] = list(option.rule.known())
    return about


def _finite(rows: float) -> float | None:
    return rows if isfinite(rows) else None
