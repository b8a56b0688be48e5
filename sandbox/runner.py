"""A loaded script: its jail, its instruments, its breaker. Results in, never exceptions.

`begin` and `finish` are apart so that many scripts can work at the same time.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import orjson

from sandbox import protocol
from sandbox.breaker import Breaker
from sandbox.errors import BadCapsule, BadScript, JailFailed, SandboxError, SandboxUnavailable
from sandbox.graph import Declared, declared
from sandbox.jail import Answer, Jail
from sandbox.nursery import Nursery
from sandbox.report import Finding, Report
from sandbox.results import Results
from sandbox.rules import RULES
from sandbox.script import COLUMNS, Bars, Script
from sandbox.vetting import source_digest
from sandbox.wire import CELL_BYTES, FIXED_COLUMNS, ROWS_MAX, VALUES_MAX, Op, Status

SOFT_OUTCOMES: Final = {
    "memory_bytes_max": "memory",
    "state_bytes_max": "state",
    "output_bytes_max": "output",
    "signals_per_bar_max": "output",
}


class Refused(BadScript):
    """Vetting or the first run of the script's module level refused it; see `report`."""

    def __init__(self, report: Report) -> None:
        super().__init__("\n".join(str(finding) for finding in report.findings))
        self.report = report


@dataclass
class Known:
    """What the worker remembers of an instrument, to start it again."""

    symbol: str
    capsule: bytes | None = None


class Runner:
    """One script on many instruments. Not for several threads at once."""

    def __init__(self, nursery: Nursery, script: Script) -> None:
        self.script = script
        self.nursery = nursery
        self.breaker = Breaker()
        self.known: dict[int, Known] = {}
        self.restarted = False
        self.closed = False
        self.report, self.style, self.declared = self._load()

    # --- life

    def _load(self) -> tuple[Report, str, Declared | None]:
        """Start a process and load the script: Refused, JailFailed or SandboxUnavailable if not."""
        self.jail: Jail = self.nursery.spawn(self.script.limits)
        try:
            answer = self._load_answer()
            content = protocol.read_json(answer.blob)
            return self._read_load(answer, content)
        except BaseException:
            self.jail.close()
            raise

    def _load_answer(self) -> Answer:
        payload = orjson.dumps(
            {
                "source": self.script.source,
                "params": dict(self.script.params),
                "limits": asdict(self.script.limits),
                "vetted": self.script.vetted,
            }
        )
        self.jail.write(payload)
        self.jail.ask(Op.LOAD, "load_ms_max", length=len(payload))
        return self.jail.collect()

    def _read_load(self, answer: Answer, content: Any) -> tuple[Report, str, Declared | None]:
        digest = source_digest(self.script.source)
        if not isinstance(content, dict):
            raise protocol.violation("a load answered by something else")
        report = Report(digest, "unknown", ())
        if "report" in content:
            report = protocol.read_report(content["report"], digest)
        if answer.reply.status != Status.DONE:
            if "report" in content:
                raise Refused(report)
            line, text = protocol.read_refusal(content)
            raise Refused(_failed_report(digest, "load", line, text))
        style, graph = content.get("style"), content.get("graph")
        if style == "imperative":
            return replace(report, style="imperative"), style, None
        if style != "declarative" or not isinstance(graph, dict):
            raise protocol.violation("a script of unknown style")
        try:
            made = declared(graph, self.script.limits)
        except BadScript as error:
            raise Refused(_failed_report(digest, "build", *_line_of(str(error)))) from None
        return replace(report, style="declarative"), style, made

    def _ready(self) -> None:
        """Start the process again where it is gone, with every instrument as last saved."""
        if self.jail.alive:
            return
        self._load()
        self.restarted = True
        self._open(self.known)

    def close(self) -> None:
        """End the process for good."""
        self.closed = True
        self.jail.close()

    # --- instruments

    def open(self, instruments: Mapping[int, tuple[str, bytes | None]]) -> None:
        """Start instruments: slot to symbol and saved state (None begins with `init()`).

        Raises BadCapsule where the state is not of this script.
        """
        self._ready()
        made = {slot: Known(symbol, state) for slot, (symbol, state) in instruments.items()}
        self._open(made)
        self.known.update(made)

    def _open(self, instruments: Mapping[int, Known]) -> None:
        batch: list[list[Any]] = []
        size = 0
        for slot, known in instruments.items():
            capsule = None if known.capsule is None else known.capsule.decode("utf-8", "replace")
            entry = [slot, known.symbol, capsule]
            grown = size + len(orjson.dumps(entry)) + 1
            if batch and grown > self.jail.inbound.size - CELL_BYTES:
                self._open_batch(batch)
                batch, grown = [], grown - size
            batch.append(entry)
            size = grown
        if batch:
            self._open_batch(batch)

    def _open_batch(self, batch: list[list[Any]]) -> None:
        payload = orjson.dumps(batch)
        self.jail.write(payload)
        self.jail.ask(Op.OPEN, "load_ms_max", length=len(payload))
        answer = self.jail.collect()
        if answer.reply.status != Status.DONE:
            line, text = self._refusal(answer)
            kind = BadCapsule if text.startswith("BadCapsule") else BadScript
            raise kind(f"line {line}: {text}" if line else text)

    def save(self, slots: Iterable[int] | None = None) -> dict[int, bytes]:
        """State of the instruments (all of them by default) as JSON, each within its limit.

        Raises BadCapsule, naming the value, where a script keeps what cannot be saved.
        """
        self._ready()
        wanted = list(self.known if slots is None else slots)
        room = max(self.jail.outbound.size // (6 * self.script.limits.state_bytes_max), 1)
        saved: dict[int, bytes] = {}
        for start in range(0, len(wanted), room):
            saved.update(self._save_batch(wanted[start : start + room]))
        for slot, capsule in saved.items():
            self.known[slot].capsule = capsule
        return saved

    def _save_batch(self, slots: list[int]) -> dict[int, bytes]:
        payload = orjson.dumps(slots)
        self.jail.write(payload)
        self.jail.ask(Op.SAVE, "load_ms_max", length=len(payload))
        answer = self.jail.collect()
        if answer.reply.status != Status.DONE:
            raise BadCapsule(self._refusal(answer)[1])
        return self._checked(
            lambda: protocol.read_capsules(
                protocol.read_json(answer.blob), slots, self.script.limits
            )
        )

    # --- bars

    def run(self, bars: Bars) -> Results:
        """The script over `bars`; a long batch is cut, a script that failed gives no rows."""
        whole: Results | None = None
        for start in range(0, max(len(bars), 1), ROWS_MAX):
            part = self.run_part(bars.cut(start, start + ROWS_MAX))
            whole = part if whole is None else whole.joined(part)
            if part.outcome != "done":
                break
        assert whole is not None
        return whole

    def run_part(self, bars: Bars) -> Results:
        """At most ROWS_MAX rows."""
        refused = self.begin(bars)
        return self.finish(len(bars)) if refused is None else refused

    def begin(self, bars: Bars) -> Results | None:
        """Hand the rows over; anything but None is the result already, and nothing runs."""
        if not self.breaker.allows(time.monotonic_ns()):
            reason = self.breaker.reason or f"paused after {self.breaker.strikes} strikes"
            return Results(outcome="refused", message=reason)
        if not len(bars):
            return Results()
        try:
            self._ready()
            new = {
                int(slot): Known(bars.symbols.get(int(slot), ""))
                for slot in np.unique(bars.slots)
                if int(slot) not in self.known
            }
            if new:
                self._open(new)
                self.known.update(new)
            self._write(bars)
        except JailFailed as failed:
            return self._failed(failed)
        except BadScript as error:
            return Results(outcome="error", message=str(error))
        except SandboxUnavailable as error:
            return Results(outcome="lost", message=str(error))
        return None

    def finish(self, rows: int) -> Results:
        """The results of the rows that `begin` handed over."""
        limits = self.script.limits
        try:
            answer = self.jail.collect()
            if answer.reply.status != Status.DONE:
                text = self._refusal(answer)[1]
                memory = text.startswith("MemoryError")
                raise self.jail.end("memory" if memory else "crashed", text)
            results = self._checked(
                lambda: protocol.read_results(answer.numbers, answer.blob, rows, limits)
            )
        except JailFailed as failed:
            return self._failed(failed)
        outcome, message = "done", ""
        for limit in results.limits:
            if limit in SOFT_OUTCOMES:
                outcome = SOFT_OUTCOMES[limit]
                message = f"limit {limit} is {getattr(limits, limit)}"
        if outcome != "done":
            self._strike(outcome, message)
        restarted, self.restarted = self.restarted, False
        return replace(
            results, outcome=outcome, message=message, cpu_ns=answer.cpu_ns,
            wall_ns=answer.wall_ns, restarted=restarted,
        )  # fmt: skip

    def _write(self, bars: Bars) -> None:
        rows, values = len(bars), list(bars.values)
        if rows > ROWS_MAX or len(values) > VALUES_MAX:
            raise SandboxError(f"at most {ROWS_MAX} rows and {VALUES_MAX} values")
        names = orjson.dumps(values) if values else b""
        columns = FIXED_COLUMNS + len(values)
        whole = np.frombuffer(self.jail.inbound.map, np.int64, 2 * rows)
        whole[:rows], whole[rows:] = bars.slots, bars.ts
        parts = np.frombuffer(
            self.jail.inbound.map, np.float64, (columns - 2) * rows, 2 * rows * CELL_BYTES
        ).reshape(columns - 2, rows)
        for index, column in enumerate([*(bars.columns[name] for name in COLUMNS)]):
            parts[index] = column
        for index, column in enumerate(bars.values.values(), 5):
            parts[index] = column
        del whole, parts  # or the memory could not be closed
        self.jail.write(names, columns * rows * CELL_BYTES)
        self.jail.ask(Op.RUN, "batch_ms_max", rows=rows, values=len(values), length=len(names))

    # --- what went wrong

    def _refusal(self, answer: Answer) -> tuple[int, str]:
        return self._checked(lambda: protocol.read_refusal(protocol.read_json(answer.blob)))

    def _checked[T](self, read: Callable[[], T]) -> T:
        """Read a reply; a jail that breaks the protocol is ended."""
        try:
            return read()
        except JailFailed as failed:
            raise self.jail.end(failed.outcome, failed.message) from None

    def _failed(self, failed: JailFailed) -> Results:
        self.jail.close()
        if not self.nursery.alive:  # no fault of the script
            return Results(outcome="lost", message="the process that starts scripts is gone")
        self._strike(failed.outcome, failed.message)
        return Results(
            outcome=failed.outcome,
            message=failed.message,
            traceback=failed.traceback,
            wall_ns=time.monotonic_ns() - self.jail.started_ns,
        )

    def _strike(self, outcome: str, message: str) -> None:
        self.breaker = self.breaker.after(
            outcome,
            message,
            now_ns=time.monotonic_ns(),
            strikes_max=self.script.limits.strikes_max,
        )


def _failed_report(digest: str, rule: str, line: int, text: str) -> Report:
    """What failed when the module level, init() or build() ran for the first time."""
    finding = Finding(rule, "error", line, 1 if line else 0, text, RULES[rule].instead)
    return Report(digest, "unknown", (finding,))


def _line_of(text: str) -> tuple[int, str]:
    """The line that a message begins with, and the rest."""
    found = re.match(r"line (\d+): ", text)
    return (int(found.group(1)), text[found.end() :]) if found else (0, text)
