"""Bars from ticks: by time, by count of ticks, by volume; a batch of many instruments at a time."""

import hashlib
import re
import struct
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from indicators import bar_kernels as kernels
from indicators.bar_kernels import Bools, Cells, Floats, Ints, Progress, Rule, Sink, Ticks
from indicators.compiled import column_of
from indicators.errors import IndicatorError

SECOND_NS = 1_000_000_000
UNITS_NS = {
    "s": SECOND_NS,
    "m": 60 * SECOND_NS,
    "h": 3_600 * SECOND_NS,
    "d": 86_400 * SECOND_NS,
}
DAY_NS = UNITS_NS["d"]
ENDS = {
    **dict.fromkeys(UNITS_NS, kernels.BY_TIME),
    "t": kernels.BY_TICKS,
    "v": kernels.BY_VOLUME,
}
NOTHING = (np.empty(0, np.int64), np.empty(0, np.float64), np.empty(0, np.bool_))
STEP_MAX = 10**12  # ticks or units of size; far above any real bar, far below 2**53
FLAT_BARS_MAX = 10_000
EXAMPLES = "such as 1s, 15s, 1m, 4h, 1d (time), 100t (ticks), 1000v (volume)"


@dataclass(frozen=True, slots=True)
class BarSpec:
    """A timeframe: what ends a bar, where time bars are aligned, what a gap gives.

    `step` is nanoseconds for time bars, ticks or units of size for the others. `anchor_ns` shifts
    the alignment of time bars from midnight UTC: a session that opens at 14:30 UTC has daily bars
    with an anchor of 14.5 hours. `flat_bars_max` is how many flat bars (at the last close, volume
    0, no ticks) the intervals after a bar give while no tick comes; then the gap stays silent.
    """

    name: str
    step: int
    anchor_ns: int = 0
    flat_bars_max: int = 0

    @classmethod
    def parse(cls, text: str, *, anchor_ns: int = 0, flat_bars_max: int = 0) -> Self:
        """The timeframe that `text` names, under its shortest name (`60s` is `1m`).

        Raises: IndicatorError.
        """
        match = re.fullmatch(r"([1-9][0-9]{0,12})([smhdtv])", text)
        if match is None:
            raise IndicatorError(f"timeframe {text!r} is not a number and a unit, {EXAMPLES}")
        count, unit = int(match[1]), match[2]
        if unit in UNITS_NS:
            step = count * UNITS_NS[unit]
            _check_time(text, step, anchor_ns, flat_bars_max)
            return cls(_name(step), step, anchor_ns, flat_bars_max)
        if count > STEP_MAX:
            raise IndicatorError(f"timeframe {text!r} is above the maximum of {STEP_MAX}{unit}")
        if anchor_ns or flat_bars_max:
            raise IndicatorError(f"timeframe {text!r} ends by {unit}: only time has anchor or gaps")
        return cls(text, count)

    @property
    def is_time(self) -> bool:
        """Whether the clock closes these bars."""
        return self.name[-1] in UNITS_NS


def _check_time(text: str, step: int, anchor_ns: int, flat_bars_max: int) -> None:
    if step > DAY_NS or DAY_NS % step:
        raise IndicatorError(
            f"timeframe {text!r} does not divide a day into equal bars, {EXAMPLES}"
        )
    if not 0 <= anchor_ns < step:
        raise IndicatorError(f"anchor_ns {anchor_ns} is outside 0 to {step - 1}, one {text} bar")
    if not 0 <= flat_bars_max <= FLAT_BARS_MAX:
        raise IndicatorError(f"flat_bars_max {flat_bars_max} is outside 0 to {FLAT_BARS_MAX}")


def _name(step: int) -> str:
    unit = next(unit for unit in "dhms" if step % UNITS_NS[unit] == 0)
    return f"{step // UNITS_NS[unit]}{unit}"


@dataclass(frozen=True, slots=True)
class BarRows:
    """Bars in the order of the input rows that caused them.

    `row` is the index of that tick or clock row, `ts` the bar's close (ns): its end for a time
    bar, its last tick for the others. All (bars,), but `late` (rows,): the ticks that came after
    their bar had closed and were not applied. `partial` marks the first bar of an instrument.
    """

    row: Ints
    slot: Ints
    ts: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    ticks: Ints
    final: Bools
    partial: Bools
    late: Bools

    def __len__(self) -> int:
        return self.row.size

    @property
    def columns(self) -> dict[str, Floats]:
        """The fields that indicators are computed from, each (bars,)."""
        return {
            "open": self.open,
            "high": self.high,
            "low": self.low,
            "close": self.close,
            "volume": self.volume,
        }

    def inputs(self, fields: Collection[str]) -> dict[str, Floats]:
        """The columns that a plan asks for, each (bars,): the day is that in which a bar lies."""
        made = self.columns
        if "day" in fields:
            made["day"] = ((self.ts - 1) // DAY_NS).astype(np.float64)
        if "time_s" in fields:
            made["time_s"] = (self.ts // SECOND_NS).astype(np.float64)
        return made

    def take(self, bars: Ints) -> Self:
        """The bars at these places; `late` stays whole."""
        picked = {name: getattr(self, name)[bars] for name in self.__slots__ if name != "late"}
        return replace(self, **picked)


class BarState:
    """The bars being built of one timeframe, one a slot, in arrays that grow."""

    VERSION = 1
    MAGIC = b"SFBR"
    HEADER = struct.Struct("<4sHxx16sqqqq")  # magic, version, name, step, anchor, flat, slots
    DIGEST_BYTES = 16

    def __init__(self, spec: BarSpec, slots: int = 0) -> None:
        self.spec = spec
        self.cells = _new_cells(slots)

    @property
    def slots(self) -> int:
        """How many slots there are room for."""
        return self.cells.due.size

    def resize(self, slots: int) -> None:
        """Make room for `slots` slots; never takes any away."""
        if slots <= self.slots:
            return
        grown = _new_cells(slots)
        for new, old in zip(grown[:3], self.cells[:3], strict=True):
            new[: self.slots] = old
        self.cells = grown

    def next_close(self) -> int | None:
        """Close (ns) of the bar that ends first, None when no time bar is open."""
        due = self.cells.due
        return int(due.min(where=due > 0, initial=kernels.NEVER)) if due.any() else None

    def save(self) -> bytes:
        """A capsule of all slots, for `load`."""
        spec = self.spec
        header = self.HEADER.pack(
            *(self.MAGIC, self.VERSION, spec.name.encode()),
            *(spec.step, spec.anchor_ns, spec.flat_bars_max, self.slots),
        )
        cells = self.cells
        body = header + cells.due.tobytes() + cells.marks.tobytes() + cells.bars.tobytes()
        return body + _digest(body, self.DIGEST_BYTES)

    @classmethod
    def load(cls, spec: BarSpec, blob: bytes) -> Self:
        """The state that `save` packed. Raises: IndicatorError, for any other bytes."""
        slots = cls._slots_of(spec, blob)
        state = cls(spec, slots)
        offset = cls.HEADER.size
        for cells in state.cells[:3]:
            flat = np.frombuffer(blob, cells.dtype, cells.size, offset)
            cells[...] = flat.reshape(cells.shape)
            offset += cells.nbytes
        return state

    @classmethod
    def _slots_of(cls, spec: BarSpec, blob: bytes) -> int:
        """How many slots the capsule holds, once it has proved to be whole and of `spec`."""
        start, end = cls.HEADER.size, len(blob) - cls.DIGEST_BYTES
        if end < start or blob[:4] != cls.MAGIC:
            raise IndicatorError(f"not a capsule of bars: {len(blob)} bytes from {blob[:4]!r}")
        _, version, name, *numbers, slots = cls.HEADER.unpack_from(blob)
        if version != cls.VERSION:
            raise IndicatorError(f"capsule of bars: version {version}, this reads {cls.VERSION}")
        if blob[end:] != _digest(blob[:end], cls.DIGEST_BYTES):
            raise IndicatorError(f"capsule of bars: {len(blob)} bytes do not match their digest")
        found = BarSpec(name.rstrip(b"\0").decode(), *numbers)
        if found != spec:
            raise IndicatorError(f"capsule of bars: holds {found}, wanted {spec}")
        return int(slots)


def _new_cells(slots: int) -> Cells:
    return Cells(
        due=np.zeros(slots, np.int64),
        marks=np.zeros((slots, kernels.FORMED + 1), np.int64),
        bars=np.zeros((slots, kernels.REST + 1), np.float64),
        earliest=np.zeros(1, np.int64),
    )


def _digest(body: bytes, size: int) -> bytes:
    return hashlib.blake2b(body, digest_size=size).digest()


def update(
    spec: BarSpec,
    state: BarState,
    slots: npt.ArrayLike,
    ts: npt.ArrayLike,
    price: npt.ArrayLike,
    size: npt.ArrayLike,
    *,
    forming_ns: int | None = None,
) -> BarRows:
    """The bars that these ticks and clock rows close, and forming rows where they are wanted.

    Columns are (rows,): `ts` ns since the epoch (not negative), price and size already checked
    to be finite. A slot of -1 is a clock row: it closes every time bar whose end is at or before
    its `ts`, in order of end, then slot. Otherwise a tick closes its own instrument's bar: at or
    after the end of a time bar, the last of N ticks, or the trade that fills the volume. Within
    a bar the order of arrival decides. A tick before its instrument's open bar or newest close
    is late: reported, not applied.

    forming_ns: None for no forming rows, 0 for one a tick, above 0 for the first tick in each such
    stretch of event time. A tick gives the bars it closes first, then its own forming row.

    A trade larger than a volume bar is split over as many as it fills, at most 1,000: the
    thousandth takes all the rest, so that volume is conserved. Cuts of the input do not matter.

    Cost: O(1) a tick; a clock row looks at every slot, but only when a bar is due.
    Raises: IndicatorError, before anything is applied.
    """
    if state.spec != spec:
        raise IndicatorError(f"the state is of {state.spec}, wanted {spec}")
    if forming_ns is not None and forming_ns < 0:
        raise IndicatorError(f"forming_ns is {forming_ns}, wanted None, 0 or more")
    ticks = Ticks(
        column_of(slots, np.int64), column_of(ts, np.int64), column_of(price, np.float64),
        column_of(size, np.float64),
    )  # fmt: skip
    _check(ticks, state.slots)
    rule = Rule(
        spec.step, spec.anchor_ns, spec.flat_bars_max, -1 if forming_ns is None else forming_ns
    )
    return _run(spec, state.cells, ticks, rule)


def _check(ticks: Ticks, slots: int) -> None:
    slot, ts, price, size = ticks
    if slot.ndim != 1 or not slot.shape == ts.shape == price.shape == size.shape:
        seen = ", ".join(f"{name} {column.shape}" for name, column in ticks._asdict().items())
        raise IndicatorError(f"columns must be (rows,) and of one length, not {seen}")
    bad = kernels.first_outside(slot, slots)
    if bad >= 0:
        raise IndicatorError(
            f"row {bad}: slot {slot[bad]} is outside -1 to {slots - 1}: resize the state"
        )


def _run(spec: BarSpec, cells: Cells, ticks: Ticks, rule: Rule) -> BarRows:
    rows = ticks.ts.size
    late = np.zeros(rows, np.bool_)
    sink = _new_sink(16 + rows * (1 if rule.forming_ns < 0 else 2))  # untouched room costs nothing
    ends, done = ENDS[spec.name[-1]], Progress(0, 0, 0)
    while True:
        done = Progress(*kernels.build(ends, *ticks, *cells, *sink, late, *rule, *done[:2]))
        if done.row == rows:
            break
        sink = _grown(sink, done)
    if not done.bars:
        return _no_bars(late)
    row, slot, ts, count = sink.ints[:, : done.bars]
    opened, high, low, close, volume = sink.floats[:, : done.bars]
    final, partial = sink.flags[:, : done.bars]
    return BarRows(
        *(row, slot, ts, opened, high, low, close, volume, count, final, partial), late=late
    )


def _no_bars(late: Bools) -> BarRows:
    ints, floats, bools = NOTHING
    return BarRows(
        *(ints, ints, ints), *(floats, floats, floats, floats, floats), *(ints, bools, bools), late
    )


def _new_sink(room: int) -> Sink:
    return Sink(
        ints=np.empty((kernels.TICKS + 1, room), np.int64),
        floats=np.empty((kernels.REST, room), np.float64),
        flags=np.empty((kernels.PARTIAL + 1, room), np.bool_),
    )


def _grown(sink: Sink, done: Progress) -> Sink:
    grown = _new_sink(2 * sink.ints.shape[1] + done.need)
    for new, old in zip(grown, sink, strict=True):
        new[:, : done.bars] = old[:, : done.bars]
    return grown
