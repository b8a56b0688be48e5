"""The indicator engine: series, operators, plans, the catalogue, bars from ticks."""

from indicators import definitions
from indicators.catalogue import CATALOGUE
from indicators.errors import CapsuleError, ExpressionError, IndicatorError, ParameterError
from indicators.frame import frame
from indicators.plan import Plan
from indicators.series import CLOSE, DAY, HIGH, LOW, OPEN, VOLUME, Series

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
]
