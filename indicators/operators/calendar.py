"""The calendar, from days."""

import numpy as np

from indicators.declare import Value, elementwise

DAYS_BEFORE_1970 = 719_468
ERA_DAYS, ERA_YEARS = 146_097, 400


@elementwise
def month(day: Value) -> float:
    """Months since January 1970 of a day counted from 1970-01-01, in the Gregorian calendar.

    Years are counted from March, so that leap days come last (Hinnant, chrono-compatible
    low-level date algorithms).
    """
    days = np.floor(day) + DAYS_BEFORE_1970
    era = np.floor(days / ERA_DAYS)
    day_of_era = days - era * ERA_DAYS
    leaps = (
        np.floor(day_of_era / 1460.0)
        - np.floor(day_of_era / 36_524.0)
        + np.floor(day_of_era / 146_096.0)
    )
    year = np.floor((day_of_era - leaps) / 365.0)
    start = 365.0 * year + np.floor(year / 4.0) - np.floor(year / 100.0)
    month_from_march = np.floor((5.0 * (day_of_era - start) + 2.0) / 153.0)
    return 12.0 * (year + era * ERA_YEARS - 1970.0) + month_from_march + 2.0
