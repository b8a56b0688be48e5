"""A script on a shard over time: deployed, warmed up, found again after it was cut."""

from typing import Any

import orjson
import structlog

from indicators import IndicatorError
from sandbox.errors import SandboxError
from sandbox.limits import Limits
from streams.records import ZERO, Control, EntryId
from streams.symbols import SymbolTable
from workers.processor import begin
from workers.run import ShardRun
from workers.scripting.bench import Bench
from workers.scripting.deployment import Deployment, Untrusted, opened
from workers.scripting.host import ScriptHost
from workers.scripting.state import SPEAKS, ScriptState
from workers.settings import WorkerSettings
from workers.state import ShardState

NS_PER_MS = 1_000_000
REPLAY_TIMES = 2  # of the CPU that a version has to warm up
PROBE_SLOT = 0  # where a fresh instrument is tried on

logger = structlog.get_logger()


def deploy(run: ShardRun, control: Control, settings: WorkerSettings, bench: Bench) -> None:
    """Let a signed deployment take effect; what cannot is refused, and the version before stays."""
    try:
        asked = opened(bench.trust, control.payload)
    except Untrusted as error:
        run.state.scripts.refused[str(control.entry)] = str(error)
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
    try:
        fresh = ScriptState.new(asked, control.payload)
    except (IndicatorError, SandboxError) as error:  # a later release may have put it
        bench.refused(asked.name, f"shard {run.shard}, version {asked.digest}: {error}")
        return
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


def _carry(known: ScriptState, fresh: ScriptState, run: ShardRun, bench: Bench) -> bool:
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
        born = _first_capsule(_trial(run, bench), fresh, names[PROBE_SLOT])
        fresh.feed, fresh.capsules = known.feed, dict(known.capsules)
        fresh.waiting, fresh.anew = list(known.waiting), known.anew
        if fits(born, next(iter(known.capsules.values()))):
            _trial(run, bench).load(fresh, names).close()  # each of them must open
            return True
    except SandboxError:
        pass
    fresh.reset(None)
    return False


def _trial(run: ShardRun, bench: Bench) -> ScriptHost:
    """Where a version is tried: a replay must accept what was accepted, and gives it more."""
    return bench.replaying() if run.host.replaying else bench.warming()


def _first_capsule(host: ScriptHost, script: ScriptState, symbol: str) -> bytes:
    """The state of an instrument that has seen no bar."""
    runner = host.load(script, ())
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
    """What a capsule keeps; None where a hostile process made it up."""
    try:
        content = orjson.loads(capsule)
    except orjson.JSONDecodeError:
        return None
    return content.get("state") if isinstance(content, dict) else None


def _warm_up(
    run: ShardRun, fresh: ScriptState, before: EntryId, settings: WorkerSettings, bench: Bench
) -> str:
    """Show a new version all history that the log retains; returns why it cannot stay, if so."""
    program = run.program.only([fresh.deployment.plan])
    symbols = SymbolTable.load(run.state.symbols.save(), settings.symbols_max)
    state = ShardState.new(program, symbols, settings.dedupe_window)
    state.scripts.put(fresh)
    host = _trial(run, bench)
    limit_ms = Limits(**fresh.deployment.limits).warm_up_ms_max
    left_ns = limit_ms * NS_PER_MS * (REPLAY_TIMES if run.host.replaying else 1)
    run.log.open(symbols)
    try:
        host.prepare(fresh, symbols.names)
        for batch in run.log.replay(ZERO, before):
            account, _ = begin(program, state, batch, 0, host).recall()
            if account.faults:
                return account.faults[0].reason
            left_ns -= account.cpu_ns.get(fresh.name, 0)
            if left_ns < 0:
                return f"warming up took more than {limit_ms} ms of CPU (limit warm_up_ms_max)"
        return str(host.collect(state.scripts).get(fresh.name, ""))
    except SandboxError as error:
        return str(error)
    finally:
        host.close()
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
