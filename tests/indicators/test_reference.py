"""The reference pages say what the definitions say, and a check finds what is stale."""

import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from indicators import CATALOGUE
from indicators.plots import plots
from indicators.reference import main
from tests.conftest import REPOSITORY

REFERENCE = REPOSITORY / "docs" / "reference"
BYTES_MAX = 2_000_000
PLOT_BYTES_MAX = 16_000


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(REFERENCE, tmp_path / "reference"))


def test_the_reference_is_fresh() -> None:
    assert main(["--check", str(REFERENCE)]) == 0


def test_a_stale_page_a_missing_plot_and_a_stray_one_are_found(copy: Path, capsys) -> None:
    page = copy / "momentum.md"
    page.write_text(page.read_text().replace("Wilder", "Nobody"))
    assert main(["--check", str(copy)]) == 1
    assert "momentum.md is stale" in capsys.readouterr().err
    shutil.copy(REFERENCE / "momentum.md", page)
    assert main(["--check", str(copy)]) == 0
    (copy / "plots" / "rsi.svg").rename(copy / "plots" / "rsj.svg")
    assert main(["--check", str(copy)]) == 1
    said = capsys.readouterr().err
    assert "rsi.svg is missing" in said
    assert "rsj.svg is missing, or of no indicator" in said


def test_every_indicator_has_an_entry_with_its_usage_source_and_plot() -> None:
    text = "\n".join(path.read_text() for path in sorted(REFERENCE.glob("*.md")))
    for name, entry in CATALOGUE.items():
        assert f"\n## {name}\n" in text
        assert entry.usage in text
        assert entry.source in text
        assert f"(plots/{name}.svg)" in text


def test_plots_are_small_well_formed_and_the_same_each_time() -> None:
    made = dict(plots())
    assert set(made) == set(CATALOGUE)
    for name, svg in made.items():
        root = ElementTree.fromstring(svg)
        drawn = [path.get("d") for path in root.iter("{http://www.w3.org/2000/svg}path")]
        assert all(drawn), f"{name}: an empty line"
        assert not any("nan" in line or "inf" in line for line in drawn), name
        assert len(svg) < PLOT_BYTES_MAX, name
    assert dict(plots()) == made
    assert sum(path.stat().st_size for path in REFERENCE.rglob("*.*")) < BYTES_MAX
