"""Each operator against a one-line meaning in exact fractions, within the error it states."""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from indicators import CLOSE, OPEN, Plan, Series
from indicators import operators as o
from tests.indicators.subjects import same_bits

type Numbers = NDArray[np.float64]

ULP = float(np.finfo(float).eps)
ROWS = 300
LONG_ROWS = 1_000_000
WILD_ROW, WILD_TICK = 500, 1e13
WINDOWS = (1, 2, 7, 20)
SHARE = Fraction(0.3)
SCALES = {"price": 100.0, "level 1e9": 1e9, "tiny": 1e-7}


def values(series: Series, close: Numbers, other: Numbers | None = None) -> Numbers:
    """One series over columns, from zero state."""
    plan = Plan({"value": series})
    columns = {"close": close, "open": close if other is None else other}
    return plan.run(plan.new_state(1), np.zeros(len(close), np.int64), columns)["value"]


def walk(level: float, rows: int = ROWS, seed: int = 7) -> Numbers:
    random = np.random.default_rng(seed)
    return level * (1.0 + 1e-3 * np.cumsum(random.normal(size=rows)) / math.sqrt(rows))


def windows(x: Numbers, window: int) -> list[list[Fraction]]:
    exact = [Fraction(value) for value in x]
    return [exact[row - window + 1 : row + 1] for row in range(window - 1, len(x))]


def squares(part: list[Fraction]) -> Fraction:
    mean = sum(part) / len(part)
    return sum(((value - mean) ** 2 for value in part), Fraction(0))


def joint(part: list[Fraction]) -> Fraction:
    middle, mean = Fraction(len(part) - 1, 2), sum(part) / len(part)
    return sum(((k - middle) * (value - mean) for k, value in enumerate(part)), Fraction(0))


def deviation(part: list[Fraction]) -> Fraction:
    mean = sum(part) / len(part)
    return sum((abs(value - mean) for value in part), Fraction(0)) / len(part)


def size(part: list[Fraction]) -> float:
    return float(sum(abs(value) for value in part))


def reach(part: list[Fraction]) -> float:
    mean = sum(part) / len(part)
    return float(max(abs(value - mean) for value in part))


def quantile(part: list[Fraction]) -> Fraction:
    at, ordered = SHARE * (len(part) - 1), sorted(part)
    low = math.floor(at)
    return ordered[low] + (at - low) * (ordered[min(low + 1, len(part) - 1)] - ordered[low])


type Meaning = Callable[[list[Fraction]], Fraction]
type Bound = Callable[[list[Fraction]], float]

ORACLES: dict[str, tuple[Callable[[int], Series], Meaning, Bound]] = {
    "rolling_sum": (
        lambda n: o.rolling_sum(CLOSE, n),
        lambda part: sum(part, Fraction(0)),
        lambda part: len(part) * ULP * size(part),
    ),
    "rolling_mean": (
        lambda n: o.rolling_mean(CLOSE, n),
        lambda part: sum(part, Fraction(0)) / len(part),
        lambda part: ULP * size(part),
    ),
    "rolling_max": (lambda n: o.rolling_max(CLOSE, n), max, lambda _: 0.0),
    "rolling_min": (lambda n: o.rolling_min(CLOSE, n), min, lambda _: 0.0),
    "rolling_quantile": (
        lambda n: o.rolling_quantile(CLOSE, n, float(SHARE)),
        quantile,
        lambda part: len(part) * ULP * float(max(part) - min(part)) + 2 * ULP * float(max(part)),
    ),
    "rolling_rising_sum": (
        lambda n: o.rolling_rising_sum(CLOSE, n),
        lambda part: sum(((k + 1) * v for k, v in enumerate(part)), Fraction(0)),
        lambda part: len(part) ** 2 * ULP * size(part),
    ),
    "rolling_variance": (
        lambda n: o.rolling_variance(CLOSE, n, 0),
        lambda part: squares(part) / len(part),
        lambda part: (
            4 * len(part) * ULP * float(squares(part)) / len(part)
            + (4 * len(part) * ULP * size(part)) * reach(part)
            + (4 * ULP * size(part)) ** 2
        ),
    ),
    "rolling_deviation": (
        lambda n: o.rolling_deviation(CLOSE, n),
        deviation,
        lambda part: 2 * ULP * size(part),
    ),
    "rolling_line mean": (
        lambda n: o.rolling_line(CLOSE, n)[0],
        lambda part: sum(part, Fraction(0)) / len(part),
        lambda part: 2 * ULP * size(part),
    ),
    "rolling_line joint": (
        lambda n: o.rolling_line(CLOSE, n)[1],
        joint,
        lambda part: len(part) ** 2 * ULP * (4 * len(part) * reach(part) + size(part)),
    ),
    "rolling_line squares": (
        lambda n: o.rolling_line(CLOSE, n)[2],
        squares,
        lambda part: (
            4 * len(part) * ULP * float(squares(part))
            + 4 * len(part) * ULP * size(part) * reach(part)
            + len(part) * (4 * ULP * size(part)) ** 2
        ),
    ),
    "rolling_moments cubes": (
        lambda n: o.rolling_moments(CLOSE, n)[2],
        lambda part: sum(((v - sum(part) / len(part)) ** 3 for v in part), Fraction(0)),
        lambda part: (
            1e-12 * len(part) * reach(part) ** 3
            + 20 * len(part) * ULP * size(part) * reach(part) ** 2
        ),
    ),
    "rolling_moments fourths": (
        lambda n: o.rolling_moments(CLOSE, n)[3],
        lambda part: sum(((v - sum(part) / len(part)) ** 4 for v in part), Fraction(0)),
        lambda part: (
            1e-12 * len(part) * reach(part) ** 4
            + 20 * len(part) * ULP * size(part) * reach(part) ** 3
        ),
    ),
    "fir": (
        lambda n: o.fir(CLOSE, tuple(1.0 / (k + 1) for k in range(n))),
        lambda part: sum((Fraction(1.0 / (k + 1)) * v for k, v in enumerate(part)), Fraction(0)),
        lambda part: len(part) * ULP * size(part),
    ),
}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("name", ORACLES)
def test_a_window_operator_means_what_it_says(name: str, window: int, scale: str) -> None:
    build, meaning, bound = ORACLES[name]
    x = walk(SCALES[scale])
    got = values(build(window), x)
    assert np.isnan(got[: window - 1]).all()
    for row, part in enumerate(windows(x, window), start=window - 1):
        error = abs(Fraction(float(got[row])) - meaning(part))
        assert error <= bound(part), f"row {row}: {float(error)} is above {bound(part)}"


@pytest.mark.parametrize("name", ORACLES)
def test_a_wild_tick_that_has_left_the_window_leaves_no_trace(name: str) -> None:
    build, _, _ = ORACLES[name]
    x = walk(100.0, 1_000)
    wild = x.copy()
    wild[WILD_ROW] = WILD_TICK
    calm, shaken = values(build(20), x), values(build(20), wild)
    assert same_bits(calm[WILD_ROW + 20 :], shaken[WILD_ROW + 20 :])
    assert not same_bits(calm[WILD_ROW : WILD_ROW + 20], shaken[WILD_ROW : WILD_ROW + 20])


@pytest.mark.parametrize("window", [1, 7])
@pytest.mark.parametrize("gap", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ORACLES)
def test_a_missing_or_infinite_value_hides_just_its_own_windows(
    name: str, gap: float, window: int
) -> None:
    build, _, _ = ORACLES[name]
    x = walk(100.0, 200)
    x[100] = gap
    got = values(build(window), x)
    hidden = [*range(window - 1), *range(100, 100 + window)]
    assert np.flatnonzero(np.isnan(got)).tolist() == hidden


@pytest.mark.parametrize("name", ORACLES)
def test_a_million_rows_do_not_drift(name: str) -> None:
    build, _, _ = ORACLES[name]
    x = walk(100.0, LONG_ROWS) + np.random.default_rng(3).normal(size=LONG_ROWS)
    start = LONG_ROWS - 20 * 37  # a multiple of the window: the ring's blocks then fall alike
    assert same_bits(values(build(20), x)[start + 40 :], values(build(20), x[start:])[40:])


@pytest.mark.parametrize("level", [0.1, 1e9, 1.0 / 3.0])
def test_windows_of_equal_values_have_no_spread_and_their_own_mean(level: float) -> None:
    x = np.full(100, level)
    x[:30] = walk(level, 30)
    for series in (
        o.rolling_variance(CLOSE, 20, 1),
        *o.rolling_moments(CLOSE, 20)[1:],
        *o.rolling_line(CLOSE, 20)[1:],
    ):
        assert (values(series, x)[49:] == 0.0).all()
    assert (values(o.rolling_mean(CLOSE, 20), x)[49:] == level).all()


def test_a_sum_may_start_before_its_window_is_full() -> None:
    got = values(o.rolling_sum_from(CLOSE, 4, 2), np.arange(1.0, 8.0))
    assert np.array_equal(got, [np.nan, 3, 6, 10, 14, 18, 22], equal_nan=True)


def weighted(x: list[float], alpha: float, mean: float) -> float:
    exact, share = Fraction(mean), Fraction(alpha)
    for value in x:
        exact += share * (Fraction(value) - exact)
    return float(exact)


@pytest.mark.parametrize("alpha", [0.5, 2 / 21, 0.01])
def test_exponential_means_differ_by_how_they_start(alpha: float) -> None:
    x = walk(100.0, 120)
    bound = 2 / alpha * ULP * 101.0
    opening = float(sum(Fraction(value) for value in x[:10]) / 10)
    assert abs(values(o.ewm(CLOSE, alpha), x)[-1] - weighted(x[1:], alpha, x[0])) <= bound
    seeded = weighted(x[10:], alpha, opening)
    for build in (o.ewm_by_row, o.ewm_by_value):
        got = values(build(CLOSE, alpha, 10), x)
        assert np.isnan(got[:9]).all()
        assert abs(got[-1] - seeded) <= bound
    shares = [Fraction(1 - alpha) ** (len(x) - 1 - k) for k in range(len(x))]
    exact = sum(s * Fraction(v) for s, v in zip(shares, x, strict=True)) / sum(shares)
    assert abs(values(o.ewm_adjusted(CLOSE, alpha, 1), x)[-1] - float(exact)) <= 2 * bound


def test_rows_without_values_count_for_one_start_and_not_for_the_other() -> None:
    x = np.array([math.nan, math.nan, 1.0, 3.0, 5.0, 5.0])
    by_row, by_value = (values(f(CLOSE, 0.5, 3), x) for f in (o.ewm_by_row, o.ewm_by_value))
    assert np.array_equal(by_row, [np.nan, np.nan, 1.0, 2.0, 3.5, 4.25], equal_nan=True)
    assert np.array_equal(by_value, [*[np.nan] * 4, 3.0, 4.0], equal_nan=True)


def test_an_exponential_mean_repeats_itself_where_a_value_is_missing() -> None:
    got = values(o.ewm(CLOSE, 0.5), np.array([1.0, math.nan, 3.0]))
    assert got.tolist() == [1.0, 1.0, 1.0 + 2.0 * 0.5 / (0.5 + 0.25)]


def test_a_running_sum_keeps_what_a_float_would_lose() -> None:
    x = np.array([1.0, 1e16, 1.0, -1e16, math.nan, math.inf, 1.0])
    got = values(o.running_sum(CLOSE), x)
    assert np.array_equal(got, [1.0, 1e16, 1e16 + 2, 2.0, np.nan, np.nan, 3.0], equal_nan=True)


MISSING = math.nan
MEANINGS: dict[str, tuple[Series, list[float], list[float]]] = {
    "earlier": (o.earlier(CLOSE, 2), [1, 2, 3, 4], [MISSING, MISSING, 1, 2]),
    "after": (o.after(CLOSE, 2), [1, 2, 3, 4], [MISSING, MISSING, 3, 4]),
    "row_number": (o.row_number(), [5, MISSING, 5], [1, 2, 3]),
    "running_max": (o.running_max(CLOSE), [-3, -4, MISSING, -1], [-3, -3, MISSING, -1]),
    "running_min": (o.running_min(CLOSE), [3, 4, MISSING, 1], [3, 3, MISSING, 1]),
    "first_value": (o.first_value(CLOSE), [MISSING, 4, 5], [MISSING, 4, 4]),
    "last_known": (o.last_known(CLOSE), [MISSING, 4, MISSING, 5], [MISSING, 4, 4, 5]),
    "latch": (o.latch(CLOSE > 2.0, CLOSE < 1.0), [1, 3, 1, 0, 1], [0, 1, 1, 0, 0]),
    "streak": (o.streak(CLOSE > 0.0), [1, 1, 0, 1, MISSING], [1, 2, 0, 1, 0]),
    "rows_since": (o.rows_since(CLOSE > 0.0), [0, 1, 0, 0, 1], [MISSING, 0, 1, 2, 0]),
    "opening_mean": (o.opening_mean(CLOSE, 3), [1, 3, 8, 9], [MISSING, MISSING, 4, 9]),
    "recursive": (
        o.recursive(CLOSE, OPEN * 10.0, 2, 0.5, 1.0, 0.0),
        [1, 2, 3, 4],
        [10, 20, 23, 35.5],
    ),
}


@pytest.mark.parametrize("name", MEANINGS)
def test_an_operator_with_a_memory_means_what_it_says(name: str) -> None:
    series, x, wanted = MEANINGS[name]
    assert np.array_equal(values(series, np.array(x, float)), wanted, equal_nan=True)


def test_sessions_start_again_when_their_key_changes() -> None:
    x, day = np.array([3.0, 5, 4, 1, 7, 2]), np.array([1.0, 1, 1, 2, 2, 3])
    wanted = {
        o.session_sum: [3, 8, 12, 1, 8, 2],
        o.session_max: [3, 5, 5, 1, 7, 2],
        o.session_min: [3, 3, 3, 1, 1, 2],
        o.session_first: [3, 3, 3, 1, 1, 2],
        o.session_before: [math.nan, math.nan, math.nan, 4, 4, 7],
    }
    for build, numbers in wanted.items():
        assert np.array_equal(values(build(CLOSE, OPEN), x, day), numbers, equal_nan=True)


def test_comparisons_and_conditions_are_false_where_a_value_is_missing() -> None:
    x, y = np.array([1.0, math.nan, 2.0, 0.0]), np.array([1.0, 1.0, math.nan, 2.0])
    truth = {
        CLOSE < OPEN: [0, 0, 0, 1],
        CLOSE <= OPEN: [1, 0, 0, 1],
        CLOSE > OPEN: [0, 0, 0, 0],
        CLOSE >= OPEN: [1, 0, 0, 0],
        CLOSE == OPEN: [1, 0, 0, 0],
        CLOSE != OPEN: [0, 0, 0, 1],
        CLOSE & OPEN: [1, 0, 0, 0],
        CLOSE | OPEN: [1, 1, 1, 1],
        ~CLOSE: [0, 1, 0, 1],
        o.missing(CLOSE): [0, 1, 0, 0],
    }
    for series, wanted in truth.items():
        assert values(series, x, y).tolist() == wanted, series


def test_choice_and_arithmetic_follow_the_numbers() -> None:
    x, y = np.array([7.0, -7.0, math.nan, 4.0]), np.array([2.0, 2.0, 3.0, 0.0])
    wanted = {
        CLOSE % OPEN: np.array([1, 1, math.nan, math.nan]),
        CLOSE / OPEN: np.array([3.5, -3.5, math.nan, math.inf]),
        abs(-CLOSE): np.array([7, 7, math.nan, 4]),
        2.0**OPEN: np.array([4, 4, 8, 1]),
        o.larger(CLOSE, OPEN): np.array([7, 2, math.nan, 4]),
        o.smaller(CLOSE, OPEN): np.array([2, -7, math.nan, 0]),
        o.larger_known(CLOSE, OPEN): np.array([7, 2, 3, 4]),
        o.smaller_known(CLOSE, OPEN): np.array([2, -7, 3, 0]),
        o.fill(CLOSE, OPEN): np.array([7, -7, 3, 4]),
        o.choose(CLOSE > 0.0, CLOSE, OPEN): np.array([7, 2, 3, 4]),
        o.sign(CLOSE): np.array([1, -1, math.nan, 1]),
    }
    for series, numbers in wanted.items():
        assert np.array_equal(values(series, x, y), numbers, equal_nan=True), series
