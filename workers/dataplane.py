"""The processing loop: all of the I/O of the hot path, none of the decisions.

One thread reads every shard of this worker, lets `advance` decide, and sends each commit
together with the next read. Shards come and go through a queue; a shard is only ever touched
by the thread that holds it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event
from time import monotonic, time_ns

import structlog

from streams import deadletter
from streams.errors import StreamError, Unavailable
from streams.records import Batch, Commit, Exchange
from streams.wire import Wire
from workers.accounts import Accounts, total
from workers.backoff import Backoff
from workers.clock import due_clock
from workers.memory import free_bytes
from workers.pressure import ReadSize, entries_max, rows_max
from workers.processor import Output, begin
from workers.run import ShardRun
from workers.scripting.keeper import ScriptKeeper
from workers.settings import Settings
from workers.shedder import Shedder
from workers.snapshots import Snapshots
from workers.takeover import obey

BLOCK_MS = 50  # how long a read waits for ticks, and so how late a command is heard
EXPECT_MS = 5  # the same while a shard is on its way here: nobody processes it meanwhile
IDLE_S = 0.05
SCRIPTS_MS = 2  # how long a turn waits for scripts at work, while other shards wait for ticks
READ_SIZE = ReadSize(rows_max=20_000)  # of frames; plain entries are bounded by their number
WEIGH_S = 0.25  # how often a shard's lag is held against the objective
LOOK_S = 5.0  # how often the free memory is looked at
RESERVE_MS = 500  # how long a released shard waits for its successor alone
SILENCE_S_MAX = 1.0  # the most that one turn of the loop counts as silence of a feed
NS_PER_MS = 1_000_000
MS_PER_S = 1_000

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Take:
    """Begin to process a shard."""

    run: ShardRun


@dataclass(frozen=True, slots=True)
class Give:
    """Save the shard, and release it behind the batch at hand, to `successor` (if any)."""

    shard: str
    successor: str = ""


class DataPlane:
    """Processes the shards that it is given, until it is told to stop.

    `on_gone(shard, rest)` is called when a shard was given up or lost; `rest` says that it
    failed in our hands, and that trying again at once would fail again.
    """

    def __init__(
        self,
        settings: Settings,
        wire: Wire,
        accounts: Accounts,
        background: Executor,
        keeper: ScriptKeeper,
        shedder: Shedder,
        on_gone: Callable[[str, bool], None],
    ) -> None:
        self._shedder = shedder
        self.commands: SimpleQueue[Take | Give] = SimpleQueue()
        self._runs: dict[str, ShardRun] = {}
        self._switching: dict[str, ShardRun] = {}  # those that obey a deployment meanwhile
        self.expects = False  # whether a shard is about to be taken; its owner says so
        self._settings = settings
        self._wire = wire
        self.accounts = accounts
        self._background = background
        self._keeper = keeper
        self._snapshots = Snapshots(settings, accounts, background, keeper)
        self._on_gone = on_gone
        self._backoff = Backoff()
        self._away: frozenset[str] = frozenset()
        self._memory_bytes, self._looked_at = free_bytes(), monotonic()
        self.caught_up = True  # whether the last read came back with less than was asked for

    def run(self, stop: Event) -> None:
        """Process until `stop` is set; what is still held then is left to its lease."""
        while not stop.is_set():
            self._obey_commands()
            if self._runs:
                self._turn()
        self._wire.close()

    def _obey_commands(self) -> None:
        try:
            command = self.commands.get(block=not self._runs, timeout=IDLE_S)
            while True:
                self._obey(command)
                command = self.commands.get_nowait()
        except Empty:
            return

    def _obey(self, command: Take | Give) -> None:
        if isinstance(command, Take):
            run = command.run
            self._switching.pop(run.shard, None)
            self._runs[run.shard] = run
            self.accounts.open(run)
            self._wire.open(run.shard, run.state.symbols)
            return
        found = self._runs.get(command.shard) or self._switching.get(command.shard)
        if found is not None:
            found.successor = command.successor

    def _turn(self) -> None:
        """Send what is decided, read what is new, decide on it."""
        runs = list(self._runs.values())
        commits = [run.pending for run in runs if run.pending is not None]
        cursors = {run.shard: run.state.upto for run in runs if run.reads}
        started, count = monotonic(), self._entries_max()
        if commits:
            self.accounts.sending(started)
        try:
            exchange = self._wire.exchange(
                commits,
                cursors,
                count=count,
                block_ms=self._block_ms(len(cursors) == len(runs)),
            )
        except Unavailable as error:
            self._wait_for_server(error)
            return
        self._backoff.reset()
        self.caught_up = not exchange.away and all(
            sum(batch.entries for batch in batches) < count for batches in exchange.batches.values()
        )
        self._settle(exchange, commits)
        elapsed = monotonic() - started
        self.accounts.read(exchange, elapsed)
        self._note_away(exchange.away)
        for run in runs:
            if run.shard in exchange.away:
                run.silence_s = 0.0
                run.pending = run.pending or run.probe()
            elif run.shard in self._runs:
                batches = exchange.batches.get(run.shard, ())
                if not batches and run.reads:
                    self.accounts.idle(run.shard)
                self._guarded(run, batches, min(elapsed, SILENCE_S_MAX))
        self._await_scripts()

    def _await_scripts(self) -> None:
        """Give scripts that are at work a moment: no other shard waits for them longer."""
        end = monotonic() + SCRIPTS_MS / MS_PER_S
        while runs := [run for run in self._runs.values() if run.work is not None]:
            left_s = end - monotonic()
            if left_s <= 0:
                return
            self._keeper.bench.crew.work(left_s * MS_PER_S)
            for run in runs:
                self._guarded(run, (), 0.0)

    def _block_ms(self, idle: bool) -> int:
        """How long to wait for ticks: hardly, when a shard is about to come or to go."""
        if not idle:
            return 0
        parts = any(run.successor is not None for run in self._runs.values())
        return EXPECT_MS if self.expects or parts else BLOCK_MS

    def _entries_max(self) -> int:
        """How many entries to ask of each shard: what a turn can do, and memory can hold."""
        if monotonic() - self._looked_at > LOOK_S:
            self._memory_bytes, self._looked_at = free_bytes(), monotonic()
        meters = self.accounts.meters.values()
        slowest = min((per_s for meter in meters if (per_s := meter.pace.per_s)), default=None)
        fullest = max((meter.rows_per_entry for meter in meters), default=1.0)
        rows = rows_max(slowest, self._memory_bytes // max(1, len(self._runs)), READ_SIZE)
        return min(entries_max(rows, fullest), self._settings.worker.read_entries_max)

    def _wait_for_server(self, error: Unavailable) -> None:
        pause_s = self._backoff.next_s()
        logger.warning("server away", reason=str(error), retry_s=round(pause_s, 3))
        self.accounts.metrics.reconnects.inc()
        for run in self._runs.values():
            run.silence_s = 0.0
            run.pending = run.pending or run.probe()  # it may come back older than it was
        Event().wait(pause_s)

    def _note_away(self, away: Mapping[str, StreamError]) -> None:
        """Say which shards a part of the cluster keeps from being worked on, when that changes."""
        if away.keys() != self._away:
            self._away = frozenset(away)
            reason = str(next(iter(away.values()), ""))
            logger.warning("shards away", shards=sorted(away), reason=reason)

    def _settle(self, exchange: Exchange, commits: Sequence[Commit]) -> None:
        """Take note of which commits took effect, and of the shards that cannot be read."""
        done = []
        for commit in commits:
            if commit.shard not in exchange.away and commit.shard not in exchange.lost:
                self._runs[commit.shard].pending = None
                done.append(commit)  # the others stay pending, and are sent again
        for shard, error in exchange.lost.items():
            self._lose(self._runs[shard], error)
        self.accounts.committed(done, exchange.settled_at)

    def _guarded(self, run: ShardRun, batches: Sequence[Batch], elapsed_s: float) -> None:
        """One shard's turn: whatever goes wrong in it never stops the others."""
        try:
            self._tend(run, batches, elapsed_s)
        except Unavailable as error:
            self._wait_for_server(error)
        except StreamError as error:
            self._lose(run, error)
        except Exception as error:
            logger.exception("shard failed", shard=run.shard)
            self._lose(run, error)

    def _tend(self, run: ShardRun, batches: Sequence[Batch], elapsed_s: float) -> None:
        if run.work is not None:
            _go_on(run)
            return
        if run.pending is None:
            if run.successor is not None and (run.control or self._snapshots.parted(run)):
                self._leave(run)
                return
            if run.control is not None:
                if len(run.host.lost) <= run.host.found.qsize():  # a search uses the run's line
                    self._switch(run)
                return
            self._keeper.tend(run)
            self._weigh(run)
            self._snapshots.save_if_due(run)
        if batches:
            run.silence_s = 0.0
            run.work = self._process(run, _up_to_control(batches))
            _go_on(run)
        elif run.reads:
            run.silence_s += elapsed_s
            self._tick_clock(run)

    def _weigh(self, run: ShardRun) -> None:
        now, meter = monotonic(), self.accounts.meters[run.shard]
        if now >= run.weigh_at:
            run.weigh_at = now + WEIGH_S
            self._shedder.weigh(run, meter.event_lag_s(self.accounts.clock.now_ms()))
            meter.tier = int(run.state.shedding.tier)

    def _process(self, run: ShardRun, batches: Sequence[Batch]) -> Iterator[object]:
        """Make a commit of what was read; yields whenever a script is not done yet."""
        reading, waited_s = self.accounts.reading, 0.0
        started = monotonic()
        state, prev = run.state, run.state.upto
        entries, seq, seq_values = state.entries, state.signal_seq, state.value_seq
        now_ns = time_ns()
        outputs: list[Output] = []
        for batch in batches:
            after = state.upto
            begun = begin(run.program, state, batch, now_ns, run.host)
            while not begun.done:
                left_at = monotonic()
                yield begun
                waited_s += monotonic() - left_at
            outputs.append(begun.finish())
            self._keeper.judge(run, outputs[-1], after)
        run.pending = Commit(
            shard=run.shard,
            fence=run.lease.fence,
            prev=prev,
            new=state.upto,
            entries=state.entries - entries,
            signals=[entry for output in outputs for entry in output.signals],
            values=[entry for output in outputs for entry in output.values],
            deadletters=[
                deadletter.encode(reject) for batch in batches for reject in batch.rejects
            ],
            counts=total([output.counts for output in outputs]),
            seq=seq,
            seq_values=seq_values,
            keeps=self._snapshots.keeps(run, self.accounts.clock.now_ms()),
        )
        run.control = batches[-1].control
        self.accounts.processed(
            run.shard,
            batches,
            outputs,
            reading,
            monotonic() - started,
            waited_s,
            run.host.take_ran(),
        )

    def _tick_clock(self, run: ShardRun) -> None:
        """Close by a clock entry what no tick closes."""
        clock_ns = due_clock(
            next_due_ns=run.state.next_due_ns(),
            newest_ns=run.state.newest_ts,
            silence_s=run.silence_s,
            wall_ns=self.accounts.clock.now_ms() * NS_PER_MS,
            grace_ms=self._settings.worker.grace_ms,
        )
        if clock_ns is not None and clock_ns > run.clock_ns:
            run.log.add_clock(run.lease.fence, clock_ns)
            run.clock_ns = clock_ns
            self.accounts.metrics.clocks.inc()

    def _switch(self, run: ShardRun) -> None:
        """Let the deployment that ended the last batch take effect, without holding others up."""
        self._switching[run.shard] = self._runs.pop(run.shard)
        self._background.submit(self._switched, run)

    def _switched(self, run: ShardRun) -> None:
        try:
            assert run.control is not None
            obey(run, run.control, self._settings.worker, self._keeper.bench)
            run.host.start(run.state.scripts, run.state.symbols.names)
            self._snapshots.save(run)
        except Exception as error:
            logger.exception("deployment failed", shard=run.shard)
            self._switching.pop(run.shard)
            self._keeper.forget(run)
            self.accounts.close(run.shard)
            self._on_gone(run.shard, not isinstance(error, StreamError))
        else:
            run.control = None
            self.commands.put(Take(run))

    def _leave(self, run: ShardRun) -> None:
        """Release at a batch boundary; a deployment that was read is left to the next owner."""
        stopped = monotonic()
        run.log.release(run.lease.fence, successor=run.successor or "", reserve_ms=RESERVE_MS)
        self._forget(run)
        self.accounts.released(run.shard)
        held_ms = round((monotonic() - stopped) * MS_PER_S, 1)
        logger.info("shard released", shard=run.shard, successor=run.successor, held_ms=held_ms)
        self._on_gone(run.shard, False)

    def _lose(self, run: ShardRun, error: Exception) -> None:
        """Drop a shard whose lease or state is no longer ours."""
        self._forget(run)
        self.accounts.lost(run.shard, error)
        logger.warning("shard lost", shard=run.shard, reason=str(error))
        self._on_gone(run.shard, not isinstance(error, StreamError))

    def _forget(self, run: ShardRun) -> None:
        del self._runs[run.shard]
        self.accounts.close(run.shard)
        self._wire.shut(run.shard)
        self._keeper.forget(run)


def _go_on(run: ShardRun) -> None:
    """Process what was read, as far as that goes without waiting for a script."""
    assert run.work is not None
    if next(run.work, None) is None:
        run.work = None


def _up_to_control(batches: Sequence[Batch]) -> Sequence[Batch]:
    """The batches up to the first deployment: what follows it is read again, under it."""
    ends = (number for number, batch in enumerate(batches, start=1) if batch.control is not None)
    return batches[: next(ends, len(batches))]
