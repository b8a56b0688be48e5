"""Indicators over a table: pandas in, pandas out, by the same plan that live bars use."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indicators.errors import IndicatorError
from indicators.plan import Expression, Plan

if TYPE_CHECKING:
    import pandas as pd

DAY_NS = 86_400_000_000_000


def frame(
    bars: "pd.DataFrame", expressions: Mapping[str, Expression] | Sequence[str] | Plan
) -> "pd.DataFrame":
    """One column per output and the rows and index of `bars`, whose rows are in time order.

    A column `symbol` tells instruments apart; without it there is one. Days, for indicators that
    restart daily, are UTC days of the index, or of a column `ts` (nanoseconds or timestamps).
    Raises ExpressionError for a bad expression, IndicatorError for a missing column.
    """
    import pandas as pd  # not needed by a worker, and slow to import

    plan = expressions if isinstance(expressions, Plan) else Plan.parse(expressions)
    slots, count = _slots(bars)
    columns = {name: _column(bars, name) for name in plan.fields}
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


def _column(bars: "pd.DataFrame", name: str) -> NDArray[np.float64]:
    if name in bars.columns:
        return bars[name].to_numpy(np.float64, na_value=np.nan)
    if name == "day":
        return _days(bars)
    raise IndicatorError(f"the table has no column {name!r}, only {', '.join(map(str, bars))}")


def _days(bars: "pd.DataFrame") -> NDArray[np.float64]:
    import pandas as pd

    times = pd.DatetimeIndex(pd.to_datetime(bars["ts"], utc=True)) if "ts" in bars else bars.index
    if not isinstance(times, pd.DatetimeIndex):
        raise IndicatorError("days are needed: give the table a time index or a column 'ts'")
    return np.floor(times.as_unit("ns").asi8 / DAY_NS)
