"""The made-up market: pure, and with the habits of real ones."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.errors import FleetError
from workers.files import TickChunk
from workers.market import BLOCK_NS, LEVELS, SYMBOLS_MAX, Market

SECOND_NS = 10**9
START_NS = 1_763_823_000 * SECOND_NS + 123_456_789


def table(chunk: TickChunk) -> pd.DataFrame:
    columns = {name: getattr(chunk, name) for name in ("symbol", "ts", "price", "size")}
    return pd.DataFrame(columns)


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(seed=1, symbols=40, rate=2_000)


@pytest.fixture(scope="module")
def ticks(market) -> pd.DataFrame:
    """A quarter of an hour."""
    return table(market.ticks(START_NS, 900 * SECOND_NS))


@pytest.fixture(scope="module")
def returns(ticks) -> pd.DataFrame:
    """Log returns over seconds of the ten most active instruments."""
    active = ticks.symbol.value_counts().index[:10]
    busy = ticks[ticks.symbol.isin(active)]
    last = busy.groupby([busy.ts // SECOND_NS, "symbol"]).price.last().unstack()
    return np.log(last.ffill()).diff().dropna()


def test_the_same_seed_gives_the_same_ticks_and_another_seed_others():
    one, same, other = (Market(seed, 10, 500).ticks(START_NS, SECOND_NS) for seed in (5, 5, 6))
    pd.testing.assert_frame_equal(table(one), table(same))
    assert one.price[:20].tolist() != other.price[:20].tolist()


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 6 * BLOCK_NS), max_size=6),
    start=st.integers(START_NS - BLOCK_NS, START_NS + 2**22 * BLOCK_NS),
)
def test_any_chunks_put_together_are_the_ticks_of_the_whole(cuts, start):
    whole = table(Market(3, 8, 300).ticks(start, 6 * BLOCK_NS))
    edges = sorted({0, 6 * BLOCK_NS, *cuts})
    chunked = Market(3, 8, 300)
    parts = [table(chunked.ticks(start + a, b - a)) for a, b in itertools.pairwise(edges)]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)


def test_what_was_asked_for_before_changes_nothing():
    market = Market(3, 8, 300)
    later = table(market.ticks(START_NS + 90 * SECOND_NS, SECOND_NS))
    table(market.ticks(START_NS - 10**6 * SECOND_NS, SECOND_NS))
    again = table(market.ticks(START_NS + 90 * SECOND_NS, SECOND_NS))
    pd.testing.assert_frame_equal(later, again)


def test_ticks_are_in_order_inside_the_time_asked_for(ticks):
    assert ticks.ts.is_monotonic_increasing
    assert ticks.ts.min() >= START_NS
    assert ticks.ts.max() < START_NS + 900 * SECOND_NS


def test_the_rate_is_kept_on_average(ticks):
    assert len(ticks) / 900 == pytest.approx(2_000, rel=0.15)


def test_an_empty_stretch_gives_no_ticks(market):
    chunk = market.ticks(START_NS, 0)
    assert [len(column) for column in (chunk.symbol, chunk.ts, chunk.price, chunk.size)] == [0] * 4


def test_prices_and_sizes_are_positive_short_decimals(ticks):
    assert ticks.price.min() > 0
    assert ticks["size"].min() > 0
    for column in ("price", "size"):
        some = ticks[column].iloc[::100].tolist()
        assert max(len(np.format_float_positional(value)) for value in some) <= 10


def test_prices_do_not_jump_between_blocks(ticks):
    jumps = ticks.groupby("symbol").price.agg(lambda p: np.abs(np.diff(np.log(p))).max())
    assert jumps.max() < 0.02


def test_prices_do_not_jump_where_one_stretch_of_twelve_days_meets_the_next(market):
    meeting_ns = (START_NS // BLOCK_NS // 2**LEVELS) * 2**LEVELS * BLOCK_NS
    around = table(market.ticks(meeting_ns - 20 * SECOND_NS, 40 * SECOND_NS))
    before, after = (
        rows.groupby("symbol").price.median()
        for rows in (around[around.ts < meeting_ns], around[around.ts >= meeting_ns])
    )
    assert np.abs(np.log(after / before)).max() < 0.02


def test_returns_have_fat_tails(returns):
    kurtosis = ((returns - returns.mean()) ** 4).mean() / returns.var(ddof=0) ** 2
    assert kurtosis.median() > 3.5


def test_volatility_comes_in_clusters_while_returns_do_not(returns):
    size = returns.abs()
    clustering = [size[name].autocorr(lag) for name in size for lag in (1, 2, 5, 10)]
    assert np.mean(clustering) > 0.08
    trend = [returns[name].autocorr(lag) for name in returns for lag in (2, 3, 5)]
    assert abs(np.mean(trend)) < 0.05


def test_instruments_move_together(returns):
    assert returns.rolling(10).sum().corr().stack().mean() > 0.2


def test_few_instruments_make_most_of_the_ticks(ticks):
    share = ticks.symbol.value_counts(normalize=True)
    assert share.iloc[:4].sum() > 0.35
    assert ticks.symbol.nunique() == 40


def test_arrivals_come_in_bursts(ticks):
    counts = ticks.groupby(ticks.ts // (SECOND_NS // 10)).size()
    assert counts.var() / counts.mean() > 3  # 1 for a Poisson process of constant rate


def test_sizes_are_skewed(ticks):
    size = ticks[ticks.symbol == ticks.symbol.mode()[0]]["size"]
    assert size.mean() > 1.5 * size.median()


def test_names_are_all_different():
    names = Market(1, SYMBOLS_MAX, 1).symbols
    assert len(set(names)) == SYMBOLS_MAX
    assert all(name.endswith("-USD") for name in names)


@pytest.mark.parametrize(
    ("seed", "symbols", "rate", "words"),
    [
        (1, 0, 1, "0 symbols is outside"),
        (1, 1, 0, "0 ticks a second"),
        (1, 1, float("nan"), "nan ticks"),
        (-1, 1, 1, "the seed -1"),
    ],
)
def test_an_impossible_market_is_refused(seed, symbols, rate, words):
    with pytest.raises(FleetError, match=words):
        Market(seed, symbols, rate)
