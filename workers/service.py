"""One worker as a tree of services: started in order, supervised, stopped gracefully."""

import asyncio
import signal
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import monotonic

import mode
import structlog

from sandbox.pool import JailPool
from streams.connection import Link
from streams.keys import Keys
from workers.errors import FleetError
from workers.http import Answer, Check, HttpServer
from workers.metrics import Metrics
from workers.ownership import Ownership
from workers.program import Program
from workers.scaling import Unknown
from workers.scripting.keeper import ScriptKeeper
from workers.settings import Settings
from workers.topology import agree
from workers.tracing import open_traces
from workers.warm import warm

BACKGROUND_THREADS = 4
STOP_S_SPARE = 5.0
TRACES_S_MAX = 2.0  # of the time to drain, for the last traces to be delivered
SWITCH_S = 0.0005  # the processing thread waits for the interpreter no longer than this

logger = structlog.get_logger()


class ThreadService(mode.Service):
    """A blocking loop on a thread of its own; the worker crashes when the loop does."""

    def __init__(self, name: str, run: Callable[[Event], None]) -> None:
        super().__init__()
        self._name, self._run, self._stop = name, run, Event()
        self._ended = asyncio.Event()

    @property
    def label(self) -> str:
        """Its name in supervision messages."""
        return self._name

    @mode.Service.task
    async def _thread(self) -> None:
        try:
            await asyncio.to_thread(self._run, self._stop)
        finally:
            self._ended.set()

    async def on_stop(self) -> None:
        """Ask the loop to end, and wait until it has."""
        self._stop.set()
        await self._ended.wait()


class WorkerService(mode.Service):
    """Ownership and data plane over one server, with their HTTP face."""

    def __init__(self, settings: Settings, name: str, link: Link, jails: JailPool | None) -> None:
        super().__init__()
        self.settings, self.name, self.link = settings, name, link
        self.keys = Keys(settings.name)
        self.metrics = Metrics()
        self.program = Program(settings.plans)
        self.background = ThreadPoolExecutor(BACKGROUND_THREADS, thread_name_prefix="background")
        self.keeper = ScriptKeeper(
            settings, name, link, self.keys, self.metrics, self.background, jails
        )
        self.traces = open_traces(settings.telemetry, fleet=settings.name, worker=name)
        self.ownership = Ownership(
            *(settings, name, link, self.keys, self.program),
            *(self.metrics, self.background, self.keeper, self.traces),
        )

    async def on_first_start(self) -> None:
        """Agree with the fleet on its shape, and compile, before anything is owned."""
        await asyncio.to_thread(agree, self.link, self.keys, self.settings)
        took_s = await asyncio.to_thread(warm, self.program)
        logger.info("kernels ready", took_s=round(took_s, 1))

    async def on_start(self) -> None:
        """Start the services, each of which stops before those that started before it."""
        http = self.settings.http
        if http.enabled:
            self.http = HttpServer(http.host, http.port, self.metrics.registry, self.checks())
            self.http.start()
            logger.info("serving", host=http.host, port=self.http.port)
        await self.add_runtime_dependency(ThreadService("processing", self.ownership.plane.run))
        await self.add_runtime_dependency(ThreadService("ownership", self.ownership.run))
        await self.add_runtime_dependency(ThreadService("scripts", self.keeper.run))
        logger.info("worker started", worker=self.name, program=self.program.digest)

    async def on_stop(self) -> None:
        """From here on the time to drain runs."""
        self._stopped_at = monotonic()

    async def on_shutdown(self) -> None:
        """Close what is left once nothing is owned any more."""
        self.background.shutdown(wait=False, cancel_futures=True)
        if self.traces is not None:
            left_s = self._stopped_at + self.settings.worker.drain_s - monotonic()
            await asyncio.to_thread(self.traces.close, min(max(left_s, 0.0), TRACES_S_MAX))
        if self.settings.http.enabled:
            await asyncio.to_thread(self.http.stop)
        logger.info("worker stopped", worker=self.name)

    def checks(self) -> Mapping[str, Check]:
        """What the HTTP face is asked about this worker's health."""
        return {"/healthz": self._healthz, "/readyz": self._readyz, "/scale": self._scale}

    def _scale(self) -> Answer:
        """How many workers the fleet needs; not knowing is an error and never a number."""
        answer = self.ownership.observer.required
        if isinstance(answer, Unknown):
            return Answer(False, {"reason": answer.reason})
        return Answer(
            True,
            {
                "required": answer.workers,
                "arrivals": round(answer.arrivals, 3),
                "catch_up": round(answer.catch_up, 3),
                "reason": answer.reason,
            },
        )

    def _healthz(self) -> Answer:
        """Alive: no loop has crashed. Does not depend on the server."""
        return Answer(not self.crashed, {"worker": self.name, "crashed": self.crashed})

    def _readyz(self) -> Answer:
        """Owns what it should, and has caught up."""
        own = self.ownership
        ready = own.settled and own.plane.caught_up
        return Answer(
            ready,
            {"worker": self.name, "shards": own.holdings, "caught_up": own.plane.caught_up},
        )


def run_worker(settings: Settings, name: str, link: Link, jails: JailPool | None = None) -> None:
    """One worker until SIGTERM or SIGINT, then a graceful stop within `drain_s`.

    Raises: FleetError when a part of it crashed.
    """
    sys.setswitchinterval(SWITCH_S)
    asyncio.run(_run_until_signal(WorkerService(settings, name, link, jails)))


async def _run_until_signal(service: WorkerService) -> None:
    told_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_stop.set)
    await service.start()
    crashed = asyncio.create_task(service.wait_until_stopped())
    asked = asyncio.create_task(told_to_stop.wait())
    await asyncio.wait((crashed, asked), return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    await asyncio.wait_for(service.stop(), service.settings.worker.drain_s + STOP_S_SPARE)
    if service.crash_reason is not None:
        raise FleetError(f"worker {service.name} crashed: {service.crash_reason!r}")
