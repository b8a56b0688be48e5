"""From a condition to trades: when to enter, when to leave."""

from typing import NamedTuple

from indicators.bounds import Shift, Window
from indicators.catalogue import indicator
from indicators.definitions.elementary.words import cross_above, cross_below
from indicators.definitions.shared import delayed
from indicators.operators import ceiling, choose, earlier, fill, floor, latch
from indicators.series import Series


class Trades(NamedTuple):
    """The trend, its change, whether that is an entry, and whether it is an exit."""

    trends: Series
    trades: Series
    entries: Series
    exits: Series


COLUMNS = ("TS_Trends", "TS_Trades", "TS_Entries", "TS_Exits")


@indicator(columns=COLUMNS)
def tsignals(trend: Series, trade_offset: Shift = 0, drift: Window = 1) -> Trades:
    """Trades that follow a trend: enter where a condition begins to hold, leave where it ends.

    `trade_offset` is the rows by which trades follow: 1 to trade on the next bar.
    Differs: a missing trend, which pandas-ta refuses, is none. Conditions are numbers anyway, so
    there is no `asbool`.
    Unit: 1 or 0; 1, 0 or -1 for trades
    Source: pandas-ta 0.4.71b0
    """
    whole = fill(choose(trend < 0.0, ceiling(trend), floor(trend)), 0.0)
    trades = fill(delayed(whole - earlier(whole, drift), trade_offset), 0.0)
    return Trades(whole, trades, trades > 0.0, trades < 0.0)


@indicator(columns=COLUMNS)
def xsignals(
    source: Series,
    xa: Series,
    xb: Series,
    above: bool = True,
    long: bool = True,
    trade_offset: Shift = 0,
) -> Trades:
    """Trades between two crossings: enter where the source crosses `xa`, leave where it does `xb`.

    It enters upwards and leaves downwards, or the other way round unless `above`. Unless `long`,
    the trend is the time between leaving and entering.
    Differs: after the last crossing so far the trend goes on; pandas-ta writes none until the
    next crossing is known.
    Unit: 1 or 0; 1, 0 or -1 for trades
    Source: pandas-ta 0.4.71b0
    """
    enter, leave = (cross_above, cross_below) if above else (cross_below, cross_above)
    entries, exits = enter(source, xa), leave(source, xb)
    held = latch(entries & ~exits, exits & ~entries)
    return tsignals(held if long else 1.0 - held, trade_offset)
