"""Directional movement, smoothed as Wilder and TA-Lib do: by a sum that fades."""

from typing import NamedTuple

from indicators.bounds import Number, Window
from indicators.catalogue import Average, indicator
from indicators.definitions.seeded import seeded_average, wilder_sum
from indicators.definitions.shared import delayed, directional_moves, nonzero_range
from indicators.definitions.volatility.ranges import true_range
from indicators.operators import after
from indicators.series import CLOSE, HIGH, LOW, Series


@indicator(columns="PLUS_DM_{length}")
def plus_dm(
    high: Series = HIGH, low: Series = LOW, length: Window = 14, drift: Window = 1
) -> Series:
    """Wilder's fading sum of how far the highs rose, where they moved more than the lows.

    Unit: unit of high
    Source: Wilder (1978), New Concepts in Technical Trading Systems
    """
    return wilder_sum(directional_moves(high, low, drift)[0], length, high, drift)


@indicator(columns="MINUS_DM_{length}")
def minus_dm(
    high: Series = HIGH, low: Series = LOW, length: Window = 14, drift: Window = 1
) -> Series:
    """Wilder's fading sum of how far the lows fell, where they moved more than the highs.

    Unit: unit of high
    Source: Wilder (1978), New Concepts in Technical Trading Systems
    """
    return wilder_sum(directional_moves(high, low, drift)[1], length, high, drift)


@indicator(columns="DX_{length}")
def dx(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,  # noqa: ARG001  (has its place among the parameters)
    length: Window = 14,
    scalar: Number = 100.0,
    mamode: Average = "rma",
    drift: Window = 1,
) -> Series:
    """Directional index: the gap between rising and falling movement as a share of both.

    The close has no part in it.
    Unit: 0 to 100
    Source: Wilder (1978), New Concepts in Technical Trading Systems
    """
    moves = directional_moves(high, low, drift)
    if mamode == "rma":
        rise, fall = (
            after(wilder_sum(each, length, high, drift), length + drift - 1) for each in moves
        )
    else:
        rise, fall = (seeded_average(mamode, each, length) for each in moves)
    return scalar * abs(rise - fall) / nonzero_range(rise, -fall)


class Adxr(NamedTuple):
    """Mean of the strength now and earlier, and both directions."""

    adxr: Series
    plus: Series
    minus: Series


def _adxr_columns(length: int, lensig: int | None) -> tuple[str, ...]:
    return f"ADXR_{lensig or length}", f"DMP_{length}", f"DMN_{length}"


@indicator(columns=_adxr_columns)
def adxr(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: Window = 14,
    lensig: Window | None = None,
    scalar: Number = 100.0,
    mamode: Average = "rma",
    drift: Window = 1,
) -> Adxr:
    """Average directional movement's rating: its mean with that of `length` - 1 rows ago.

    `lensig` is `length` where it is not given. The start is Wilder's, and so differs from adx.
    Unit: 0 to 100
    Source: Wilder (1978), New Concepts in Technical Trading Systems
    """
    moves = directional_moves(high, low, drift)
    if mamode == "rma":
        total = wilder_sum(true_range(high, low, close, True, drift), length, high, drift)
        sums = (scalar * wilder_sum(each, length, high, drift) / total for each in moves)
        plus, minus = (after(each, length + drift - 1) for each in sums)
    else:
        scale = scalar / seeded_average("rma", true_range(high, low, close, True), length)
        plus, minus = (scale * seeded_average(mamode, each, length) for each in moves)
    strength = scalar * abs(plus - minus) / (plus + minus)
    smooth = seeded_average(mamode, strength, lensig or length)
    return Adxr(0.5 * (smooth + delayed(smooth, length - 1)), plus, minus)
