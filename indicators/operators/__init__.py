"""Operators: scalar steps over one instrument's state, which everything else is composed of.

Writing one (see `indicators.declare` for the words used here)::

    @operator(state=lambda window: 2 + window, warmup=lambda window: window - 1,
              missing=Missing.SPREAD)
    def rolling_sum(s: State, x: Value, window: Window) -> float:
        \"\"\"Sum of the last `window` values. Error: ... Cost: ...\"\"\"

* `s` is this operator's state for the row's instrument: float64 cells, all zero before the
  first row. `s[SEEN]` (cell 0) counts the rows shown so far, this one included; `state` says
  how many cells follow it. A step may use no other memory and need not care about forming
  rows: the loop hands it a copy of the state for those.
* `Value` arguments are series: the caller passes series or numbers, the step gets this row's
  number. `int`, `float` (with bounds, see `indicators.bounds`) and one `Weights` tuple, which
  comes last, are parameters, fixed when the series is built.
* Several outputs: `outputs=3` and return a tuple; the caller gets a tuple of series.
* `missing` says what happens on a row where an input is NaN (see `Missing`), `warmup` how many
  rows answer NaN first, `memory` how many rows until the start no longer matters.
* A step calls `math`, `int`, `min`, `max`, `abs` and helpers marked `@inline`; no arrays, no
  allocation (and `np.floor`: `math.floor` makes an int64). Nothing checks an index into `s`:
  the cells that `state` declares and those that the step uses must agree.
* Raise `version=` when the meaning of the step changes; old snapshots are then refused.

`@elementwise` declares a function of one row's numbers, without state. A new operator must
serve three indicators or be impossible to compose from those that there are.
"""

from indicators.operators.adaptive import dynamic, holt_winters, jurik
from indicators.operators.averages import (
    ewm,
    ewm_adjusted,
    ewm_by_row,
    ewm_by_value,
    opening_mean,
    recursive,
)
from indicators.operators.calendar import month
from indicators.operators.elementwise import (
    arctangent,
    ceiling,
    choose,
    cosine,
    exponential,
    fill,
    floor,
    hyperbolic_tangent,
    larger,
    larger_known,
    logarithm,
    magnitude,
    missing,
    sign,
    sine,
    smaller,
    smaller_known,
    square_root,
)
from indicators.operators.hilbert import cycle, cycle_mean, cycle_phase, phase_followers
from indicators.operators.memory import (
    after,
    earlier,
    first_value,
    last_known,
    latch,
    row_number,
    rows_since,
    running_max,
    running_min,
    running_sum,
    session_before,
    session_first,
    session_max,
    session_min,
    session_sum,
    settled,
    streak,
)
from indicators.operators.moments import rolling_moments, rolling_variance, running_line
from indicators.operators.ordered import rolling_quantile
from indicators.operators.oscillators import (
    bounded_recursive,
    crossing_bands,
    ewm_rounded,
    smooth_strength,
)
from indicators.operators.pairs import rolling_pair
from indicators.operators.parabolas import parabolic_reversed, parabolic_touched
from indicators.operators.profile import busiest_range
from indicators.operators.ranks import rolling_rank
from indicators.operators.swings import fading_max, follow, rolling_max_age, turning_points
from indicators.operators.trailing import parabolic, ratchet, upheld
from indicators.operators.weighted import fir, rolling_line, rolling_rising_sum
from indicators.operators.windows import (
    recent_mean,
    rolling_deviation,
    rolling_max,
    rolling_mean,
    rolling_min,
    rolling_sum,
    rolling_sum_from,
)

__all__ = [
    "after",
    "arctangent",
    "bounded_recursive",
    "busiest_range",
    "ceiling",
    "choose",
    "cosine",
    "crossing_bands",
    "cycle",
    "cycle_mean",
    "cycle_phase",
    "dynamic",
    "earlier",
    "ewm",
    "ewm_adjusted",
    "ewm_by_row",
    "ewm_by_value",
    "ewm_rounded",
    "exponential",
    "fading_max",
    "fill",
    "fir",
    "first_value",
    "floor",
    "follow",
    "holt_winters",
    "hyperbolic_tangent",
    "jurik",
    "larger",
    "larger_known",
    "last_known",
    "latch",
    "logarithm",
    "magnitude",
    "missing",
    "month",
    "opening_mean",
    "parabolic",
    "parabolic_reversed",
    "parabolic_touched",
    "phase_followers",
    "ratchet",
    "recent_mean",
    "recursive",
    "rolling_deviation",
    "rolling_line",
    "rolling_max",
    "rolling_max_age",
    "rolling_mean",
    "rolling_min",
    "rolling_moments",
    "rolling_pair",
    "rolling_quantile",
    "rolling_rank",
    "rolling_rising_sum",
    "rolling_sum",
    "rolling_sum_from",
    "rolling_variance",
    "row_number",
    "rows_since",
    "running_line",
    "running_max",
    "running_min",
    "running_sum",
    "session_before",
    "session_first",
    "session_max",
    "session_min",
    "session_sum",
    "settled",
    "sign",
    "sine",
    "smaller",
    "smaller_known",
    "smooth_strength",
    "square_root",
    "streak",
    "turning_points",
    "upheld",
]
