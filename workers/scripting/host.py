"""The processes of one shard's imperative scripts. Not for several threads at once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from queue import Empty, SimpleQueue
from threading import Lock
from time import monotonic
from typing import Final

from sandbox.errors import SandboxError
from sandbox.limits import MIB, Limits
from sandbox.pool import JailPool
from sandbox.results import Results
from sandbox.runner import Runner
from sandbox.script import BATCH_BARS, Bars
from workers.errors import FleetError
from workers.scripting.state import CUT, QUARANTINED, Scripts, ScriptState

# What is long past its deadline must not fail in the replay: it did not when it was live.
type Found = tuple[dict[int, bytes], Runner]

PATIENCE: Final = 20
REPLAY_OUTPUT_BYTES: Final = 16 * MIB


class ScriptHost:
    """Runs the scripts of a shard, each in a process of its own.

    `replaying` gives them more time and room than live: what happened once must happen again,
    however the log is cut into batches.
    """

    def __init__(self, pool: JailPool | None = None, *, replaying: bool = False) -> None:
        self._pool, self._replaying = pool, replaying
        self._runners: dict[str, Runner] = {}
        self.lost: set[str] = set()  # cut scripts whose state must be found again by replay
        self.found: SimpleQueue[tuple[str, Found | str]] = SimpleQueue()  # or why it was not
        self.finding = Lock()  # one search at a time: they share the shard's line to the server
        self.closed = False
        self.asked: dict[str, int] = {}  # revisions that were put into the log
        self.report_at = 0.0
        self._ran: tuple[float, float] | None = None

    def load(self, script: ScriptState, names: Sequence[str]) -> Runner:
        """A process with the script, its instruments as last collected.

        Raises: SandboxError, FleetError where this worker runs no scripts.
        """
        if self._pool is None:
            raise FleetError(f"this worker runs no scripts, and the shard has {script.name}")
        given = script.deployment.script
        if self._replaying:
            given = replace(given, limits=_patient(given.limits))
        runner = self._pool.load(given)
        try:
            runner.open({slot: (names[slot], blob) for slot, blob in script.capsules.items()})
        except BaseException:
            runner.close()
            raise
        return runner

    def prepare(self, scripts: Scripts, names: Sequence[str]) -> None:
        """Start what is not running yet, so that no bar waits for it. Raises as `load`."""
        for script in scripts.of.values():
            idle = script.program is not None or script.status in (CUT, QUARANTINED)
            if not idle and script.name not in self._runners:
                self._runners[script.name] = self.load(script, names)

    def adopt(self, name: str, runner: Runner) -> None:
        """Go on with a process that someone else has loaded."""
        self.drop(name)
        self._runners[name] = runner

    def run(
        self, work: Mapping[str, tuple[ScriptState, Bars]], names: Sequence[str]
    ) -> dict[str, Results]:
        """One batch for each script, side by side; never raises for what a script does."""
        results: dict[str, Results] = {}
        bars: dict[Runner, Bars] = {}
        for name, (script, rows) in work.items():
            try:
                runner = self._runners.get(name)
                if runner is None:
                    runner = self._runners[name] = self.load(script, names)
                bars[runner] = rows
            except SandboxError as error:
                results[name] = Results(outcome="crashed", message=str(error))
        if bars:
            began = monotonic()
            done = self._in_parts(bars)
            self._ran = (self._ran[0] if self._ran else began, monotonic())
            results |= {runner.script.name: result for runner, result in done.items()}
        if any(result.outcome == "lost" for result in results.values()):
            raise FleetError("the process that starts scripts is gone")
        return results

    def _in_parts(self, bars: Mapping[Runner, Bars]) -> dict[Runner, Results]:
        """A few bars at a time: what a script may need for them is the same in a backlog."""
        assert self._pool is not None
        done: dict[Runner, Results] = {}
        for start in range(0, max(map(len, bars.values())), BATCH_BARS):
            parts = {
                runner: rows.cut(start, start + BATCH_BARS)
                for runner, rows in bars.items()
                if start < len(rows) and (not start or done[runner].outcome == "done")
            }
            for runner, result in self._pool.run_all(parts).items():
                done[runner] = done[runner].joined(result) if start else result
        return done

    def take_ran(self) -> tuple[float, float] | None:
        """When scripts began to run since this was last asked, and when they had ended."""
        ran, self._ran = self._ran, None
        return ran

    def collect(self, scripts: Scripts) -> dict[str, str]:
        """Put all state into `scripts`; returns which scripts could not be saved, and why."""
        failed = {}
        for name, runner in self._runners.items():
            try:
                scripts.of[name].capsules = runner.save()
            except SandboxError as error:
                failed[name] = str(error)
        return failed

    def drop(self, name: str) -> None:
        """End a script's process."""
        runner = self._runners.pop(name, None)
        if runner is not None:
            runner.close()

    def take_found(self) -> list[tuple[str, Found | str]]:
        """What searches have come back with since the last time."""
        taken = []
        while True:
            try:
                taken.append(self.found.get_nowait())
            except Empty:
                return taken

    def close(self) -> None:
        """End all of them."""
        self.closed = True
        for _, found in self.take_found():
            if not isinstance(found, str):
                found[1].close()
        for name in list(self._runners):
            self.drop(name)


def _patient(limits: Limits) -> Limits:
    return replace(
        limits,
        batch_ms_max=PATIENCE * limits.batch_ms_max,
        load_ms_max=PATIENCE * limits.load_ms_max,
        output_bytes_max=max(limits.output_bytes_max, REPLAY_OUTPUT_BYTES),
    )
