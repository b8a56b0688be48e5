"""When the owner of a shard closes bars that no tick closes: the event clock, pure."""

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


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
