"""The cycle that dominates the price, by Ehlers' Hilbert transform, as TA-Lib measures it."""

import math
from typing import NamedTuple

from indicators.catalogue import indicator
from indicators.definitions.shared import delayed
from indicators.operators import (
    cycle,
    cycle_phase,
    earlier,
    fill,
    floor,
    larger,
    missing,
    recent_mean,
    rows_since,
    settled,
    sine,
)
from indicators.series import CLOSE, Series

QUICK_START, QUICK_LOOKBACK = 12, 32
SLOW_START, SLOW_LOOKBACK = 37, 63
"""Rows before TA-Lib starts to measure, and before it shows a value."""
CYCLE_ROWS_MAX = 50
DEGREE = math.pi / 180.0
TREND_GAP = 0.015
"""Share of the trend line from which on a distance to it means a trend."""


def _measured(close: Series) -> tuple[Series, Series, Series]:
    """Length and phase of the cycle, and the smoothed price, from the row they start on."""
    period, _, _, smoothed = cycle(close, SLOW_START)
    return period, cycle_phase(smoothed, period), smoothed


@indicator(columns="HT_DCPERIOD")
def ht_dcperiod(close: Series = CLOSE) -> Series:
    """Length of the dominant cycle.

    Unit: rows, 6 to 50
    Source: Ehlers (2001), Rocket Science for Traders; TA-Lib, HT_DCPERIOD
    """
    period, _, _, _ = cycle(close, QUICK_START)
    return settled(period, QUICK_LOOKBACK - QUICK_START)


@indicator(columns="HT_DCPHASE")
def ht_dcphase(close: Series = CLOSE) -> Series:
    """Phase of the dominant cycle.

    Unit: degrees, -45 to 315
    Source: Ehlers (2001), Rocket Science for Traders; TA-Lib, HT_DCPHASE
    """
    _, phase, _ = _measured(close)
    return settled(phase, SLOW_LOOKBACK - SLOW_START)


class Phasor(NamedTuple):
    """The parts of the cycle in phase with the price, and a quarter of a cycle ahead."""

    in_phase: Series
    quadrature: Series


@indicator(columns=("HT_PHASOR_INPHASE", "HT_PHASOR_QUAD"))
def ht_phasor(close: Series = CLOSE) -> Phasor:
    """Components of the dominant cycle.

    Unit: unit of close
    Source: Ehlers (2001), Rocket Science for Traders; TA-Lib, HT_PHASOR
    """
    _, in_phase, quadrature, _ = cycle(close, QUICK_START)
    rows = QUICK_LOOKBACK - QUICK_START
    return Phasor(settled(in_phase, rows), settled(quadrature, rows))


class SineWave(NamedTuple):
    """The wave, and the same wave an eighth of a cycle ahead."""

    sine: Series
    lead: Series


@indicator(columns=("HT_SINE", "HT_LEADSINE"))
def ht_sine(close: Series = CLOSE) -> SineWave:
    """Sine wave in phase with the dominant cycle.

    Unit: -1 to 1
    Source: Ehlers (2001), Rocket Science for Traders; TA-Lib, HT_SINE
    """
    phase = ht_dcphase(close)
    return SineWave(sine(phase * DEGREE), sine((phase + 45.0) * DEGREE))


@indicator(columns="HT_TRENDMODE")
def ht_trendmode(close: Series = CLOSE) -> Series:
    """Whether the price follows a trend rather than a cycle; 0 on the first 63 rows.

    It does unless the sine waves have crossed within half a cycle, or the phase moves on as a
    cycle's does; and it does where the price is 1.5 % away from its mean over the cycle.
    Unit: 1 or 0
    Source: Ehlers (2001), Rocket Science for Traders; TA-Lib, HT_TRENDMODE
    """
    period, phase, smoothed = _measured(close)
    wave, lead = sine(phase * DEGREE), sine((phase + 45.0) * DEGREE)
    last, last_lead, last_phase = (fill(earlier(each, 1), 0.0) for each in (wave, lead, phase))
    crossed = ((wave > lead) & (last <= last_lead)) | ((wave < lead) & (last >= last_lead))
    recent = rows_since(crossed) + 1.0 < 0.5 * period
    step, pace = phase - last_phase, 360.0 / period
    turning = (step > 0.67 * pace) & (step < 1.5 * pace)
    line = _trend_line(close, period)
    far = abs((smoothed - line) / line) >= TREND_GAP
    known = ~missing(settled(phase, SLOW_LOOKBACK - SLOW_START))
    return known & (far | ~(crossed | recent | turning))


def _trend_line(close: Series, period: Series) -> Series:
    mean = recent_mean(close, larger(floor(period + 0.5), 1.0), CYCLE_ROWS_MAX)
    means = [fill(delayed(mean, back), 0.0) for back in range(4)]
    return (4.0 * means[0] + 3.0 * means[1] + 2.0 * means[2] + means[3]) / 10.0
