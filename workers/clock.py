"""What time it is for a shard: the server's clock, and when it closes bars that no tick closes."""

from time import monotonic, time_ns

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
MS_PER_S = 1_000


class ServerClock:
    """The server's clock as it was heard last, carried on by our monotonic one.

    Entry ids are by the server's clock: beside a clock of ours that is a minute off, or jumps,
    everything would look a minute late. Until it is heard, ours has to do.
    """

    def __init__(self) -> None:
        self._began_ms: int | None = None  # when our monotonic clock was at 0

    def hear(self, now_ms: int) -> None:
        """Take note of what the server says now."""
        self._began_ms = now_ms - int(monotonic() * MS_PER_S)

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        if self._began_ms is None:
            return time_ns() // NS_PER_MS
        return self._began_ms + int(monotonic() * MS_PER_S)


def due_clock(
    *, next_due_ns: int | None, newest_ns: int, silence_s: float, wall_ns: int, grace_ms: int
) -> int | None:
    """The time that a clock entry should say now, or None while no bar is overdue.

    Event time goes on from the newest tick at the pace of the wall clock, while the feed is
    silent and the server answers (`silence_s`); it never passes the wall clock, so that one
    tick from the future closes nothing. A bar is overdue `grace_ms` after its close.
    """
    if next_due_ns is None:
        return None
    event_ns = min(newest_ns + int(silence_s * NS_PER_S), wall_ns) - grace_ms * NS_PER_MS
    return event_ns if event_ns >= next_due_ns else None
