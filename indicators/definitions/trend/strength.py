"""Whether there is a trend, and how strong it is."""

from typing import NamedTuple

from indicators.bounds import Number, Window
from indicators.catalogue import Average, indicator, moving_average
from indicators.definitions.shared import directional_moves
from indicators.definitions.volatility.ranges import atr
from indicators.operators import earlier
from indicators.series import CLOSE, HIGH, LOW, Series


class Adx(NamedTuple):
    """Strength of the trend, its mean with an earlier one, and both directions."""

    adx: Series
    adxr: Series
    plus: Series
    minus: Series


def _adx_columns(length: int, signal_length: int | None, adxr_length: int) -> tuple[str, ...]:
    signal = signal_length or length
    return f"ADX_{signal}", f"ADXR_{signal}_{adxr_length}", f"DMP_{length}", f"DMN_{length}"


@indicator(columns=_adx_columns)
def adx(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    length: Window = 14,
    signal_length: Window | None = None,
    adxr_length: Window = 2,
    scalar: Number = 100.0,
    mamode: Average = "rma",
    drift: Window = 1,
) -> Adx:
    """Average directional movement. `signal_length` is `length` where it is not given.

    The average true range is Wilder's whatever `mamode` is, as in pandas-ta.
    Unit: 0 to 100
    Source: Wilder (1978), New Concepts in Technical Trading Systems
    """
    scale = scalar / atr(high, low, close, length, prenan=True)
    rise, fall = directional_moves(high, low, drift)
    plus = scale * moving_average(mamode, rise, length)
    minus = scale * moving_average(mamode, fall, length)
    strength = scalar * abs(plus - minus) / (plus + minus)
    smooth = moving_average(mamode, strength, signal_length or length)
    return Adx(smooth, 0.5 * (smooth + earlier(smooth, adxr_length)), plus, minus)
