"""The whole catalogue as plans, one per category, and the bars to run them on."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from indicators import CLOSE, DAY, HIGH, LOW, OPEN, VOLUME, Plan
from indicators.catalogue import CATALOGUE, Built, Indicator
from tests.indicators.market import generated

type Columns = dict[str, NDArray[np.float64]]

FIELDS = ("open", "high", "low", "close", "volume", "day")
ROWS_A_DAY = 40
REQUIRED = (CLOSE, OPEN, HIGH, LOW, VOLUME)
"""What a definition is given for series that have no default, in order."""


def built(entry: Indicator) -> Built:
    """An indicator with its defaults."""
    wanted = [each.name for each in entry.inputs if each.required]
    given = dict(zip(wanted, REQUIRED, strict=False))
    if "condition" in given:
        given["condition"] = CLOSE > OPEN
    return entry.build((), given)


@cache
def plan(category: str) -> Plan:
    """Every output of every indicator of a category."""
    named = {}
    for name, entry in CATALOGUE.items():
        if entry.category == category:
            made = built(entry)
            named |= {f"{name}.{f}": s for f, s in zip(made.fields, made.series, strict=True)}
    return Plan(named)


def categories() -> list[str]:
    return sorted({entry.category for entry in CATALOGUE.values()})


@cache
def columns(market: str = "walk", rows: int = 400) -> Columns:
    """Columns of generated bars, with a new day every ROWS_A_DAY rows."""
    bars = generated()[market].head(rows)
    days = np.arange(len(bars)) // ROWS_A_DAY
    return {name: bars[name].to_numpy() for name in FIELDS[:-1]} | {"day": days.astype(float)}


def cut(given: Columns, start: int, stop: int) -> Columns:
    return {name: column[start:stop] for name, column in given.items()}


def run(
    subject: Plan, given: Columns, slots: NDArray[np.int64] | None = None
) -> dict[str, NDArray[np.float64]]:
    """The outputs over columns, from zero state, of one instrument unless told."""
    if slots is None:
        slots = np.zeros(len(given["close"]), np.int64)
    return subject.run(subject.new_state(int(slots.max(initial=0)) + 1), slots, given)


def same_bits(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    return one.tobytes() == other.tobytes()


assert DAY.name == FIELDS[-1]
