"""The pure core of a worker: a batch of a shard's log in, values and signals out.

`advance` reads no clock, holds no socket and remembers nothing: all that it knows is the
program, the state that the caller hands in, and the batch. Any cut of the same log into
batches gives the same entries in the same order.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from indicators.bars import BarRows, update
from indicators.dedupe import seen
from streams.records import Batch, EntryId, Fields
from streams.signals import About, as_json, signal_fields, signal_id, values_fields
from workers.degrade import since
from workers.history import History
from workers.program import Feed, PlanProgram, Program, Rule
from workers.rules import FINAL, FORMING, REVISED, STATUS, fire
from workers.scripting.host import ScriptHost
from workers.scripting.stage import Account, ScriptRows, Speaking, begin_scripts
from workers.shedding import Shed
from workers.state import ShardState

Ints = NDArray[np.int64]
NO_SCRIPTS = ScriptHost()
NOTHING: tuple[list[int], list[int]] = ([], [])


@dataclass(slots=True)
class Output:
    """What one batch publishes, and its account: every tick read is counted once."""

    values: list[Fields] = field(default_factory=list)
    signals: list[Fields] = field(default_factory=list)
    bars: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    scripts: Account = field(default_factory=Account)
    shed: Shed = field(default_factory=Shed)


@dataclass(frozen=True, slots=True)
class PlanRows:
    """A plan's outputs over the rows of one feed that it covers."""

    place: int  # the plan's place in the program: the order of entries of one cause
    program: PlanProgram
    rows: BarRows
    columns: Mapping[str, list[float]]
    spoken: Mapping[str, tuple[list[int], list[int]]]
    silent: bool = False  # suspended: only its scripts hear of it


class Begun(NamedTuple):
    """A batch whose bars and values are there, while its scripts are still at work."""

    state: ShardState
    batch: Batch
    now_ns: int
    output: Output
    plans: Sequence[PlanRows]
    scripts: Speaking
    taken: Ints | None  # the batch's rows that counted; None for all of them
    ticks_ns: Ints  # when the ticks among them were

    @property
    def done(self) -> bool:
        """Whether `finish` need not wait."""
        return self.scripts.done

    def finish(self) -> Output:
        """All that the batch publishes; the state moves behind its last entry."""
        kept = self.taken
        for part, row in _in_log_order(self._heard(), self.state.history):
            at = part.rows.row[row]
            cause = int(at if kept is None else kept[at])
            if isinstance(part, ScriptRows):
                self._say(part, row, cause)
            else:
                self._tell(part, row, cause)
        self.state.move(self.batch, self.ticks_ns)
        return self.output

    def recall(self) -> tuple[Account, Counter[str]]:
        """What `finish` does to the state, without the entries: they were published long ago.

        Returns the scripts' account, and how many signals each source gave.
        """
        state, said = self.state, Counter[str]()
        for part in self._heard():
            rows = np.flatnonzero(~state.history.covers(part.rows.slot, part.rows.ts))
            if isinstance(part, ScriptRows):
                source = part.script.deployment.source_name
                said[source] += sum(len(part.said[row]) for row in rows.tolist())
                continue
            state.value_seq += len(rows) if part.program.values else 0
            for status, _ in part.spoken.values():
                said[part.program.source] += np.count_nonzero(np.array(status)[rows])
        state.signal_seq += said.total()
        state.move(self.batch, self.ticks_ns)
        return self.output.scripts, said

    def _heard(self) -> Sequence[PlanRows | ScriptRows]:
        """All that spoke, once every script is done."""
        said, self.output.scripts = self.scripts.finish()
        if self.batch.history:
            return []
        return [*(part for part in self.plans if not part.silent), *said]

    def _tell(self, part: PlanRows, row: int, cause: int) -> None:
        """Publish one row of a plan: its values, and the rules that speak on it."""
        state, plan, rows = self.state, part.program, part.rows
        slot, ts = int(rows.slot[row]), int(rows.ts[row])
        symbol = state.symbols.names[slot]
        if plan.values:
            state.value_seq += 1
            status = FINAL if rows.final[row] else FORMING
            self.output.values.append(
                values_fields(
                    (symbol, plan.feed.timeframe, str(ts), STATUS[status], plan.source),
                    state.value_seq,
                    as_json({name: part.columns[name][row] for name in plan.values}).decode(),
                    partial=bool(rows.partial[row]),
                    degraded=state.shedding.mark(plan, slot, status),
                )
            )
        for rule in plan.rules:
            said, ordinal = part.spoken.get(rule.name, NOTHING)
            if said and said[row]:
                about = About(
                    plan.source, rule.name, symbol, plan.feed.timeframe, ts, STATUS[said[row]]
                )
                self._signal(
                    about,
                    ordinal[row],
                    cause,
                    value=_value(rule, part, row, said[row]),
                    # A bar's own event is its close, whichever tick or clock told of it.
                    ts_event=ts if rows.final[row] else int(self.batch.ts[cause]),
                    valid_until=ts + rule.valid_for_ns if rule.valid_for_ns else None,
                    degraded=state.shedding.mark(plan, slot, said[row]),
                )

    def _say(self, part: ScriptRows, row: int, cause: int) -> None:
        """Publish what a script said about one row."""
        slot, ts = int(part.rows.slot[row]), int(part.rows.ts[row])
        symbol, source = self.state.symbols.names[slot], part.script.deployment.source_name
        times: dict[str, int] = {}
        for said in part.said[row]:
            ordinal = times[said.name] = times.get(said.name, -1) + 1
            self._signal(
                About(source, said.name, symbol, part.timeframe, ts, STATUS[FINAL]),
                ordinal,
                cause,
                value={**said.fields, "value": said.value} if said.fields else said.value,
                ts_event=ts,
                degraded=self.state.shedding.mark_said(slot, anew=part.script.anew),
            )

    def _signal(self, about: About, ordinal: int, cause: int, **more: Any) -> None:
        """Append a signal, with the next number of its stream."""
        self.state.signal_seq += 1
        fields = signal_fields(
            about,
            self.state.signal_seq,
            own_id=signal_id(**about._asdict(), ordinal=ordinal),
            entry=EntryId(int(self.batch.entry_ms[cause]), int(self.batch.entry_seq[cause])),
            ts_publish=self.now_ns,
            **more,
        )
        self.output.signals.append(fields)


def advance(
    program: Program,
    state: ShardState,
    batch: Batch,
    now_ns: int,
    host: ScriptHost = NO_SCRIPTS,
) -> Output:
    """Values and signals of `batch`, in log order; `state` moves behind its last entry.

    `now_ns` is the wall clock, for `ts_publish` alone; `host` runs the scripts of the shard.
    """
    return begin(program, state, batch, now_ns, host).finish()


def begin(
    program: Program,
    state: ShardState,
    batch: Batch,
    now_ns: int,
    host: ScriptHost = NO_SCRIPTS,
) -> Begun:
    """The first half of `advance`; nothing may touch `state` before the other half is done."""
    state.grow()
    repeated = seen(state.dedupe, batch.key)
    refused = state.shedding.refuses(batch.slot, state.symbols.names)
    before, dropped = state.shedding.shed, 0
    slots, ts, price, size = batch.slot, batch.ts, batch.price, batch.size
    repeats = np.count_nonzero(repeated)
    kept = None  # which rows these are; None for all of them, as nearly always
    if repeats or refused is not None:
        left_out = repeated if refused is None else repeated | refused
        dropped = np.count_nonzero(left_out) - repeats
        kept = np.flatnonzero(~left_out)
        slots, ts, price, size = slots[kept], ts[kept], price[kept], size[kept]
    is_tick = slots >= 0
    late = is_tick if program.feeds else np.zeros(slots.size, np.bool_)
    output = Output()
    run: list[PlanRows] = []
    for feed in program.feeds:
        rows = update(
            feed.spec, state.bars[feed], slots, ts, price, size, forming_ns=feed.forming_ns
        )
        late = late & rows.late
        if len(rows):
            output.bars += np.count_nonzero(rows.final)
            run += _run_plans(program, feed, state.shedding.thin(feed, rows, ts), state)
    if batch.history:
        state.history.reach(slots, ts)
    ticks, late_count = np.count_nonzero(is_tick), np.count_nonzero(late)
    tick_slots, ticks_ns = (slots, ts) if ticks == slots.size else (slots[is_tick], ts[is_tick])
    host.expect(state.scripts, tick_slots, state.symbols.names)
    said = begin_scripts(
        state.scripts, run, state.symbols.names, host, len(program.plans), state.shedding
    )
    output.counts = {
        "applied": ticks - late_count,
        "late": late_count,
        "repeated": repeats,
        "dead": sum(reject.rows for reject in batch.rejects),
        "shed": dropped,
    }
    if dropped:
        state.shedding.shed += Shed(ticks=dropped)
    output.shed = since(before, state.shedding.shed)
    return Begun(state, batch, now_ns, output, run, said, kept, ticks_ns)


def _run_plans(
    program: Program, feed: Feed, rows: BarRows, state: ShardState
) -> Iterator[PlanRows]:
    for place, plan in enumerate(program.plans):
        if plan.feed != feed:
            continue
        wanted = state.covers(plan)[rows.slot]
        count = np.count_nonzero(wanted)
        mine = rows if count == len(rows) else rows.take(np.flatnonzero(wanted))
        if count:
            spoken = _run_plan(place, plan, mine, state)
            if spoken is not None:
                yield spoken


def _run_plan(place: int, plan: PlanProgram, rows: BarRows, state: ShardState) -> PlanRows | None:
    """The plan's outputs, None where no one hears of them: then its state alone goes on."""
    cells = state.plans[plan.name]
    final = None if np.count_nonzero(rows.final) == len(rows) else rows.final
    columns = plan.plan.run(cells.state, rows.slot, rows.inputs(plan.plan.fields), final)
    spoken = {}
    for rule in plan.rules:
        status, ordinal = fire(
            rule.firing, cells.memory[rule.name], rows.slot, rows.ts, columns[rule.when], rows.final
        )
        if np.count_nonzero(status):
            spoken[rule.name] = (status.tolist(), ordinal.tolist())
    silent = state.shedding.suspends(plan, len(rows))
    if silent and not state.scripts.hear(plan.name):
        return None
    return PlanRows(place, plan, rows, _lists(plan, columns, bool(spoken)), spoken, silent)


def _lists(
    plan: PlanProgram, columns: Mapping[str, NDArray[np.float64]], spoken: bool
) -> dict[str, list[float]]:
    """The columns that entries will be written from, as Python floats."""
    wanted = plan.plan.outputs if spoken else plan.values
    return {name: columns[name].tolist() for name in wanted}


def _in_log_order(
    run: Sequence[PlanRows | ScriptRows], history: History
) -> Iterator[tuple[PlanRows | ScriptRows, int]]:
    """Every row that history does not cover, by cause, then by plan: the same for any cut.

    Scripts come behind all plans.
    """
    if not run:
        return
    if len(run) == 1:  # its rows are in this order
        rows = run[0].rows
        for at in np.flatnonzero(~history.covers(rows.slot, rows.ts)).tolist():
            yield run[0], at
        return
    sizes = [len(part.rows) for part in run]
    cause = np.concatenate([part.rows.row for part in run])
    part = np.repeat(np.arange(len(run)), sizes)
    place = np.repeat([part.place for part in run], sizes)
    row = np.concatenate([np.arange(size) for size in sizes])
    slot = np.concatenate([part.rows.slot for part in run])
    close = np.concatenate([part.rows.ts for part in run])
    order = np.lexsort((row, place, cause))
    for at in order[~history.covers(slot, close)[order]].tolist():
        yield run[part[at]], int(row[at])


def _value(rule: Rule, part: PlanRows, row: int, status: int) -> object:
    """What the signal carries: the rule's expressions, or whether its condition holds."""
    if isinstance(rule.value, str):
        return part.columns[rule.value][row]
    if rule.value is not None:
        return {key: part.columns[name][row] for key, name in rule.value.items()}
    return status != REVISED
