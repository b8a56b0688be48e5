"""What came before: earlier values, running totals, the last known value, counts of rows."""

import math

from indicators.bounds import Shift, Window
from indicators.declare import SEEN, Missing, State, Value, forever, inline, operator

HEAD, LAG_RING = 1, 2
TOTAL, LOST = 1, 2
KEY, KEPT, EARLIER = 1, 2, 3


@operator(state=lambda: 0, memory=forever, missing=Missing.ROWS)
def row_number(s: State) -> float:
    """Rows of this instrument so far: 1 on its first."""
    return s[SEEN]


@operator(state=lambda rows: 0, warmup=lambda rows: rows, missing=Missing.ROWS)  # noqa: ARG005
def after(s: State, x: Value, rows: Shift) -> float:  # noqa: ARG001
    """`x`, but nothing on the instrument's first `rows` rows."""
    return x


@operator(state=lambda rows: 0, warmup=lambda rows: rows)  # noqa: ARG005
def settled(s: State, x: Value, rows: Shift) -> float:  # noqa: ARG001
    """`x`, but nothing on its first `rows` rows with a value."""
    return x


@operator(
    state=lambda rows: 1 + rows,
    warmup=lambda rows: rows,
    missing=Missing.SPREAD,
    ring=(LAG_RING, 1),
)
def earlier(s: State, x: Value, rows: Window) -> float:
    """The value of `x` that many rows ago."""
    head = int(s[HEAD])
    past = s[LAG_RING + head]
    s[LAG_RING + head] = x
    s[HEAD] = head + 1 if head + 1 < rows else 0.0
    return past


@operator(state=lambda: 2, memory=forever)
def running_sum(s: State, x: Value) -> float:
    """Sum of every value so far; infinite ones are left out.

    Error: 2 ulps of the sum, plus n * eps**2 of the sum of |x| over n values (Neumaier 1974).
    """
    if x - x != 0.0:
        return math.nan
    total = s[TOTAL] + x
    if math.fabs(s[TOTAL]) >= math.fabs(x):
        s[LOST] += (s[TOTAL] - total) + x
    else:
        s[LOST] += (x - total) + s[TOTAL]
    s[TOTAL] = total
    return total + s[LOST]


@operator(state=lambda: 1, memory=forever)
def running_max(s: State, x: Value) -> float:
    """Greatest value so far."""
    if s[SEEN] == 1.0 or x > s[1]:
        s[1] = x
    return s[1]


@operator(state=lambda: 1, memory=forever)
def running_min(s: State, x: Value) -> float:
    """Least value so far."""
    if s[SEEN] == 1.0 or x < s[1]:
        s[1] = x
    return s[1]


@operator(state=lambda: 1, memory=forever)
def first_value(s: State, x: Value) -> float:
    """The first value that there was."""
    if s[SEEN] == 1.0:
        s[1] = x
    return s[1]


@operator(state=lambda: 2, memory=forever, missing=Missing.ROWS)
def last_known(s: State, x: Value) -> float:
    """The latest value that was not missing."""
    if x == x:
        s[1] = x
        s[2] = 1.0
    return s[1] if s[2] == 1.0 else math.nan


@operator(state=lambda: 1, memory=forever, missing=Missing.ROWS)
def latch(s: State, on: Value, off: Value) -> float:
    """1 from a row where `on` holds until a row where `off` holds, else 0; `on` wins a tie."""
    if on == on and on != 0.0:
        s[1] = 1.0
    elif off == off and off != 0.0:
        s[1] = 0.0
    return s[1]


@operator(state=lambda: 1, memory=forever, missing=Missing.ROWS)
def streak(s: State, condition: Value) -> float:
    """Rows in a row, up to this one, on which the condition has held."""
    s[1] = s[1] + 1.0 if condition == condition and condition != 0.0 else 0.0
    return s[1]


@operator(state=lambda: 2, memory=forever, missing=Missing.ROWS)
def rows_since(s: State, condition: Value) -> float:
    """Rows since the condition last held: 0 where it holds, NaN before it ever did."""
    if condition == condition and condition != 0.0:
        s[1] = 0.0
        s[2] = 1.0
    else:
        s[1] += 1.0
    return s[1] if s[2] == 1.0 else math.nan


@inline
def changed(s: State, key: float) -> bool:
    """Whether this is the first row of a session; remembers the key."""
    new = s[SEEN] == 1.0 or key != s[KEY]
    s[KEY] = key
    return new


@operator(state=lambda: 2, memory=forever)
def session_sum(s: State, x: Value, key: Value) -> float:
    """Sum of `x` since `key` last changed. Error: n ulps of the sum of |x| over n rows."""
    s[KEPT] = x if changed(s, key) else s[KEPT] + x
    return s[KEPT]


@operator(state=lambda: 2, memory=forever)
def session_max(s: State, x: Value, key: Value) -> float:
    """Greatest `x` since `key` last changed."""
    if changed(s, key) or x > s[KEPT]:
        s[KEPT] = x
    return s[KEPT]


@operator(state=lambda: 2, memory=forever)
def session_min(s: State, x: Value, key: Value) -> float:
    """Least `x` since `key` last changed."""
    if changed(s, key) or x < s[KEPT]:
        s[KEPT] = x
    return s[KEPT]


@operator(state=lambda: 2, memory=forever)
def session_first(s: State, x: Value, key: Value) -> float:
    """`x` on the row where `key` last changed."""
    if changed(s, key):
        s[KEPT] = x
    return s[KEPT]


@operator(state=lambda: 3, warmup=lambda: 1, memory=forever)
def session_before(s: State, x: Value, key: Value) -> float:
    """The last `x` of the session before this one; NaN in the first."""
    if s[SEEN] == 1.0:
        s[EARLIER] = math.nan
    if changed(s, key):
        s[EARLIER] = s[KEPT] if s[SEEN] > 1.0 else math.nan
    s[KEPT] = x
    return s[EARLIER]
