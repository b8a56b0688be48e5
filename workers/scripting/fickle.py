"""A script that is not the same on every run: its shard goes on without it."""

from typing import Final

from workers.run import ShardRun
from workers.scripting.state import QUARANTINED, SPEAKS, ScriptState

FICKLE: Final = "it is not the same on every run"


def silence(script: ScriptState, reason: str) -> None:
    """Let it say no more until it is put again."""
    script.status, script.reason = QUARANTINED, reason
    script.reset(None)


def silence_fickle(run: ShardRun, behind: int) -> dict[str, str]:
    """Silence the imperative scripts that did not say in a replay what was published.

    Returns why, by name; nothing where anything else came out differently: that is no script's
    doing. `behind` is the number of the last signal before the replay. Raises: Unavailable.
    """
    lease, state = run.lease, run.state
    reached = (state.upto, state.entries, state.value_seq)
    if reached != (lease.cursor, lease.entries, lease.seq_values):
        return {}
    liars = _liars(run, behind)
    computed = {one.deployment.source_name for one in state.scripts.of.values() if one.program}
    computed |= {plan.source for plan in run.program.plans}
    names = {source: source.partition("@")[0] for source in liars}
    if computed & set(liars) or not set(names.values()) <= set(state.scripts.revisions):
        return {}
    for source, name in names.items():
        script = state.scripts.of.get(name)
        if script is not None and script.deployment.source_name == source:
            silence(script, liars[source])
    return {names[source]: reason for source, reason in liars.items()}


def _liars(run: ShardRun, behind: int) -> dict[str, str]:
    """Sources that said more or less than was published, and what is to be told of it."""
    published = run.log.said(behind)
    if published.total() == run.lease.seq - behind:
        return {
            source: f"{FICKLE}: a replay gave {run.said[source]} signals, not {published[source]}"
            for source in published | run.said
            if run.said[source] != published[source]
        }
    return {  # not all of them are retained: it may have been any
        script.deployment.source_name: f"{FICKLE}, or another one is not"
        for script in run.state.scripts.of.values()
        if script.program is None and script.status == SPEAKS
    }
