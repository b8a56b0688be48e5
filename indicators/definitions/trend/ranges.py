"""Central pivot range: levels for a session from the one before it."""

from typing import Annotated, NamedTuple

from indicators.bounds import Bounds, Choice, Number
from indicators.catalogue import indicator
from indicators.definitions.shared import NOTHING
from indicators.definitions.volume.sessions import session
from indicators.operators import (
    choose,
    earlier,
    missing,
    session_before,
    session_max,
    session_min,
)
from indicators.series import CLOSE, DAY, HIGH, LOW, OPEN, Series

METHODS = ("classic", "camarilla", "fibonacci", "woodie")
TIMEFRAMES = ("intraday", "daily", "weekly", "monthly", "session")
LEVELS = ("basic", "standard", "extended", "all")
Method = Annotated[str, Choice(lambda: METHODS)]
Timeframe = Annotated[str, Choice(lambda: TIMEFRAMES)]
Levels = Annotated[str, Choice(lambda: LEVELS)]
Rows = Annotated[int, Bounds(1, 50)]
CAMARILLA = (1.1 / 12.0, 1.1 / 6.0, 1.1 / 4.0, 1.1 / 2.0)
FIBONACCI = (0.382, 0.618, 1.0)


class Cpr(NamedTuple):
    """The range, levels around it, its width, the price's place, and whether it went untouched."""

    top: Series
    pivot: Series
    bottom: Series
    r1: Series | None
    r2: Series | None
    s1: Series | None
    s2: Series | None
    r3: Series | None
    r4: Series | None
    s3: Series | None
    s4: Series | None
    width: Series | None
    width_percent: Series | None
    width_class: Series | None
    position: Series | None
    virgin: Series | None


type Pairs = list[tuple[Series, Series]]
"""Resistances and supports, the nearest first."""


def _level_count(method: str, levels: str) -> int:
    most = {"fibonacci": 3, "woodie": 2}.get(method, 4)
    return min(most, {"basic": 0, "standard": 2}.get(levels, 4))


def _cpr_columns(
    method: str, levels: str, width_analysis: bool, price_position: bool, virgin_cpr: bool
) -> tuple[str, ...]:
    count = _level_count(method, levels)
    numbers = [[k for k in pair if k <= count] for pair in ((1, 2), (3, 4))]
    names = [f"{side}{k}" for pair in numbers for side in "RS" for k in pair]
    names += ["WIDTH", "WIDTH_PCT", "WIDTH_CLASS"] * width_analysis
    names += ["POSITION"] * price_position + ["VIRGIN"] * virgin_cpr
    return tuple(f"CPR_{name}" for name in ("TC", "PIVOT", "BC", *names))


@indicator(columns=_cpr_columns)
def cpr(
    open: Series = OPEN,  # noqa: A002, ARG001  (the field's own name, and its place)
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    method: Method = "classic",
    timeframe: Timeframe = "daily",
    levels: Levels = "standard",
    width_analysis: bool = True,
    price_position: bool = True,
    virgin_cpr: bool = False,
    width_narrow: Number = 0.5,
    width_wide: Number = 1.5,
    virgin_lookforward: Rows = 5,
) -> Cpr:
    """Central pivot range of the session before, with the levels around it.

    The session is the bar before ("daily", for daily bars), the calendar day before
    ("intraday": nothing on a day after one without bars), the day before that has bars
    ("session"), or the week or month before that has bars. Fibonacci's have three levels,
    Woodie's two. The width's class is -1, 0 or 1 below `width_narrow`, between, or above
    `width_wide` percent of the pivot.
    Differs: weekly and monthly levels are those of the week or month before; pandas-ta-classic
    gives those of the one before that. The range of `virgin_lookforward` rows ago is virgin if no
    row since has touched it: pandas-ta-classic writes that on the row of the range, from rows to
    come. `open` has no part in any method.
    Unit: unit of close; percent, -1 to 1 and 1 or 0 for width_percent, classes and virgin
    Source: pandas-ta-classic 0.8.32; Person (2004), A Complete Guide to Technical Trading Tactics
    """
    h, low_, c = _before(high, low, close, timeframe)
    pivot = (h + low_ + 2.0 * c) / 4.0 if method == "woodie" else (h + low_ + c) / 3.0
    bottom = (h + low_) / 2.0
    top = (pivot - bottom) + pivot
    pairs = _pairs(method, pivot, h, low_, c)[: _level_count(method, levels)]
    (r1, s1), (r2, s2), (r3, s3), (r4, s4) = pairs + [(None, None)] * (4 - len(pairs))
    width = top - bottom
    percent = (width / pivot) * 100.0
    kind = choose(percent > width_wide, 1.0, choose(percent < width_narrow, -1.0, 0.0))
    place = choose(close < bottom, -1.0, choose(close > top, 1.0, 0.0))
    return Cpr(
        *(top, pivot, bottom, r1, r2, s1, s2, r3, r4, s3, s4),
        width=width if width_analysis else None,
        width_percent=percent if width_analysis else None,
        width_class=kind if width_analysis else None,
        position=place if price_position else None,
        virgin=_untouched(high, low, top, bottom, virgin_lookforward) if virgin_cpr else None,
    )


def _before(
    high: Series, low: Series, close: Series, timeframe: str
) -> tuple[Series, Series, Series]:
    """High, low and close of the session before."""
    if timeframe == "daily":
        return earlier(high, 1), earlier(low, 1), earlier(close, 1)
    key = session({"weekly": "W", "monthly": "M"}.get(timeframe, "D"))
    bars = session_max(high, key), session_min(low, key), close
    h, low_, c = (session_before(each, key) for each in bars)
    if timeframe != "intraday":
        return h, low_, c
    next_day = session_before(DAY, key) == DAY - 1.0
    h, low_, c = (choose(next_day, each, NOTHING) for each in (h, low_, c))
    return h, low_, c


def _pairs(method: str, pivot: Series, h: Series, low: Series, c: Series) -> Pairs:
    spread = h - low
    if method == "camarilla":
        return [(c + share * spread, c - share * spread) for share in CAMARILLA]
    if method == "fibonacci":
        return [(pivot + share * spread, pivot - share * spread) for share in FIBONACCI]
    rise, fall = pivot - low, h - pivot
    return [
        (2.0 * pivot - low, 2.0 * pivot - h),
        (pivot + spread, pivot - spread),
        (h + 2.0 * rise, low - 2.0 * fall),
        (h + 3.0 * rise, low - 3.0 * fall),
    ]


def _untouched(high: Series, low: Series, top: Series, bottom: Series, rows: int) -> Series:
    """Whether no row since has touched the range of that many rows ago."""
    top, bottom = earlier(top, rows), earlier(bottom, rows)
    untouched = ~missing(top)
    for back in range(rows):
        h, low_ = (earlier(each, back) if back else each for each in (high, low))
        untouched = untouched & ~((h >= bottom) & (low_ <= top))
    return untouched
