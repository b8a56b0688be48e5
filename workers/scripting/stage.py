"""Scripts over the bars of a batch: what they say becomes signals of the same commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import thread_time_ns
from typing import Final, NamedTuple, Protocol

import numpy as np

from indicators.bars import BarRows
from indicators.errors import IndicatorError
from sandbox.changes import changed
from sandbox.results import Results, Signal
from sandbox.script import Bars
from sandbox.wire import VALUES_MAX
from workers.degrade import ShedState
from workers.program import PlanProgram
from workers.scripting.access import allows
from workers.scripting.decisions import TRIAL_BARS, fault
from workers.scripting.host import Round, ScriptHost
from workers.scripting.state import SPEAKS, Scripts, ScriptState, proven
from workers.scripting.waiting import joint

LINES_MAX: Final = 50  # of one script's log in one batch


class Seen(Protocol):
    """What a plan made of the batch: its rows, and its values as columns of equal length."""

    @property
    def program(self) -> PlanProgram: ...  # noqa: D102
    @property
    def rows(self) -> BarRows: ...  # noqa: D102
    @property
    def columns(self) -> Mapping[str, Sequence[float]]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Fault:
    """A script that failed: nothing of this batch is published for it."""

    script: ScriptState
    outcome: str
    reason: str


@dataclass(slots=True)
class Account:
    """What scripts cost in a batch, what went wrong, and what they had to say to their authors."""

    cpu_ns: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    lines: list[tuple[str, str, int, str]] = field(default_factory=list)  # script symbol ts text


@dataclass(frozen=True, slots=True)
class ScriptRows:
    """The rows on which a script spoke, and what it said on each."""

    place: int
    script: ScriptState
    timeframe: str
    rows: BarRows
    said: tuple[tuple[Signal, ...], ...]


class Speaking(NamedTuple):
    """The scripts at work on a batch: those with processes of their own may take their time."""

    scripts: Scripts
    names: Sequence[str]
    place: int
    rows: Mapping[str, tuple[str, BarRows]]
    shown: Mapping[str, Bars]  # those rows, behind the ones that had to wait
    declared: Mapping[str, Results]
    others: Round
    account: Account

    @property
    def done(self) -> bool:
        """Whether `finish` need not wait."""
        return self.others.done

    def finish(self) -> tuple[list[ScriptRows], Account]:
        """What every script says, waited for, and what it cost."""
        results = {**self.declared, **self.others.results()}
        spoken = []
        for at, (name, bars) in enumerate(self.shown.items(), start=self.place):
            script, rows = self.scripts.of[name], self.rows[name]
            part = _spoken(at, script, rows, bars, results[name], self.account, self.names)
            if part is not None:
                spoken.append(part)
                script.waiting = []
                _count(self.scripts, name, len(bars))
        return spoken, self.account


def begin_scripts(
    scripts: Scripts,
    seen: Sequence[Seen],
    names: Sequence[str],
    host: ScriptHost,
    place: int,
    shedding: ShedState,
) -> Speaking:
    """Show every script the rows that its plan saw; `place` is behind all plans.

    A suspended one says nothing. If it is declarative its state goes on all the same, if it is
    imperative its bars wait: before it speaks again it sees them, so that it is where it would be.
    """
    account = Account()
    rows: dict[str, tuple[str, BarRows]] = {}
    shown: dict[str, Bars] = {}
    work: dict[str, tuple[ScriptState, Bars]] = {}
    declared: dict[str, Results] = {}
    by_plan = {part.program.name: part for part in seen}
    for name, script in scripts.of.items():
        part = by_plan.get(script.deployment.plan)
        if part is None or script.status != SPEAKS:
            continue
        bars, mine = _rows(script, part, names, host)
        if not len(mine):
            continue
        silent = shedding.suspends_script(part.program, len(mine))
        if script.program is not None:
            declared[name] = _declarative(script, bars, len(names))
        elif silent:
            _suspend(script, bars, host, account)
        else:
            bars = joint([*script.waiting, bars])
            work[name] = (script, bars)
        if not silent:
            rows[name], shown[name] = (part.program.feed.timeframe, mine), bars
    others = host.begin(work, names)
    return Speaking(scripts, names, place, rows, shown, declared, others, account)


def _suspend(script: ScriptState, bars: Bars, host: ScriptHost, account: Account) -> None:
    if not script.wait(bars):
        host.drop(script.name)
        text = "suspended for more bars than are kept: it begins anew"
        account.lines.append((script.name, "", int(bars.ts[-1]), text))


def _rows(
    script: ScriptState, part: Seen, names: Sequence[str], host: ScriptHost
) -> tuple[Bars, BarRows]:
    """The closed bars that the script may see, with its plan's values at hand."""
    feed = (part.program.feed.timeframe, part.program.feed.flat)
    if script.feed != feed:
        if script.feed is not None:
            host.drop(script.name)
        script.reset(feed)  # bars of another kind: what it knew is of no use
    kept = np.flatnonzero(part.rows.final & script.covers(names)[part.rows.slot])
    rows = part.rows.take(kept)
    values = () if script.program is not None else part.program.values[:VALUES_MAX]
    bars = Bars(
        slots=rows.slot,
        ts=rows.ts,
        columns=rows.inputs(() if script.program is None else script.program[1].fields),
        values={name: np.array(part.columns[name])[kept] for name in values},
        symbols={slot: names[slot] for slot in np.unique(rows.slot).tolist()},
    )
    return bars, rows


def _declarative(script: ScriptState, bars: Bars, slots: int) -> Results:
    assert script.program is not None
    declared, plan = script.program
    assert script.feed is not None
    try:
        plan.check_rows(script.feed[0])
    except IndicatorError as error:  # the plan has other bars than when the script was put
        return Results(outcome="misfit", message=str(error))
    started_ns = thread_time_ns()
    script.grow(slots)
    columns = plan.run(script.cells, bars.slots, bars.columns)
    signals = changed(declared, script.levels, bars.slots, columns)
    cost_ns = thread_time_ns() - started_ns
    return Results(numbers=np.empty(len(bars)), signals=signals, cpu_ns=cost_ns)


def _spoken(
    place: int,
    script: ScriptState,
    rows: tuple[str, BarRows],
    shown: Bars,
    results: Results,
    account: Account,
    names: Sequence[str],
) -> ScriptRows | None:
    """The rows with signals that it may give; None where it failed.

    What it says of bars that had to wait is shed: of `shown` they are the first.
    """
    timeframe, bars = rows
    waited = len(shown) - len(bars)
    account.cpu_ns[script.name] = results.cpu_ns
    _listen(script, shown, results, account, names)
    reason = fault(script, results)
    if reason:
        account.faults.append(Fault(script, results.outcome, reason))
        return None
    said: dict[int, list[Signal]] = {}
    for signal in results.signals:
        if signal.row >= waited and allows(signal.name, script.deployment.signals):
            said.setdefault(signal.row - waited, []).append(signal)
    kept = np.array(sorted(said), np.int64)
    spoken = tuple(tuple(said[row]) for row in kept.tolist())
    return ScriptRows(place, script, timeframe, bars.take(kept), spoken)


def _listen(
    script: ScriptState, shown: Bars, results: Results, account: Account, names: Sequence[str]
) -> None:
    """Keep what it printed, where it failed, and what it was not allowed to say."""
    heard = [
        *((row, text) for row, text in results.log),
        *((error.row, f"error, line {error.line}: {error.text}") for error in results.errors),
    ]
    heard += [
        (signal.row, f"signal {signal.name!r} is not allowed to this tenant")
        for signal in results.signals
        if not allows(signal.name, script.deployment.signals)
    ]
    for row, text in heard[:LINES_MAX]:
        symbol = names[shown.slots[row]]
        account.lines.append((script.name, symbol, int(shown.ts[row]), text))


def _count(scripts: Scripts, name: str, bars: int) -> None:
    """One more batch without a fault; a version that is proven needs no way back."""
    script = scripts.of[name]
    script.bars += bars
    if script.previous is not None and script.bars >= TRIAL_BARS:
        scripts.of[name] = proven(script)
