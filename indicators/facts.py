"""What the graph of a series says about it: when it starts, how far back it reaches, its size."""

from typing import cast

from indicators.coarse import layout, width
from indicators.declare import Missing
from indicators.series import Series, is_coarse, walk


def first_row(series: Series, row_s: int = 1) -> int:
    """The index of the first row that has a value on ordinary bars, counted from 0.

    `row_s` is the seconds of a row, where the series holds one over coarser bars.
    """
    first: dict[bytes, int] = {}
    for each in walk([series]):
        if is_coarse(each):
            first[each.digest] = _coarse_rows(each, first_row(each.inputs[0]) + 1, row_s) - 1
            continue
        if each.operator is None:
            first[each.digest] = 0
            continue
        starts = [first[one.digest] for one in each.inputs]
        hidden = each.operator.fact(each.operator.warmup, each)
        if each.operator.missing is Missing.ROWS:
            first[each.digest] = max([hidden, *starts])
        else:
            first[each.digest] = each.operator.first(starts) + hidden
    return first[series.digest]


def memory_rows(series: Series, row_s: int = 1) -> float:
    """Rows after which the start of history no longer matters; infinite where it always does."""
    reach: dict[bytes, float] = {}
    for each in walk([series]):
        if is_coarse(each):
            # One bar more: the first may have begun before the first row.
            reach[each.digest] = _coarse_rows(each, memory_rows(each.inputs[0]) + 1, row_s)
            continue
        own = 0.0
        if each.operator is not None:
            own = each.operator.fact(each.operator.memory, each)
        reach[each.digest] = own + max((reach[one.digest] for one in each.inputs), default=0.0)
    return reach[series.digest]


def state_bytes(*series: Series) -> int:
    """Bytes of state that one instrument needs for these series together."""
    return 8 * width(*layout(list(series)))


def _coarse_rows[N: (int, float)](series: Series, bars: N, row_s: int) -> N:
    return bars * (int(cast("float", series.parameters[0])) // row_s)
