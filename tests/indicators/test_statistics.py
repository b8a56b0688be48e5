"""Statistics beside exact arithmetic, and beside what pandas-ta sees of a table's future."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from indicators import CLOSE, Plan
from indicators.catalogue import CATALOGUE
from indicators.operators import rolling_max, rolling_min, running_line
from tests.indicators.market import markets
from tests.indicators.parity import pandas_ta
from tests.indicators.test_operators import (
    LONG_ROWS,
    SCALES,
    ULP,
    joint,
    same_bits,
    squares,
    values,
    walk,
    windows,
)


def power(part: list[Fraction], exponent: int) -> Fraction:
    mean = sum(part) / len(part)
    return sum(((value - mean) ** exponent for value in part), Fraction(0))


def exact_skew(part: list[Fraction]) -> float:
    n, spread = len(part), float(power(part, 2))
    return n * math.sqrt(n - 1) / (n - 2) * float(power(part, 3)) / spread**1.5


def exact_kurtosis(part: list[Fraction]) -> float:
    n = len(part)
    shape = n * power(part, 4) / power(part, 2) ** 2
    return float(Fraction(n - 1, (n - 2) * (n - 3)) * ((n + 1) * (shape - 3) + 6))


@pytest.mark.parametrize("length", [4, 30])
@pytest.mark.parametrize(("name", "meaning"), [("skew", exact_skew), ("kurtosis", exact_kurtosis)])
def test_the_shape_of_a_window_is_exact_to_a_billionth(
    name: str, meaning: Any, length: int
) -> None:
    x = walk(100.0)
    series = CATALOGUE[name].build((), {"length": length}).series[0]
    wanted = [meaning(part) for part in windows(x, length)]
    assert np.allclose(values(series, x)[length - 1 :], wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scale", SCALES)
def test_a_line_through_all_rows_so_far_means_what_it_says(scale: str) -> None:
    x = walk(SCALES[scale])
    exact = [Fraction(value) for value in x]
    mean, joints, spreads = (values(series, x) for series in running_line(CLOSE))
    for rows in (1, 2, 3, 50, len(x)):
        part = exact[:rows]
        gap = float(max(abs(value - part[0]) for value in part))
        noise = rows * ULP * (gap + ULP * SCALES[scale])
        step = 2 * ULP * SCALES[scale]
        assert abs(mean[rows - 1] - float(sum(part) / rows)) <= noise + step
        assert abs(joints[rows - 1] - float(joint(part))) <= rows**2 * (noise + step)
        assert abs(spreads[rows - 1] - float(squares(part))) <= rows * (noise + step) * gap


def test_a_line_through_a_million_rows_does_not_drift() -> None:
    x = walk(100.0, LONG_ROWS)
    mean, joints, spreads = (values(series, x)[-1] for series in running_line(CLOSE))
    middle = math.fsum(x) / LONG_ROWS
    gaps = x - middle
    assert abs(mean - middle) <= 1e-13 * middle
    assert abs(spreads - math.fsum(gaps * gaps)) <= 1e-12 * spreads
    time = np.arange(LONG_ROWS) - (LONG_ROWS - 1) / 2
    assert abs(joints - math.fsum(time * gaps)) <= 1e-12 * math.fsum(np.abs(time * gaps))


@pytest.mark.parametrize(
    "given",
    [{}, {"ddof": 0}, {"length": 30}, {"length": 100, "ddof": 0}, {"length": 3, "ddof": 5}],
    ids=str,
)
def test_deviation_lines_are_what_pandas_ta_gives_for_the_table_that_ends_here(
    given: dict[str, Any],
) -> None:
    built = CATALOGUE["tos_stdevall"].build((), given)
    plan = Plan(dict(zip(built.columns, built.series, strict=True)))
    for market, bars in markets().items():
        close = bars["close"].reset_index(drop=True)
        slots = np.zeros(len(close), np.int64)
        ours = plan.run(plan.new_state(1), slots, {"close": close.to_numpy()})
        for rows in (110, 400, len(close)):
            wanted = pandas_ta.tos_stdevall(close[:rows], **given)
            assert list(wanted.columns) == list(ours)
            for name, theirs in wanted.items():
                got = ours[str(name)][rows - 1]
                assert abs(got - theirs.iloc[-1]) <= 1e-9 * abs(got), f"{name} on {market}"


def test_pandas_ta_moves_its_deviation_lines_when_rows_are_added() -> None:
    close = markets()["walk"]["close"]
    before, after = (pandas_ta.tos_stdevall(close[:rows]) for rows in (400, 450))
    assert not np.allclose(before["TOS_STDEVALL_LR"][:400], after["TOS_STDEVALL_LR"][:400])


def test_the_ends_of_the_order_are_the_extremes() -> None:
    x = walk(100.0)
    for q, extreme in ((0.0, rolling_min), (1.0, rolling_max)):
        series = CATALOGUE["quantile"].build((), {"length": 9, "q": q}).series[0]
        assert same_bits(values(series, x), values(extreme(CLOSE, 9), x))


def column(name: str, x: NDArray[np.float64]) -> NDArray[np.float64]:
    return values(CATALOGUE[name].build().series[0], x)


def test_windows_of_equal_values_have_no_shape_and_all_their_quantiles_alike() -> None:
    x = np.full(80, 0.1)
    assert np.isnan(column("skew", x)).all()
    assert np.isnan(column("kurtosis", x)).all()
    assert (column("median", x)[29:] == 0.1).all()
    assert (column("mad", x)[29:] < 1e-16).all()
