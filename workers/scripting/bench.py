"""What a worker has for scripts: the key it trusts, and the jails. Nothing of both by default."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sandbox.crew import Crew
from sandbox.pool import JailPool
from workers.scripting.deployment import NOBODY, Trust
from workers.scripting.host import ScriptHost

WARM_UP_PATIENCE: Final = 4  # times what it has live: a busy machine is no reason to refuse it

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

    def warming(self) -> ScriptHost:
        """Processes for bars that a new version is shown while its shard waits for it."""
        return ScriptHost(self.pool, replaying=True, patience=WARM_UP_PATIENCE)
