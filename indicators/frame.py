"""Indicators over a table: pandas in, pandas out, by the same plan that live bars use."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indicators.bars import DAY_NS, SECOND_NS
from indicators.coarse import TIME
from indicators.errors import IndicatorError
from indicators.plan import Expression, Plan
from indicators.timeframes import seconds_of

if TYPE_CHECKING:
    import pandas as pd


def frame(
    bars: "pd.DataFrame",
    expressions: Mapping[str, Expression] | Sequence[str] | Plan,
    timeframe: str | None = None,
) -> "pd.DataFrame":
    """One column per output and the rows and index of `bars`, whose rows are in time order.

    A column `symbol` tells instruments apart; without it there is one. Days, for indicators that
    restart daily, are UTC days of the index, or of a column `ts` (nanoseconds or timestamps).
    `timeframe`, the length of the bars, is needed for series over coarser ones; the times are then
    the bars' opens, unless a column `time_s` says when they close (seconds since the epoch).
    Raises ExpressionError for a bad expression, IndicatorError for a missing column.
    """
    import pandas as pd  # not needed by a worker, and slow to import

    plan = expressions if isinstance(expressions, Plan) else Plan.parse(expressions, timeframe)
    slots, count = _slots(bars)
    columns = {name: _column(bars, name, timeframe) for name in plan.fields}
    values = plan.run(plan.new_state(count), slots, columns)
    return pd.DataFrame(dict(values), index=bars.index)


def _slots(bars: "pd.DataFrame") -> tuple[NDArray[np.int64], int]:
    import pandas as pd

    if "symbol" not in bars.columns:
        return np.zeros(len(bars), np.int64), 1
    codes, known = pd.factorize(bars["symbol"])
    if (codes < 0).any():
        raise IndicatorError(f"row {int((codes < 0).argmax())} has no symbol")
    return codes.astype(np.int64), len(known)


def _column(bars: "pd.DataFrame", name: str, timeframe: str | None) -> NDArray[np.float64]:
    if name in bars.columns:
        return bars[name].to_numpy(np.float64, na_value=np.nan)
    if name == "day":
        return (_times(bars) // DAY_NS).astype(np.float64)
    if name == TIME and timeframe is not None:
        return (_times(bars) // SECOND_NS + seconds_of(timeframe)).astype(np.float64)
    raise IndicatorError(f"the table has no column {name!r}, only {', '.join(map(str, bars))}")


def _times(bars: "pd.DataFrame") -> NDArray[np.int64]:
    import pandas as pd

    times = pd.DatetimeIndex(pd.to_datetime(bars["ts"], utc=True)) if "ts" in bars else bars.index
    if not isinstance(times, pd.DatetimeIndex):
        raise IndicatorError("times are needed: give the table a time index or a column 'ts'")
    made: NDArray[np.int64] = times.as_unit("ns").asi8
    return made
