"""A bar builder in plain Python, one dict an instrument: what `indicators.bars` must equal."""

from dataclasses import dataclass, field
from fractions import Fraction

from indicators.bars import BarSpec

SPLIT_BARS_MAX = 1_000
DUST = Fraction(1, 10**9)


@dataclass
class Instrument:
    """One instrument's open bar and what was closed before it."""

    prices: list[float] = field(default_factory=list)
    volume: Fraction = Fraction(0)
    plain_volume: float = 0.0  # added up in floats, in order of arrival, as a time bar does
    due: int | None = None
    floor: int = 0
    closed: int = 0
    flats: int = 0
    last: float = float("nan")
    formed: int = 0


class Model:
    """Rows are (row, slot, ts, open, high, low, close, volume, ticks, final, partial)."""

    def __init__(self, spec: BarSpec, forming_ns: int | None) -> None:
        self.spec, self.forming_ns = spec, forming_ns
        self.instruments: dict[int, Instrument] = {}
        self.rows: list[tuple[object, ...]] = []
        self.late: list[bool] = []

    def feed(self, slot: int, ts: int, price: float, size: float) -> None:
        row = len(self.late)
        self.late.append(False)
        if slot == -1:
            self._clock(row, ts)
            return
        bar = self.instruments.setdefault(slot, Instrument())
        if ts < bar.floor:
            self.late[row] = True
        elif self.spec.is_time:
            self._time(row, slot, bar, ts, price, size)
        elif self.spec.name.endswith("t"):
            self._count(row, slot, bar, ts, price, size)
        else:
            self._volume(row, slot, bar, ts, price, Fraction(size))

    def _give(self, row: int, slot: int, bar: Instrument, ts: int, volume: float, final: bool):
        prices = bar.prices or [bar.last]
        ohlc = (prices[0], max(prices), min(prices), prices[-1])
        self.rows.append((row, slot, ts, *ohlc, volume, len(bar.prices), final, bar.closed == 0))

    def _retire(self, bar: Instrument, ts: int) -> None:
        bar.last = bar.prices[-1] if bar.prices else bar.last
        bar.prices, bar.plain_volume, bar.floor = [], 0.0, ts
        bar.closed += 1

    def _forming(self, row: int, slot: int, bar: Instrument, ts: int, close: int, volume: float):
        if self.forming_ns is None or (self.forming_ns and ts < bar.formed):
            return
        if self.forming_ns:
            bar.formed = ts - ts % self.forming_ns + self.forming_ns
        self._give(row, slot, bar, close, volume, final=False)

    def _close_one(self, row: int, slot: int, bar: Instrument) -> None:
        due = bar.due
        bar.flats = 0 if bar.prices else bar.flats + 1
        self._give(row, slot, bar, due, bar.plain_volume, final=True)
        self._retire(bar, due)
        bar.due = due + self.spec.step if bar.flats < self.spec.flat_bars_max else None

    def _clock(self, row: int, clock: int) -> None:
        while self.spec.is_time:
            due = [(b.due, s) for s, b in self.instruments.items() if b.due and b.due <= clock]
            if not due:
                break
            slot = min(due)[1]
            self._close_one(row, slot, self.instruments[slot])

    def _time(self, row: int, slot: int, bar: Instrument, ts: int, price: float, size: float):
        while bar.due is not None and bar.due <= ts:
            self._close_one(row, slot, bar)
        if bar.due is None:
            bar.floor = ts - (ts - self.spec.anchor_ns) % self.spec.step
            bar.due = bar.floor + self.spec.step
        bar.prices.append(price)
        bar.plain_volume += size
        self._forming(row, slot, bar, ts, bar.due, bar.plain_volume)

    def _count(self, row: int, slot: int, bar: Instrument, ts: int, price: float, size: float):
        bar.prices.append(price)
        bar.plain_volume += size
        if len(bar.prices) == self.spec.step:
            self._give(row, slot, bar, ts, bar.plain_volume, final=True)
            self._retire(bar, ts)
        else:
            self._forming(row, slot, bar, ts, ts, bar.plain_volume)

    def _volume(self, row: int, slot: int, bar: Instrument, ts: int, price: float, size: Fraction):
        bar.prices.append(price)
        bar.volume += size
        step, dust, made = self.spec.step, self.spec.step * DUST, 0
        while bar.volume >= step - dust:
            made += 1
            volume = Fraction(float(bar.volume)) if made == SPLIT_BARS_MAX else Fraction(step)
            self._give(row, slot, bar, ts, float(volume), final=True)
            self._retire(bar, ts)
            bar.volume -= volume
            if bar.volume > dust:
                bar.prices.append(price)
        if bar.prices:
            self._forming(row, slot, bar, ts, ts, max(float(bar.volume), 0.0))
