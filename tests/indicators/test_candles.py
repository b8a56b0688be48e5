"""Candle patterns against TA-Lib, and what pandas-ta adds to them."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import talib
from numpy.typing import NDArray

from indicators import ExpressionError, Plan
from indicators.catalogue import CATALOGUE, Built
from indicators.definitions.candle.dispatch import NAMES
from indicators.series import walk
from tests.indicators.market import BARS, PRICES, markets
from tests.indicators.parity import Imports, pandas_ta
from tests.indicators.parity_candles import PENETRATION, TALIB

type Prices = tuple[NDArray[np.float64], ...]

ROWS, SLICE_ROWS = 60_000, 20
SLICES = 400
TICKS = 128.0
VARIANTS, SHAKEN_ROWS = 200, 5
OFF = [0] * 36 + [-9, -4, -2, -1, 1, 2, 4, 9]


def candles(seed: int, bodies: list[int], shadows: list[int]) -> Prices:
    """Candles of a few sizes, in whole ticks of 1/128: every sum over them is exact."""
    random = np.random.default_rng(seed)
    gaps = random.choice([0, 0, 0, -1, 1, 2, -2, 5, -5], ROWS)
    moves = random.choice(bodies, ROWS) * random.choice([-1, 1], ROWS)
    close = 1e6 + np.cumsum(gaps + moves)
    first = close - moves
    high = np.maximum(first, close) + random.choice(shadows, ROWS)
    low = np.minimum(first, close) - random.choice(shadows, ROWS)
    return tuple(each / TICKS for each in (first, high, low, close))


@cache
def made() -> dict[str, Prices]:
    """Generated candles, on which together every pattern is found."""
    return {
        "small": candles(2, [0, 1, 2, 3, 8, 20], [0, 0, 0, 1, 2, 5, 9]),
        "large": candles(3, [0, 3, 4, 5, 20], [0, 0, 1, 3, 4, 5, 20]),
    }


def nearly(given: Prices, rows: NDArray[np.int64], seed: int) -> Prices:
    """The candles up to each of these rows, their last prices a little off."""
    random = np.random.default_rng(seed)
    places = rows[:, None] - np.arange(SLICE_ROWS)[::-1]
    shaken = np.stack([column[places] for column in given])
    shaken[:, :, -SHAKEN_ROWS:] += random.choice(OFF, shaken[:, :, -SHAKEN_ROWS:].shape) / TICKS
    first, _, _, close = shaken
    return tuple(each.ravel() for each in (first, shaken.max(0), shaken.min(0), close))


def upside_down(given: Prices) -> Prices:
    first, high, low, close = given
    return 2e6 - first, 2e6 - low, 2e6 - high, 2e6 - close


def prices(bars: pd.DataFrame) -> Prices:
    return tuple(bars[name].to_numpy(float) for name in PRICES)


def real() -> Iterator[tuple[str, Prices]]:
    """All the real bars that there are, an instrument at a time."""
    for path in sorted(BARS.glob("*.csv.gz")):
        for symbol, bars in pd.read_csv(path).groupby("symbol"):
            yield str(symbol), prices(bars)


def run(
    built: Built, given: Prices, slots: NDArray[np.int64] | None = None
) -> dict[str, NDArray[np.float64]]:
    plan = Plan(dict(zip(built.columns, built.series, strict=True)))
    slots = np.zeros(len(given[0]), np.int64) if slots is None else slots
    columns = dict(zip(PRICES, given, strict=True))
    state = plan.new_state(int(slots.max()) + 1)
    return plan.run(state, slots, {name: columns[name] for name in plan.fields})


def everything(**given: Any) -> Built:
    return CATALOGUE["cdl_pattern"].build((), given)


def theirs(name: str, given: Prices, **parameters: float) -> NDArray[np.int32]:
    found: NDArray[np.int32] = getattr(talib, f"CDL{name.upper()}")(*given, **parameters)
    return found


def check(market: str, given: Prices) -> set[str]:
    """The patterns found; each of them just where TA-Lib finds it."""
    ours, found = run(everything(), given), set()
    for name in TALIB:
        wanted = theirs(name, given)
        bad = np.flatnonzero(ours[f"CDL_{name.upper()}"] != wanted)
        assert not len(bad), f"{name} on {market}: {len(bad)} rows differ, first {bad[:3]}"
        found |= {name} if wanted.any() else set()
    return found


def test_the_patterns_are_those_of_pandas_ta() -> None:
    assert list(NAMES) == pandas_ta.CDL_PATTERN_NAMES
    assert len(TALIB) == 60


def test_every_pattern_is_found_and_equals_talib_on_generated_candles() -> None:
    found = [check(market, given) for market, given in made().items()]
    assert set.union(*found) == set(TALIB)


@pytest.mark.parametrize("market", made())
def test_what_is_almost_a_pattern_is_judged_as_talib_judges_it(market: str) -> None:
    given = made()[market]
    found = [np.flatnonzero(theirs(name, given)) for name in TALIB]
    rows = [np.resize(some, VARIANTS) for some in found if len(some)]
    variants = nearly(given, np.concatenate(rows), seed=len(market))
    check(market, variants)
    check(f"{market}, upside down", upside_down(variants))


def test_every_pattern_equals_talib_on_all_markets() -> None:
    for market, bars in markets().items():
        check(market, prices(bars))
    for symbol, given in real():
        check(symbol, given)


def test_the_first_rows_equal_talib_whatever_comes_first() -> None:
    rows = SLICES * SLICE_ROWS
    for given in made().values():
        begun = tuple(column[:rows] for column in given)
        ours = run(everything(), begun, np.repeat(np.arange(SLICES), SLICE_ROWS))
        for name in TALIB:
            slices = [slice(k, k + SLICE_ROWS) for k in range(0, rows, SLICE_ROWS)]
            wanted = [theirs(name, tuple(column[part] for column in begun)) for part in slices]
            assert np.array_equal(ours[f"CDL_{name.upper()}"], np.concatenate(wanted)), name


@pytest.mark.parametrize("penetration", [0.0, 0.1, 0.4, 0.8])
@pytest.mark.parametrize("name", PENETRATION)
def test_a_penetration_is_taken_as_talib_takes_it(name: str, penetration: float) -> None:
    built = CATALOGUE[f"cdl_{name}"].build((), {"penetration": penetration})
    for given in made().values():
        (ours,) = run(built, given).values()
        assert np.array_equal(ours, theirs(name, given, penetration=penetration))


def test_as_many_patterns_take_a_penetration_as_in_talib() -> None:
    names = [n for n in TALIB if "penetration" in getattr(talib, f"CDL{n.upper()}").__doc__]
    assert names == PENETRATION


@pytest.mark.parametrize("given", [{}, {"scalar": 1}, {"name": "hikkake", "scalar": 50}])
@pytest.mark.parametrize("name", ["all", "hammer", "doji"])
def test_the_dispatcher_gives_the_columns_of_pandas_ta(
    name: str, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"name": name} | given
    monkeypatch.setitem(Imports, "talib", True)
    bars = markets()["walk"]
    wanted = pandas_ta.cdl_pattern(*(bars[price] for price in PRICES), **given)
    ours = run(everything(**given), prices(bars))
    assert list(ours) == list(wanted.columns)
    for column in wanted.columns.drop("CDL_INSIDE", errors="ignore"):
        assert np.array_equal(ours[column], wanted[column]), column


def test_the_dispatcher_gives_one_series_or_says_which_there_are() -> None:
    plan = Plan.parse({"x": "cdl_pattern(name='hammer') > 0", "y": "cdl_pattern().cdl_3inside"})
    assert plan.outputs == ("x", "y")
    with pytest.raises(ExpressionError, match="known are all, 2crows"):
        Plan.parse({"x": "cdl_pattern(name='anvil')"})


def test_an_inside_bar_is_compared_with_the_row_before_and_never_with_the_last() -> None:
    high, low = np.array([5.0, 6.0, 9.0]), np.array([5.0, 4.0, 1.0])
    (ours,) = run(CATALOGUE["cdl_inside"].build(), (high, high, low, low)).values()
    theirs = pandas_ta.cdl_inside(*(pd.Series(price) for price in (high, high, low, low)))
    assert ours.tolist() == [0.0, 0.0, 0.0]
    assert theirs.tolist() == [100.0, 0.0, 0.0]


def test_scores_over_all_rows_so_far_end_as_those_of_the_whole_table() -> None:
    bars = markets()["walk"]
    ours = run(CATALOGUE["cdl_z"].build((), {"full": True, "ddof": 0}), prices(bars))
    assert list(ours) == [f"{price}_Za" for price in PRICES]
    for rows in (2, 300, len(bars)):
        for price in PRICES:
            known = bars[price][:rows]
            wanted = (known.iloc[-1] - known.mean()) / known.std(ddof=0)
            assert abs(ours[f"{price}_Za"][rows - 1] - wanted) <= 1e-9 * abs(wanted)


def test_patterns_share_what_they_ask_of_the_bars() -> None:
    each = [CATALOGUE[f"cdl_{name}"].build().series for name in NAMES]
    alone = sum(len(list(walk(list(series)))) for series in each)
    together = list(walk([one for series in each for one in series]))
    kept = [s for s in together if s.operator is not None and s.operator.state is not None]
    assert len(together) < alone / 2
    assert len(kept) < 60
