"""The bars of a file, for running a script on it: bars as they are, ticks made into bars."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from indicators.bars import BarSpec, BarState, update
from sandbox.script import COLUMNS, Bars
from workers.files import BarChunk, Floats, Ints, TickChunk, holds_bars, read_bars, read_ticks
from workers.tables import FileError

type OnBytes = Callable[[int, int], None]

ROWS_MAX: Final = 5_000_000  # bars of one file: 320 MB


class _Piece(NamedTuple):
    slots: Ints
    ts: Ints
    columns: dict[str, Floats]


def bars_of(path: Path, timeframe: str, on_bytes: OnBytes | None = None) -> Bars:
    """The closed bars of a file in order of time; ticks become bars of `timeframe`.

    A bar that no later tick closes stays out, as in the fleet. Raises FileError, and
    IndicatorError for an unknown timeframe.
    """
    slots: dict[str, int] = {}
    if holds_bars(path):
        pieces = [_bars(chunk, slots) for chunk in read_bars([path], on_bytes)]
    else:
        spec = BarSpec.parse(timeframe)
        pieces = list(_made(spec, read_ticks([path], on_bytes), slots))
    rows = sum(len(piece.slots) for piece in pieces)
    if rows > ROWS_MAX:
        raise FileError(f"{path}: {rows} bars, at most {ROWS_MAX} can be run at a time")
    if not rows:
        return Bars(np.empty(0, np.int64), np.empty(0, np.int64), _empty())
    ts = np.concatenate([piece.ts for piece in pieces])
    order = np.argsort(ts, kind="stable")
    return Bars(
        slots=np.concatenate([piece.slots for piece in pieces])[order],
        ts=ts[order],
        columns={
            name: np.concatenate([piece.columns[name] for piece in pieces])[order]
            for name in COLUMNS
        },
        symbols={slot: symbol for symbol, slot in slots.items()},
    )


def _bars(chunk: BarChunk, slots: dict[str, int]) -> _Piece:
    columns = {name: getattr(chunk, name) for name in COLUMNS}
    return _Piece(_slots_of(chunk, slots), chunk.ts, columns)


def _made(spec: BarSpec, chunks: Iterator[TickChunk], slots: dict[str, int]) -> Iterator[_Piece]:
    state = BarState(spec)
    for chunk in chunks:
        owners = _slots_of(chunk, slots)
        state.resize(len(slots))
        rows = update(spec, state, owners, chunk.ts, chunk.price, chunk.size)
        yield _Piece(rows.slot, rows.ts, rows.columns)


def _slots_of(chunk: BarChunk | TickChunk, slots: dict[str, int]) -> Ints:
    """Slots over the whole file, in order of first appearance."""
    known = np.array([slots.setdefault(symbol, len(slots)) for symbol in chunk.symbols], np.int64)
    return known[chunk.symbol]


def _empty() -> dict[str, Floats]:
    return {name: np.empty(0) for name in COLUMNS}
