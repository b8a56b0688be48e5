"""Clamped and rounded recursions, ranks, the calendar and the volume profile, against meanings."""

import calendar
import datetime
import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from indicators import CLOSE, HIGH, OPEN, VOLUME, Plan, Series
from indicators import operators as o

type Numbers = NDArray[np.float64]

ROWS = 400
ULP = float(np.finfo(float).eps)


def values(series: Series, **columns: Numbers) -> Numbers:
    """One series over columns, from zero state."""
    plan = Plan({"value": series})
    rows = len(next(iter(columns.values())))
    return plan.run(plan.new_state(1), np.zeros(rows, np.int64), columns)["value"]


def walk(seed: int = 3, rows: int = ROWS) -> Numbers:
    random = np.random.default_rng(seed)
    return 64.0 + 0.125 * np.cumsum(random.integers(-2, 3, rows))


def test_a_bounded_recursion_jumps_to_its_bound_beyond_its_limit() -> None:
    x = np.array([0.5, 0.5, 0.5, -3.0, math.nan, 0.0])
    got = values(o.bounded_recursive(CLOSE, 0.5, 0.8, 0.9), close=x)
    wanted = [0.5, 0.75, 0.9, -0.9, math.nan, -0.45]
    assert np.array_equal(got[:5], wanted[:5], equal_nan=True)
    assert got[5] == wanted[5]


def test_a_rounded_mean_is_rounded_in_each_step() -> None:
    x, last = walk(), Fraction(0)
    got = values(o.ewm_rounded(CLOSE, 0.3), close=x)
    for row, price in enumerate(x):
        exact = last + Fraction(0.3) * (Fraction(price) - last)
        last = Fraction(got[row])
        assert abs(last - exact) <= Fraction(1, 2 * 10**8) + 4 * Fraction(ULP) * 100, row
        assert got[row] == round(got[row] * 1e8) / 1e8


@pytest.mark.parametrize("window", [1, 2, 30])
def test_a_rank_counts_what_is_below_and_above(window: int) -> None:
    x, y = walk(1), walk(2)
    y[50] = math.nan
    below, above = o.rolling_rank(CLOSE, OPEN, window)
    low, high = values(below, close=x, open=y), values(above, close=x, open=y)
    for row in range(window - 1, ROWS):
        part = y[row - window + 1 : row + 1]
        assert (low[row], high[row]) == ((part < x[row]).sum(), (part > x[row]).sum())
    assert np.isnan(low[: window - 1]).all()


def test_months_are_those_of_the_calendar_over_four_centuries() -> None:
    start = datetime.date(1899, 12, 31)
    dates = [start + datetime.timedelta(days) for days in range(0, 146_200, 3)]
    dates += [datetime.date(y, 2, calendar.monthrange(y, 2)[1]) for y in range(1900, 2300)]
    epoch = datetime.date(1970, 1, 1)
    days = np.array([(date - epoch).days for date in dates], float)
    months = values(o.month(CLOSE), close=days)
    assert months.tolist() == [12.0 * (d.year - 1970) + d.month - 1 for d in dates]


def bands(x: Numbers, width: Numbers) -> list[tuple[float, float, float]]:
    """The lines of crossing_bands as sentences: each comes nearer while the price is beyond it."""
    lines = [(x[0] - width[0], x[0] + width[0], 0.0)]
    older = (math.nan, math.nan)
    for row in range(1, len(x)):
        (lower, upper, falling), last, now = lines[-1], x[row - 1], x[row]
        above, below = min(last, now) > lower, max(last, now) < upper
        over = (now > upper and last < older[1]) or (now <= upper and last >= older[1])
        under = (now > lower and last < older[0]) or (now <= lower and last >= older[0])
        side = 0.0 if over else 1.0 if under else falling
        older = (lower, upper)
        near = (now - width[row], now + width[row])
        lines.append((max(lower, near[0]) if above else near[0],
                      min(upper, near[1]) if below else near[1], side))  # fmt: skip
    return lines


def test_crossing_bands_come_nearer_until_they_are_crossed() -> None:
    x, width = walk(), np.random.default_rng(8).uniform(0.0, 3.0, ROWS)
    got = [values(each, close=x, open=width) for each in o.crossing_bands(CLOSE, OPEN)]
    wanted = np.array(bands(x, width)).T
    assert np.array_equal(got, wanted)
    assert 10 < wanted[2].sum() < ROWS - 10


def strength(x: Numbers, rows: int) -> float:
    """The last value of smooth_strength in exact fractions, where no restart was needed."""
    alpha = Fraction(3.0 / (rows + 2.0))
    steps = np.diff(x[rows:])
    ends = []
    for part in (steps, np.abs(steps)):
        cells = [Fraction(0)] * 6
        for step in part:
            y = 100 * Fraction(step)
            for k in (0, 2, 4):
                cells[k] += alpha * (y - cells[k])
                cells[k + 1] += alpha * (cells[k] - cells[k + 1])
                y = Fraction(3, 2) * cells[k] - cells[k + 1] / 2
        ends.append(y)
    return float(50 * (1 + ends[0] / ends[1]))


def test_smooth_strength_is_the_share_of_rises_smoothed_thrice() -> None:
    x = walk(rows=60)
    got = values(o.smooth_strength(CLOSE, 5), close=x)
    assert np.isnan(got[:4]).all()
    assert (got[4:10] == 50.0).all()
    assert got[10] != 50.0
    assert got[-1] == pytest.approx(strength(x, 5), rel=1e-12)


def test_smooth_strength_waits_for_the_first_move() -> None:
    still = np.full(40, 64.0)
    x = np.concatenate([still, walk(rows=60)])
    got = values(o.smooth_strength(CLOSE, 5), close=x)
    assert (got[4:40] == 50.0).all()
    assert (values(o.smooth_strength(CLOSE, 5), close=still)[4:] == 50.0).all()
    assert len(np.unique(got[60:])) > 20


def profile(close: Numbers, change: Numbers, volume: Numbers, bins: int) -> list[float]:
    """The busiest range by pandas' own cut."""
    table = pd.DataFrame({"close": close, "change": change, "volume": volume})
    edges = pd.cut(table["close"], bins, retbins=True)[1]
    least, most = close.min(), close.max()
    table["part"] = pd.cut(table["close"], edges, include_lowest=True, labels=False)
    rows = dict(iter(table.groupby("part")))
    parts = []
    for part in range(bins):
        mine = rows.get(part, table.head(0))
        rise, fall, rest = (
            float(mine["volume"][holds(mine["change"])].sum())
            for holds in (lambda c: c > 0, lambda c: c < 0, lambda c: c == 0)
        )
        step = (most - least) / bins
        parts.append([least + part * step, mine["close"].mean(), least + (part + 1) * step,
                      rise, fall, rest, rise + fall])  # fmt: skip
    return max(parts, key=lambda each: each[-1])


@pytest.mark.parametrize("tick", [1e-6, 0.1])
@pytest.mark.parametrize(("window", "bins"), [(20, 4), (50, 10), (64, 1), (30, 7)])
def test_the_busiest_range_is_the_one_with_the_most_volume(
    window: int, bins: int, tick: float
) -> None:
    close = np.round((walk(5) + np.random.default_rng(1).random(ROWS)) / tick) * tick
    volume = np.random.default_rng(9).integers(0, 50, ROWS).astype(float)
    change = np.sign(np.diff(close, prepend=np.nan))
    change[::9] = 0.0
    made = o.busiest_range(CLOSE, OPEN, VOLUME, float(window), window, bins, window)
    got = [values(each, close=close, open=change, volume=volume) for each in made]
    assert np.isnan(got[0][: window - 1]).all()
    for row in range(window - 1, ROWS, 7):
        last = slice(row - window + 1, row + 1)
        wanted = profile(close[last], change[last], volume[last], bins)
        assert [column[row] for column in got] == pytest.approx(wanted, rel=1e-12)


def test_the_busiest_range_of_fewer_rows_forgets_the_rest() -> None:
    close, volume = walk(5), np.ones(ROWS)
    rows = 1.0 + np.arange(ROWS) % 30
    made = o.busiest_range(CLOSE, CLOSE - OPEN, VOLUME, HIGH, 50, 5, 1)
    columns = {"close": close, "open": close - 1.0, "volume": volume, "high": rows}
    totals = values(made[6], **columns)
    for row in (29, 30, 45, 59, 200):
        count = int(rows[row])
        part = close[row - count + 1 : row + 1]
        wanted = profile(part, np.ones(count), np.ones(count), 5)
        assert totals[row] == wanted[-1]


@pytest.mark.parametrize("price", [64.0, 0.0, -3.0])
def test_prices_that_are_all_equal_share_one_range_around_them(price: float) -> None:
    x = np.full(10, price)
    made = o.busiest_range(CLOSE, OPEN, VOLUME, 5.0, 5, 3, 5)
    low, mean, high, *_, total = (
        values(each, close=x, open=np.ones(10), volume=np.ones(10))[-1] for each in made
    )
    assert low < price <= high
    assert (mean, total) == (price, 5.0)


def test_a_missing_price_is_left_out_of_the_profile() -> None:
    x = walk(5, 40)
    x[30] = math.nan
    made = o.busiest_range(CLOSE, OPEN, VOLUME, 20.0, 20, 1, 20)
    total = values(made[6], close=x, open=np.ones(40), volume=np.ones(40))
    assert total[29:32].tolist() == [20.0, 19.0, 19.0]
    assert np.isnan(values(made[6], close=np.full(40, math.nan), open=x, volume=x)).all()
