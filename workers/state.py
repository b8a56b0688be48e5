"""The state of one shard: flat arrays and counters, saved and loaded as one capsule."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from indicators.bars import BarState
from indicators.dedupe import SeenKeys
from indicators.errors import IndicatorError
from streams.errors import StreamError
from streams.records import ZERO, Batch, EntryId
from streams.symbols import SymbolTable
from workers.degrade import ShedState
from workers.history import History
from workers.program import Feed, PlanProgram, Program
from workers.rules import CELLS
from workers.scripting.deployment import NOBODY, Trust
from workers.scripting.state import Scripts

MAGIC = b"SFS1"
HEAD_BYTES = 16  # magic, size of what is packed, checksum
CODEC = "zstd"
SLOTS_MIN = 64
CAPSULE_VERSION = 3


class SnapshotError(Exception):
    """This capsule cannot be used: rebuild the state from the log."""


@dataclass(slots=True)
class PlanState:
    """One plan's cells, one row a slot, and the memory of each of its rules."""

    state: NDArray[np.float64]
    memory: dict[str, NDArray[np.float64]]
    covered: NDArray[np.bool_]

    @classmethod
    def new(cls, plan: PlanProgram) -> Self:
        """State that has seen nothing."""
        return cls(
            plan.plan.new_state(slots=0),
            {rule.name: np.zeros((0, CELLS)) for rule in plan.rules},
            np.zeros(0, dtype=np.bool_),
        )

    def resize(self, slots: int) -> None:
        """Room for `slots` instruments; new ones are born zero."""
        self.state = _grown(self.state, slots)
        self.memory = {name: _grown(cells, slots) for name, cells in self.memory.items()}


@dataclass(slots=True)
class ShardState:
    """All that a shard's next output depends on, as of the log entry `upto`."""

    symbols: SymbolTable
    dedupe: SeenKeys
    upto: EntryId = ZERO
    entries: int = 0
    newest_ts: int = 0
    signal_seq: int = 0
    value_seq: int = 0
    bars: dict[Feed, BarState] = field(default_factory=dict)
    plans: dict[str, PlanState] = field(default_factory=dict)
    scripts: Scripts = field(default_factory=Scripts)
    shedding: ShedState = field(default_factory=ShedState)
    history: History = field(default_factory=History)

    @classmethod
    def new(cls, program: Program, symbols: SymbolTable, dedupe_window: int) -> Self:
        """State before the first entry of the log."""
        state = cls(symbols, SeenKeys(dedupe_window))
        state.bars = {feed: BarState(feed.spec) for feed in program.feeds}
        state.plans = {plan.name: PlanState.new(plan) for plan in program.plans}
        return state

    def covers(self, plan: PlanProgram) -> NDArray[np.bool_]:
        """Which slots the plan wants, `(slots,)`; worked out once per new instrument."""
        cells, names = self.plans[plan.name], self.symbols.names
        known = cells.covered.size
        if known < len(names):
            cells.covered = np.concatenate((cells.covered, plan.covers(names[known:])))
        return cells.covered

    def grow(self) -> None:
        """Room for every instrument of the symbol table, doubling so that it is rarely needed."""
        wanted = len(self.symbols)
        self.history.resize(wanted)
        for bars in self.bars.values():
            if bars.slots < wanted:
                bars.resize(_capacity(wanted))
        for plan in self.plans.values():
            if len(plan.state) < wanted:
                plan.resize(_capacity(wanted))

    def adopt(self, program: Program, known: Program, warm: Self | None) -> None:
        """Go over from the plans of `known` to those of `program`; new ones come from `warm`.

        `warm` has the same slots; it may be None where `program` brings nothing new.
        """
        kept = {plan.digest for plan in known.plans}
        bars = {feed: (self if feed in self.bars else warm) for feed in program.feeds}
        plans = {plan.name: (self if plan.digest in kept else warm) for plan in program.plans}
        self.bars = {feed: origin.bars[feed] for feed, origin in bars.items() if origin}
        self.plans = {name: origin.plans[name] for name, origin in plans.items() if origin}

    def save(self, program: Program) -> bytes:
        """A capsule: the program, and every array and counter, compressed and checksummed."""
        return packed(self.copied(program))

    def copied(self, program: Program) -> bytes:
        """What the capsule holds; to pack it takes far longer, and any thread may do that."""
        sections = [program.payload, self.symbols.save(), self.dedupe.save()]
        sections += [self.scripts.save(), self.shedding.save(), self.history.save()]
        sections += [self.bars[feed].save() for feed in program.feeds]
        for plan in program.plans:
            cells = self.plans[plan.name]
            sections.append(plan.plan.save_all(cells.state))
            sections += [cells.memory[rule.name].tobytes() for rule in plan.rules]
        counters = [
            *(self.dedupe.window, str(self.upto), self.entries),
            *(self.newest_ts, self.signal_seq, self.value_seq),
        ]
        head = orjson.dumps([counters, [len(section) for section in sections]])
        return b"".join((len(head).to_bytes(4, "little"), head, *sections))

    @classmethod
    def load(cls, capsule: bytes, symbols_max: int, trust: Trust = NOBODY) -> tuple[Program, Self]:
        """Program and state that `save` wrote. Raises: SnapshotError, Untrusted."""
        try:
            counters, sections = _unpack(capsule)
            return cls._restore(counters, iter(sections), symbols_max, trust)
        except (ValueError, KeyError, StopIteration, IndicatorError, StreamError) as error:
            raise SnapshotError(f"snapshot of {len(capsule)} bytes: {error}") from error

    @classmethod
    def _restore(
        cls, counters: Sequence[Any], sections: Iterator[bytes], symbols_max: int, trust: Trust
    ) -> tuple[Program, Self]:
        window, upto, entries, newest_ts, signal_seq, value_seq = counters
        program = Program.parse(next(sections))
        state = cls(
            SymbolTable.load(next(sections), symbols_max),
            SeenKeys.load(window, next(sections)),
            *(EntryId.parse(upto), entries, newest_ts, signal_seq, value_seq),
        )
        state.scripts = Scripts.load(next(sections), trust)
        state.shedding = ShedState.load(next(sections))
        state.history = History.load(next(sections))
        for feed in program.feeds:
            state.bars[feed] = BarState.load(feed.spec, next(sections))
        for plan in program.plans:
            cells = PlanState.new(plan)
            cells.state = plan.plan.load_all(next(sections))
            for rule in plan.rules:
                memory = np.frombuffer(next(sections), dtype=np.float64)
                cells.memory[rule.name] = memory.reshape(-1, CELLS).copy()
            state.plans[plan.name] = cells
        return program, state

    def next_due_ns(self) -> int | None:
        """Close of the open time bar that ends first; None while none is, or in history."""
        if self.history.newest:
            return None
        closes = [close for bars in self.bars.values() if (close := bars.next_close()) is not None]
        return min(closes, default=None)

    def move(self, batch: Batch, applied_ts: NDArray[np.int64]) -> None:
        """Stand behind the last entry of `batch`."""
        self.upto = batch.upto
        self.entries += batch.entries
        if batch.rows:
            self.history.newest = batch.history
        if applied_ts.size:
            self.newest_ts = max(self.newest_ts, int(np.maximum.reduce(applied_ts)))


def packed(raw: bytes) -> bytes:
    """The capsule of what `copied` gave."""
    small = pa.compress(raw, codec=CODEC, asbytes=True)
    sizes = len(raw).to_bytes(8, "little") + zlib.crc32(small).to_bytes(4, "little")
    return MAGIC + sizes + bytes(small)


def _unpack(capsule: bytes) -> tuple[Sequence[Any], list[bytes]]:
    if capsule[:4] != MAGIC or len(capsule) < HEAD_BYTES:
        raise ValueError(f"wanted {MAGIC!r} at its start, saw {capsule[:4]!r}")
    size, check = int.from_bytes(capsule[4:12], "little"), int.from_bytes(capsule[12:16], "little")
    small = capsule[HEAD_BYTES:]
    if zlib.crc32(small) != check:
        raise ValueError("its checksum does not match: it is damaged")
    raw = pa.decompress(small, decompressed_size=size, codec=CODEC, asbytes=True)
    start = 4 + int.from_bytes(raw[:4], "little")
    counters, lengths = orjson.loads(raw[4:start])
    sections = []
    for length in lengths:
        sections.append(raw[start : start + length])
        start += length
    return counters, sections


def _capacity(wanted: int) -> int:
    return max(SLOTS_MIN, 1 << (wanted - 1).bit_length())


def _grown(cells: NDArray[np.float64], slots: int) -> NDArray[np.float64]:
    grown = np.zeros((slots, cells.shape[1]))
    grown[: len(cells)] = cells
    return grown
