"""History for the fleet, from files of ticks or bars, as the ticks that make the same bars.

A bar becomes four ticks inside it: open, high, low, close, and all of its volume with the last.
Plans of its timeframe build the same bar of them, to the bit; plans of a coarser one that it
divides build what they would of the bars. No other plan can be warmed by it.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from indicators.bar_kernels import Bools
from indicators.bars import BarSpec
from workers.errors import FleetError
from workers.files import BarChunk, OnBytes, TickChunk, holds_bars, read_bars, read_ticks
from workers.program import PlanProgram, Program

TICKS_PER_BAR = 4


class BackfillError(FleetError):
    """These files cannot warm these plans: change what is named."""


def history(
    files: Sequence[Path],
    program: Program,
    timeframe: BarSpec | None,
    on_bytes: OnBytes | None = None,
) -> Iterator[TickChunk]:
    """The files' ticks; `timeframe` is that of their bars, None where they hold ticks.

    Raises: FileError, BackfillError before anything of the chunk that it is about is given.
    """
    kinds = {holds_bars(path) for path in files}
    if len(kinds) > 1:
        raise BackfillError("some files hold ticks and some bars: backfill one kind at a time")
    if kinds == {False}:
        if timeframe is not None:
            raise BackfillError(f"--timeframe {timeframe.name} is for bars, the files hold ticks")
        return read_ticks(files, on_bytes)
    if timeframe is None or not timeframe.is_time:
        raise BackfillError("the files hold bars: say how long they are, such as --timeframe 1m")
    return _ticks_of(read_bars(files, on_bytes), program, timeframe)


def _ticks_of(
    chunks: Iterable[BarChunk], program: Program, timeframe: BarSpec
) -> Iterator[TickChunk]:
    newest: dict[str, int] = {}
    for bars in chunks:
        _check_plans(program.plans, bars.symbols, timeframe)
        _check_bars(bars, timeframe, newest)
        yield as_ticks(bars, timeframe.step)


def as_ticks(bars: BarChunk, step: int) -> TickChunk:
    """Four ticks for each bar of `step` ns, in its order."""
    start = bars.ts - step
    last = bars.ts - 1
    none = np.zeros(bars.ts.size)
    return TickChunk(
        bars.symbols,
        np.repeat(bars.symbol, TICKS_PER_BAR),
        np.stack((start, start + step // 4, start + step // 2, last), axis=1).ravel(),
        np.stack((bars.open, bars.high, bars.low, bars.close), axis=1).ravel(),
        np.stack((none, none, none, bars.volume), axis=1).ravel(),
        None,
    )


def _check_plans(plans: Sequence[PlanProgram], symbols: Sequence[str], timeframe: BarSpec) -> None:
    for plan in plans:
        wanted = plan.feed.spec
        if wanted.is_time and wanted.step % timeframe.step == 0:
            continue
        covered = np.flatnonzero(plan.covers(symbols))
        if covered.size:
            raise BackfillError(
                f"plan {plan.name} has bars of {wanted.name}, which cannot be made of bars of"
                f" {timeframe.name} ({symbols[covered[0]]}): backfill ticks or finer bars"
            )


def _check_bars(bars: BarChunk, timeframe: BarSpec, newest: dict[str, int]) -> None:
    """Refuse bars that their four ticks would not give; `newest` is the last close by symbol."""
    top = np.maximum(bars.open, bars.close)
    bottom = np.minimum(bars.open, bars.close)
    _refuse(bars, (bars.high < top) | (bars.low > bottom), "wanted low <= open, close <= high")
    aside = bars.ts % timeframe.step != 0
    _refuse(bars, aside, f"wanted ts, the close, at a whole {timeframe.name}")
    before = np.empty_like(bars.ts)
    for which, symbol in enumerate(bars.symbols):
        rows = np.flatnonzero(bars.symbol == which)
        before[rows] = np.concatenate(([newest.get(symbol, 0)], bars.ts[rows]))[:-1]
        if rows.size:
            newest[symbol] = int(bars.ts[rows[-1]])
    _refuse(bars, bars.ts <= before, "wanted it after the bar before, in order of time")


def _refuse(bars: BarChunk, bad: Bools, wanted: str) -> None:
    if bad.any():
        row = int(bad.argmax())
        seen = (bars.open[row], bars.high[row], bars.low[row], bars.close[row])
        raise BackfillError(
            f"the bar of {bars.symbols[bars.symbol[row]]} at ts {bars.ts[row]} with open, high,"
            f" low, close {', '.join(f'{price:g}' for price in seen)}: {wanted}"
        )
