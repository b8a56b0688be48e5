"""A known tape through shards of its own: what comes out is compared with plain arithmetic.

All keys start with `selftest-`, and are gone afterwards; no shard of a fleet is touched.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from math import isclose
from threading import Event, Thread
from time import monotonic

from streams.connection import Link, translation
from streams.errors import Unavailable
from streams.keys import Keys
from streams.log import ShardLog
from streams.signals import Signal, Values
from streams.wire import Wire
from workers.accounts import Accounts
from workers.dataplane import DataPlane, Give, Take
from workers.errors import FleetError
from workers.metrics import Metrics
from workers.program import Program
from workers.scripting.keeper import ScriptKeeper
from workers.settings import PlanSettings, RuleSettings, Settings
from workers.shedder import Shedder
from workers.takeover import take_over
from workers.warm import warm

NOON_NS = 1_763_812_800_000_000_000
SECOND_NS = 1_000_000_000
BAR_S, BARS = 10, 24
SPAN = 3
BOUND = 104.0
TOLERANCE = 1e-12
POLL_S = 0.02
LEASE_MS = 30_000
SYMBOLS = ("SELF-A", "SELF-B")
PLANS = {
    "selftest": PlanSettings(
        timeframe=f"{BAR_S}s",
        values={"close": "close", "high": "high", "ema": f"ema(close, {SPAN})"},
        signals={"above": RuleSettings(when=f"close > {BOUND}", value="close")},
    )
}

type Row = tuple[str, float, int]


class SelfTestError(FleetError):
    """What came out is not what the tape gives, or nothing came out in time."""


def tape() -> list[Row]:
    """Ticks of (symbol, price, ts): one a second of each instrument, over `BARS` bars."""
    return [
        (symbol, 100.0 + (at * (7 + number) + at // BAR_S) % 11 / 2, NOON_NS + at * SECOND_NS)
        for at in range(BAR_S * BARS + 1)
        for number, symbol in enumerate(SYMBOLS)
    ]


def expected(symbol: str) -> list[dict[str, float | None]]:
    """Close, high and moving average of every bar of the tape, worked out bar by bar."""
    prices = [price for name, price, _ in tape() if name == symbol]
    bars: list[dict[str, float | None]] = []
    closes: list[float] = []
    average: float | None = None
    for start in range(0, BAR_S * BARS, BAR_S):
        bar = prices[start : start + BAR_S]
        closes.append(bar[-1])
        if average is not None:
            average += 2 / (SPAN + 1) * (bar[-1] - average)
        elif len(closes) == SPAN:
            average = sum(closes) / SPAN
        bars.append({"close": bar[-1], "high": max(bar), "ema": average})
    return bars


def run(link: Link, settings: Settings, seconds: float) -> int:
    """Rows compared, all of them right. Raises: SelfTestError, Unavailable, Refused."""
    name = f"selftest-{os.urandom(4).hex()}"
    own = settings.model_copy(update={"name": name, "plans": PLANS, "sources": (f"{name}-tape",)})
    keys, source = Keys(name), own.sources[0]
    deadline = monotonic() + seconds
    warm(Program(PLANS))
    rows = tape()
    half = len(rows) // 2
    try:
        # Twice: what the second owner publishes rests on the state that the first one left.
        for part in (rows[:half], rows[half:]):
            _push(link, source, part)
            with _owner(link, keys, own, source) as log:
                _await_read(log, deadline)
        return _compare(link, keys, source)
    finally:
        _clean(link, keys, source)


def _push(link: Link, source: str, rows: Sequence[Row]) -> None:
    with translation():
        for symbol, price, ts in rows:
            link.client.xadd(source, {"symbol": symbol, "price": repr(price), "ts": str(ts)})


@contextmanager
def _owner(link: Link, keys: Keys, settings: Settings, source: str) -> Iterator[ShardLog]:
    """A worker's data plane with the tape's shard in its hands; it gives it up at the end."""
    gone, stop = Event(), Event()
    with ThreadPoolExecutor(1) as background:
        metrics = Metrics()
        keeper = ScriptKeeper(settings, keys.name, link, keys, metrics, background, None)
        plane = DataPlane(
            settings,
            Wire(link, keys, shards=settings.shards),
            Accounts(metrics),
            background,
            keeper,
            Shedder(link, keys, settings.shedding),
            lambda _shard, _rest: gone.set(),
        )
        log = ShardLog(link, keys, source, Wire(link, keys, shards=settings.shards))
        lease = log.acquire(keys.name, lease_ms=LEASE_MS)
        run = take_over(log, lease, Program(PLANS), settings.worker, keeper.bench)
        plane.commands.put(Take(run))
        thread = Thread(target=plane.run, args=(stop,), daemon=True)
        thread.start()
        try:
            yield log
            plane.commands.put(Give(source))
            gone.wait(LEASE_MS / 1_000)
        finally:
            stop.set()
            thread.join()


def _await_read(log: ShardLog, deadline: float) -> None:
    while log.lag().entries:
        if monotonic() > deadline:
            raise SelfTestError(
                f"the tape was not processed in time: {log.lag().entries} entries wait"
            )
        Event().wait(POLL_S)


def _compare(link: Link, keys: Keys, source: str) -> int:
    with translation():
        values = [Values.decode(e) for _, e in link.client.xrange(keys.values(source))]
        signals = [Signal.decode(e) for _, e in link.client.xrange(keys.signals(source))]
    compared = 0
    for symbol in SYMBOLS:
        mine = {one.ts: one.data for one in values if one.symbol == symbol}
        fired = {one.ts for one in signals if one.symbol == symbol}
        above = False
        for number, wanted in enumerate(expected(symbol), start=1):
            ts = NOON_NS + number * BAR_S * SECOND_NS
            where = f"{symbol}, bar {number} of {BARS}"
            _check_row(where, wanted, mine.get(ts))
            close = wanted["close"]
            was, above = above, close is not None and close > BOUND
            if (above and not was) != (ts in fired):
                raise SelfTestError(f"{where}: signal `above` {'missing' if above else 'wrong'}")
            compared += 1
    return compared


def _check_row(where: str, wanted: dict[str, float | None], seen: object) -> None:
    if not isinstance(seen, dict):
        raise SelfTestError(f"{where}: no values were published")
    for name, value in wanted.items():
        got = seen.get(name)
        same = got == value or (
            got is not None and value is not None and isclose(got, value, rel_tol=TOLERANCE)
        )
        if not same:
            raise SelfTestError(f"{where}: {name} is {got}, wanted {value}")


def _clean(link: Link, keys: Keys, source: str) -> None:
    kinds = (keys.signals, keys.values, keys.deadletter, keys.shard, keys.snapshot, keys.shed)
    try:
        with translation():
            for key in (source, *(kind(source) for kind in kinds), keys.ledger):
                link.client.delete(key)
    except Unavailable:
        return  # whoever reads the report knows already
