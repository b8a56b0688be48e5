"""Batches of many scripts, under way at the same time; nobody has to wait for any of them."""

import os
import select
import time
from collections import deque
from concurrent.futures import CancelledError, Future
from typing import Final

from sandbox.errors import NoRoom, SandboxError, SandboxUnavailable
from sandbox.jail import MS_NS, Jail
from sandbox.results import Results
from sandbox.runner import Runner
from sandbox.script import BATCH_BARS, Bars

PLACE_MS: Final = 10  # who takes longer no longer keeps others from starting
START_MS: Final = 1  # between two looks at a process that is being started
REST_MS: Final = 1_000  # of one who waits for a batch, between two looks at all of them


class Job:
    """One script's batch, in parts, of which the first that fails is the last.

    So what a script may need for a few bars is the same in a backlog.
    """

    def __init__(self, runner: "Runner | Future[Runner]", bars: Bars) -> None:
        self.runner = runner if isinstance(runner, Runner) else None
        self.coming = None if isinstance(runner, Runner) else runner
        self.results: Results | None = None
        self.error: Exception | None = None
        starts = range(0, max(len(bars), 1), BATCH_BARS)
        self._parts = deque(bars.cut(start, start + BATCH_BARS) for start in starts)

    @property
    def done(self) -> bool:
        """Whether `results` are all there will be."""
        return not self._parts

    @property
    def jail(self) -> Jail:
        """The process at work."""
        assert self.runner is not None
        return self.runner.jail

    @property
    def let_go(self) -> bool:
        """Whether nobody wants the results any more."""
        return self.runner is not None and self.runner.closed

    def arrived(self) -> bool:
        """Whether the process is there, or cannot be had: then that is the result."""
        if self.coming is not None and self.coming.done():
            try:
                self.runner = self.coming.result()
            except SandboxError as error:
                self.settle(Results(outcome=_outcome(error), message=str(error)))
            except (Exception, CancelledError) as error:  # noqa: BLE001  # as below
                self.fail(error)
            self.coming = None
        return self.coming is None

    def begin(self) -> None:
        """Hand the next part over."""
        assert self.runner is not None
        try:
            refused = self.runner.begin(self._parts[0])
        except Exception as error:  # noqa: BLE001  # for whoever asked for this job, not for all
            self.fail(error)
        else:
            if refused is not None:
                self.settle(refused)

    def finish(self) -> None:
        """Take the results of that part."""
        assert self.runner is not None
        try:
            self.settle(self.runner.finish(len(self._parts[0])))
        except Exception as error:  # noqa: BLE001  # as above
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """End it with an error that is no result."""
        self.error = error
        self._parts.clear()

    def settle(self, results: Results) -> None:
        """Add what a part came to."""
        self.results = results if self.results is None else self.results.joined(results)
        self._parts.popleft()
        if results.outcome != "done":
            self._parts.clear()


def _outcome(error: Exception) -> str:
    match error:
        case NoRoom():
            return "full"
        case SandboxUnavailable():
            return "lost"
    return "crashed"


class Crew:
    """Who works for one thread: as many at once as there are CPUs, beside those that are slow."""

    def __init__(self, at_once: int | None = None) -> None:
        self.at_once = at_once or os.cpu_count() or 1
        self._waiting: deque[Job] = deque()
        self._working: list[Job] = []

    def add(self, runner: "Runner | Future[Runner]", bars: Bars) -> Job:
        """A batch for a script, begun as soon as there is a place."""
        job = Job(runner, bars)
        self._waiting.append(job)
        return job

    def work(self, wait_ms: float = 0.0) -> None:
        """Start and gather what can be; waits at most so long for something to happen."""
        self._start()
        for job in self._answered(wait_ms):
            self._working.remove(job)
            job.finish()
            if not job.done:
                self._waiting.appendleft(job)
        self._start()

    def finish(self, job: Job) -> Results:
        """The results of a job, waited for; raises what nobody foresaw."""
        while not job.done:
            self.work(REST_MS)
        if job.error is not None:
            raise job.error
        assert job.results is not None
        return job.results

    def _start(self) -> None:
        """Begin what has a place; what was let go of meanwhile is forgotten."""
        self._working = [job for job in self._working if not job.let_go]
        now_ns = time.monotonic_ns()
        places = self.at_once - sum(
            now_ns - job.jail.started_ns < PLACE_MS * MS_NS for job in self._working
        )
        waiting, self._waiting = self._waiting, deque()
        for job in waiting:
            if places <= 0 or not job.arrived():
                self._waiting.append(job)
            elif not job.done and not job.let_go:
                job.begin()
                if not job.done:
                    self._working.append(job)
                    places -= 1

    def _answered(self, wait_ms: float) -> list[Job]:
        """Jobs whose process has answered, died or had its time."""
        jobs = {job.jail.control.fileno(): job for job in self._working}
        if not jobs and not self._waiting:
            return []
        poller = select.poll()
        for descriptor in jobs:
            poller.register(descriptor, select.POLLIN)
        now_ns = time.monotonic_ns()
        left_ms = min([wait_ms, *((job.jail.due_ns - now_ns) / MS_NS for job in jobs.values())])
        if self._waiting:
            coming = any(job.coming is not None for job in self._waiting)
            left_ms = min(left_ms, START_MS if coming else PLACE_MS)
        ready = {descriptor for descriptor, _ in poller.poll(max(left_ms, 0.0))}
        return [job for at, job in jobs.items() if at in ready or job.jail.overdue()]
