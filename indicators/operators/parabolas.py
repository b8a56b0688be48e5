"""Parabolic stops with factors of their own above and below the price: SAREXT, twice.

The stop of a fall is given with a minus sign. Both hold the same cells: the last bars, and the
stop that the next row starts from.
"""

import math

from indicators.bounds import Number, Positive
from indicators.declare import SEEN, State, Value, forever, inline, operator

FALLING, EXTREME, FACTOR, STOP = 1, 2, 3, 4
LAST_HIGH, LAST_LOW, OLDER_HIGH, OLDER_LOW = 5, 6, 7, 8


@inline
def remember(s: State, high: float, low: float) -> None:
    """Keep this bar as the last one, and the last as the one before."""
    s[OLDER_HIGH], s[OLDER_LOW] = s[LAST_HIGH], s[LAST_LOW]
    s[LAST_HIGH], s[LAST_LOW] = high, low


@inline
def starts_falling(s: State, high: float, low: float) -> float:
    """1 where the second low fell, and by more than the high rose, else 0."""
    fall = s[LAST_LOW] - low
    return 1.0 if fall > high - s[LAST_HIGH] and fall > 0.0 else 0.0


@operator(state=lambda: 8, warmup=lambda: 1, memory=forever)
def parabolic_touched(
    s: State, high: Value, low: Value, start: Number, gap: Number,
    init_long: Positive, step_long: Positive, most_long: Positive,
    init_short: Positive, step_short: Positive, most_short: Positive,
) -> float:  # fmt: skip
    """Parabolic stop that turns on the row that touches it, and stays where it is then.

    `gap` is the share of the stop by which it steps away at a turn; `start` is the first stop,
    or 0 for the first bar's. The factors start at init, grow by step, up to most.
    """
    if s[SEEN] == 1.0:
        remember(s, high, low)
        remember(s, high, low)
        return math.nan
    if s[SEEN] == 2.0:
        s[FALLING] = starts_falling(s, high, low)
        s[STOP] = start if start != 0.0 else (s[LAST_HIGH] if s[FALLING] == 1.0 else s[LAST_LOW])
        s[EXTREME] = low if s[FALLING] == 1.0 else high
        s[FACTOR] = init_short if s[FALLING] == 1.0 else init_long
    stop = s[STOP] + s[FACTOR] * (s[EXTREME] - s[STOP])
    if s[FALLING] == 1.0:
        turned = high > stop
        if low < s[EXTREME]:
            s[EXTREME] = low
            s[FACTOR] = min(s[FACTOR] + step_short, most_short)
        stop = max(s[LAST_HIGH], s[OLDER_HIGH], stop)
        if turned:
            stop += gap * stop
            s[FALLING], s[EXTREME], s[FACTOR] = 0.0, high, init_long
    else:
        turned = low < stop
        if high > s[EXTREME]:
            s[EXTREME] = high
            s[FACTOR] = min(s[FACTOR] + step_long, most_long)
        stop = min(s[LAST_LOW], s[OLDER_LOW], stop)
        if turned:
            stop -= gap * stop
            s[FALLING], s[EXTREME], s[FACTOR] = 1.0, low, init_short
    s[STOP] = stop
    remember(s, high, low)
    return -stop if s[FALLING] == 1.0 else stop


@operator(state=lambda: 8, warmup=lambda: 1, memory=forever)
def parabolic_reversed(
    s: State, high: Value, low: Value, start: Number, gap: Number,
    init_long: Positive, step_long: Positive, most_long: Positive,
    init_short: Positive, step_short: Positive, most_short: Positive,
) -> float:  # fmt: skip
    """Parabolic stop that at a turn goes to the other side of the price: to the last extreme.

    As TA-Lib's SAREXT: the stop for the next row is worked out on this one. `start` is the
    first stop, below zero for a fall, or 0 for the first bar's. The rest as `parabolic_touched`.
    """
    if s[SEEN] == 1.0:
        remember(s, high, low)
        return math.nan
    if s[SEEN] == 2.0:
        s[FALLING] = starts_falling(s, high, low) if start == 0.0 else 0.0
        if start < 0.0:
            s[FALLING] = 1.0
        s[STOP] = math.fabs(start)
        if start == 0.0:
            s[STOP] = s[LAST_HIGH] if s[FALLING] == 1.0 else s[LAST_LOW]
        s[EXTREME] = low if s[FALLING] == 1.0 else high
        s[FACTOR] = min(init_short, most_short) if s[FALLING] == 1.0 else min(init_long, most_long)
        remember(s, high, low)
    turned = high >= s[STOP] if s[FALLING] == 1.0 else low <= s[STOP]
    if turned:
        s[FALLING] = 1.0 - s[FALLING]
        stop = beyond(s, high, low, s[EXTREME])
        if gap != 0.0:
            stop += stop * gap if s[FALLING] == 1.0 else -stop * gap
        s[EXTREME] = low if s[FALLING] == 1.0 else high
        s[FACTOR] = min(init_short, most_short) if s[FALLING] == 1.0 else min(init_long, most_long)
    else:
        stop = s[STOP]
        if s[FALLING] == 1.0 and low < s[EXTREME]:
            s[EXTREME], s[FACTOR] = low, min(s[FACTOR] + step_short, most_short)
        elif s[FALLING] == 0.0 and high > s[EXTREME]:
            s[EXTREME], s[FACTOR] = high, min(s[FACTOR] + step_long, most_long)
    s[STOP] = beyond(s, high, low, stop + s[FACTOR] * (s[EXTREME] - stop))
    remember(s, high, low)
    return -stop if s[FALLING] == 1.0 else stop


@inline
def beyond(s: State, high: float, low: float, stop: float) -> float:
    """The stop, moved out of the range of this bar and the last."""
    if s[FALLING] == 1.0:
        return max(stop, s[LAST_HIGH], high)
    return min(stop, s[LAST_LOW], low)
