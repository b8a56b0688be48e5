"""Cost of one bar of the whole catalogue, here and with peers, on the same bars in one run.

Run: python -m benchmarks.catalogue [--quick]. Times are wall time; compare ratios, not machines.
The peers compute what they have, not what we have: compare the cost of one output.
"""

import argparse
import importlib
import inspect
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.engine import HISTORY, TEN, bars, timed, void
from indicators import CLOSE, HIGH, LOW, OPEN, VOLUME, Plan
from indicators.catalogue import CATALOGUE, REQUIRED, Indicator

type Stream = tuple[Callable[..., Any], tuple[str, ...]]

INSTRUMENTS = 1_000
BATCHES = (1_000, 256, 64, 16, 1)
HISTORIES = (2, 200, 2_000)
PEER_INSTRUMENTS = 50
"""Fewer than ours, in the peers' favour: each is thousands of objects."""
SECONDS = 2.0
BAR = ("open", "high", "low", "close", "volume")
ALIASES = dict.fromkeys(("value", "real", "series", "x", "price"), "close")
NOT_PRICES = ("Add", "Iv", "Regime", "RelativeStrength", "Funding", "Zscore")


def catalogue() -> Plan:
    """Every output of every indicator with its defaults, in one plan."""
    named = {}
    for entry in CATALOGUE.values():
        made = entry.build((), _required(entry))
        named |= {f"{entry.name}.{f}": s for f, s in zip(made.fields, made.series, strict=True)}
    return Plan(named)


def _required(entry: Indicator) -> dict[str, Any]:
    wanted = [each.name for each in entry.inputs if each.required]
    options = [each.name for each in entry.options if each.default is REQUIRED]
    given = dict(zip(wanted, (CLOSE, OPEN, HIGH, LOW, VOLUME), strict=False))
    if "condition" in given:
        given["condition"] = CLOSE > OPEN
    return given | dict.fromkeys(options, 1)


def columns(rows: int, first: int = 0) -> dict[str, np.ndarray]:
    return bars(rows) | {"day": np.floor((first + np.arange(rows)) / 390.0)}


def ours(plan: Plan, state: np.ndarray, batch: int, seconds: float) -> tuple[float, float]:
    """Nanoseconds a row, each row another instrument, in no order."""
    random, given = np.random.default_rng(1), columns(batch)
    turns = [random.permutation(len(state))[:batch] for _ in range(64)]
    return timed(lambda k: plan.run(state, turns[k % 64], given) and None, batch, seconds)


def warm(plan: Plan, instruments: int, rows: int) -> np.ndarray:
    """State of instruments that have seen that many rows each."""
    state, everyone = plan.new_state(instruments), np.arange(instruments, dtype=np.int64)
    for row in range(rows):
        given = {name: column + row % 7 for name, column in columns(instruments).items()}
        plan.run(state, everyone, given | {"day": np.full(instruments, row // 390.0)})
    return state


def talib_streams() -> list[Stream]:
    import talib
    from talib import abstract, stream

    history, made = bars(HISTORY) | {"open": bars(HISTORY)["close"]}, []
    known = set(talib.get_functions())
    for name in sorted(name for name in dir(stream) if name in known):
        fields = [one for each in abstract.Function(name).input_names.values() for one in
                  ([each] if isinstance(each, str) else each)]  # fmt: skip
        if not set(fields) <= set(BAR):
            continue
        try:
            one = getattr(stream, name)(*(history[field] for field in fields))
            one.update(*(float(history[field][-1]) for field in fields))
        except Exception:  # noqa: BLE001  (a peer's function that takes more than bars)
            continue
        made.append((one.update, tuple(fields)))
    return made


def ferro_streams() -> list[Stream]:
    streaming, made = importlib.import_module("ferro_ta.data.streaming"), []
    for name in sorted(name for name in dir(streaming) if name.startswith("Streaming")):
        make = getattr(streaming, name)
        fields = [ALIASES.get(each, each) for each in inspect.signature(make.update).parameters]
        fields = [each for each in fields if each not in {"self", "closed"}]
        if not set(fields) <= set(BAR) or any(word in name for word in NOT_PRICES):
            continue
        try:
            made.append((make().update, tuple(fields)))
        except TypeError:
            made.append((make(20).update, tuple(fields)))
    return _fed(made)


def wickra_streams() -> list[Stream]:
    wickra, made = importlib.import_module("wickra"), []
    for name in sorted(dir(wickra)):
        make = getattr(wickra, name)
        text = str(getattr(getattr(make, "update", None), "__text_signature__", ""))
        fields = {"($self, value)": ("close",), "($self, candle)": ("candle",)}.get(text)
        if fields is None:
            continue
        for given in ((), (20,)):
            try:
                made.append((make(*given).update, fields))
                break
            except (TypeError, ValueError):
                continue
    return _fed(made)


def _fed(made: list[Stream]) -> list[Stream]:
    rows = _lists(HISTORY)
    for row in range(HISTORY):
        for update, fields in made:
            update(*[rows[field][row] for field in fields])
    return made


def _lists(count: int) -> dict[str, list[Any]]:
    rows: dict[str, list[Any]] = {name: column.tolist() for name, column in bars(count).items()}
    candles = zip(*(rows[name] for name in BAR), range(count), strict=True)
    return rows | {"candle": list(candles)}


def peer(make: Callable[[], list[Stream]], seconds: float) -> tuple[int, float, float]:
    """How many indicators; ns a row, bar by bar, one object per instrument and indicator."""
    streams, rows = [make() for _ in range(PEER_INSTRUMENTS)], _lists(PEER_INSTRUMENTS)

    def once(_: int) -> None:
        for row, mine in enumerate(streams):
            for update, fields in mine:
                update(*[rows[field][row] for field in fields])

    return len(streams[0]), *timed(once, PEER_INSTRUMENTS, seconds)


def line(name: str, batch: str, outputs: int, least: float, middle: float) -> None:
    print(
        f"{name:<40}{batch:>8}{outputs:>9}{least / 1_000:>10,.2f}{middle / 1_000:>10,.2f}"
        f"{least / outputs:>11,.1f}"
    )


def capsules(plan: Plan, state: np.ndarray, seconds: float) -> None:
    blob = plan.save_all(state)
    print(f"whole state of {len(state):,} instruments: {len(blob) / 1e6:,.1f} MB")
    for name, once in (
        ("save", lambda _: plan.save_all(state) and None),
        ("load", lambda _: void(plan.load_all(blob))),
    ):
        least, middle = (one / 1e6 for one in timed(once, 1, seconds))
        print(f"  {name}: {least:,.1f} ms min, {middle:,.1f} ms median")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="some seconds in all")
    seconds = 0.2 if parser.parse_args().quick else SECONDS
    plan, start = catalogue(), time.perf_counter()
    plan.run(plan.new_state(1), np.zeros(1, np.int64), columns(1))
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; kernels ready in "
          f"{time.perf_counter() - start:.1f} s")  # fmt: skip
    print(f"{len(CATALOGUE)} indicators in one plan: {len(plan.outputs)} outputs, "
          f"{8 * plan.width:,} bytes of state each")  # fmt: skip
    print(f"{'':<40}{'batch':>8}{'outputs':>9}{'us/row':>10}{'median':>10}{'ns/output':>11}")
    state = warm(plan, INSTRUMENTS, 50)
    for batch in BATCHES:
        name = f"signalfleet, {INSTRUMENTS:,} instruments"
        line(name, f"{batch:,}", len(plan.outputs), *ours(plan, state, batch, seconds))
    for rows in HISTORIES:
        one, name = warm(plan, 16, rows), f"signalfleet, 16 instruments, {rows:,} rows old"
        line(name, "16", len(plan.outputs), *ours(plan, one, 16, seconds))
    for name, make in (
        ("TA-Lib streams", talib_streams),
        ("ferro-ta streams", ferro_streams),
        ("wickra", wickra_streams),
    ):
        try:
            count, *times = peer(make, seconds)
        except ImportError as missing:
            print(f"{name:<40}not installed: {missing}")
            continue
        line(f"{name}, {PEER_INSTRUMENTS} instruments", "1", count, *times)
    for about, subject in (("ten common indicators", Plan.parse(TEN)), ("the catalogue", plan)):
        print(about, end=": ")
        capsules(subject, warm(subject, INSTRUMENTS, 50), seconds)
    print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
