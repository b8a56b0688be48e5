"""All candle patterns under one name."""

from collections import namedtuple
from typing import Annotated

from indicators.bounds import Choice, Number
from indicators.catalogue import CATALOGUE, indicator
from indicators.definitions.candle import (  # noqa: F401  (they fill the table of patterns)
    drawn,
    longer,
    pairs,
    single,
    triples,
)
from indicators.definitions.candle.patterns import PATTERNS
from indicators.series import CLOSE, HIGH, LOW, OPEN, Series

ALL = "all"
NAMES = tuple(sorted(PATTERNS))
Pattern = Annotated[str, Choice(lambda: (ALL, *NAMES))]
Patterns = namedtuple("Patterns", [f"cdl_{name}" for name in NAMES])  # type: ignore[misc]


def _column(name: str) -> str:
    entry = CATALOGUE[f"cdl_{name}"]
    return entry.columns({option.name: option.default for option in entry.options})[0]


def _columns(name: str) -> tuple[str, ...]:
    return tuple(map(_column, NAMES if name == ALL else (name,)))


@indicator(columns=_columns)
def cdl_pattern(
    open: Series = OPEN,  # noqa: A002  (the field's own name)
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    name: Pattern = ALL,
    scalar: Number = 100,
) -> Patterns:
    """One candle pattern by its short name, such as `hammer`, or all of them.

    Unit: scalar where the pattern stands for a rise, its negative for a fall, else 0
    Source: TA-Lib and pandas-ta 0.4.71b0, cdl_pattern
    Differs: a list of names is not taken, nor the patterns' own parameters: `cdl_hammer` and its
    like are indicators of their own. Where a size equals its mean to the last digit, TA-Lib's
    sliding sums may decide by the rounding of bars long gone; ours are of the bars themselves.
    """
    wanted = NAMES if name == ALL else (name,)
    return Patterns(
        *(
            PATTERNS[each](open, high, low, close, scalar=scalar) if each in wanted else None
            for each in NAMES
        )
    )
