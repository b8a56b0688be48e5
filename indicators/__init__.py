"""The indicator engine: series, operators, plans, the catalogue, bars from ticks.

    plan = Plan.parse(["rsi(length=14)", "macd()"])      # or a mapping: name -> expression
    state = plan.new_state(slots=1000)                    # one row per instrument, yours to keep
    out = plan.run(state, slots, {"close": closes})       # rows of many instruments, in time order

A `Series` is an expression over a bar's columns, built once however often it is written. An
indicator is a plain function from series to series, filed by `@indicator` (see
`indicators.catalogue`); under all of them lie some seventy operators, scalar steps over one
instrument's state (see `indicators.operators`). A plan is a program of such steps, run by one
call into compiled code per batch. `frame` does the same over a DataFrame. docs/indicators.md
tells how to add an indicator or an operator.
"""

from indicators import definitions
from indicators.catalogue import CATALOGUE
from indicators.errors import CapsuleError, ExpressionError, IndicatorError, ParameterError
from indicators.frame import frame
from indicators.plan import Plan
from indicators.series import CLOSE, DAY, HIGH, LOW, OPEN, VOLUME, Series
from indicators.timeframes import on

__all__ = [
    "CATALOGUE",
    "CLOSE",
    "DAY",
    "HIGH",
    "LOW",
    "OPEN",
    "VOLUME",
    "CapsuleError",
    "ExpressionError",
    "IndicatorError",
    "ParameterError",
    "Plan",
    "Series",
    "definitions",
    "frame",
    "on",
]
