"""The table of what differs from pandas-ta, read off the definitions' docstrings.

`python -m indicators.differences` prints it; it is kept as docs/differences.md (`make docs`).
"""

import sys

from indicators import CATALOGUE

HEAD = """\
# What differs from pandas-ta

Values, columns and rows without a value are those of pandas-ta 0.4.71b0 as it is without TA-Lib
(of pandas-ta-classic 0.8.32 for what only that has), its faults included: a corrected form has a
name of its own. For every indicator:

* Nothing looks ahead. What pandas-ta writes on an earlier row comes on the row that knows it.
* `talib`, `fillna`, `asint` and parameters that change nothing there are not taken; a parameter
  that is out of bounds is an error, where pandas-ta takes its default without a word.
* A condition is 1.0 or 0.0, never a bool or an int.
* Where a range is zero it counts as 2.2e-16; pandas-ta adds that to the whole column if any of
  its rows is zero.
* A row with a missing price hides what depends on that row. pandas-ta's recursions have no value
  ever after.
* A series that is shorter than the warm-up gives missing values, where pandas-ta gives None.

This table is made from the definitions by `make docs`.

| indicator | category | what differs |
|---|---|---|
"""


def table() -> str:
    """The page, in Markdown."""
    rows = [
        f"| `{entry.name}` | {entry.category} | {entry.differs} |"
        for entry in sorted(CATALOGUE.values(), key=lambda entry: (entry.category, entry.name))
        if entry.differs
    ]
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
