"""How fast a producer allows itself to be under pressure. Pure: clocks are arguments."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from streams.records import EntryId

PACE_MIN = 0.02  # a producer never stops: its next ticks show whether the pressure is gone
DELAY_S_MAX = 2.0
WINDOW_ROWS = 2_000  # that may be on their way at first, before anything is known of the fleet
WINDOW_ROWS_MIN, WINDOW_ROWS_MAX = 500, 1 << 20
QUICK_S, SLOW_S = 0.5, 1.0  # until the fleet has done what was sent: the window grows, shrinks
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


@dataclass(slots=True)
class Window:
    """Rows that a producer has on their way, and how many it allows itself.

    It doubles for what the fleet has done with soon and halves for what takes long, so that a
    producer, however fast, is never much more than a second ahead.
    """

    rows_max: int = WINDOW_ROWS
    _sent: deque[tuple[float, int, dict[str, EntryId]]] = field(default_factory=deque)

    @property
    def rows(self) -> int:
        """Rows that are on their way."""
        return sum(rows for _, rows, _ in self._sent)

    def send(self, rows: int, last: Mapping[str, EntryId], now_s: float) -> None:
        """Take note of rows that were sent now; `last` is the newest entry of each stream."""
        self._sent.append((now_s, rows, dict(last)))

    def arrive(self, cursors: Mapping[str, EntryId], now_s: float) -> None:
        """Take note of where the fleet stands in each stream; one that it has not is no matter."""
        while self._sent:
            sent_s, _, last = self._sent[0]
            if any(key in cursors and cursors[key] < entry for key, entry in last.items()):
                break
            self._sent.popleft()
            took_s = now_s - sent_s
            if took_s <= QUICK_S:
                self.rows_max = min(2 * self.rows_max, WINDOW_ROWS_MAX)
            elif took_s > SLOW_S:
                self.rows_max = max(self.rows_max // 2, WINDOW_ROWS_MIN)

    def forget(self) -> None:
        """Nobody is there to do anything: what was sent is no longer waited for."""
        self._sent.clear()
