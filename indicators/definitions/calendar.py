"""Sessions that are longer than a day, from the day that a bar belongs to."""

from collections.abc import Callable

from indicators.operators import floor
from indicators.series import DAY, Series

ERA_DAYS = 146_097
"""Days in 400 years, after which the calendar repeats."""
EPOCH_DAYS = 719_468
"""Days from the 1st of March of the year 0 to the epoch."""


def session(anchor: str) -> Series:
    """A number that changes when a new day, month or year begins."""
    return ANCHORS[anchor]()


def _since_march() -> tuple[Series, Series]:
    """The year that began in March, and its months until now, by whole numbers alone.

    Source: Hinnant (2014), chrono-Compatible Low-Level Date Algorithms, civil_from_days
    """
    days = DAY + EPOCH_DAYS
    era = floor(days / ERA_DAYS)
    day = days - era * ERA_DAYS
    leaps = floor(day / 1_460) - floor(day / 36_524) + floor(day / 146_096)
    year = floor((day - leaps) / 365)
    rest = day - (365 * year + floor(year / 4) - floor(year / 100))
    return year + 400 * era, floor((5 * rest + 2) / 153)


def _month() -> Series:
    year, month = _since_march()
    return 12 * year + month


def _year() -> Series:
    year, month = _since_march()
    return year + (month >= 10)


ANCHORS: dict[str, Callable[[], Series]] = {
    "D": lambda: DAY,
    "M": _month,
    "ME": _month,
    "Y": _year,
    "YE": _year,
}
