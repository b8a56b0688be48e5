"""Bars from ticks beside pandas and a plain Python loop: `python -m benchmarks.bars`."""

import statistics
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from indicators.bars import SECOND_NS, BarSpec, BarState, update

ROWS, SLOTS, BATCH_ROWS, ROUNDS = 400_000, 1_000, 1_000, 5
START_NS = 1_763_823_000 * SECOND_NS
type Columns = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def made_up(rows: int = ROWS, slots: int = SLOTS) -> Columns:
    """Ten minutes of ticks of interleaved instruments: slot, ts, price, size."""
    random = np.random.default_rng(1)
    ts = START_NS + np.sort(random.integers(0, 600 * SECOND_NS, rows))
    price = 100 + random.normal(0, 1, rows).cumsum() / 100
    return random.integers(0, slots, rows), ts, price, random.integers(1, 900, rows).astype(float)


def by_update(columns: Columns, timeframe: str, forming_ns: int | None = None) -> int:
    spec = BarSpec.parse(timeframe)
    state, bars = BarState(spec, SLOTS), 0
    for first in range(0, ROWS, BATCH_ROWS):
        batch = (column[first : first + BATCH_ROWS] for column in columns)
        bars += len(update(spec, state, *batch, forming_ns=forming_ns))
    return bars


def by_pandas(columns: Columns, timeframe: str) -> int:
    slot, ts, price, size = columns
    frame = pd.DataFrame({"slot": slot, "price": price, "size": size}, index=pd.to_datetime(ts))
    grouped = frame.groupby("slot").resample(timeframe)
    bars = grouped["price"].ohlc().assign(volume=grouped["size"].sum())
    return len(bars.dropna())


def by_dict(columns: Columns, step: int) -> int:
    closed, bars = 0, {}
    for slot, ts, price, size in zip(*(column.tolist() for column in columns), strict=True):
        bar = bars.get(slot)
        if bar is None or ts >= bar[0]:
            closed += bar is not None
            bars[slot] = [ts - ts % step + step, price, price, price, price, size]
        else:
            bar[2], bar[3] = max(bar[2], price), min(bar[3], price)
            bar[4], bar[5] = price, bar[5] + size
    return closed


def ns_a_tick(work: Callable[[], int]) -> tuple[float, float]:
    """Least and median ns a tick."""
    work()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) / ROWS * 1e9)
    return min(times), statistics.median(times)


def main() -> None:
    columns = made_up()
    jobs: dict[str, Callable[[], int]] = {
        "1m": lambda: by_update(columns, "1m"),
        "1m, forming each tick": lambda: by_update(columns, "1m", forming_ns=0),
        "1m, forming 250 ms": lambda: by_update(columns, "1m", forming_ns=250_000_000),
        "100t": lambda: by_update(columns, "100t"),
        "10000v": lambda: by_update(columns, "10000v"),
        "pandas resample, whole history 1m": lambda: by_pandas(columns, "1min"),
        "dict of bars in Python 1m": lambda: by_dict(columns, 60 * SECOND_NS),
    }
    print(f"{ROWS} ticks, {SLOTS} instruments, batches of {BATCH_ROWS}: ns a tick, min / median")
    for name, work in jobs.items():
        least, median = ns_a_tick(work)
        print(f"  {name:36} {least:8.1f} {median:8.1f}")


if __name__ == "__main__":
    main()
