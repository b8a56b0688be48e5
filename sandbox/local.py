"""Run a script on bars that are at hand: what `fleet script run` does, and its tests."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from indicators import Plan
from indicators.bars import DAY_NS, SECOND_NS
from indicators.coarse import TIME
from sandbox.changes import changed, new_levels
from sandbox.errors import BadCapsule
from sandbox.graph import FINEST
from sandbox.pool import JailPool
from sandbox.report import Report
from sandbox.results import Failure, Results, Signal
from sandbox.runner import Runner
from sandbox.script import BATCH_BARS, Bars, Script

MS_NS: Final = 1_000_000
NEAR: Final = 0.5  # a limit is worth a word from this share of it on


@dataclass(frozen=True)
class LocalRun:
    """What a script gave on a file: its signals by row of `bars`, its cost, its limits."""

    report: Report
    style: str
    bars: Bars
    signals: tuple[Signal, ...] = ()
    errors: tuple[Failure, ...] = ()
    errors_total: int = 0
    log: tuple[tuple[int, str], ...] = ()
    outcome: str = "done"
    message: str = ""
    traceback: tuple[str, ...] = ()
    rows: int = 0
    cpu_ns: int = 0
    limits: dict[str, float] = field(default_factory=dict)  # share of each limit that was used

    @property
    def ok(self) -> bool:
        """True if every bar was seen and none failed."""
        return self.outcome == "done" and not self.errors_total

    def as_json(self) -> dict[str, Any]:
        """The run as plain data, times in ns."""
        return {
            "outcome": self.outcome,
            "message": self.message,
            "traceback": list(self.traceback),
            "style": self.style,
            "report": self.report.as_json(),
            "rows": self.rows,
            "signals": [self.signal_json(signal) for signal in self.signals],
            "errors": [vars_of(failure) for failure in self.errors],
            "errors_total": self.errors_total,
            "log": [{"row": row, "text": text} for row, text in self.log],
            "cpu_ms": round(self.cpu_ns / MS_NS, 3),
            "cpu_us_per_bar": round(self.cpu_ns / 1e3 / max(self.rows, 1), 3),
            "limits_near": {name: round(x, 3) for name, x in self.limits.items() if x >= NEAR},
        }

    def signal_json(self, signal: Signal) -> dict[str, Any]:
        """One signal with the instrument and time of its bar."""
        slot = int(self.bars.slots[signal.row])
        return {
            "symbol": self.bars.symbols.get(slot, ""),
            "ts": int(self.bars.ts[signal.row]),
            "name": signal.name,
            "value": signal.value,
            **({"fields": signal.fields} if signal.fields else {}),
        }


def vars_of(failure: Failure) -> dict[str, Any]:
    """An error as plain data."""
    return {"row": failure.row, "line": failure.line, "text": failure.text}


def run_file(
    pool: JailPool,
    script: Script,
    bars: Bars,
    values: Mapping[str, str] | None = None,
    timeframe: str = FINEST,
) -> LocalRun:
    """Run a script over bars as a worker would. `values` are expressions for `bar.values`.

    `timeframe` is that of the bars. Raises Refused or JailFailed as `JailPool.load`,
    IndicatorError for a bad expression and for an `on` that cannot be made of the bars.
    """
    runner = pool.load(script)
    try:
        if runner.declared is not None:
            return _declared_run(runner, bars, timeframe)
        return _imperative_run(runner, with_values(bars, values or {}, timeframe))
    finally:
        runner.close()


def with_values(bars: Bars, expressions: Mapping[str, str], timeframe: str = FINEST) -> Bars:
    """The bars with a column for every expression."""
    if not expressions:
        return bars
    plan = Plan.parse(dict(expressions), timeframe)
    columns = plan.run(_state(plan, bars), bars.slots, columns_of(bars))
    return Bars(bars.slots, bars.ts, bars.columns, columns, bars.symbols)


def columns_of(bars: Bars) -> dict[str, NDArray[np.float64]]:
    """The columns that a plan may ask for: the bar's own, its day, and when it closes."""
    times = {"day": (bars.ts - 1) // DAY_NS, TIME: bars.ts // SECOND_NS}
    return {**bars.columns, **{name: time.astype(np.float64) for name, time in times.items()}}


def _state(plan: Plan, bars: Bars) -> NDArray[np.float64]:
    return plan.new_state(int(bars.slots.max()) + 1 if len(bars) else 1)


def _declared_run(runner: Runner, bars: Bars, timeframe: str) -> LocalRun:
    declared = runner.declared
    assert declared is not None
    plan, limits = declared.plan(timeframe), runner.script.limits
    state = _state(plan, bars)
    nothing = bars.cut(0, 0)
    plan.run(state, nothing.slots, columns_of(nothing))  # it compiles when it runs first
    started_ns = time.thread_time_ns()
    columns = plan.run(state, bars.slots, columns_of(bars))
    signals = changed(declared, new_levels(declared, len(state)), bars.slots, columns)
    used = {"graph_cells_max": plan.width / limits.graph_cells_max}
    return LocalRun(
        runner.report, "declarative", bars,
        signals=signals, rows=len(bars), limits=used, cpu_ns=time.thread_time_ns() - started_ns,
    )  # fmt: skip


def _imperative_run(runner: Runner, bars: Bars) -> LocalRun:
    results, slowest_ms, memory = Results(), 0.0, 0
    limits = runner.script.limits
    for start in range(0, len(bars), BATCH_BARS):
        part = runner.run_part(bars.cut(start, start + BATCH_BARS))
        slowest_ms = max(slowest_ms, part.wall_ns / MS_NS)
        memory = max(memory, runner.jail.memory_bytes() if runner.jail.alive else 0)
        results = results.joined(part)
        if part.outcome != "done":
            break
    used = {
        "batch_ms_max": slowest_ms / limits.batch_ms_max,
        "memory_bytes_max": memory / (limits.memory_bytes_max + runner.jail.born_bytes),
        **dict.fromkeys(results.limits, 1.0),
    }
    outcome, message = results.outcome, results.message
    try:
        if outcome == "done" and len(bars):
            used["state_bytes_max"] = _state_bytes(runner) / limits.state_bytes_max
    except BadCapsule as error:
        outcome, message = "state", str(error)
    return LocalRun(
        runner.report, "imperative", bars,
        signals=results.signals, errors=results.errors, errors_total=results.errors_total,
        log=results.log, outcome=outcome, message=message, traceback=results.traceback,
        rows=len(results.numbers), cpu_ns=results.cpu_ns, limits=used,
    )  # fmt: skip


def _state_bytes(runner: Runner) -> int:
    return max(map(len, runner.save().values()), default=0)
