"""When a script is cut, comes back, is rolled back or is quarantined: pure, and replayed as data.

A decision is an entry of the shard's own log, with the tick entry behind which it holds. It is
written before anything that depends on it is published, so every replay agrees.
"""

from typing import Final, Literal

from pydantic import ValidationError

from sandbox.breaker import AT_ONCE, FORGET_NS, PAUSE_NS
from sandbox.limits import Limits
from sandbox.results import Results
from workers.scripting.state import CUT, QUARANTINED, SPEAKS, Scripts, ScriptState
from workers.settings import Section

type Action = Literal["cut", "resume", "quarantine", "rollback"]

FULL: Final = "full"  # no process for it on this worker, for now
TRIAL_BARS: Final = 20  # an error in so many first bars of a version takes it back
MS_NS: Final = 1_000_000
PAUSE_DOUBLINGS_MAX: Final = 10


class Ruling(Section):
    """What becomes of a script from some entry on."""

    script: str
    revision: int
    action: Action
    reason: str = ""
    at_ms: int = 0
    strike: bool = True  # of a cut: whether it is the script's own fault


def read_ruling(payload: bytes) -> Ruling | None:
    """The ruling that a decision holds, None if it holds none."""
    try:
        return Ruling.model_validate_json(payload)
    except ValidationError:
        return None


def fault(script: ScriptState, results: Results) -> str:
    """What speaks against going on after this batch; empty if nothing does."""
    if results.outcome != "done":
        where = f" ({results.traceback[0]})" if results.traceback else ""
        return f"{results.outcome}: {results.message}{where}"
    early = [error for error in results.errors if script.bars + error.row < TRIAL_BARS]
    if early:
        return f"error in its first {TRIAL_BARS} bars, line {early[0].line}: {early[0].text}"
    return ""


def verdict(script: ScriptState, outcome: str, reason: str, now_ms: int) -> Ruling:
    """What becomes of a script whose batch ended so."""
    if outcome == FULL:
        return ruling(script, "cut", reason, now_ms).model_copy(update={"strike": False})
    action: Action = "cut"
    strikes = _strikes(script, now_ms)
    if script.previous is not None and script.bars < TRIAL_BARS:
        action = "rollback"
    elif outcome in AT_ONCE or outcome == "done" or script.program is not None:
        action = "quarantine"
    elif strikes >= Limits(**script.deployment.limits).strikes_max:
        action, reason = "quarantine", f"{strikes} strikes, the last one {reason}"
    return ruling(script, action, reason, now_ms)


def ruling(script: ScriptState, action: Action, reason: str, now_ms: int) -> Ruling:
    """That this is to be done with a script."""
    revision = script.deployment.revision
    return Ruling(script=script.name, revision=revision, action=action, reason=reason, at_ms=now_ms)


def apply(scripts: Scripts, made: Ruling) -> None:
    """Let a ruling take effect; one about another revision than is there has none."""
    script = scripts.of.get(made.script)
    if script is None or script.deployment.revision != made.revision:
        return
    if made.action == "rollback" and script.previous is not None:
        back = script.previous
        back.reason = f"version {script.deployment.digest} was taken back: {made.reason}"
        scripts.put(back)
        return
    script.reason = made.reason
    if made.action == "resume":
        script.status = SPEAKS
    elif made.action == "cut":
        script.status = CUT
        if made.strike:
            script.strikes, script.struck_ms = _strikes(script, made.at_ms), made.at_ms
    else:
        script.status = QUARANTINED
        script.reset(None)


def resumes_ms(script: ScriptState) -> int:
    """When a script that was cut may try again, by the wall clock."""
    doublings = min(max(script.strikes - 1, 0), PAUSE_DOUBLINGS_MAX)
    return script.struck_ms + (PAUSE_NS // MS_NS << doublings)


def _strikes(script: ScriptState, now_ms: int) -> int:
    fresh = now_ms - script.struck_ms > FORGET_NS // MS_NS
    return 1 if fresh else script.strikes + 1
