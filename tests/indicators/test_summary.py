"""The catalogue beside the list of everything that pandas-ta and pandas-ta-classic have."""

import json
import sys
from collections import Counter

import pytest

from indicators import CATALOGUE
from tests.conftest import shared_data

NAMES_LEAST = 266
ABSENT = {
    "ma": "a choice of averages, which every `mamode` is",
}
"""Names that are no indicators, each with its reason."""


def listed() -> dict[str, str]:
    """Every name of the list, with the library that has it."""
    entries = json.loads(shared_data("catalogue.json").read_text())
    return {entry["name"]: entry["library"] for entry in entries}


@pytest.mark.parametrize("library", ["pandas-ta", "pandas-ta-classic"])
def test_every_indicator_of_a_library_is_in_the_catalogue(library: str) -> None:
    names = {name for name, where in listed().items() if where.split()[0] == library}
    assert names, "the list names the library otherwise"
    assert sorted(names - CATALOGUE.keys() - ABSENT.keys()) == []
    assert not CATALOGUE.keys() & ABSENT.keys()


def test_the_catalogue_is_as_large_as_promised_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    known, ours = listed(), Counter[str]()
    total = Counter(entry.category for entry in CATALOGUE.values())
    for name, entry in CATALOGUE.items():
        ours[entry.category] += name not in known
    outputs = sum(len(entry.outputs) for entry in CATALOGUE.values())
    lines = [f"  {each:12} {count:4} {ours[each]:4}" for each, count in sorted(total.items())]
    head = f"\n{len(CATALOGUE)} indicators, {outputs} outputs; by category, and of these our own:\n"
    with capsys.disabled():
        sys.stdout.write(head + "\n".join(lines) + "\n")
    assert len(CATALOGUE) >= NAMES_LEAST
