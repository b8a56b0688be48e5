"""From a lease to a running shard: snapshot, replay, and the program that the log asks for."""

from collections.abc import Callable

import orjson
import structlog

from streams.log import SCRIPT, ShardLog
from streams.records import ZERO, Control, Decision, EntryId, Lease, Snapshot
from streams.symbols import SymbolTable
from workers.processor import begin
from workers.program import Program
from workers.run import ShardRun
from workers.scripting.bench import Bench
from workers.scripting.decisions import apply, read_ruling
from workers.scripting.fickle import silence, silence_fickle
from workers.scripting.lifecycle import deploy
from workers.scripting.state import QUARANTINED
from workers.settings import WorkerSettings
from workers.shedding import Tier
from workers.state import ShardState, SnapshotError

PLANS = "plans"  # the kind of deployment that replaces a shard's plans

type Effect = Callable[[ShardRun, Decision], None]

logger = structlog.get_logger()


class Diverged(Exception):
    """Replay did not reach the numbers that were published: the shard must not speak."""


def take_over(
    log: ShardLog, lease: Lease, configured: Program, settings: WorkerSettings, bench: Bench
) -> ShardRun:
    """The shard as its last owner left it, ready to go on behind the committed entry.

    A shard that was never owned starts with the `configured` program; where the log asks for
    another than that, a deployment is appended and takes effect when it is read.
    Raises: Fenced, Unavailable, Diverged, SettingsError (a program of a newer release), Untrusted.
    """
    snapshot = log.load_snapshot()
    run = _resume(log, lease, snapshot, configured, settings, bench)
    log.open(run.state.symbols)
    seq = run.state.signal_seq
    run.undone = log.forget_decisions(lease.cursor)
    for name, reason in run.state.scripts.refused.items():
        bench.refused(name, f"shard {lease.shard}: {reason}")
    try:
        broken = replay_decided(run, lease.cursor, settings, bench)
        broken |= _collected(run) | run.state.scripts.refused
    finally:
        run.host.close()
    state = run.state
    reached = (state.upto, state.entries, state.signal_seq, state.value_seq)
    published = (lease.cursor, lease.entries, lease.seq, lease.seq_values)
    if snapshot is not None and reached != published and not broken:
        broken = silence_fickle(run, seq)
        for name, reason in broken.items():
            bench.refused(name, f"shard {lease.shard}: {reason}")
    if snapshot is not None and reached != published and not broken:
        raise Diverged(f"shard {lease.shard}: replay reached {reached}, published was {published}")
    state.upto, state.entries, state.signal_seq, state.value_seq = published
    run.host = bench.live()
    run.host.start(state.scripts, state.symbols.names)
    if snapshot is None or broken:
        log.save_snapshot(lease.fence, run.capsule())
    if run.program.digest != configured.digest:
        log.add_deploy(lease.fence, PLANS, configured.payload)
    run.snapshot_entries = state.entries
    return run


def _collected(run: ShardRun) -> dict[str, str]:
    """Scripts whose state could not be had, and why: they say no more."""
    failed = {name: str(error) for name, error in run.host.collect(run.state.scripts).items()}
    for name, reason in failed.items():
        silence(run.state.scripts.of[name], f"state: {reason}")
    return failed


def _resume(
    log: ShardLog,
    lease: Lease,
    snapshot: Snapshot | None,
    configured: Program,
    settings: WorkerSettings,
    bench: Bench,
) -> ShardRun:
    host = bench.replaying()
    if snapshot is not None:
        try:
            program, state = ShardState.load(snapshot.payload, settings.symbols_max, bench.trust)
        except SnapshotError as error:
            logger.error("snapshot refused", shard=lease.shard, reason=str(error))
        else:
            return ShardRun(log, lease, program, state, host=host)
    if lease.cursor != ZERO:
        logger.warning("no snapshot: rebuilding from the retained log", shard=lease.shard)
    return ShardRun(log, lease, configured, new_state(configured, settings), host=host)


def new_state(program: Program, settings: WorkerSettings) -> ShardState:
    """State before the first entry of a shard's log."""
    return ShardState.new(program, SymbolTable(settings.symbols_max), settings.dedupe_window)


def replay_decided(
    run: ShardRun, upto: EntryId, settings: WorkerSettings, bench: Bench
) -> dict[str, str]:
    """Replay up to an entry with every decision in its place.

    Returns the scripts that failed where they had not, and why: they say no more.
    """
    broken: dict[str, str] = {}
    for decision, take_effect in _decisions(run):
        broken |= _replay(run, min(decision.after, upto), settings, bench)
        take_effect(run, decision)
    return broken | _replay(run, upto, settings, bench)


def _decisions(run: ShardRun) -> list[tuple[Decision, Effect]]:
    """All that was decided about the shard and is not in force yet, in order."""
    state = run.state
    found: list[tuple[Decision, Effect]] = [
        *((each, _rule) for each in run.log.script_decisions(state.scripts.decided)),
        *((each, shed) for each in run.log.shed_decisions(state.shedding.decided)),
    ]
    return sorted(found, key=lambda item: (item[0].after, item[0].entry))


def _rule(run: ShardRun, decision: Decision) -> None:
    ruling = read_ruling(decision.payload)
    if ruling is not None:
        if ruling.action == "rollback":
            run.host.drop(ruling.script)
        apply(run.state.scripts, ruling)
    run.state.scripts.decided = decision.entry


def _replay(run: ShardRun, upto: EntryId, settings: WorkerSettings, bench: Bench) -> dict[str, str]:
    broken: dict[str, str] = {}
    for batch in run.log.replay(run.state.upto, upto):
        account, said = begin(run.program, run.state, batch, 0, run.host).recall()
        run.said += said
        for fault in account.faults:
            broken[fault.script.name] = fault.reason
            fault.script.status, fault.script.reason = QUARANTINED, f"in replay: {fault.reason}"
        if batch.control is not None:
            obey(run, batch.control, settings, bench)
    return broken


def obey(run: ShardRun, control: Control, settings: WorkerSettings, bench: Bench) -> None:
    """Let a deployment take effect: new plans first see all history that the log retains."""
    if control.kind == SCRIPT:
        deploy(run, control, settings, bench)
        return
    if control.kind != PLANS:
        logger.warning("deployment of an unknown kind", shard=run.shard, kind=control.kind)
        return
    program = Program.parse(control.payload)
    known = {plan.digest for plan in run.program.plans}
    fresh = [plan.name for plan in program.plans if plan.digest not in known]
    warm = _warm_up(run, program.only(fresh), control.entry, settings) if fresh else None
    run.state.adopt(program, run.program, warm)
    run.program = program
    logger.info("plans deployed", shard=run.shard, digest=program.digest, warmed_up=fresh)


def shed(run: ShardRun, decision: Decision) -> None:
    """Let a shedding decision of the shard take effect, and remember which it was."""
    told = orjson.loads(decision.payload)
    run.state.shedding.enter(Tier(told["tier"]), told["low"])
    run.state.shedding.decided = decision.entry


def _warm_up(
    run: ShardRun, program: Program, before: EntryId, settings: WorkerSettings
) -> ShardState:
    """State of `program` over the retained log `before` an entry, on the same slots."""
    symbols = SymbolTable.load(run.state.symbols.save(), settings.symbols_max)
    state = ShardState.new(program, symbols, settings.dedupe_window)
    run.log.open(symbols)
    for batch in run.log.replay(ZERO, before):
        begin(program, state, batch, now_ns=0).recall()
    run.log.open(run.state.symbols)
    return state
