"""Levels that lie over the price: middles of ranges, and pivots of the session before."""

from typing import Annotated, NamedTuple

from indicators.bounds import Choice, Window
from indicators.catalogue import Average, indicator, moving_average
from indicators.definitions.overlap.weighted import midprice
from indicators.definitions.shared import NOTHING, delayed
from indicators.definitions.volume.sessions import session
from indicators.operators import (
    after,
    choose,
    earlier,
    last_known,
    session_before,
    session_first,
    session_max,
    session_min,
)
from indicators.series import CLOSE, HIGH, LOW, OPEN, Series

ANCHORS = ("D", "M", "ME", "Y", "YE")
Anchor = Annotated[str, Choice(lambda: ANCHORS)]
METHODS = ("traditional", "fibonacci", "woodie", "classic", "demark", "camarilla")
Method = Annotated[str, Choice(lambda: METHODS)]
CAMARILLA = (11.0 / 120.0, 11.0 / 60.0, 0.275, 0.55)
FIBONACCI = (0.382, 0.618, 1.0)


class HiLo(NamedTuple):
    """The line, and the line except in a fall or except in a rise."""

    hilo: Series
    long: Series
    short: Series


@indicator(columns=tuple(f"HILO{part}_{{high_length}}_{{low_length}}" for part in ("", "l", "s")))
def hilo(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    high_length: Window = 13,
    low_length: Window = 21,
    mamode: Average = "sma",
) -> HiLo:
    """Gann's activator: the mean low after a close above the mean high, and the other way round.

    On a row that is neither, the line stays, and is in both columns.
    Unit: unit of close
    Source: Krausz (1998), The New Gann Swing Chartist, TASC 16:2
    """
    top, bottom = moving_average(mamode, high, high_length), moving_average(mamode, low, low_length)
    up = close > earlier(top, 1)
    down = ~up & (close < earlier(bottom, 1))
    line = last_known(choose(up, bottom, choose(down, top, NOTHING)))
    return HiLo(line, choose(down, NOTHING, line), choose(up, NOTHING, line))


class Ichimoku(NamedTuple):
    """Leading spans, conversion and base line, and the lagging close."""

    span_a: Series
    span_b: Series
    tenkan: Series
    kijun: Series
    chikou: Series | None


def _ichimoku_columns(tenkan: int, kijun: int, include_chikou: bool) -> tuple[str, ...]:
    known = f"ISA_{tenkan}", f"ISB_{kijun}", f"ITS_{tenkan}", f"IKS_{kijun}"
    return (*known, f"ICS_{kijun}") if include_chikou else known


@indicator(columns=_ichimoku_columns)
def ichimoku(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    tenkan: Window = 9,
    kijun: Window = 26,
    senkou: Window = 52,
    include_chikou: bool = True,
) -> Ichimoku:
    """One-look equilibrium chart: middles of ranges, two of them drawn `kijun` - 1 rows later.

    Differs: the lagging line (ICS) at a row is the close of that row, which pandas-ta writes
    `kijun` - 1 rows further back, where it was not known yet. The spans of rows to come, its
    second table, are not given: they are the middles that ISA and ISB show later.
    Unit: unit of close
    Source: Hosoda (1969), Ichimoku Kinko Hyo
    """
    turning, base = midprice(high, low, tenkan), midprice(high, low, kijun)
    ahead = kijun - 1
    return Ichimoku(
        delayed(0.5 * (turning + base), ahead),
        delayed(midprice(high, low, senkou), ahead),
        turning,
        base,
        after(close, ahead) if include_chikou else None,
    )


class Pivots(NamedTuple):
    """The pivot, supports below it and resistances above it."""

    pivot: Series
    s1: Series
    s2: Series | None
    s3: Series | None
    s4: Series | None
    r1: Series
    r2: Series | None
    r3: Series | None
    r4: Series | None


def _pivots_columns(method: str, anchor: str) -> tuple[str, ...]:
    levels = {"demark": 1, "fibonacci": 3}.get(method, 4)
    names = [f"{side}{k}" for side in "SR" for k in range(1, levels + 1)]
    return tuple(f"PIVOTS_{method[:4].upper()}_{anchor}_{name}" for name in ("P", *names))


@indicator(columns=_pivots_columns)
def pivots(
    open: Series = OPEN,  # noqa: A002  (the field's own name)
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    method: Method = "traditional",
    anchor: Anchor = "D",
) -> Pivots:
    """Levels from the whole session before: a day; with `anchor` ME a month, with YE a year.

    Differs: with method "demark" each session is judged by its own open and close; pandas-ta
    asks whether all sessions of the sample closed above their open. With anchor ME or YE the
    levels hold from the first row of the next month or year; pandas-ta's come a month or a year
    late. As in pandas-ta the fourth traditional levels are the third ones, and Woodie's take the
    open of the session before.
    Unit: unit of close
    Source: sierrachart.com, Pivot Points; pandas-ta 0.4.71b0
    """
    key = session(anchor.removesuffix("E"))
    o = session_before(session_first(open, key), key)
    h = session_before(session_max(high, key), key)
    low_ = session_before(session_min(low, key), key)
    c = session_before(close, key)
    if method == "demark":
        falling = choose(c > o, 2.0 * h + low_ + c, h + 2.0 * low_ + c)
        p = 0.25 * choose(o == c, h + low_ + 2.0 * c, falling)
        return Pivots(p, 2.0 * p - h, None, None, None, 2.0 * p - low_, None, None, None)
    spread = h - low_
    if method == "woodie":
        return _woodie(o, h, low_, spread)
    p = (h + low_ + c) / 3.0
    if method == "camarilla":
        below, above = _around(c, spread, CAMARILLA)
        return Pivots(*[p, *below, *above])
    if method == "fibonacci":
        (s1, s2, s3), (r1, r2, r3) = _around(p, spread, FIBONACCI)
        return Pivots(p, s1, s2, s3, None, r1, r2, r3, None)
    below, above = _around(p, spread, (1.0, 2.0, 3.0 if method == "classic" else 2.0))
    return Pivots(*[p, 2.0 * p - h, *below, 2.0 * p - low_, *above])


def _woodie(o: Series, h: Series, low: Series, spread: Series) -> Pivots:
    p = (2.0 * o + h + low) / 4.0
    s3, r3 = low - 2.0 * (h - p), h + 2.0 * (p - low)
    below = 2.0 * p - h, p - spread, s3, s3 - spread
    return Pivots(p, *below, 2.0 * p - low, p + spread, r3, r3 + spread)


def _around(
    middle: Series, spread: Series, shares: tuple[float, ...]
) -> tuple[list[Series], list[Series]]:
    """Levels below and above the middle at those shares of the range."""
    steps = [share * spread for share in shares]
    return [middle - step for step in steps], [middle + step for step in steps]
