"""Operators over two series, of a varying number of rows, and of cycles: by their meaning."""

import math
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from indicators import CLOSE, OPEN, Plan, Series
from indicators import operators as o
from tests.indicators.subjects import same_bits

type Numbers = NDArray[np.float64]

ULP = float(np.finfo(float).eps)
ROWS, LONG_ROWS = 300, 1_000_000
WILD_ROW, WILD_TICK = 500, 1e13
WINDOWS = (1, 2, 7, 20)
NOTHING = math.nan


def values(series: Series, close: Numbers, other: Numbers | None = None) -> Numbers:
    """One series over columns, from zero state."""
    plan = Plan({"value": series})
    columns = {"close": close, "open": close if other is None else other}
    return plan.run(plan.new_state(1), np.zeros(len(close), np.int64), columns)["value"]


def walks(level: float, rows: int = ROWS) -> tuple[Numbers, Numbers]:
    random = np.random.default_rng(8)
    steps = np.cumsum(random.normal(size=(2, rows)), axis=1)
    one, other = level * (1.0 + 1e-3 * steps / math.sqrt(rows))
    return one, other + 0.5 * one


def gaps(part: Numbers) -> list[Fraction]:
    exact = [Fraction(value) for value in part]
    mean = sum(exact) / len(exact)
    return [value - mean for value in exact]


@pytest.mark.parametrize("level", [100.0, 1e9, 1e-7])
@pytest.mark.parametrize("window", WINDOWS)
def test_a_pair_means_sums_of_squares_and_products_about_the_means(
    window: int, level: float
) -> None:
    x, y = walks(level)
    got = [values(each, x, y) for each in o.rolling_pair(CLOSE, OPEN, window)]
    for row in range(window - 1, ROWS):
        parts = x[row - window + 1 : row + 1], y[row - window + 1 : row + 1]
        far = [gaps(part) for part in parts]
        reach = [float(max(map(abs, each))) for each in far]
        size = [float(np.abs(part).sum()) for part in parts]
        for column, (k, m) in zip(got, ((0, 0), (0, 1), (1, 1)), strict=True):
            exact = sum((a * b for a, b in zip(far[k], far[m], strict=True)), Fraction(0))
            bound = window * reach[k] * reach[m] + reach[k] * size[m] + reach[m] * size[k]
            bound = 4 * window * ULP * bound + window * (4 * ULP) ** 2 * size[k] * size[m]
            assert abs(Fraction(float(column[row])) - exact) <= bound, row


@pytest.mark.parametrize("output", range(3))
def test_a_pair_forgets_what_has_left_its_window(output: int) -> None:
    x, y = walks(100.0, 1_000)
    wild = x.copy()
    wild[WILD_ROW] = WILD_TICK
    pair = o.rolling_pair(CLOSE, OPEN, 20)[output]
    reversed_pair = o.rolling_pair(OPEN, CLOSE, 20)[2 - output]
    for series in (pair, reversed_pair):
        calm, shaken = values(series, x, y), values(series, wild, y)
        assert same_bits(calm[WILD_ROW + 20 :], shaken[WILD_ROW + 20 :])
    for hole in (NOTHING, math.inf):
        wild[WILD_ROW] = hole
        lost = np.flatnonzero(np.isnan(values(pair, wild, y)))
        assert lost.tolist() == [*range(19), *range(WILD_ROW, WILD_ROW + 20)]


def test_a_pair_does_not_drift_and_knows_stillness() -> None:
    random = np.random.default_rng(3)
    x, y = random.normal(100.0, 1.0, (2, LONG_ROWS))
    start = LONG_ROWS - 20 * 37  # a multiple of the window: the ring's blocks then fall alike
    for series in o.rolling_pair(CLOSE, OPEN, 20):
        late = values(series, x[start:], y[start:])
        assert same_bits(values(series, x, y)[start + 40 :], late[40:])
    still = np.full(100, 1.0 / 3.0)
    for series in o.rolling_pair(CLOSE, OPEN, 20)[:2]:
        assert (values(series, still, y[:100])[19:] == 0.0).all()


def test_a_recent_mean_is_over_as_many_rows_as_it_is_told() -> None:
    random = np.random.default_rng(4)
    x, rows = walks(100.0)[0], random.integers(0, 12, ROWS).astype(float)
    x[100], rows[150] = NOTHING, NOTHING
    got = values(o.recent_mean(CLOSE, OPEN, 10), x, rows)
    for row, count in enumerate(rows):
        known = 1 <= count <= min(row + 1, 10)
        part = x[row - int(count) + 1 : row + 1] if known else x[:0]
        if not known or np.isnan(part).any():
            assert math.isnan(got[row]), row
        else:
            exact = sum(map(Fraction, part)) / len(part)
            assert abs(Fraction(float(got[row])) - exact) <= len(part) * ULP * 101.0
    assert np.isnan(got[150])
    assert np.isnan(got).sum() < ROWS / 3


MEANINGS: dict[str, tuple[Series, list[float], list[float], list[float]]] = {
    "settled": (
        o.settled(CLOSE, 2),
        [NOTHING, 1, NOTHING, 2, 3, NOTHING, 4],
        [0.0] * 7,
        [NOTHING, NOTHING, NOTHING, NOTHING, 3, NOTHING, 4],
    ),
    "upheld": (
        o.upheld(CLOSE, OPEN),
        [5, 5, 5, 4, 3, 5, NOTHING, 5],
        [1, 3, 2, 1, 1, 2, 3, 1],
        [1, 3, 3, 3, 1, 2, NOTHING, 2],
    ),
}


@pytest.mark.parametrize("name", MEANINGS)
def test_an_operator_with_a_memory_means_what_it_says(name: str) -> None:
    series, x, y, wanted = MEANINGS[name]
    got = values(series, np.array(x, float), np.array(y, float))
    assert np.array_equal(got, wanted, equal_nan=True)


@pytest.mark.parametrize("length", [12.0, 20.0, 35.5])
def test_the_cycle_of_a_sine_wave_is_its_own(length: float) -> None:
    rows = np.arange(600.0)
    wave = 100.0 + np.sin(2.0 * math.pi * rows / length)
    period, in_phase, quadrature, smoothed = o.cycle(CLOSE, 12)
    measured = values(period, wave)
    assert np.isnan(measured[:12]).all()
    assert measured[300:] == pytest.approx(np.full(300, length), rel=0.08)
    ahead = values(quadrature, wave)[300:] ** 2 + values(in_phase, wave)[300:] ** 2
    assert ahead.std() / ahead.mean() < 0.1  # two parts a quarter apart: a circle
    phase = values(o.cycle_phase(smoothed, length), wave)[300:]
    steps = np.diff(np.unwrap(np.radians(phase)))
    assert np.degrees(steps) == pytest.approx(np.full(299, 360.0 / length), rel=0.25)


def test_a_phase_is_that_of_the_fourier_sum_over_one_cycle() -> None:
    x, periods = walks(100.0)[0], 6.0 + 40.0 * np.random.default_rng(9).random(ROWS)
    got = values(o.cycle_phase(CLOSE, OPEN), x, periods)
    for row in range(50, ROWS):
        count = int(periods[row] + 0.5)
        turns = 2.0 * math.pi * np.arange(count) / count
        part = x[row - count + 1 : row + 1][::-1]
        real = math.fsum(part * np.sin(turns))
        imaginary = math.fsum(part * np.cos(turns))
        wanted = math.degrees(math.atan2(real, imaginary)) + 90.0 + 360.0 / periods[row]
        assert math.remainder(got[row] - wanted, 360.0) == pytest.approx(0.0, abs=1e-7), row
        assert -45.0 < got[row] <= 315.0
