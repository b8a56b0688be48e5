"""When a bar that no tick closes is closed by the clock."""

from workers.clock import due_clock

MINUTE_NS = 60_000_000_000
NOON_NS = 1_763_812_800_000_000_000


def ask(
    silence_s: float, *, newest_ns: int = NOON_NS + 1, wall_ns: int = NOON_NS * 2
) -> int | None:
    return due_clock(
        next_due_ns=NOON_NS + MINUTE_NS,
        newest_ns=newest_ns,
        silence_s=silence_s,
        wall_ns=wall_ns,
        grace_ms=2_000,
    )


def test_nothing_is_due_while_no_bar_is_open() -> None:
    assert due_clock(next_due_ns=None, newest_ns=1, silence_s=9e9, wall_ns=2, grace_ms=0) is None


def test_a_bar_is_closed_one_grace_time_after_its_end() -> None:
    assert ask(61.9) is None
    clock_ns = ask(62.0)
    assert clock_ns is not None
    assert NOON_NS + MINUTE_NS <= clock_ns < NOON_NS + MINUTE_NS + 1_000


def test_the_event_clock_never_passes_the_wall_clock() -> None:
    assert ask(0.0, newest_ns=NOON_NS * 2, wall_ns=NOON_NS + MINUTE_NS) is None
    assert ask(0.0, newest_ns=NOON_NS * 2, wall_ns=NOON_NS + MINUTE_NS + 2_000_000_000) is not None
