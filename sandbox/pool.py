"""Many scripts of one worker: one zygote for all of them, and a ceiling."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from sandbox.errors import JailFailed, NoRoom
from sandbox.lockdown import check_machine, undumpable
from sandbox.nursery import Nursery
from sandbox.report import Finding, Report
from sandbox.rules import RULES
from sandbox.runner import Refused, Runner
from sandbox.script import Script
from sandbox.vetting import source_digest

PROCESSES_MAX: Final = 512
STARTERS: Final = 2  # threads that start processes while their worker goes on


class JailPool:
    """Loads scripts, each into a process of its own. Close it, or let the worker die.

    Make it before the worker holds secrets: it starts the zygote, and closes this process's
    memory to others of the same user. Raises SandboxUnavailable where scripts cannot be held.
    """

    def __init__(
        self, *, landlock_required: bool = True, processes_max: int = PROCESSES_MAX
    ) -> None:
        check_machine(landlock_required=landlock_required)
        undumpable()
        self.landlock_required = landlock_required
        self.processes_max = processes_max
        self.nursery = Nursery(landlock_required=landlock_required)
        self.runners: set[Runner] = set()
        self.staying: set[Runner] = set()
        self.coming = 0  # to stay, and not there yet
        self.starters = ThreadPoolExecutor(STARTERS, thread_name_prefix="jails")
        self.lock = threading.Lock()

    def __enter__(self) -> "JailPool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every script and the zygote."""
        self.starters.shutdown(cancel_futures=True)
        for runner in self.runners:
            runner.close()
        self.runners.clear()
        self.nursery.close()

    def load(self, script: Script, *, stays: bool = False) -> Runner:
        """The script in a jail of its own, ready to run.

        Only those that stay count towards the ceiling: what is tried on, or replays, soon ends.
        Raises Refused with a report where vetting or the first run says no, JailFailed where
        the process had to be ended, NoRoom at the ceiling.
        """
        nursery = self._nursery()
        with self.lock:
            if stays and not self._room():
                raise NoRoom(
                    f"this worker holds {self.processes_max} processes of scripts already"
                    " (setting scripts.processes_max)"
                )
            self.coming += stays
        runner = None
        try:
            runner = Runner(nursery, script)
        finally:
            with self.lock:
                self.coming -= stays
                if runner is not None:
                    self.runners.add(runner)
                    self.staying |= {runner} if stays else set()
        return runner

    def has_room(self) -> bool:
        """Whether one more may come to stay."""
        with self.lock:
            return self._room()

    def _room(self) -> bool:
        self.runners = {each for each in self.runners if not each.closed}
        self.staying &= self.runners
        return len(self.staying) + self.coming < self.processes_max

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


def _cut_short(script: Script, failed: JailFailed) -> Report:
    """That it had to be ended. Its text is not read here: it may have broken vetting itself."""
    finding = Finding("load", "error", 0, 0, failed.message, RULES["load"].instead)
    return Report(source_digest(script.source), "unknown", (finding,))
