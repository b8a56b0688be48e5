"""Compile what a worker runs before it owns a shard: compiling later would stall its leases.

`python -m workers.warm` compiles every kernel there is, for an image whose file system will
be read-only.
"""

import sys
from time import monotonic

import numpy as np

from indicators.declare import OPERATORS
from indicators.kernels import address
from streams.decode import warm as warm_parser
from streams.records import Batch, EntryId
from streams.symbols import SymbolTable
from workers.meter import Meter
from workers.processor import advance
from workers.program import Program
from workers.settings import PlanSettings
from workers.state import ShardState

TICKS = 4
TELL_EVERY = 25  # where there is no terminal
NOON_NS = 1_763_812_800_000_000_000
HALF_DAY_NS = 43_200_000_000_000


def warm(program: Program) -> float:
    """Run a few ticks through everything that `program` needs; returns the seconds it took."""
    started = monotonic()
    state = ShardState.new(program, SymbolTable(), dedupe_window=16)
    warm_parser()
    state.symbols.add(b"WARM")
    advance(program, state, _ticks(), now_ns=0)
    Meter(state).count([_ticks()], busy_s=1.0)
    ShardState.load(state.save(program), symbols_max=16)
    return monotonic() - started


def _ticks() -> Batch:
    """Ticks of one instrument, half a day apart, the last of them repeated."""
    return Batch(
        shard="0",
        upto=EntryId(1, TICKS),
        entries=TICKS,
        slot=np.zeros(TICKS, np.int64),
        ts=NOON_NS + np.arange(TICKS) * HALF_DAY_NS,
        price=np.array([1.0, 2.0, 3.0, 4.0]),
        size=np.ones(TICKS),
        key=np.array([1, 2, 3, 3], np.uint64),
        entry_ms=np.ones(TICKS, np.uint64),
        entry_seq=np.arange(TICKS, dtype=np.uint64),
    )


def main() -> None:
    """Compile the kernel of every operator, and all that a batch goes through."""
    count = len(OPERATORS)
    for number, operator in enumerate(OPERATORS.values(), start=1):
        address(operator)
        if sys.stderr.isatty() or number % TELL_EVERY == 0 or number == count:
            end = "\r" if sys.stderr.isatty() and number < count else "\n"
            sys.stderr.write(f"kernels ready: {number} of {count}{end}")
    warm(Program({"warm": PlanSettings(emit="forming", signals={"up": "close > open"})}))


if __name__ == "__main__":
    main()
