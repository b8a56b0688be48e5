"""A small plot of each indicator on real bars, as SVG text of a few kilobytes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from indicators import CATALOGUE, Plan
from indicators.catalogue import REQUIRED, Indicator
from indicators.expression import parse
from indicators.series import Series

type Numbers = NDArray[np.float64]

WIDTH, PANEL, LABEL, MARGIN = 480, 110, 14, 6
BARS, CANDLES, AFTER = 120, 60, 12  # a pattern's plot goes on so many bars after it
LINES_MAX = 6
COLOURS = ("#1f5fbf", "#c8501e", "#2e8b57", "#8a4fb0", "#b8860b", "#c03060")
PRICE_COLOUR = "#999999"
SIMILAR = (0.6, 1.7)  # times lowest and highest price: a line within is drawn over the prices
EXAMPLES = {  # for series that have no default
    "benchmark": "open",
    "condition": "close > ema(close, 20)",
    "fast": "ema(close, 8)",
    "periods": "5 + 20 * (close > ema(close, 20))",
    "slow": "ema(close, 21)",
    "source": "rsi(close)",
    "trend": "close > ema(close, 20)",
    "x": "close",
    "xa": "60",
    "xb": "40",
    "y": "ema(close, 20)",
}


@dataclass(frozen=True)
class Panel:
    """A box of the picture with its own scale."""

    top: float
    low: float
    high: float

    def y(self, values: Numbers) -> Numbers:
        """The heights of values, in pixels from the top."""
        span = (self.high - self.low) or 1.0
        return np.round(self.top + PANEL - (values - self.low) / span * PANEL, 1)

    def scale(self) -> str:
        """The greatest and least value, written at the left edge."""
        return _text(MARGIN, self.top + 8, f"{self.high:.4g}", PRICE_COLOUR) + _text(
            MARGIN, self.top + PANEL - 2, f"{self.low:.4g}", PRICE_COLOUR
        )


def plots() -> Iterator[tuple[str, str]]:
    """Name and SVG of every indicator of the catalogue."""
    bars = real_bars()
    for name, entry in CATALOGUE.items():
        values = _values(entry, bars)
        first = next(iter(values.values()))
        is_rare = all(np.count_nonzero(column) < column.size / 2 for column in values.values())
        if entry.category == "candle" and is_rare and np.isfinite(first).any():
            yield name, _events(name, bars, values)
        else:
            yield name, _lines(entry, bars, values)


def real_bars() -> dict[str, Numbers]:
    """Daily bars of Apple's share, 2000 to 2013, with the days."""
    from bokeh_sampledata import stocks

    table = stocks.AAPL
    bars = {k: np.array(table[k], np.float64) for k in ("open", "high", "low", "close", "volume")}
    days = np.array(table["date"], "datetime64[D]").astype(np.int64)
    return bars | {"day": days.astype(np.float64)}


def _values(entry: Indicator, bars: Mapping[str, Numbers]) -> dict[str, Numbers]:
    named: dict[str, object] = {
        each.name: _example(EXAMPLES.get(each.name, "close"))
        for each in entry.inputs
        if each.required
    }
    named |= {option.name: 1 for option in entry.options if option.default is REQUIRED}
    built = entry.build(named=named)
    plan = Plan(dict(zip(built.columns or built.fields, built.series, strict=True)))
    rows = bars["close"].size
    slots = np.zeros(rows, np.int64)
    columns = {name: bars[name] for name in plan.fields}
    return dict(plan.run(plan.new_state(slots=1), slots, columns))


def _example(text: str) -> Series:
    made = parse(text)
    return made if isinstance(made, Series) else made.series[0]


def _lines(entry: Indicator, bars: Mapping[str, Numbers], values: Mapping[str, Numbers]) -> str:
    """The close, the lines that are like prices over it, the others below."""
    close = bars["close"][-BARS:]
    shown = {name: column[-BARS:] for name, column in list(values.items())[:LINES_MAX]}
    over = {name: column for name, column in shown.items() if _is_like(column, close)}
    below = {name: column for name, column in shown.items() if name not in over}
    colours = dict(zip(shown, COLOURS, strict=False))
    top = _panel(LABEL + MARGIN, [close, *over.values()])
    parts = [top.scale(), _path(top, close, PRICE_COLOUR)]
    parts += [_path(top, column, colours[name]) for name, column in over.items()]
    height = LABEL + PANEL + 2 * MARGIN
    if below:
        low = _panel(height + MARGIN, list(below.values()))
        parts += [low.scale(), *(_path(low, column, colours[n]) for n, column in below.items())]
        height += PANEL + 2 * MARGIN
    return _svg(height, [_legend(entry.name, colours), *parts])


def _events(name: str, bars: Mapping[str, Numbers], values: Mapping[str, Numbers]) -> str:
    """Candles around the last time that a pattern was there, and where it was."""
    fired = np.nan_to_num(sum(values.values(), np.zeros(bars["close"].size)))
    found = np.flatnonzero(fired)
    stop = min(int(found[-1]) + AFTER if found.size else fired.size, fired.size)
    shown = slice(stop - CANDLES, stop)
    panel = _panel(LABEL + MARGIN, [bars["high"][shown], bars["low"][shown]])
    x = _x(CANDLES)
    opens, highs, lows, closes = (
        panel.y(bars[key][shown]) for key in ("open", "high", "low", "close")
    )
    wicks = "".join(f"M{a:g} {b:g}V{c:g}" for a, b, c in zip(x, highs, lows, strict=True))
    rows = list(zip(x, opens, closes, strict=True))
    rising = "".join(_body(at, a, b) for at, a, b in rows if b <= a)
    falling = "".join(_body(at, a, b) for at, a, b in rows if b > a)
    parts = [panel.scale(), f'<path d="{wicks}" stroke="{PRICE_COLOUR}"/>']
    parts.append(f'<path d="{rising}" fill="#fff" stroke="#555"/>')
    parts.append(f'<path d="{falling}" fill="#555" stroke="#555"/>')
    foot = panel.top + PANEL + 2 * MARGIN
    for at, sign in zip(x, fired[shown], strict=True):
        if sign:
            colour = COLOURS[2] if sign > 0 else COLOURS[1]
            parts.append(f'<circle cx="{at:g}" cy="{foot:g}" r="3" fill="{colour}"/>')
    words = name if found.size else f"{name}: never in these bars"
    return _svg(int(foot) + 2 * MARGIN, [_text(MARGIN, LABEL - 2, words, "#555"), *parts])


def _body(x: float, a: float, b: float) -> str:
    return f"M{x - 2:g} {a:g}h4V{b:g}h-4z"


def _is_like(column: Numbers, price: Numbers) -> bool:
    seen = column[np.isfinite(column)]
    if not seen.size:
        return False
    return bool(
        seen.min() > SIMILAR[0] * price.min()
        and seen.max() < SIMILAR[1] * price.max()
        and seen.max() > price.min()
    )


def _panel(top: float, columns: Sequence[Numbers]) -> Panel:
    seen = np.concatenate(columns)
    seen = seen[np.isfinite(seen)]
    return Panel(top, float(seen.min()), float(seen.max())) if seen.size else Panel(top, 0.0, 1.0)


def _x(count: int) -> Numbers:
    return np.round(np.linspace(6 * MARGIN, WIDTH - 2 * MARGIN, count), 1)


def _path(panel: Panel, column: Numbers, colour: str) -> str:
    """The line, broken where there is no value; a value alone is a short dash."""
    x, y, known = _x(column.size), panel.y(column), np.isfinite(column)
    words = []
    for at in np.flatnonzero(known).tolist():
        goes_on = at > 0 and known[at - 1]
        words.append(f"{'L' if goes_on else 'M'}{x[at]:g} {y[at]:g}" + ("" if goes_on else "h1"))
    return f'<path d="{"".join(words)}" fill="none" stroke="{colour}"/>'


def _legend(name: str, colours: Mapping[str, str]) -> str:
    parts = [f'<text x="{MARGIN}" y="{LABEL - 2}" fill="#555">{escape(name)}']
    parts += [f'<tspan dx="8" fill="{c}">{escape(label)}</tspan>' for label, c in colours.items()]
    return "".join(parts) + "</text>"


def _text(x: float, y: float, words: str, colour: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" fill="{colour}">{escape(words)}</text>'


def _svg(height: int, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
        f' height="{height}" font-family="sans-serif" font-size="9">'
    )
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *parts, "</svg>\n"])
