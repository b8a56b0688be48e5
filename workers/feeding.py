"""Ticks from files to the fleet: as fast as it goes, or at a multiple of their own pace."""

import asyncio
import signal
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from streams.producer import TickProducer
from workers.files import Ints, TickChunk
from workers.tables import FileError

NS_PER_S = 1_000_000_000
PUSH_ROWS = 5_000  # at full speed: what is packed and sent at once
PACED_NS = 20_000_000  # of wall time: ticks of so long are sent together


class Fed(NamedTuple):
    """What was pushed."""

    ticks: int
    stopped: bool


async def push(
    producer: TickProducer, chunks: Iterable[TickChunk], speed: float | None = None
) -> Fed:
    """Push every tick, in order, at `speed` times its pace; SIGTERM stops between two pushes.

    Raises: FileError, Unavailable when the server is away for longer than the producer retries.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    ticks, pace = 0, _Pace(speed)
    async with producer:
        try:
            for chunk in chunks:
                for rows in _pieces(chunk, speed):
                    await pace.wait_for(int(chunk.ts[rows[0]]), stop)
                    if stop.is_set():
                        return Fed(ticks, stopped=True)
                    await producer.send_columns(chunk.take(rows))
                    ticks += len(rows)
        except FileError as error:  # else nobody would know where to go on
            raise FileError(f"{error} ({ticks:,} ticks before it were pushed)") from error
    return Fed(ticks, stopped=False)


class _Pace:
    """When a tick of some event time is due, at a multiple of its own pace."""

    def __init__(self, speed: float | None) -> None:
        self._speed = speed
        self._first: tuple[int, float] | None = None

    async def wait_for(self, ts: int, stop: asyncio.Event) -> None:
        """Return when the tick is due, or when `stop` is set."""
        if self._speed is None:
            return
        if self._first is None:
            self._first = (ts, time.monotonic())
        first_ts, started = self._first
        due = started + (ts - first_ts) / NS_PER_S / self._speed
        pause_s = due - time.monotonic()
        if pause_s > 0:
            try:
                await asyncio.wait_for(stop.wait(), pause_s)
            except TimeoutError:
                return


def _pieces(chunk: TickChunk, speed: float | None) -> Iterator[Ints]:
    """Rows that are sent together: many at full speed, else those of the same moment."""
    rows = np.arange(len(chunk.ts))
    if speed is None:
        cuts = rows[PUSH_ROWS::PUSH_ROWS]
    else:
        moment = chunk.ts // int(PACED_NS * speed)
        cuts = np.flatnonzero(np.diff(moment)) + 1
    return iter(np.split(rows, cuts))
