"""The compiled loops behind `indicators.bars`: one pass over the ticks, state in flat arrays.

A loop stops before a row whose bars might not fit into what is left of the output and says how
many it needs; the caller makes room and calls again from that row. So a row is applied whole or
not at all.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from indicators.compiled import compiled, inlined

type Ints = npt.NDArray[np.int64]
type Floats = npt.NDArray[np.float64]
type Bools = npt.NDArray[np.bool_]


class Ticks(NamedTuple):
    """Input columns (rows,); a slot of -1 is a clock row, whose `ts` is the clock."""

    slot: Ints
    ts: Ints
    price: Floats
    size: Floats


class Cells(NamedTuple):
    """What is remembered of every slot; all of it is born zero.

    due: close of the time bar that is being built, 0 for none (slots,); marks: FLOOR..FORMED
    (slots, 5); bars: OPEN..REST (slots, 6); earliest: no bar is due before this (1,). `earliest`
    is derived: it saves most clock rows the walk over all slots, and 0 only means "look".
    """

    due: Ints
    marks: Ints
    bars: Floats
    earliest: Ints


class Sink(NamedTuple):
    """Output columns with room to spare: ints (4, room), floats (5, room), flags (2, room)."""

    ints: Ints
    floats: Floats
    flags: Bools


class Rule(NamedTuple):
    """A timeframe as the loops see it; `forming_ns` of -1 gives no forming rows."""

    step: int
    anchor_ns: int
    flat_bars_max: int
    forming_ns: int


class Progress(NamedTuple):
    """Rows applied so far, bars given so far, and how many the next row may give."""

    row: int
    bars: int
    need: int


FLOOR, COUNT, CLOSED, FLAT, FORMED = range(5)  # Cells.marks: a tick before FLOOR is late
OPEN, HIGH, LOW, CLOSE, VOLUME, REST = range(6)  # Cells.bars; REST is what VOLUME rounds away
ROW, SLOT, TS, TICKS = range(4)  # Sink.ints
FINAL, PARTIAL = range(2)  # Sink.flags

BY_TIME, BY_TICKS, BY_VOLUME = range(3)  # what ends a bar

SPLIT_BARS_MAX = 1_000
DUST = 1e-9  # of a bar's volume: a remainder below it is rounding of decimals, not a trade
NEVER = np.iinfo(np.int64).max


@compiled
def first_outside(slot: Ints, slots: int) -> int:
    """First row whose slot is neither the clock's nor one of `slots`, -1 for none."""
    for row in range(slot.size):
        if slot[row] < -1 or slot[row] >= slots:
            return row
    return -1


@inlined
def absorb(cells: Cells, slot: int, price: float) -> None:
    """Put a tick's price into the slot's bar, which it opens when it is the first."""
    bars, marks = cells.bars, cells.marks
    if marks[slot, COUNT] == 0:
        bars[slot, OPEN] = price
        bars[slot, HIGH] = price
        bars[slot, LOW] = price
    else:
        bars[slot, HIGH] = max(bars[slot, HIGH], price)
        bars[slot, LOW] = min(bars[slot, LOW], price)
    bars[slot, CLOSE] = price
    marks[slot, COUNT] += 1


@inlined
def give(sink: Sink, bar: int, cells: Cells, row: int, slot: int, ts: int, final: bool) -> None:
    """Write the slot's bar, as it stands, to place `bar` of the output."""
    sink.ints[ROW, bar] = row
    sink.ints[SLOT, bar] = slot
    sink.ints[TS, bar] = ts
    sink.ints[TICKS, bar] = cells.marks[slot, COUNT]
    for field in range(VOLUME):
        sink.floats[field, bar] = cells.bars[slot, field]
    sink.floats[VOLUME, bar] = max(cells.bars[slot, VOLUME], 0.0)
    sink.flags[FINAL, bar] = final
    sink.flags[PARTIAL, bar] = cells.marks[slot, CLOSED] == 0


@inlined
def retire(cells: Cells, slot: int, close: int) -> None:
    """Forget the slot's bar, which was given as final and closed at `close`."""
    cells.marks[slot, FLOOR] = close
    cells.marks[slot, COUNT] = 0
    cells.marks[slot, CLOSED] += 1


@inlined
def takes_forming(cells: Cells, slot: int, ts: int, forming_ns: int) -> bool:
    """Whether this tick gives a forming row; if so, its bucket of event time is used up."""
    if forming_ns <= 0:
        return forming_ns == 0
    if ts < cells.marks[slot, FORMED]:
        return False
    cells.marks[slot, FORMED] = (ts // forming_ns + 1) * forming_ns
    return True


@inlined
def due_bars(due: int, clock: int, rule: Rule) -> int:
    """At most how many bars a slot closes at `clock`."""
    if due == 0 or due > clock:
        return 0
    if rule.flat_bars_max == 0:
        return 1
    return 1 + min((clock - due) // rule.step, rule.flat_bars_max)


@inlined
def close_due(
    sink: Sink, bar: int, cells: Cells, row: int, slot: int, clock: int, rule: Rule
) -> int:
    """Close the slot's time bars that end at or before `clock`; how many bars were given by now.

    Where flat bars are wanted, the next bar starts at once as a flat one, until a gap has had
    `flat_bars_max` of them; it turns into an ordinary bar with its first tick.
    """
    due, marks, bars = cells.due, cells.marks, cells.bars
    while due[slot] != 0 and due[slot] <= clock:
        give(sink, bar, cells, row, slot, due[slot], True)
        bar += 1
        marks[slot, FLAT] = marks[slot, FLAT] + 1 if marks[slot, COUNT] == 0 else 0
        retire(cells, slot, due[slot])
        for field in range(CLOSE):
            bars[slot, field] = bars[slot, CLOSE]
        bars[slot, VOLUME] = 0.0
        due[slot] = due[slot] + rule.step if marks[slot, FLAT] < rule.flat_bars_max else 0
    return bar


@inlined
def close_all_due(sink: Sink, bar: int, cells: Cells, row: int, clock: int, rule: Rule) -> int:
    """Close every slot's due bars, in order of close, then slot; how many were given by now."""
    first, earliest = bar, NEVER
    for slot in range(cells.due.size):
        bar = close_due(sink, bar, cells, row, slot, clock, rule)
        if cells.due[slot] != 0:
            earliest = min(earliest, cells.due[slot])
    cells.earliest[0] = earliest
    closes = sink.ints[TS, first:bar]
    if np.any(closes[1:] < closes[:-1]):
        order = np.argsort(closes, kind="mergesort")
        for column in range(sink.ints.shape[0]):
            sink.ints[column, first:bar] = sink.ints[column, first:bar][order]
        for column in range(sink.floats.shape[0]):
            sink.floats[column, first:bar] = sink.floats[column, first:bar][order]
        for column in range(sink.flags.shape[0]):
            sink.flags[column, first:bar] = sink.flags[column, first:bar][order]
    return bar


@inlined
def all_due_bars(cells: Cells, clock: int, rule: Rule) -> int:
    """At most how many bars a clock row closes."""
    total = 0
    if clock >= cells.earliest[0]:
        for slot in range(cells.due.size):
            total += due_bars(cells.due[slot], clock, rule)
    return total


@compiled
def time_bars(
    ticks: Ticks, cells: Cells, sink: Sink, late: Bools, rule: Rule, done: Progress
) -> Progress:
    """Bars of [T, T + step): the tick at or after a bar's end closes it, or a clock row does."""
    room, bar = sink.ints.shape[1], done.bars
    for row in range(done.row, ticks.ts.size):
        slot, ts = ticks.slot[row], ticks.ts[row]
        if slot < 0:
            need = all_due_bars(cells, ts, rule)
            if bar + need > room:
                return Progress(row, bar, need)
            if need > 0 or cells.earliest[0] == 0:
                bar = close_all_due(sink, bar, cells, row, ts, rule)
            continue
        need = due_bars(cells.due[slot], ts, rule) + 1
        if bar + need > room:
            return Progress(row, bar, need)
        if ts < cells.marks[slot, FLOOR]:
            late[row] = True
            continue
        bar = close_due(sink, bar, cells, row, slot, ts, rule)
        if cells.due[slot] == 0:
            start = ts - (ts - rule.anchor_ns) % rule.step
            cells.due[slot] = start + rule.step
            cells.marks[slot, FLOOR] = start
        cells.earliest[0] = min(cells.earliest[0], cells.due[slot])
        absorb(cells, slot, ticks.price[row])
        cells.bars[slot, VOLUME] += ticks.size[row]
        if takes_forming(cells, slot, ts, rule.forming_ns):
            give(sink, bar, cells, row, slot, cells.due[slot], False)
            bar += 1
    return Progress(ticks.ts.size, bar, 0)


@compiled
def tick_bars(
    ticks: Ticks, cells: Cells, sink: Sink, late: Bools, rule: Rule, done: Progress
) -> Progress:
    """Bars of `step` ticks: the last of them closes the bar."""
    room, bar = sink.ints.shape[1], done.bars
    for row in range(done.row, ticks.ts.size):
        slot, ts = ticks.slot[row], ticks.ts[row]
        if slot < 0:
            continue
        if bar == room:
            return Progress(row, bar, 1)
        if ts < cells.marks[slot, FLOOR]:
            late[row] = True
            continue
        absorb(cells, slot, ticks.price[row])
        cells.bars[slot, VOLUME] += ticks.size[row]
        full = cells.marks[slot, COUNT] == rule.step
        if full or takes_forming(cells, slot, ts, rule.forming_ns):
            give(sink, bar, cells, row, slot, ts, full)
            bar += 1
        if full:
            retire(cells, slot, ts)
            cells.bars[slot, VOLUME] = 0.0
    return Progress(ticks.ts.size, bar, 0)


@inlined
def pour(cells: Cells, slot: int, size: float) -> None:
    """Add `size` to the slot's volume; REST keeps what the addition rounds away."""
    bars = cells.bars
    before = bars[slot, VOLUME]
    total = before + size
    part = total - before
    bars[slot, REST] += (before - (total - part)) + (size - part)
    bars[slot, VOLUME] = total + bars[slot, REST]
    bars[slot, REST] -= bars[slot, VOLUME] - total


@inlined
def fill(sink: Sink, bar: int, cells: Cells, row: int, slot: int, ticks: Ticks, rule: Rule) -> int:
    """Close the volume bars that this trade fills; how many bars were given by now."""
    dust, last = DUST * rule.step, bar + SPLIT_BARS_MAX - 1
    while cells.bars[slot, VOLUME] >= rule.step - dust:
        held = cells.bars[slot, VOLUME]
        volume = held if bar == last else float(rule.step)
        cells.bars[slot, VOLUME] = volume
        give(sink, bar, cells, row, slot, ticks.ts[row], True)
        cells.bars[slot, VOLUME] = held
        pour(cells, slot, -volume)
        bar += 1
        retire(cells, slot, ticks.ts[row])
        if cells.bars[slot, VOLUME] > dust:
            absorb(cells, slot, ticks.price[row])
    return bar


@compiled
def volume_bars(
    ticks: Ticks, cells: Cells, sink: Sink, late: Bools, rule: Rule, done: Progress
) -> Progress:
    """Bars of `step` units of size; a trade that overflows a bar goes on in the next ones."""
    room, bar = sink.ints.shape[1], done.bars
    for row in range(done.row, ticks.ts.size):
        slot, ts = ticks.slot[row], ticks.ts[row]
        if slot < 0:
            continue
        filled = (cells.bars[slot, VOLUME] + ticks.size[row]) / rule.step
        need = int(min(filled, SPLIT_BARS_MAX)) + 2
        if bar + need > room:
            return Progress(row, bar, need)
        if ts < cells.marks[slot, FLOOR]:
            late[row] = True
            continue
        absorb(cells, slot, ticks.price[row])
        pour(cells, slot, ticks.size[row])
        bar = fill(sink, bar, cells, row, slot, ticks, rule)
        if cells.marks[slot, COUNT] > 0 and takes_forming(cells, slot, ts, rule.forming_ns):
            give(sink, bar, cells, row, slot, ts, False)
            bar += 1
    return Progress(ticks.ts.size, bar, 0)


@compiled
def build(
    ends: int,
    slot: Ints,
    ts: Ints,
    price: Floats,
    size: Floats,
    due: Ints,
    marks: Ints,
    bars: Floats,
    earliest: Ints,
    ints: Ints,
    floats: Floats,
    flags: Bools,
    late: Bools,
    step: int,
    anchor_ns: int,
    flat_bars_max: int,
    forming_ns: int,
    row: int,
    bar: int,
) -> tuple[int, int, int]:
    """The members of `Progress` after the loop for bars that end so.

    All arguments come one by one: to take named tuples apart costs a call from Python more than
    a loop over a few ticks does.
    """
    ticks, cells = Ticks(slot, ts, price, size), Cells(due, marks, bars, earliest)
    sink, done = Sink(ints, floats, flags), Progress(row, bar, 0)
    rule = Rule(step, anchor_ns, flat_bars_max, forming_ns)
    if ends == BY_TIME:
        done = time_bars(ticks, cells, sink, late, rule, done)
    elif ends == BY_TICKS:
        done = tick_bars(ticks, cells, sink, late, rule, done)
    else:
        done = volume_bars(ticks, cells, sink, late, rule, done)
    return done.row, done.bars, done.need
