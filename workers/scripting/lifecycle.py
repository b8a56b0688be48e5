"""A script on a shard over time: deployed, warmed up, found again after it was cut."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from sandbox.errors import SandboxError
from sandbox.runner import Runner
from streams.records import ZERO, Batch, Control, EntryId
from streams.symbols import SymbolTable
from workers.processor import advance
from workers.scripting.bench import Bench
from workers.scripting.decisions import apply, read_ruling
from workers.scripting.deployment import Deployment, Untrusted, opened
from workers.scripting.state import QUARANTINED, SPEAKS, ScriptState
from workers.settings import WorkerSettings
from workers.state import ShardState

if TYPE_CHECKING:
    from workers.takeover import ShardRun

PROBE_SLOT = 0  # where a fresh instrument is tried on

logger = structlog.get_logger()


def deploy(run: "ShardRun", control: Control, settings: WorkerSettings, bench: Bench) -> None:
    """Let a signed deployment take effect; what cannot is refused, and the version before stays."""
    try:
        asked = opened(bench.trust, control.payload)
    except Untrusted as error:
        bench.refused("", f"shard {run.shard}, entry {control.entry}: {error}")
        return
    scripts = run.state.scripts
    if asked.revision <= scripts.revisions.get(asked.name, 0):
        return
    scripts.revisions[asked.name] = asked.revision
    if asked.removed:
        scripts.drop(asked.name)
        run.host.drop(asked.name)
        return
    run.host.collect(scripts)
    known = scripts.of.get(asked.name)
    fresh = ScriptState.new(asked, control.payload)
    carried = known is not None and _carry(known, fresh, run, bench)
    reason = "" if carried else _warm_up(run, fresh, control.entry, settings, bench)
    if reason:
        bench.refused(asked.name, f"shard {run.shard}, version {asked.digest}: {reason}")
        return
    if known is not None and known.status == SPEAKS and known.deployment.digest != asked.digest:
        known.previous, fresh.previous = None, known
    fresh.bars = 0
    scripts.put(fresh)
    run.host.drop(asked.name)
    logger.info("script deployed", shard=run.shard, script=asked.name, digest=asked.digest)


def _carry(known: ScriptState, fresh: ScriptState, run: "ShardRun", bench: Bench) -> bool:
    """Give the new version the state of the old one, where it has the same shape."""
    plans = {plan.name: (plan.feed.timeframe, plan.feed.flat) for plan in run.program.plans}
    if known.status != SPEAKS or known.feed != plans.get(fresh.deployment.plan):
        return False
    if known.program is not None or fresh.program is not None:
        same = (
            known.program is not None
            and fresh.program is not None
            and known.program[1].digest == fresh.program[1].digest
        )
        if same:
            fresh.feed, fresh.cells = known.feed, known.cells.copy()
            fresh.levels = {name: level.copy() for name, level in known.levels.items()}
        return same
    if not known.capsules or known.deployment.plan != fresh.deployment.plan:
        return False
    names = run.state.symbols.names
    try:
        born = _first_capsule(bench, fresh, names[PROBE_SLOT])
        fresh.feed, fresh.capsules = known.feed, dict(known.capsules)
        if fits(born, next(iter(known.capsules.values()))):
            bench.live().load(fresh, names).close()  # each of them must open
            return True
    except SandboxError:
        pass
    fresh.reset(None)
    return False


def _first_capsule(bench: Bench, script: ScriptState, symbol: str) -> bytes:
    """The state of an instrument that has seen no bar."""
    runner = bench.live().load(script, ())
    try:
        runner.open({PROBE_SLOT: (symbol, None)})
        return runner.save()[PROBE_SLOT]
    finally:
        runner.close()


def fits(born: bytes, held: bytes) -> bool:
    """Whether held state has every name that a newborn one has."""
    one, other = (_state(capsule) for capsule in (born, held))
    if not isinstance(one, dict) or not isinstance(other, dict):
        return type(one) is type(other)
    return set(one) <= set(other) and one.get("$") == other.get("$")


def _state(capsule: bytes) -> Any:
    return orjson.loads(capsule)["state"]


def _warm_up(
    run: "ShardRun", fresh: ScriptState, before: EntryId, settings: WorkerSettings, bench: Bench
) -> str:
    """Show a new version all history that the log retains; returns why it cannot stay, if so."""
    program = run.program.only([fresh.deployment.plan])
    symbols = SymbolTable.load(run.state.symbols.save(), settings.symbols_max)
    state = ShardState.new(program, symbols, settings.dedupe_window)
    state.scripts.put(fresh)
    host = bench.replaying()
    run.log.open(symbols)
    try:
        host.prepare(state.scripts, symbols.names)
        for batch in run.log.replay(ZERO, before):
            faults = advance(program, state, batch, 0, host).scripts.faults
            if faults:
                return faults[0].reason
        return host.collect(state.scripts).get(fresh.name, "")
    except SandboxError as error:
        return str(error)
    finally:
        host.close()
        run.log.open(run.state.symbols)


def replay_decided(
    run: "ShardRun", upto: EntryId, settings: WorkerSettings, bench: Bench
) -> dict[str, str]:
    """Replay up to an entry with every decision in its place.

    Returns the scripts that failed where they had not, and why: they say no more.
    """
    broken: dict[str, str] = {}
    for decision in run.log.script_decisions(run.state.scripts.decided):
        ruling = read_ruling(decision.payload)
        if ruling is None or decision.after > upto:
            continue
        broken |= _replay(run, decision.after, settings, bench)
        if ruling.action == "rollback":
            run.host.drop(ruling.script)
        apply(run.state.scripts, ruling)
        run.state.scripts.decided = decision.entry
    return broken | _replay(run, upto, settings, bench)


def _replay(
    run: "ShardRun", upto: EntryId, settings: WorkerSettings, bench: Bench
) -> dict[str, str]:
    from workers.takeover import obey

    broken: dict[str, str] = {}
    for batch in run.log.replay(run.state.upto, upto):
        for fault in _advance(run, batch):
            broken[fault.script.name] = fault.reason
            fault.script.status, fault.script.reason = QUARANTINED, f"in replay: {fault.reason}"
        if batch.control is not None:
            obey(run, batch.control, settings, bench)
    return broken


def _advance(run: "ShardRun", batch: Batch) -> Sequence[Any]:
    return advance(run.program, run.state, batch, 0, run.host).scripts.faults


def find(
    run: "ShardRun", name: str, upto: EntryId, settings: WorkerSettings, bench: Bench
) -> tuple[dict[int, bytes], Runner]:
    """A script's state as of an entry, and a process that has it: by replay of its bars alone.

    Raises: SandboxError, StreamError.
    """
    from workers.takeover import ShardRun

    snapshot = run.log.load_snapshot()
    assert snapshot is not None  # saved before a shard is processed for the first time
    program, state = ShardState.load(snapshot.payload, settings.symbols_max, bench.trust)
    state.scripts.of = {key: one for key, one in state.scripts.of.items() if key == name}
    twin = ShardRun(run.log, run.lease, program, state, host=bench.replaying())
    run.log.open(state.symbols)
    try:
        broken = replay_decided(twin, upto, settings, bench)
        broken |= twin.host.collect(state.scripts)
        if name in broken or name not in state.scripts.of:
            raise SandboxError(broken.get(name, "it is not in the log any more"))
        script = state.scripts.of[name]
        return script.capsules, bench.live().load(script, state.symbols.names)
    finally:
        twin.host.close()
        run.log.open(run.state.symbols)


def scope(asked: Deployment) -> dict[str, str]:
    """What an audit entry says of a deployment."""
    return {
        "script": asked.name,
        "revision": str(asked.revision),
        "digest": "" if asked.removed else asked.digest,
        "tenant": asked.tenant,
        "plan": asked.plan,
        "symbols": " ".join(asked.symbols),
        "signals": " ".join(asked.signals),
    }
