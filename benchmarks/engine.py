"""Cost of one bar of ten common indicators, here and with peers, on the same bars in one run.

Run: python -m benchmarks.engine [--quick]. Times are wall time; compare ratios, not machines.
"""

import argparse
import importlib
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from indicators import Plan

TEN = [
    "ema(close, 20)",
    "sma(close, 20)",
    "rsi(close, 14)",
    "macd()",
    "bbands(close, 20)",
    "atr(length=14)",
    "adx(length=14)",
    "stoch()",
    "donchian(lower_length=200, upper_length=200)",
    "linreg(close, 14, slope=True)",
]
PEER_INSTRUMENTS = (1, 1_000)
INSTRUMENTS = (1, 1_000, 100_000)
BATCHES = (16, 1_000)
HISTORY = 400
SECONDS = 1.5
REPEATS_MIN = 5


def bars(rows: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    close = 100 + np.cumsum(random.normal(scale=0.01, size=rows))
    low, high = close - random.random(rows), close + random.random(rows)
    return {"open": close, "high": high, "low": low, "close": close, "volume": high}


def timed(once: Callable[[int], None], rows: int, seconds: float) -> tuple[float, float]:
    """Least and median nanoseconds a row of `once(k)`, which handles `rows` rows."""
    spent: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(spent) < REPEATS_MIN:
        start = time.perf_counter()
        once(len(spent))
        spent.append((time.perf_counter() - start) / rows * 1e9)
    return min(spent), float(np.median(spent))


def ours(instruments: int, batch: int, seconds: float) -> tuple[float, float]:
    plan = Plan.parse(TEN)
    state, columns = plan.new_state(instruments), bars(batch)
    everyone = np.arange(instruments, dtype=np.int64)
    for row in range(3):  # touch every page of the state, fill some windows
        plan.run(state, everyone, {k: v + row for k, v in bars(instruments).items()})
    turns = np.random.default_rng(1).integers(0, instruments, (64, batch))
    return timed(lambda k: void(plan.run(state, turns[k % 64], columns)), batch, seconds)


def talib_streams() -> list[tuple[Any, tuple[str, ...]]]:
    from talib import stream

    history = bars(HISTORY)
    wanted: list[tuple[Any, tuple[str, ...], tuple[int, ...]]] = [
        (stream.EMA, ("close",), (20,)),
        (stream.SMA, ("close",), (20,)),
        (stream.RSI, ("close",), (14,)),
        (stream.MACD, ("close",), (12, 26, 9)),
        (stream.BBANDS, ("close",), (20,)),
        (stream.ATR, ("high", "low", "close"), (14,)),
        (stream.ADX, ("high", "low", "close"), (14,)),
        (stream.STOCH, ("high", "low", "close"), (14, 3, 0, 3)),
        (stream.DONCHIAN, ("high", "low"), (200,)),
        (stream.LINEARREG_SLOPE, ("close",), (14,)),
    ]
    return [(make(*(history[f] for f in fields), *given), fields) for make, fields, given in wanted]


def ferro_streams() -> list[tuple[Any, tuple[str, ...]]]:
    streaming = importlib.import_module("ferro_ta.data.streaming")
    close, high_low, bar = ("close",), ("high", "low"), ("high", "low", "close")
    wanted = {
        "EMA": (close, (20,)),
        "SMA": (close, (20,)),
        "RSI": (close, (14,)),
        "MACD": (close, (12, 26, 9)),
        "BBands": (close, (20,)),
        "ATR": (bar, (14,)),
        "Adx": (bar, (14,)),
        "Stoch": (bar, (14, 3, 3)),
        "Donchian": (high_low, (200,)),
        "LinearregSlope": (close, (14,)),
    }
    made = [
        (getattr(streaming, f"Streaming{name}")(*given), fields)
        for name, (fields, given) in wanted.items()
    ]
    history = bars(HISTORY)
    for row in range(HISTORY):
        for stream, fields in made:
            stream.update(*(history[f][row] for f in fields))
    return made


def peer(make: Callable[[], list[tuple[Any, tuple[str, ...]]]], instruments: int, seconds: float):  # type: ignore[no-untyped-def]
    """One object per instrument and indicator, called bar by bar as their documents show."""
    streams = [make() for _ in range(instruments)]
    rows = {name: column.tolist() for name, column in bars(1_000).items()}

    def once(_: int) -> None:
        for row in range(1_000):
            for stream, fields in streams[row % instruments]:
                stream.update(*[rows[f][row] for f in fields])

    return timed(once, 1_000, seconds)


def void(_: object) -> None:
    """Nothing."""


def line(name: str, instruments: int, batch: str, least: float, middle: float) -> None:
    print(f"{name:<28}{instruments:>12,}{batch:>8}{least:>12,.0f}{middle:>12,.0f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a few seconds in all")
    seconds = 0.1 if parser.parse_args().quick else SECONDS
    start = time.perf_counter()
    plan = Plan.parse(TEN)
    plan.run(plan.new_state(1), np.zeros(1, np.int64), bars(1))
    machine = platform.processor() or platform.machine()
    print(f"{machine}; ready in {time.perf_counter() - start:.2f} s")
    print(f"ten indicators, {len(plan.outputs)} outputs, {8 * plan.width} bytes of state each")
    print(f"{'':<28}{'instruments':>12}{'batch':>8}{'ns/row min':>12}{'median':>12}")
    for instruments in INSTRUMENTS:
        for batch in BATCHES:
            line("signalfleet", instruments, f"{batch:,}", *ours(instruments, batch, seconds))
    for name, make in (("TA-Lib streams", talib_streams), ("ferro-ta streams", ferro_streams)):
        try:
            make()
        except ImportError as missing:
            print(f"{name:<28}not installed: {missing}")
            continue
        for instruments in PEER_INSTRUMENTS:
            line(name, instruments, "1", *peer(make, instruments, seconds))


if __name__ == "__main__":
    main()
