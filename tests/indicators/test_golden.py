"""Capsules of an earlier release are read, and go on as that release would have."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llvmlite.binding import get_host_cpu_name

from indicators import Plan
from tests import golden
from tests.indicators.subjects import Columns, categories, columns, cut, plan
from tests.indicators.test_timeframes import EXPRESSIONS

FOLDER = Path(golden.__file__).parent
SAVED_ROWS, ROWS = 300, 400
COARSE = "coarse"
RELATIVE = 1e-9
"""Between kinds of processor the last digits of `log` and `sin` may differ, so bits do."""


def bars() -> Columns:
    given = columns("walk", ROWS)
    return given | {"time_s": 60.0 * (1 + np.arange(ROWS) + np.arange(ROWS) // 7)}


def subjects() -> dict[str, Plan]:
    made = {category: plan(category) for category in categories()}
    return made | {COARSE: Plan.parse(EXPRESSIONS, "1m")}


def said(subject: Plan, state: Any, first: int, last: int) -> dict[str, tuple[str, float]]:
    """For each output over some rows a digest of its bits, and its last value."""
    slots = np.zeros(last - first, np.int64)
    outputs = subject.run(state, slots, cut(bars(), first, last))
    return {
        name: (hashlib.sha256((column + 0.0).tobytes()).hexdigest()[:16], float(column[-1]))
        for name, column in outputs.items()
    }


def write() -> None:
    """The golden files of this release."""
    known = {}
    for name, subject in subjects().items():
        state = subject.new_state(1)
        said(subject, state, 0, SAVED_ROWS)
        (FOLDER / f"{name}.capsule").write_bytes(subject.save(state, 0))
        known[name] = said(subject, state, SAVED_ROWS, ROWS)
    about = {"processor": get_host_cpu_name(), "plans": known}
    (FOLDER / "outputs.json").write_text(json.dumps(about, indent=0) + "\n")


KNOWN: dict[str, Any] = json.loads((FOLDER / "outputs.json").read_text())
PLANS: dict[str, dict[str, tuple[str, float]]] = KNOWN["plans"]


@pytest.mark.parametrize("name", PLANS)
def test_a_capsule_of_an_earlier_release_goes_on(name: str) -> None:
    today = subjects()[name]
    then = Plan({output: today.series[output] for output in PLANS[name]}, "1m")
    state = then.new_state(1)
    then.load(state, 0, (FOLDER / f"{name}.capsule").read_bytes())
    for output, (bits, value) in said(then, state, SAVED_ROWS, ROWS).items():
        golden_bits, golden_value = PLANS[name][output]
        assert value == pytest.approx(golden_value, rel=RELATIVE, abs=RELATIVE, nan_ok=True), output
        if get_host_cpu_name() == KNOWN["processor"]:
            assert bits == golden_bits, output


def test_every_category_has_a_golden_capsule() -> None:
    assert {*categories(), COARSE} <= {*PLANS}
