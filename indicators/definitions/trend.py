"""Whether there is a trend, how strong it is, and where it ends."""

from typing import NamedTuple

from indicators.bounds import Number, Positive, Window
from indicators.catalogue import Average, indicator, moving_average
from indicators.definitions.shared import NOTHING, directional_moves
from indicators.definitions.volatility import atr
from indicators.operators import choose, earlier, parabolic
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


class Psar(NamedTuple):
    """The stop below the price, the stop above it, its factor, and whether it turned."""

    long: Series
    short: Series
    factor: Series
    reversal: Series


def _psar_columns(af0: float | None, af: float, max_af: float) -> tuple[str, ...]:
    start = af if af0 is None else af0
    return tuple(f"PSAR{part}_{start}_{max_af}" for part in ("l", "s", "af", "r"))


@indicator(columns=_psar_columns)
def psar(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    af0: Positive | None = None,
    af: Positive = 0.02,
    max_af: Positive = 0.2,
) -> Psar:
    """Wilder's parabolic stop and reversal, set out from the first close.

    As in pandas-ta the factor grows by `af0`, which is `af` where it is not given.
    Unit: unit of high
    Source: Wilder (1978), New Concepts in Technical Trading Systems
    """
    step = af if af0 is None else af0
    stop, falling, factor, reversal = parabolic(high, low, close, step, step, max_af)
    long, short = choose(falling, NOTHING, stop), choose(falling, stop, NOTHING)
    return Psar(long, short, factor, reversal)
