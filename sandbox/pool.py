"""Many scripts of one worker: one zygote for all of them, as many at work as there are CPUs."""

import os
import select
import threading
from collections import deque
from collections.abc import Mapping, Sequence

from sandbox.errors import JailFailed
from sandbox.lockdown import check_machine, undumpable
from sandbox.nursery import Nursery
from sandbox.report import Finding, Report
from sandbox.results import Results
from sandbox.rules import RULES
from sandbox.runner import Refused, Runner
from sandbox.script import Bars, Script
from sandbox.vetting import vet
from sandbox.wire import ROWS_MAX


class JailPool:
    """Loads scripts and runs them side by side. Close it, or let the worker die.

    Make it before the worker holds secrets: it starts the zygote, and closes this process's
    memory to others of the same user. Raises SandboxUnavailable where scripts cannot be held.
    """

    def __init__(self, *, landlock_required: bool = True, at_once: int | None = None) -> None:
        check_machine(landlock_required=landlock_required)
        undumpable()
        self.landlock_required = landlock_required
        self.at_once = at_once or os.cpu_count() or 1
        self.nursery = Nursery(landlock_required=landlock_required)
        self.runners: set[Runner] = set()
        self.lock = threading.Lock()

    def __enter__(self) -> "JailPool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every script and the zygote."""
        for runner in self.runners:
            runner.close()
        self.runners.clear()
        self.nursery.close()

    def load(self, script: Script) -> Runner:
        """The script in a jail of its own, ready to run.

        Raises Refused with a report where vetting or the first run says no, JailFailed where
        the process had to be ended.
        """
        runner = Runner(self._nursery(), script)
        with self.lock:
            self.runners = {each for each in self.runners if not each.closed} | {runner}
        return runner

    def _nursery(self) -> Nursery:
        """The zygote, a new one where the last has died."""
        with self.lock:
            if not self.nursery.alive:
                self.nursery.close()
                self.nursery = Nursery(landlock_required=self.landlock_required)
            return self.nursery

    def vet(self, script: Script) -> Report:
        """Findings of vetting and of a first run, all of it inside a jail."""
        try:
            runner = self.load(script)
        except Refused as refused:
            return refused.report
        except JailFailed as failed:
            return _cut_short(script, failed)
        runner.close()
        return runner.report

    def run_all(self, work: Mapping[Runner, Bars]) -> dict[Runner, Results]:
        """One batch for each script, side by side; a slow one costs the others no result.

        Batches of more than ROWS_MAX rows run on their own, afterwards.
        """
        results: dict[Runner, Results] = {}
        waiting = deque((runner, bars) for runner, bars in work.items() if len(bars) <= ROWS_MAX)
        working: dict[int, tuple[Runner, Bars]] = {}
        while waiting or working:
            while waiting and len(working) < self.at_once:
                runner, bars = waiting.popleft()
                self._revive(runner)
                refused = runner.begin(bars)
                if refused is None:
                    working[runner.jail.control.fileno()] = (runner, bars)
                else:
                    results[runner] = refused
            for descriptor in _first_ready([runner for runner, _ in working.values()]):
                runner, bars = working.pop(descriptor)
                results[runner] = runner.finish(len(bars))
        for runner, bars in work.items():
            if len(bars) > ROWS_MAX:
                self._revive(runner)
                results[runner] = runner.run(bars)
        return results

    def _revive(self, runner: Runner) -> None:
        """Give a runner the zygote of now, if its own is gone."""
        if not runner.nursery.alive:
            runner.jail.close()
            runner.nursery = self._nursery()


def _first_ready(runners: Sequence[Runner]) -> list[int]:
    """Control descriptors of the runners that have answered, died, or are due next."""
    if not runners:
        return []
    poller = select.poll()
    for runner in runners:
        poller.register(runner.jail.control, select.POLLIN)
    due = min(runners, key=Runner.due_ns)
    ready = [descriptor for descriptor, _ in poller.poll(due.left_ms())]
    return ready or [due.jail.control.fileno()]


def _cut_short(script: Script, failed: JailFailed) -> Report:
    """What vetting found in the text, and that the first run had to be ended."""
    report = vet(script.source, script.limits)
    finding = Finding("load", "error", 0, 0, failed.message, RULES["load"].instead)
    return Report(report.digest, report.style, (*report.findings, finding))
