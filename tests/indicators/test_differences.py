"""The table of differences from pandas-ta is what the definitions say."""

from indicators.differences import table
from tests.conftest import REPOSITORY


def test_the_table_of_differences_is_fresh() -> None:
    assert (REPOSITORY / "docs" / "differences.md").read_text() == table()
