"""Waves that follow the price."""

import math
from typing import Annotated, NamedTuple

from indicators.bounds import Bounds, Window
from indicators.catalogue import indicator
from indicators.definitions.seeded import seeded_ema
from indicators.operators import after, arctangent, choose, fir, sine
from indicators.series import CLOSE, Series

CYCLE_ROWS_MAX = 1_000
CycleRows = Annotated[int, Bounds(2, CYCLE_ROWS_MAX)]
FLAT = 0.001
"""A part in phase that is no larger counts as none, whatever the price is."""


@indicator(columns="DSP_{length}")
def dsp(close: Series = CLOSE, length: Window = 14) -> Series:
    """Detrended synthetic price: the close less its exponential mean.

    Differs: not from pandas-ta-classic. Ehlers' own is the gap of two such means.
    Unit: unit of close
    Source: pandas-ta-classic 0.8.32; Ehlers (2001), Rocket Science for Traders
    """
    return close - seeded_ema(close, length)


class Msw(NamedTuple):
    """The wave, and the same wave an eighth of a cycle ahead."""

    sine: Series
    lead: Series


@indicator(columns=("MSW_SINE_{period}", "MSW_LEAD_{period}"))
def msw(close: Series = CLOSE, period: CycleRows = 5) -> Msw:
    """Sine wave in phase with the cycle of `period` rows in the last values.

    Unit: -1 to 1
    Source: Ehlers (2001), Rocket Science for Traders; Tulip Indicators, msw
    """
    turns = [2.0 * math.pi * back / period for back in reversed(range(period))]
    real = fir(close, tuple(map(math.cos, turns)))
    imaginary = fir(close, tuple(map(math.sin, turns)))
    angle = arctangent(imaginary / real)
    phase = choose(abs(real) > FLAT, angle, choose(imaginary < 0.0, -math.pi, math.pi))
    phase = choose(real < 0.0, phase + math.pi, phase) + 0.5 * math.pi
    phase = choose(phase < 0.0, phase + 2.0 * math.pi, phase)
    phase = after(choose(phase > 2.0 * math.pi, phase - 2.0 * math.pi, phase), period)
    return Msw(sine(phase), sine(phase + 0.25 * math.pi))
