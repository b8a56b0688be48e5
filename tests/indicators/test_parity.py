"""Each indicator against its oracle, nearly always pandas-ta: values and missing values."""

from typing import Any

import pytest

from indicators import CATALOGUE, Plan, frame
from tests.indicators.market import markets, untied
from tests.indicators.parity import UNTIED, cases, differences, expected


@pytest.mark.parametrize(("name", "given"), cases(), ids=lambda part: str(part).strip("{}"))
def test_an_indicator_equals_its_oracle(name: str, given: dict[str, Any]) -> None:
    entry = CATALOGUE[name]
    built = entry.build((), given)
    plan = Plan(dict(zip(built.columns, built.series, strict=True)))
    for market, found in markets().items():
        bars = untied(found) if name in UNTIED else found
        theirs = expected(entry, bars, given)
        assert list(theirs.columns) == list(built.columns)
        ours = frame(bars, plan)
        for column in theirs.columns:
            wanted = theirs[column].to_numpy(dtype=float)
            bad = differences(name, ours[column].to_numpy(), wanted)
            assert not len(bad), (
                f"{column} on {market}: {len(bad)} rows differ, first {bad[:3]}: "
                f"{ours[column].to_numpy()[bad[:3]]} is not {wanted[bad[:3]]}"
            )
