"""The worker's part in users' scripts: hears of deployments, judges faults, brings scripts back."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import Event
from time import monotonic, time_ns
from typing import Any

import structlog

from sandbox.errors import JailFailed, SandboxError
from sandbox.pool import JailPool
from streams.connection import Link
from streams.errors import StreamError, Unavailable
from streams.keys import Keys
from streams.log import SCRIPT
from streams.records import EntryId
from workers.metrics import Metrics
from workers.processor import Output
from workers.run import ShardRun
from workers.scripting.access import refusal
from workers.scripting.bench import Bench
from workers.scripting.decisions import Ruling, apply, resumes_ms, ruling, verdict
from workers.scripting.deployment import Trust, Untrusted, opened
from workers.scripting.finding import find
from workers.scripting.lifecycle import scope
from workers.scripting.registry import Line, Registry
from workers.scripting.state import CUT, QUARANTINED
from workers.settings import Settings

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
REPORT_S = 1.0
LINES_MAX = 10_000  # waiting to be written: more are dropped, an author's log is no ledger

logger = structlog.get_logger()


class Undecided(StreamError):
    """A decision could not be written. Drop the batch, and take the shard anew."""


class ScriptKeeper:
    """For every shard of one worker.

    `judge` and `tend` belong to the processing thread, `run` to one of its own.
    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        link: Link,
        keys: Keys,
        metrics: Metrics,
        background: Executor,
        pool: JailPool | None,
    ) -> None:
        self._settings, self._name, self._metrics = settings, name, metrics
        self._background = background
        self._registry = Registry(link, keys)
        trust = Trust(settings.scripts.signing_key(), settings.name)
        self.bench = Bench(trust, pool, self._refused)
        self._known: dict[str, int] = {}
        self._wanted: Mapping[str, tuple[int, bytes]] = {}
        self._lines: SimpleQueue[Line] = SimpleQueue()
        self._refusals: SimpleQueue[tuple[str, str]] = SimpleQueue()
        self._status: dict[str, dict[str, Any]] = {}
        self._quarantined: dict[str, set[str]] = {}

    # --- the thread of its own

    def run(self, stop: Event) -> None:
        """Follow the registry until `stop`, and write what the other thread has to say."""
        followed = True
        while not stop.is_set():
            try:
                self._look()
                self._flush()
            except Unavailable as error:
                if followed:
                    logger.warning("scripts not followed", reason=str(error))
                followed = False
            else:
                if not followed:
                    logger.info("scripts followed again")
                followed = True
            stop.wait(self._settings.scripts.poll_s)

    def _look(self) -> None:
        for script, revision in self._registry.revisions().items():
            if self._known.get(script) == revision:
                continue
            sealed = self._registry.head(script)
            if sealed is not None:
                self._weigh(script, sealed)

    def _weigh(self, script: str, sealed: bytes) -> None:
        """Take a deployment up or refuse it, once, on record."""
        about: dict[str, str] = {"script": script}
        try:
            asked = opened(self.bench.trust, sealed)
        except Untrusted as error:
            reason: str | None = str(error)
            self._known[script] = self._registry.revisions()[script]
        else:
            if self._known.get(script) == asked.revision:
                return  # a newer one is about to come
            scripts = self._settings.scripts
            reason = refusal(asked, scripts.tenants, self._settings.plans)
            about = scope(asked)
            self._known[script] = asked.revision
            if reason is None:
                self._wanted = {**self._wanted, script: (asked.revision, sealed)}
        decision = "accepted" if reason is None else "refused"
        self._registry.audit(decision, reason or "", about, by=self._name)
        logger.info("script deployment", decision=decision, reason=reason or "", script=script)

    def _flush(self) -> None:
        """Write what there is to say; what cannot be written now is kept for later."""
        with _drained(self._refusals) as refusals:
            while refusals:
                script, reason = refusals[0]
                self._registry.audit("refused", reason, {"script": script}, by=self._name)
                del refusals[0]
        with _drained(self._lines) as lines:
            if lines:
                self._registry.tell(lines)
        status, self._status = self._status, {}
        try:
            if status:
                self._registry.report(status)
        except Unavailable:
            self._status = status | self._status
            raise

    def _refused(self, script: str, reason: str) -> None:
        logger.warning("script refused", script=script, reason=reason)
        self._refusals.put((script, reason))
        if script:
            self._lines.put(Line(script, "", 0, f"refused: {reason}"))

    # --- the processing thread

    def judge(self, run: ShardRun, output: Output, after: EntryId) -> None:
        """Write what becomes of the scripts that failed in this batch, before it is published.

        Raises: Undecided, Fenced.
        """
        account = output.scripts
        for script, cpu_ns in account.cpu_ns.items():
            self._metrics.script_seconds.labels(script=script).inc(cpu_ns / NS_PER_S)
            run.state.scripts.of[script].cpu_ns += cpu_ns
        if account.lines and self._lines.qsize() < LINES_MAX:
            for line in account.lines:
                self._lines.put(Line(*line))
        for fault in account.faults:
            now_ms = time_ns() // NS_PER_MS
            self._decide(run, verdict(fault.script, fault.outcome, fault.reason, now_ms), after)

    def _decide(self, run: ShardRun, made: Ruling, after: EntryId) -> None:
        try:
            entry = run.log.add_script_decision(
                run.lease.fence, after, made.model_dump_json().encode()
            )
        except Unavailable as error:
            raise Undecided(f"shard {run.shard}: {error}") from error
        apply(run.state.scripts, made)
        run.state.scripts.decided = entry
        name = made.script
        logger.warning(
            "script judged", shard=run.shard, script=name, action=made.action, reason=made.reason
        )
        self._lines.put(Line(name, "", 0, f"{made.action}: {made.reason}"))
        if made.action == "resume":
            return
        held = run.host.holds(name)
        run.host.drop(name)
        if made.action == "cut" and held:
            run.host.lost.add(name)
            self._background.submit(self._find, run, name, after)

    def _find(self, run: ShardRun, name: str, after: EntryId) -> None:
        try:
            with run.host.finding:
                found = find(run, name, after, self._settings.worker, self.bench)
            run.host.found.put((name, found))
        except Exception as error:
            if not isinstance(error, (SandboxError, StreamError)):
                logger.exception("script not found again", shard=run.shard, script=name)
            run.host.found.put((name, str(error)))

    def tend(self, run: ShardRun) -> None:
        """Between batches: bring scripts back, and put new deployments into the log.

        Raises: Undecided, Fenced, Unavailable.
        """
        scripts, now_ms = run.state.scripts, time_ns() // NS_PER_MS
        for name, found in run.host.take_found():
            run.host.lost.discard(name)
            script = scripts.of.get(name)
            if isinstance(found, str):
                if script is not None:
                    made = ruling(script, "quarantine", found, now_ms)
                    self._decide(run, made, run.state.upto)
                continue
            if script is not None and script.status == CUT:
                script.capsules = found
        for script in list(scripts.of.values()):
            idle = script.status == CUT and script.name not in run.host.lost
            if idle and now_ms >= resumes_ms(script) and run.host.has_room():
                made = ruling(script, "resume", script.reason, now_ms)
                self._decide(run, made, run.state.upto)
        for name, (revision, sealed) in self._wanted.items():
            if revision > max(scripts.revisions.get(name, 0), run.host.asked.get(name, 0)):
                run.log.add_deploy(run.lease.fence, SCRIPT, sealed)
                run.host.asked[name] = revision
        if scripts.of and monotonic() >= run.host.report_at:
            run.host.report_at = monotonic() + REPORT_S
            self._rest(run)
            self._report(run)

    def collected(self, run: ShardRun) -> bool:
        """Whether the state of every script is at hand, so that a capsule can be made."""
        if run.host.lost:
            return False
        self._collect(run)
        return not run.host.lost

    def _collect(self, run: ShardRun, names: Iterable[str] | None = None) -> None:
        """What cannot be saved says no more; what died unseen is found again."""
        for name, error in run.host.collect(run.state.scripts, names).items():
            script, now_ms = run.state.scripts.of[name], time_ns() // NS_PER_MS
            if isinstance(error, JailFailed):
                made = verdict(script, error.outcome, f"state: {error}", now_ms)
            else:
                made = ruling(script, "quarantine", f"state: {error}", now_ms)
            self._decide(run, made, run.state.upto)

    def _rest(self, run: ShardRun) -> None:
        """End the processes that had nothing to do for long."""
        idle = run.host.idle(self._settings.scripts.idle_s)
        self._collect(run, idle)
        for name in idle:
            if run.host.holds(name):
                run.host.rest(name)

    def _report(self, run: ShardRun) -> None:
        scripts = run.state.scripts
        for name, script in scripts.of.items():
            self._status[f"{name}/{run.shard}"] = {
                "worker": self._name,
                "digest": script.deployment.digest,
                "revision": scripts.revisions.get(name, 0),
                "status": script.status,
                "reason": script.reason,
                "strikes": script.strikes,
                "bars": script.bars,
                "cpu_s": round(script.cpu_ns / NS_PER_S, 6),
            }
            self._count_quarantined(name, run.shard, script.status == QUARANTINED)

    def _count_quarantined(self, name: str, shard: str, quarantined: bool) -> None:
        shards = self._quarantined.setdefault(name, set())
        (shards.add if quarantined else shards.discard)(shard)
        self._metrics.script_quarantined.labels(script=name).set(len(shards))

    def forget(self, run: ShardRun) -> None:
        """Let go of a shard: its processes end."""
        run.host.close()
        for name in self._quarantined:
            self._count_quarantined(name, run.shard, False)


@contextmanager
def _drained[T](queue: SimpleQueue[T]) -> Iterator[list[T]]:
    """All that a queue holds; what is left of it goes back if the server is away."""
    items: list[T] = []
    with suppress(Empty):
        while True:
            items.append(queue.get_nowait())
    try:
        yield items
    except Unavailable:
        for item in items:
            queue.put(item)
        raise
