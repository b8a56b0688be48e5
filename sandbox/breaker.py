"""When a script that misbehaved may run again: a value, decided without clock or process."""

from dataclasses import dataclass, replace
from typing import Final, Self

SECOND_NS: Final = 1_000_000_000
PAUSE_NS: Final = SECOND_NS  # after the first strike; doubled with each further one
FORGET_NS: Final = 600 * SECOND_NS  # strikes this old are forgotten

AT_ONCE: Final = frozenset({"protocol", "forbidden"})
STRIKES: Final = frozenset({"deadline", "memory", "state", "output", "crashed"})


@dataclass(frozen=True)
class Breaker:
    """Closed while `reason` is empty and `resume_ns` has passed; open otherwise."""

    strikes: int = 0
    struck_ns: int = 0
    resume_ns: int = 0
    reason: str = ""  # why it is quarantined; empty if it is not

    def allows(self, now_ns: int) -> bool:
        """True if the script may run now."""
        return not self.reason and now_ns >= self.resume_ns

    def after(self, outcome: str, message: str, *, now_ns: int, strikes_max: int) -> Self:
        """The breaker after one batch ended in `outcome`."""
        if outcome in AT_ONCE:
            return replace(self, strikes=self.strikes + 1, reason=f"{outcome}: {message}")
        if outcome not in STRIKES:
            return self
        fresh = now_ns - self.struck_ns > FORGET_NS
        strikes = 1 if fresh else self.strikes + 1
        pause_ns = PAUSE_NS * 2 ** min(strikes - 1, 10)
        struck = replace(self, strikes=strikes, struck_ns=now_ns, resume_ns=now_ns + pause_ns)
        if strikes < strikes_max:
            return struck
        return replace(struck, reason=f"{strikes} strikes, the last one {outcome}: {message}")
