"""Straight lines through the last values, and how far the values are from their mean."""

from typing import Annotated, NamedTuple

from indicators.bounds import WINDOW_ROWS_MAX, Bounds, Freedom, Positive
from indicators.catalogue import indicator
from indicators.operators import after, rolling_line, row_number, running_line, square_root
from indicators.series import CLOSE, Series, as_series

ThreeRows = Annotated[int, Bounds(3, WINDOW_ROWS_MAX)]
HALF = 0.5
TIME_SQUARES = 12.0
"""The squares of 1 to n about their mean are n * (n**2 - 1) over this."""


class DeviationLines(NamedTuple):
    """The line's latest value, and pairs of values below and above it."""

    line: Series
    lower_inner: Series
    upper_inner: Series
    lower_middle: Series
    upper_middle: Series
    lower_outer: Series
    upper_outer: Series


def _stdevall_columns(
    length: int | None, inner: float, middle: float, outer: float
) -> tuple[str, ...]:
    start = "TOS_STDEVALL" + (f"_{length}" if length is not None else "")
    pairs = (f"{start}_{side}_{std}" for std in (inner, middle, outer) for side in ("L", "U"))
    return (f"{start}_LR", *pairs)


@indicator(columns=_stdevall_columns)
def tos_stdevall(
    close: Series = CLOSE,
    length: ThreeRows | None = None,
    inner: Positive = 1,
    middle: Positive = 2,
    outer: Positive = 3,
    ddof: Freedom = 1,
) -> DeviationLines:
    """Least-squares line through the last `length` rows, or all so far, and deviations around it.

    Each row has the line's value on that row, and that less and plus `inner`, `middle` and
    `outer` standard deviations of the closes. `ddof` is 1 where it is not below `length`.
    Unit: unit of close
    Source: thinkorswim, StDevAll; pandas-ta 0.4.71b0
    Differs: pandas-ta fits one line through the whole table, or its last `length` rows, and gives
    each row its value on that line, which later rows move. On a table's last row both agree.
    `stds` is three numbers of their own.
    """
    if length is None:
        mean, joint, squares = running_line(close)
        rows = after(row_number(), 1)
        freedom = float(ddof)
    else:
        mean, joint, squares = rolling_line(close, length)
        rows = as_series(length)
        freedom = float(ddof if ddof < length else 1)
    slope = joint / (rows * (rows * rows - 1.0) / TIME_SQUARES)
    line = mean + slope * (HALF * (rows - 1.0))
    deviation = square_root(squares / (rows - freedom))
    pairs = [line + side * std * deviation for std in (inner, middle, outer) for side in (-1, 1)]
    return DeviationLines(line, *pairs)
