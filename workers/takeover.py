"""From a lease to a running shard: snapshot, replay, and the program that the log asks for."""

from dataclasses import dataclass, field
from time import monotonic

import structlog

from streams.log import SCRIPT, ShardLog
from streams.records import ZERO, Commit, Control, EntryId, Lease, Snapshot
from streams.symbols import SymbolTable
from workers.processor import advance
from workers.program import Program
from workers.scripting.bench import Bench
from workers.scripting.host import ScriptHost
from workers.scripting.lifecycle import deploy, replay_decided
from workers.settings import WorkerSettings
from workers.state import CAPSULE_VERSION, ShardState, SnapshotError

PLANS = "plans"  # the kind of deployment that replaces a shard's plans

logger = structlog.get_logger()


class Diverged(Exception):
    """Replay did not reach the numbers that were published: the shard must not speak."""


@dataclass(slots=True)
class ShardRun:
    """A shard in the hands of its owner."""

    log: ShardLog
    lease: Lease
    program: Program
    state: ShardState
    pending: Commit | None = None
    snapshot_at: float = field(default_factory=monotonic)
    snapshot_entries: int = 0
    silence_s: float = 0.0
    clock_ns: int = 0
    control: Control | None = None  # a deployment to obey before the next read
    successor: str | None = None  # set when the shard is to be given up
    uploading: bool = False
    host: ScriptHost = field(default_factory=ScriptHost)

    @property
    def shard(self) -> str:
        """Name of the shard."""
        return self.lease.shard

    @property
    def reads(self) -> bool:
        """Whether it may take more of its log now."""
        return self.control is None and self.successor is None

    def capsule(self) -> Snapshot:
        """The state as of the last committed entry, for the next owner."""
        state = self.state
        payload = state.save(self.program)
        return Snapshot(state.upto, state.entries, self.program.digest, CAPSULE_VERSION, payload)


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
    log.forget_script_decisions(lease.cursor)
    try:
        broken = replay_decided(run, lease.cursor, settings, bench)
        run.host.collect(run.state.scripts)
    finally:
        run.host.close()
    state = run.state
    reached = (state.upto, state.entries, state.signal_seq, state.value_seq)
    published = (lease.cursor, lease.entries, lease.seq, lease.seq_values)
    if snapshot is not None and reached != published and not broken:
        raise Diverged(f"shard {lease.shard}: replay reached {reached}, published was {published}")
    state.upto, state.entries, state.signal_seq, state.value_seq = published
    run.host = bench.live()
    run.host.prepare(state.scripts, state.symbols.names)
    if snapshot is None or broken:
        log.save_snapshot(lease.fence, run.capsule())
    if run.program.digest != configured.digest:
        log.add_deploy(lease.fence, PLANS, configured.payload)
    run.snapshot_entries = state.entries
    return run


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


def _warm_up(
    run: ShardRun, program: Program, before: EntryId, settings: WorkerSettings
) -> ShardState:
    """State of `program` over the retained log `before` an entry, on the same slots."""
    symbols = SymbolTable.load(run.state.symbols.save(), settings.symbols_max)
    state = ShardState.new(program, symbols, settings.dedupe_window)
    run.log.open(symbols)
    for batch in run.log.replay(ZERO, before):
        advance(program, state, batch, now_ns=0)
    run.log.open(run.state.symbols)
    return state
