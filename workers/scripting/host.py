"""The processes of one shard's imperative scripts. Not for several threads at once.

A script has a process of its own on each shard. One for all shards of a worker would make what
happens on one shard depend on which others are there: memory is bounded by process, and one kill
would lose the state of all.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from threading import Lock
from time import monotonic
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sandbox.crew import Crew, Job
from sandbox.errors import SandboxError
from sandbox.limits import MIB, Limits
from sandbox.pool import JailPool
from sandbox.results import Results
from sandbox.runner import Runner
from sandbox.script import Bars
from workers.errors import FleetError
from workers.scripting.state import SPEAKS, Scripts, ScriptState

# What is long past its deadline must not fail in the replay: it did not when it was live.
PATIENCE: Final = 20
NO_ZYGOTE: Final = "the process that starts scripts is gone"
REPLAY_OUTPUT_BYTES: Final = 16 * MIB


class Round:
    """One batch for each of several scripts of a host, under way."""

    def __init__(self, host: "ScriptHost", jobs: Mapping[str, Job]) -> None:
        self._host, self._jobs = host, jobs

    @property
    def done(self) -> bool:
        """Whether `results` need not be waited for."""
        return all(job.done for job in self._jobs.values())

    def results(self) -> dict[str, Results]:
        """What each script made of its batch, waited for; raises FleetError without a zygote."""
        if not self._jobs:
            return {}
        results = {name: self._host.crew.finish(job) for name, job in self._jobs.items()}
        self._host.arrived(results)
        if any(result.outcome == "lost" for result in results.values()):
            raise FleetError(NO_ZYGOTE)
        return results


class ScriptHost:
    """Runs the scripts of a shard, each in a process of its own that starts when it is needed.

    `replaying` gives them more time and room than live: what happened once must happen again,
    however the log is cut into batches. Hosts of one thread share a `crew`.
    """

    def __init__(
        self,
        pool: JailPool | None = None,
        crew: Crew | None = None,
        *,
        replaying: bool = False,
        patience: int = PATIENCE,
    ) -> None:
        self._pool, self.crew, self.replaying = pool, crew or Crew(), replaying
        self._patience = patience
        self._runners: dict[str, Runner] = {}
        self._coming: dict[str, Future[Runner]] = {}
        self._used: dict[str, float] = {}  # when it last had a batch
        self.lost: set[str] = set()  # cut scripts whose state must be found again by replay
        self.found: SimpleQueue[tuple[str, dict[int, bytes] | str]] = SimpleQueue()  # or why not
        self.finding = Lock()  # one search at a time: they share the shard's line to the server
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
        if self.replaying:
            given = replace(given, limits=_patient(given.limits, self._patience))
        runner = self._pool.load(given, stays=not self.replaying)
        try:
            runner.open({slot: (names[slot], blob) for slot, blob in script.capsules.items()})
        except BaseException:
            runner.close()
            raise
        return runner

    def prepare(self, script: ScriptState, names: Sequence[str]) -> None:
        """Start it now, if it needs a process. Raises as `load`."""
        if _runs(script) and script.name not in self._runners:
            self._runners[script.name] = self.load(script, names)

    def start(self, scripts: Scripts, names: Sequence[str]) -> None:
        """Start all that can be, now; why another cannot is for its first bar to say.

        Raises: FleetError where this worker runs no scripts.
        """
        for script in scripts.of.values():
            with suppress(SandboxError):
                self.prepare(script, names)

    def expect(self, scripts: Scripts, slots: NDArray[np.int64], names: Sequence[str]) -> None:
        """Start what had no bar here yet and may get one of these instruments, meanwhile."""
        for script in scripts.of.values():
            known = script.name in self._used or script.name in self._coming
            if known or not _runs(script) or script.name in self._runners:
                continue
            if self.has_room() and script.covers(names)[slots].any():
                self._come(script, names)

    def begin(self, work: Mapping[str, tuple[ScriptState, Bars]], names: Sequence[str]) -> Round:
        """One batch for each script, side by side; nothing that a script does is raised."""
        jobs: dict[str, Job] = {}
        if not work:
            return Round(self, jobs)
        self._settle()
        for name, (script, bars) in work.items():
            runner = self._runners.get(name) or self._coming.get(name) or self._come(script, names)
            jobs[name] = self.crew.add(runner, bars)
            self._used[name] = monotonic()
        began = monotonic()
        self._ran = (self._ran[0] if self._ran else began, began)
        self.crew.work()
        return Round(self, jobs)

    def _come(self, script: ScriptState, names: Sequence[str]) -> Future[Runner]:
        if self._pool is None:
            raise FleetError(f"this worker runs no scripts, and the shard has {script.name}")
        coming = self._pool.starters.submit(self.load, script, names)
        self._coming[script.name] = coming
        return coming

    def arrived(self, names: Iterable[str]) -> None:
        """Nobody waits for these any more: they are here, or could not be had."""
        if self._ran is not None:
            self._ran = (self._ran[0], monotonic())
        self._settle()
        for name in names:
            self._coming.pop(name, None)

    def _settle(self) -> None:
        """Take in what has been started. What could not be, the next bar is told of."""
        for name, coming in list(self._coming.items()):
            if coming.done() and coming.exception() is None:
                self._runners[name] = self._coming.pop(name).result()

    def take_ran(self) -> tuple[float, float] | None:
        """When scripts began to run since this was last asked, and when they had ended."""
        ran, self._ran = self._ran, None
        return ran

    def has_room(self) -> bool:
        """Whether one more script may start on this worker."""
        return self._pool is None or self.replaying or self._pool.has_room()

    def holds(self, name: str) -> bool:
        """Whether there is a process, whose state is newer than what was collected."""
        self._settle()
        return name in self._runners

    def idle(self, idle_s: float) -> list[str]:
        """Scripts whose process had no bar for so long."""
        self._settle()
        before = monotonic() - idle_s
        return [name for name in self._runners if self._used.get(name, before) < before]

    def collect(
        self, scripts: Scripts, names: Iterable[str] | None = None
    ) -> dict[str, SandboxError]:
        """Put state into `scripts`; returns which scripts could not be saved, and why.

        Raises FleetError without a zygote.
        """
        failed = {}
        self._settle()
        for name in list(self._runners) if names is None else names:
            try:
                scripts.of[name].capsules = self._runners[name].save()
            except SandboxError as error:
                if not self._runners[name].nursery.alive:
                    raise FleetError(NO_ZYGOTE) from error
                failed[name] = error
        return failed

    def drop(self, name: str) -> None:
        """End a script's process; the next tick that it may need starts another."""
        self._used.pop(name, None)
        coming = self._coming.pop(name, None)
        if coming is not None and not coming.cancel():
            coming.add_done_callback(_close)
        runner = self._runners.pop(name, None)
        if runner is not None:
            runner.close()

    def rest(self, name: str) -> None:
        """End a script's process, whose state was collected, until its next bar."""
        self._runners.pop(name).close()

    def take_found(self) -> list[tuple[str, dict[int, bytes] | str]]:
        """What searches have come back with since the last time."""
        taken = []
        while True:
            try:
                taken.append(self.found.get_nowait())
            except Empty:
                return taken

    def close(self) -> None:
        """End all of them."""
        for name in [*self._runners, *self._coming]:
            self.drop(name)


def _runs(script: ScriptState) -> bool:
    return script.program is None and script.status == SPEAKS


def _close(coming: Future[Runner]) -> None:
    """End a process that came too late; one that could not be started needs no end."""
    if not coming.cancelled() and coming.exception() is None:
        coming.result().close()


def _patient(limits: Limits, times: int) -> Limits:
    return replace(
        limits,
        batch_ms_max=times * limits.batch_ms_max,
        load_ms_max=times * limits.load_ms_max,
        output_bytes_max=max(limits.output_bytes_max, REPLAY_OUTPUT_BYTES),
    )
