"""What a worker has for scripts: the key it trusts, and the jails. Nothing of both by default."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.crew import Crew
from sandbox.pool import JailPool
from workers.scripting.deployment import NOBODY, Trust
from workers.scripting.host import ScriptHost

type Refused = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Bench:
    """`refused(script, reason)` is told of every deployment that was not obeyed.

    `crew` is at work for the thread that processes: only there may live scripts be run.
    """

    trust: Trust = NOBODY
    pool: JailPool | None = None
    refused: Refused = lambda script, reason: None  # noqa: ARG005  # nobody listens
    crew: Crew = field(default_factory=Crew)

    def live(self) -> ScriptHost:
        """Processes for bars as they come."""
        return ScriptHost(self.pool, self.crew)

    def replaying(self) -> ScriptHost:
        """Processes for bars that scripts have seen before."""
        return ScriptHost(self.pool, replaying=True)
