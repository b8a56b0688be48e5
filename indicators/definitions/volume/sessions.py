"""Volume against a session or a stretch of rows: weighted prices, heat, profiles."""

from typing import Annotated, NamedTuple

from indicators.bounds import Bounds, Choice, Number, Window
from indicators.catalogue import Average, indicator, moving_average
from indicators.definitions.overlap.prices import hlc3
from indicators.definitions.statistics.moments import stdev
from indicators.operators import (
    after,
    busiest_range,
    choose,
    earlier,
    floor,
    month,
    rolling_max,
    rolling_mean,
    rolling_min,
    rolling_sum_from,
    row_number,
    running_sum,
    session_sum,
    square_root,
)
from indicators.series import CLOSE, DAY, HIGH, LOW, VOLUME, Series, as_series

MONDAY = 3.0
WEEK_DAYS = 7.0
PERIOD_MONTHS = {"M": 1, "Q": 3, "Y": 12}
Anchor = Annotated[str, Choice(lambda: ("D", "W", *PERIOD_MONTHS))]
LongerWindow = Annotated[int, Bounds(2, 10_000)]
ProfileRows = Annotated[int, Bounds(1, 1_000)]
Bins = Annotated[int, Bounds(1, 200)]


def session(anchor: str) -> Series:
    """A number that changes when a day, week (from Monday), month, quarter or year begins."""
    if anchor == "D":
        return DAY
    if anchor == "W":
        return floor((DAY + MONDAY) / WEEK_DAYS)
    months = month(DAY)
    return months if anchor == "M" else floor(months / PERIOD_MONTHS[anchor])


@indicator(columns="VWAP_{anchor}")
def vwap(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    volume: Series = VOLUME,
    anchor: Anchor = "D",
) -> Series:
    """Volume-weighted mean of the typical price since the session began.

    The session is a UTC day, or a week from Monday, a month, a quarter or a year of those.
    Unit: unit of close
    Source: Berkowitz, Logue and Noser (1988), The Total Cost of Transactions on the NYSE
    Differs: sessions shorter than a day are not known. For bands see `vwap_bands`.
    """
    key, typical = session(anchor), hlc3(high, low, close)
    return session_sum(typical * volume, key) / session_sum(volume, key)


class VwapBands(NamedTuple):
    """The mean, and a number of deviations below and above it."""

    middle: Series
    lower: Series
    upper: Series


@indicator(columns=("VWAP_{anchor}", "VWAP_{anchor}_L_{std}", "VWAP_{anchor}_U_{std}"))
def vwap_bands(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    volume: Series = VOLUME,
    anchor: Anchor = "D",
    std: Number = 1,
) -> VwapBands:
    """Volume-weighted mean since the session began, with `std` weighted deviations around it.

    The deviation of a row is from the mean as it was on that row.
    Unit: unit of close
    Source: pandas-ta 0.4.71b0, vwap(bands=[std])
    """
    key, typical = session(anchor), hlc3(high, low, close)
    mean = vwap(high, low, close, volume, anchor)
    gap = typical - mean
    deviation = square_root(session_sum(volume * (gap * gap), key) / session_sum(volume, key))
    return VwapBands(mean, mean - std * deviation, mean + std * deviation)


def _vhm_column(length: int, std_length: int | None) -> str:
    return f"VHM_{length}" + (f"_{std_length}" if std_length not in (None, length) else "")


@indicator(columns=_vhm_column)
def vhm(
    volume: Series = VOLUME,
    length: Window = 610,
    std_length: Window | None = None,
    mamode: Average = "sma",
) -> Series:
    """Distance of the volume from its mean, over the root mean square distance from `std_length`.

    `std_length` is `length` where it is not given.
    Unit: none
    Source: xdecow, Heatmap Volume, TradingView; pandas-ta 0.4.71b0
    Differs: the divisor is taken over the rows so far. pandas-ta takes it over the whole table,
    later rows too, and around the number `std_length` instead of over that many rows: on a
    table's last row both agree. `volume_heatmap` is what was meant.
    """
    gap = volume - float(std_length or length)
    spread = square_root(running_sum(gap * gap) / row_number())
    return (volume - moving_average(mamode, volume, length)) / spread


@indicator(columns=None)
def volume_heatmap(
    volume: Series = VOLUME,
    length: Window = 610,
    std_length: LongerWindow = 610,
    mamode: Average = "sma",
) -> Series:
    """Distance of the volume from its mean in standard deviations of the last rows.

    Unit: standard deviations
    Source: xdecow, Heatmap Volume, TradingView
    """
    return (volume - moving_average(mamode, volume, length)) / stdev(volume, std_length, 0)


class Profile(NamedTuple):
    """A price range, and the volume in it on rising, falling and unchanged rows."""

    low: Series
    mean: Series
    high: Series
    positive: Series
    negative: Series
    neutral: Series
    total: Series


PROFILE_COLUMNS = (
    *(f"{part}_close" for part in ("low", "mean", "high")),
    *(f"{part}_volume" for part in ("pos", "neg", "neut", "total")),
)


@indicator(columns=PROFILE_COLUMNS)
def vp(
    close: Series = CLOSE,
    volume: Series = VOLUME,
    width: Bins = 10,
    sort: bool = False,
    length: ProfileRows = 100,
) -> Profile:
    """Volume profile of the last `length` rows, cut into `width` parts: its newest part.

    With `sort` the parts are price ranges instead of stretches of time, and the part with the
    most volume is given, the point of control. The total leaves unchanged rows out.
    Unit: unit of close; unit of volume
    Source: Steidlmayer (1985), Market Profile; pandas-ta 0.4.71b0
    Differs: pandas-ta gives one table over all rows, these are the lines of it that a stream
    can know: `length` is ours, and price ranges are not rounded to two decimals.
    """
    change = close - earlier(close, 1)
    if sort:
        return Profile(*busiest_range(close, change, volume, float(length), length, width, length))
    rows = max(length // width, 1)
    rise, fall, rest = (
        rolling_sum_from(choose(holds, volume, 0.0), rows, rows)
        for holds in (change > 0.0, change < 0.0, change == 0.0)
    )
    prices = (rolling_min(close, rows), rolling_mean(close, rows), rolling_max(close, rows))
    shown = (after(each, length - 1) for each in (*prices, rise, fall, rest, rise + fall))
    return Profile(*shown)


@indicator(columns=None)
def vp_session(
    close: Series = CLOSE,
    volume: Series = VOLUME,
    width: Bins = 24,
    anchor: Anchor = "D",
    length: ProfileRows = 400,
) -> Profile:
    """Point of control of the session so far: its price range with the most volume.

    The last `length` rows of the session count, cut into `width` price ranges.
    Unit: unit of close; unit of volume
    Source: Steidlmayer (1985), Market Profile
    """
    rows = session_sum(as_series(1.0), session(anchor))
    return Profile(*busiest_range(close, close - earlier(close, 1), volume, rows, length, width, 1))
