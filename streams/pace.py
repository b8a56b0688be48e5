"""How fast a producer allows itself to be under pressure. Pure: clocks are arguments."""

from dataclasses import dataclass

PACE_MIN = 0.02  # a producer never stops: its next ticks show whether the pressure is gone
DELAY_S_MAX = 2.0
# What a producer's pace is multiplied by in every second at levels 0 to 3.
PACE_CHANGE_PER_S = (1.2, 1.0, 0.8, 0.5)


@dataclass(frozen=True, slots=True)
class Pace:
    """Share of its full speed that a producer allows itself."""

    share: float = 1.0
    at_s: float | None = None


def pace(before: Pace, level: int | None, now_s: float) -> Pace:
    """Pace after the level was read again: halved by 3, eased by 2, held by 1, regained at 0.

    An unknown level changes nothing.
    """
    if level is None or before.at_s is None:
        return Pace(before.share, now_s)
    change = PACE_CHANGE_PER_S[level] ** max(0.0, now_s - before.at_s)
    return Pace(min(1.0, max(PACE_MIN, before.share * change)), now_s)


def delay_s(at: Pace, sending_s: float) -> float:
    """Pause after `sending_s` of work that brings a producer to its pace, of a bounded length."""
    return min(DELAY_S_MAX, sending_s * (1 / at.share - 1))
