"""Lines that give way one way, ages of extremes, turns, Holt and Winters, Jurik: by meaning."""

import math
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from indicators import CLOSE, HIGH, LOW, OPEN, Plan, Series
from indicators import operators as o

type Numbers = NDArray[np.float64]

ROWS = 400
ULP = float(np.finfo(float).eps)
NOTHING = math.nan


def values(series: Series, **columns: Numbers) -> Numbers:
    """One series over columns, from zero state."""
    plan = Plan({"value": series})
    rows = len(next(iter(columns.values())))
    return plan.run(plan.new_state(1), np.zeros(rows, np.int64), columns)["value"]


def walk(seed: int = 3, rows: int = ROWS) -> Numbers:
    random = np.random.default_rng(seed)
    return 64.0 + 0.125 * np.cumsum(random.integers(-2, 3, rows))


@pytest.mark.parametrize("window", [1, 2, 7, 30])
def test_the_age_of_the_greatest_is_that_of_the_newest_of_equal_ones(window: int) -> None:
    x = walk()
    x[100] = NOTHING
    got = values(o.rolling_max_age(CLOSE, window), close=x)
    for row in range(window - 1, ROWS):
        newest_first = x[row - window + 1 : row + 1][::-1]
        wanted = NOTHING if np.isnan(newest_first).any() else np.argmax(newest_first)
        assert got[row] == wanted or (math.isnan(wanted) and math.isnan(got[row])), row
    assert np.isnan(got[: window - 1]).all()
    assert window == 1 or len(np.unique(got[~np.isnan(got)])) == window


def test_a_follower_gives_way_in_one_direction_only() -> None:
    lower = np.array([1.0, 2, 1, 3, 2, NOTHING, 1, 0])
    upper = np.array([5.0, 6, 5, 7, 8, NOTHING, 5, 6])
    rising = np.array([1.0, 1, 1, 0, 0, 1, 0, 0])
    got = values(o.follow(LOW, HIGH, OPEN), low=lower, high=upper, open=rising)
    assert np.array_equal(got, [1, 2, 2, 2, 2, NOTHING, 5, 5], equal_nan=True)


def test_a_fading_maximum_keeps_its_share_less_its_step() -> None:
    x = np.array([-1.0, 8, 0, 0, 5, NOTHING, 0, -9, -9])
    linear = values(o.fading_max(CLOSE, 1.0, 2.0), close=x)
    assert np.array_equal(linear, [-1, 8, 6, 4, 5, NOTHING, 3, 1, 0], equal_nan=True)
    share = values(o.fading_max(CLOSE, 0.5, 0.0), close=x)
    assert np.array_equal(share, [-1, 8, 4, 2, 5, NOTHING, 2.5, 1.25, 0.625], equal_nan=True)


def turns(trough: Numbers, peak: Numbers, share: float) -> list[list[float]]:
    """The turns as a list that grows, one row at a time; a row's last turn is its answer."""
    kept: list[tuple[int, int, float]] = []  # row on which its side began, side, value
    answers = []
    for row in range(len(trough)):
        answer = [NOTHING] * 3
        for side, value in ((-1, trough[row]), (1, peak[row])):
            if math.isnan(value):
                continue
            began, last_side, last = kept[-1] if kept else (row, side, value)
            away = (value - last) / last
            turned = side != last_side and side * away > share
            beyond = side == last_side and side * (value - last) > 0
            if kept and (began == row or not (turned or beyond)):
                continue
            kept.append((row if turned or not kept else began, side, value))
            answer = [side, value, 100.0 * away]
        answers.append(answer)
    return answers


@pytest.mark.parametrize("share", [0.001, 0.01, 0.05])
def test_turns_are_far_from_the_last_one_or_beyond_it(share: float) -> None:
    x, random = walk(rows=2_000), np.random.default_rng(5)
    trough = np.where(random.random(2_000) < 0.3, x - 0.5, NOTHING)
    peak = np.where(random.random(2_000) < 0.3, x + 0.5, NOTHING)
    series = o.turning_points(LOW, HIGH, share)
    got = np.array([values(each, low=trough, high=peak) for each in series]).T
    assert np.array_equal(got, turns(trough, peak, share), equal_nan=True)
    assert len(np.unique(got[~np.isnan(got[:, 0]), 0])) == 2


def test_the_forecast_of_holt_and_winters_is_its_three_recursions() -> None:
    x, na, nb, nc = walk(rows=60), 0.2, 0.1, 0.05
    level, speed, pull = Fraction(x[0]), Fraction(0), Fraction(0)
    got = values(o.holt_winters(CLOSE, na, nb, nc), close=x)
    for row, price in enumerate(x):
        reached = level + speed + pull / 2
        new = reached + Fraction(na) * (Fraction(price) - reached)
        fresh = speed + pull + Fraction(nb) * ((new - level) - (speed + pull))
        pull += Fraction(nc) * ((fresh - speed) - pull)
        level, speed = new, fresh
        assert abs(Fraction(got[row]) - (level + speed + pull / 2)) <= 100 * ULP * 64, row


def test_a_dynamic_line_nears_the_price_by_the_fourth_power_of_their_ratio() -> None:
    x = walk(rows=60)
    got, line = values(o.dynamic(CLOSE, 6.0), close=x), Fraction(x[0])
    assert math.isnan(got[0])
    for row in range(1, 60):
        price = Fraction(x[row])
        line += (price - line) / (6 * (price / line) ** 4)
        line = line.limit_denominator(10**30)
        assert abs(Fraction(got[row]) - line) <= 100 * ULP * 64, row


def plain_jurik(x: Numbers, most: float, power: float, band: float, smooth: float) -> list[float]:
    """The filter from whole histories: every window summed anew, exactly rounded."""
    upper = lower = first = result = float(x[0])
    drift = pull = 0.0
    shocks, stress, results = [0.0], [0.0], [result]
    for price in map(float, x[1:]):
        high, low = abs(price - upper), abs(price - lower)
        shocks.append(max(high, low) if high != low else 0.0)
        stress.append(math.fsum(shocks[-10:]) / 10)
        usual = math.fsum(stress[-66:]) / len(stress[-66:])
        size = max(1.0, min(most, shocks[-1] / usual if usual else 0.0)) ** power
        close_in = band ** math.sqrt(size)
        upper = price if price > upper else price - close_in * (price - upper)
        lower = price if price < lower else price - close_in * (price - lower)
        keep = smooth**size
        first = (1 - keep) * price + keep * first
        drift = (1 - smooth) * (price - first) + smooth * drift
        pull = (first + 1.5 * drift - result) * (1 - keep) ** 2 + keep**2 * pull
        result += pull
        results.append(result)
    return results


def test_juriks_filter_does_not_drift_from_its_windows_summed_anew() -> None:
    x = 64.0 + np.cumsum(np.random.default_rng(6).normal(size=20_000)) / 16
    constants = 3.5, 1.5, 0.7, 0.6
    got = values(o.jurik(CLOSE, *constants, 1.5), close=x)
    assert got == pytest.approx(plain_jurik(x, *constants), rel=1e-11)


def test_the_cycle_of_a_sine_is_taken_out_of_its_trend() -> None:
    rows = np.arange(1_000.0)
    trend = 100.0 + 0.01 * rows
    x = trend + 2.0 * np.sin(2.0 * math.pi * rows / 20.0)
    line = values(o.cycle_mean(CLOSE), close=x)
    assert (line[:13] == x[:13]).all()
    assert np.abs(line - trend)[200:].max() < 0.5
    assert np.abs(x - trend)[200:].max() > 1.9


def test_a_follower_of_phase_keeps_its_weight_between_the_limits() -> None:
    x = walk(rows=1_000)
    quick, late = o.phase_followers(CLOSE, 0.5, 0.05, 180.0 / math.pi, -1.0)
    line, behind = values(quick, close=x), values(late, close=x)
    assert (line[:3] == 0.0).all()
    weight = np.diff(line)[300:] / (x[1:] - line[:-1])[300:]
    usual = weight[np.abs(x[1:] - line[:-1])[300:] > 0.1]
    assert usual.min() >= 0.05 - 1e-9
    assert usual.max() <= 0.5 + 1e-9
    assert usual.max() - usual.min() > 0.3
    half = np.diff(behind)[300:] / (line[1:] - behind[:-1])[300:]
    wide = (np.abs(line[1:] - behind[:-1])[300:] > 0.1) & (np.abs(x[1:] - line[:-1])[300:] > 0.1)
    assert half[wide] == pytest.approx(0.5 * weight[wide], rel=1e-6)
