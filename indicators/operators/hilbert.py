"""Ehlers' cycle measurement: a discrete Hilbert transform and a homodyne discriminator.

The state holds the last rows of every stage, newest first. What is not there yet is zero.
"""

import math

from indicators.bounds import Number, Positive, Window
from indicators.declare import SEEN, State, Value, forever, inline, operator

TAPS = 7
"""Rows that the transform looks back over."""
PRICES, PRICES_KEPT = 1, 4
SMOOTHED = PRICES + PRICES_KEPT
DETRENDED = SMOOTHED + TAPS
QUADRATURE = DETRENDED + TAPS
IN_PHASE = QUADRATURE + TAPS
TURNED_I = IN_PHASE + TAPS
TURNED_Q, REAL, IMAGINARY, PERIOD = TURNED_I + 1, TURNED_I + 2, TURNED_I + 3, TURNED_I + 4
PHASE, FOLLOWER, LAGGARD = PERIOD + 1, PERIOD + 2, PERIOD + 3
PAIR_CELLS = LAGGARD
SMOOTH_PERIOD, LINES, HEAD = PERIOD + 1, PERIOD + 2, PERIOD + 5
LINES_KEPT = 3
CLOSES = HEAD + 1
PERIOD_LEAST, PERIOD_MOST = 6.0, 50.0
CLOSES_KEPT = int(PERIOD_MOST)
LINE_CELLS = HEAD + CLOSES_KEPT
PHASE_HEAD, PHASE_BEFORE, WAVES = 1, 2, 3
WAVES_KEPT = int(PERIOD_MOST)
TURN, HALF_TURN, QUARTER_TURN, LAST_PHASE = 360.0, 180.0, 90.0, 315.0
"""Degrees; a phase is at most the last one."""
PAIR_STARTS, LINE_STARTS, LINE_SETTLES = 3, 6, 13
"""Rows before the cycle is measured at all, and before the trend line is more than the price."""


@inline
def push(s: State, base: int, size: int, x: float) -> None:
    """Put `x` in front of the `size` newest values kept from cell `base` on."""
    for cell in range(base + size - 1, base, -1):
        s[cell] = s[cell - 1]
    s[base] = x


@inline
def transform(s: State, base: int) -> float:
    """The Hilbert transform of the seven values from cell `base` on."""
    near, far = 0.0962, 0.5769
    return near * s[base] + far * s[base + 2] - far * s[base + 4] - near * s[base + 6]


@inline
def measure(s: State, x: float, degrees: float, sense: float) -> None:
    """One row of the cycle's length, into the cell PERIOD.

    An angle of one radian counts as `degrees`; `sense` is the sign of the discriminator.
    """
    push(s, PRICES, PRICES_KEPT, x)
    pace = 0.075 * s[PERIOD] + 0.54
    smooth = 0.4 * x + 0.3 * s[PRICES + 1] + 0.2 * s[PRICES + 2] + 0.1 * s[PRICES + 3]
    push(s, SMOOTHED, TAPS, smooth)
    push(s, DETRENDED, TAPS, pace * transform(s, SMOOTHED))
    push(s, QUADRATURE, TAPS, pace * transform(s, DETRENDED))
    push(s, IN_PHASE, TAPS, s[DETRENDED + 3])
    turned_i = s[IN_PHASE] - pace * transform(s, QUADRATURE)
    turned_q = s[QUADRATURE] + pace * transform(s, IN_PHASE)
    turned_i = 0.2 * turned_i + 0.8 * s[TURNED_I]
    turned_q = 0.2 * turned_q + 0.8 * s[TURNED_Q]
    real = turned_i * s[TURNED_I] + turned_q * s[TURNED_Q]
    imaginary = turned_i * s[TURNED_Q] + sense * (turned_q * s[TURNED_I])
    s[TURNED_I], s[TURNED_Q] = turned_i, turned_q
    s[REAL] = 0.2 * real + 0.8 * s[REAL]
    s[IMAGINARY] = 0.2 * imaginary + 0.8 * s[IMAGINARY]
    before, period = s[PERIOD], 0.0
    if s[REAL] != 0.0 and s[IMAGINARY] != 0.0:
        period = 360.0 / (degrees * math.atan(s[IMAGINARY] / s[REAL]))
    period = max(min(period, 1.5 * before), 0.67 * before)
    period = min(max(period, PERIOD_LEAST), PERIOD_MOST)
    s[PERIOD] = 0.2 * period + 0.8 * before


@operator(state=lambda: PAIR_CELLS, memory=forever, outputs=2)
def phase_followers(
    s: State, x: Value, fast: Positive, slow: Positive, degrees: Positive, sense: Number
) -> tuple[float, float]:
    """Mean whose weight falls as the phase turns faster, and a mean of it at half the weight.

    Both are zero before the fourth row. The weight is `fast` over the phase's change in units
    of `degrees` to the radian, between `slow` and `fast`.
    """
    if s[SEEN] <= PAIR_STARTS:
        push(s, PRICES, PRICES_KEPT, x)
        return 0.0, 0.0
    measure(s, x, degrees, sense)
    phase = 0.0
    if s[IN_PHASE] != 0.0:
        phase = degrees * math.atan(s[QUADRATURE] / s[IN_PHASE])
    weight = max(fast / max(s[PHASE] - phase, 1.0), slow)
    s[PHASE] = phase
    s[FOLLOWER] = weight * x + (1.0 - weight) * s[FOLLOWER]
    s[LAGGARD] = 0.5 * weight * s[FOLLOWER] + (1.0 - 0.5 * weight) * s[LAGGARD]
    return s[FOLLOWER], s[LAGGARD]


@operator(state=lambda: LINE_CELLS, memory=forever)
def cycle_mean(s: State, x: Value) -> float:
    """Weighted mean of the last four means of `x` over the dominant cycle.

    It is `x` itself on the first 13 rows. Cost: O(cycle), 50 rows at most.
    """
    head = int(s[HEAD])
    s[CLOSES + head] = x
    s[HEAD] = head + 1 if head + 1 < CLOSES_KEPT else 0.0
    if s[SEEN] <= LINE_STARTS:
        push(s, PRICES, PRICES_KEPT, x)
        return x
    measure(s, x, 180.0 / math.pi, -1.0)
    s[SMOOTH_PERIOD] = 0.33 * s[PERIOD] + 0.67 * s[SMOOTH_PERIOD]
    rows, total = int(s[SMOOTH_PERIOD] + 0.5), 0.0
    for back in range(rows):
        total += s[CLOSES + (head - back if head >= back else head - back + CLOSES_KEPT)]
    mean = total / rows if rows > 0 else 0.0
    line = 0.4 * mean + 0.3 * s[LINES] + 0.2 * s[LINES + 1] + 0.1 * s[LINES + 2]
    push(s, LINES, LINES_KEPT, mean)
    return line if s[SEEN] > LINE_SETTLES else x


@operator(state=lambda: SMOOTH_PERIOD, warmup=lambda rows: rows, memory=forever, outputs=4)
def cycle(s: State, x: Value, rows: Window) -> tuple[float, float, float, float]:
    """Length of the cycle in rows, its two components, and the smoothed `x` they come from.

    Measured as TA-Lib does: after the first `rows` rows, as if all had been zero up to there.
    """
    if s[SEEN] <= rows:
        push(s, PRICES, PRICES_KEPT, x)
        return 0.0, 0.0, 0.0, 0.0
    measure(s, x, 180.0 / math.pi, -1.0)
    s[SMOOTH_PERIOD] = 0.33 * s[PERIOD] + 0.67 * s[SMOOTH_PERIOD]
    return s[SMOOTH_PERIOD], s[IN_PHASE], s[QUADRATURE], s[SMOOTHED]


@operator(state=lambda: 2 + WAVES_KEPT, memory=forever)
def cycle_phase(s: State, smoothed: Value, period: Value) -> float:
    """Where in its cycle a smoothed price is, in degrees from -45 to 315.

    The price is set against a sine and a cosine wave over one cycle of `period` rows, 50 at
    most. Cost: O(period).
    """
    head, rows = int(s[PHASE_HEAD]), max(int(period + 0.5), 1)
    s[WAVES + head] = smoothed
    s[PHASE_HEAD] = head + 1 if head + 1 < WAVES_KEPT else 0.0
    turn_sine, turn_cosine = math.sin(2.0 * math.pi / rows), math.cos(2.0 * math.pi / rows)
    sine, cosine, real, imaginary = 0.0, 1.0, 0.0, 0.0
    for back in range(rows):
        price = s[WAVES + (head - back if head >= back else head - back + WAVES_KEPT)]
        real += sine * price
        imaginary += cosine * price
        sine, cosine = (
            sine * turn_cosine + cosine * turn_sine,
            cosine * turn_cosine - sine * turn_sine,
        )
    if imaginary != 0.0:
        phase = math.atan(real / imaginary) * HALF_TURN / math.pi
    else:
        phase = s[PHASE_BEFORE] + QUARTER_TURN * ((real > 0.0) - (real < 0.0))
    phase += QUARTER_TURN + (TURN / period if period > 0.0 else 0.0)
    phase += HALF_TURN if imaginary < 0.0 else 0.0
    s[PHASE_BEFORE] = phase - TURN if phase > LAST_PHASE else phase
    return s[PHASE_BEFORE]
