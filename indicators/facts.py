"""What the graph of a series says about it: when it starts, how far back it reaches, its size."""

from indicators.declare import Missing
from indicators.program import assemble
from indicators.series import Series, walk


def first_row(series: Series) -> int:
    """The index of the first row that has a value on ordinary bars, counted from 0."""
    first: dict[bytes, int] = {}
    for each in walk([series]):
        starts = [first[one.digest] for one in each.inputs]
        if each.operator is None:
            first[each.digest] = 0
            continue
        hidden = each.operator.fact(each.operator.warmup, each)
        if each.operator.missing is Missing.ROWS:
            first[each.digest] = max([hidden, *starts])
        else:
            first[each.digest] = each.operator.first(starts) + hidden
    return first[series.digest]


def memory_rows(series: Series) -> float:
    """Rows after which the start of history no longer matters; infinite where it always does."""
    reach: dict[bytes, float] = {}
    for each in walk([series]):
        own = 0.0
        if each.operator is not None:
            own = each.operator.fact(each.operator.memory, each)
        reach[each.digest] = own + max((reach[one.digest] for one in each.inputs), default=0.0)
    return reach[series.digest]


def state_bytes(*series: Series) -> int:
    """Bytes of state that one instrument needs for these series together."""
    return 8 * assemble(list(series)).width
