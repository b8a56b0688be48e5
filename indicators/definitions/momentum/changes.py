"""How far prices have moved."""

import math
from typing import NamedTuple

from indicators.bounds import Number, Window
from indicators.catalogue import indicator
from indicators.definitions.overlap.averages import ema
from indicators.definitions.shared import span
from indicators.operators import (
    arctangent,
    earlier,
    ewm_by_value,
)
from indicators.series import CLOSE, Series


@indicator(columns="MOM_{length}")
def mom(close: Series = CLOSE, length: Window = 10) -> Series:
    """Change over that many rows.

    Unit: unit of close
    Source: definition
    """
    return close - earlier(close, length)


@indicator(columns="ROC_{length}")
def roc(close: Series = CLOSE, length: Window = 10, scalar: Number = 100.0) -> Series:
    """Change over that many rows as a share of the earlier value.

    Unit: percent
    Source: definition
    """
    before = earlier(close, length)
    return scalar * (close - before) / before


def _slope_column(length: int, as_angle: bool, to_degrees: bool) -> str:
    return f"ANGLE{'d' if to_degrees else 'r'}_{length}" if as_angle else f"SLOPE_{length}"


@indicator(columns=_slope_column)
def slope(
    close: Series = CLOSE, length: Window = 1, as_angle: bool = False, to_degrees: bool = False
) -> Series:
    """Change per row between two rows (not a regression: that is linreg with slope=True).

    Unit: unit of close per row; radians or degrees as an angle
    Source: definition
    """
    gradient = (close - earlier(close, length)) / length
    if not as_angle:
        return gradient
    return arctangent(gradient) * (180.0 / math.pi if to_degrees else 1.0)


class Macd(NamedTuple):
    """Gap between two means, its distance from its own mean, and that mean."""

    macd: Series
    histogram: Series
    signal: Series


def _macd_columns(fast: int, slow: int, signal: int, asmode: bool) -> tuple[str, ...]:
    fast, slow = sorted((fast, slow))
    return tuple(f"MACD{'AS' * asmode}{part}_{fast}_{slow}_{signal}" for part in ("", "h", "s"))


@indicator(columns=_macd_columns)
def macd(
    close: Series = CLOSE,
    fast: Window = 12,
    slow: Window = 26,
    signal: Window = 9,
    asmode: bool = False,
) -> Macd:
    """Moving-average convergence and divergence, its signal line and their gap.

    Unit: unit of close
    Source: Appel (2005), Technical Analysis: Power Tools for Active Investors, ch. 8
    """
    fast, slow = sorted((fast, slow))
    line = ema(close, fast) - ema(close, slow)
    smooth = ewm_by_value(line, span(signal), signal)
    if asmode:
        line = line - smooth
        smooth = ewm_by_value(line, span(signal), signal)
    return Macd(line, line - smooth, smooth)
