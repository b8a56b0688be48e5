"""Each indicator against pandas-ta, values and missing values."""

from typing import Any

import numpy as np
import pytest

from indicators.catalogue import CATALOGUE
from indicators.expression import parse
from indicators.plan import Plan
from tests.indicators.market import markets, untied
from tests.indicators.parity import cases, differences, expected, series_given
from tests.indicators.parity_lines import UNTIED


@pytest.mark.parametrize(("name", "given"), cases(), ids=lambda part: str(part).strip("{}"))
def test_an_indicator_equals_pandas_ta(name: str, given: dict[str, Any]) -> None:
    entry = CATALOGUE[name]
    built = entry.build(
        (), {name: parse(text) for name, text in series_given(entry).items()} | given
    )
    plan = Plan(dict(zip(built.columns, built.series, strict=True)))
    for market, found in markets().items():
        bars = untied(found) if name in UNTIED else found
        theirs = expected(entry, bars, given)
        assert list(theirs.columns) == list(built.columns)
        columns = {field: bars[field].to_numpy() for field in plan.fields}
        ours = plan.run(plan.new_state(1), np.zeros(len(bars), np.int64), columns)
        for column in theirs.columns:
            wanted = theirs[column].to_numpy(dtype=float)
            bad = differences(name, ours[column][: len(wanted)], wanted)
            assert not len(bad), (
                f"{column} on {market}: {len(bad)} rows differ, first {bad[:3]}: "
                f"{ours[column][bad[:3]]} is not {wanted[bad[:3]]}"
            )
