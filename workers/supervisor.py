"""Worker processes on one machine: as many as the load needs, and none of them dead for long."""

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from time import monotonic

import structlog

from streams.connection import Link
from streams.errors import Unavailable
from streams.keys import Keys
from workers.backoff import Backoff
from workers.http import is_free
from workers.membership import Membership
from workers.scaling import Behaviour, History, Required, Unknown, scale
from workers.settings import Settings
from workers.sizing import Sizer
from workers.tied import tied

POLL_S = 0.1
HEALTHY_S = 30.0  # a worker that lived so long is started again at once
RESTART_S_MAX = 60.0  # the longest pause before a worker that keeps dying is started again
STOP_S_SPARE = 10.0  # beyond the time that a worker has to drain

logger = structlog.get_logger()

type Command = Callable[[str], Sequence[str]]
"""The command that runs a worker of this name."""


@dataclass(slots=True)
class Child:
    """One place for a worker; `process` is None while it waits to be started again."""

    name: str
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    due_at: float = 0.0
    backoff: Backoff = field(default_factory=lambda: Backoff(longest_s=RESTART_S_MAX))


class Supervisor:
    """Starts, restarts and stops workers until it is told to stop."""

    def __init__(
        self, settings: Settings, link: Link, command: Command, *, least: int, most: int
    ) -> None:
        self._settings, self._command = settings, command
        self._least = least
        self._sizer = Sizer(
            settings.scaling, settings.shard_names, workers_min=least, workers_max=most
        )
        self._membership = Membership(
            link, Keys(settings.name), "", alive_ms=settings.worker.lease_ms
        )
        scaling = settings.scaling
        self._behaviour = Behaviour(
            up_window_s=scaling.up_window_s,
            up_period_s=scaling.up_period_s,
            down_window_s=scaling.down_window_s,
            down_period_s=scaling.down_period_s,
        )
        self._history = History()
        self._children: list[Child] = []
        self._leaving: list[Child] = []
        self._looked_at = float("-inf")

    def run(self, stop: Event) -> None:
        """Keep the workers going until `stop`; then drain and end all of them."""
        try:
            self._resize(self._least, "the least that is allowed")
            while not stop.wait(POLL_S):
                self._look()
                self._tend()
        finally:
            self._end_all()

    def _look(self) -> None:
        """Ask how many are required, and go there as an autoscaler would."""
        now = monotonic()
        if now - self._looked_at < self._settings.balance.measure_s:
            return
        self._looked_at = now
        decision = scale(
            len(self._children), self._required(), now, self._history, behaviour=self._behaviour
        )
        self._history = decision.history
        if decision.workers != len(self._children):
            self._resize(decision.workers, decision.reason)

    def _required(self) -> Required | Unknown:
        try:
            for peer in self._membership.view().peers:
                self._sizer.observe(peer.loads)
        except Unavailable as error:
            return Unknown(f"unknown: {error}")
        return self._sizer.required()

    def _resize(self, workers: int, reason: str) -> None:
        before = len(self._children)
        while len(self._children) < workers:
            self._children.append(self._start(Child(self._free_name())))
        while len(self._children) > workers:
            child = self._children.pop()
            if child.process is not None:
                child.process.terminate()
                self._leaving.append(child)
        logger.info("workers scaled", before=before, now=workers, reason=reason)

    def _free_name(self) -> str:
        taken = {child.name for child in (*self._children, *self._leaving)}
        names = (f"{os.uname().nodename}-{os.getpid()}-{n}" for n in range(1, len(taken) + 2))
        return next(name for name in names if name not in taken)

    def _start(self, child: Child) -> Child:
        child.process = subprocess.Popen(  # noqa: S603 - our own words alone
            tied(self._command(child.name)),
            stdin=subprocess.DEVNULL,
            env={**os.environ, **self._port_of(child)},
            process_group=0,  # Ctrl-C is for the supervisor, which drains them
        )
        child.started_at = monotonic()
        return child

    def _port_of(self, child: Child) -> Mapping[str, str]:
        """A port of its own for each, counted from the configured one: any other if it is taken."""
        http = self._settings.http
        port = http.port and http.port + int(child.name.rpartition("-")[2]) - 1
        return {"FLEET_HTTP__PORT": str(port if is_free(http.host, port) else 0)}

    def _tend(self) -> None:
        """Start again who died, later each time that it dies young."""
        now = monotonic()
        self._leaving = [
            child for child in self._leaving if child.process and child.process.poll() is None
        ]
        for child in self._children:
            if child.process is None:
                if now >= child.due_at:
                    self._start(child)
            elif (code := child.process.poll()) is not None:
                if now - child.started_at > HEALTHY_S:
                    child.backoff.reset()
                pause_s = child.backoff.next_s()
                child.process, child.due_at = None, now + pause_s
                logger.warning(
                    "worker died", worker=child.name, status=code, retry_s=round(pause_s, 3)
                )

    def _end_all(self) -> None:
        """SIGTERM to all at once; SIGKILL to those that outstay their time to drain."""
        every = [child.process for child in (*self._children, *self._leaving) if child.process]
        for process in every:
            process.terminate()
        deadline = monotonic() + self._settings.worker.drain_s + STOP_S_SPARE
        for process in every:
            try:
                process.wait(max(deadline - monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                logger.exception("worker did not drain in time", pid=process.pid)
                process.kill()
                process.wait()
