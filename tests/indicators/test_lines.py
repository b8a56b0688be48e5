"""Overlap, trend and volatility: what differs from pandas-ta, shown; ties; corrected variants."""

import math
import warnings
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from indicators import CATALOGUE, Plan, frame
from tests.indicators.market import PRICES, generated, markets
from tests.indicators.parity import ask, pandas_ta
from tests.indicators.parity_classic import PARAMETERS as CLASSIC

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import talib

type Numbers = NDArray[np.float64]

ROWS = 600
CATEGORIES = ("overlap", "trend", "volatility")
KEPT_FAULT = "not from pandas-ta"
"""How a docstring begins to say that a fault of pandas-ta's is kept."""


def walk(rows: int = ROWS) -> pd.DataFrame:
    return generated()["walk"].head(rows)


def ours(name: str, bars: pd.DataFrame, **given: Any) -> pd.DataFrame:
    """An indicator's outputs by their field."""
    built = CATALOGUE[name].build((), given)
    return frame(bars, Plan(dict(zip(built.fields, built.series, strict=True))))


def theirs(name: str, bars: pd.DataFrame, **given: Any) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ask(name, bars, given)


def near(got: Any, wanted: Any) -> bool:
    got, wanted = np.asarray(got, float), np.asarray(wanted, float)
    same = np.isclose(got, wanted, rtol=1e-9, atol=1e-12 * np.nanmax(np.abs(wanted)))
    return bool((same | (np.isnan(got) & np.isnan(wanted))).all())


def changes_its_past(make: Callable[[pd.DataFrame], pd.Series]) -> bool:
    """Whether values on rows that were there already change as rows are added."""
    whole = make(walk())
    parts = (make(walk(rows)) for rows in range(100, ROWS, 17))
    return any(not part.equals(whole.head(len(part))) for part in parts)


def cross_sessions(bars: pd.DataFrame, key: pd.Series) -> pd.DataFrame:
    """Open, high, low and close of the session before, on each row."""
    how = {"open": "first", "high": "max", "low": "min", "close": "last"}
    before = bars.groupby(key).agg(how).shift(1)
    return before.loc[key].set_axis(bars.index)


def spread_out(days: int) -> pd.DataFrame:
    """Bars of the walk, that many days from one to the next."""
    return walk().set_axis(pd.date_range("2020-01-01", periods=ROWS, freq=f"{days}D"))


def a_centred_price_comes_on_the_row_that_knows_it() -> None:
    assert changes_its_past(lambda bars: pandas_ta.dpo(bars["close"]))
    assert not changes_its_past(lambda bars: ours("dpo", bars)["value"])
    assert near(ours("dpo", walk())["value"].shift(-11), pandas_ta.dpo(walk()["close"]))


def the_lagging_line_comes_on_the_row_of_its_close() -> None:
    def upstream(bars: pd.DataFrame) -> pd.Series:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pandas_ta.ichimoku(bars["high"], bars["low"], bars["close"])[0]["ICS_26"]

    assert changes_its_past(upstream)
    assert ours("ichimoku", walk())["chikou"].iloc[25:].equals(walk()["close"].iloc[25:])


def turns_stay_where_they_were_confirmed() -> None:
    def upstream(bars: pd.DataFrame) -> pd.Series:
        return theirs("zigzag", bars)["ZIGZAGs_5.0%_10"]

    assert changes_its_past(upstream)
    assert not changes_its_past(lambda bars: ours("zigzag", bars)["swing"])
    swings = ours("zigzag", walk())["swing"].dropna()
    assert len(swings) > 3


def pivots_judge_each_session_and_come_in_time() -> None:
    bars = walk()
    o, h, low, c = (
        cross_sessions(bars, pd.Series(bars.index.date, bars.index))[name] for name in PRICES
    )
    falling = np.where(c > o, 2 * h + low + c, h + 2 * low + c)
    wanted = 0.25 * np.where(o == c, h + low + 2 * c, falling)
    wanted = np.where(o.isna(), np.nan, wanted)
    assert near(ours("pivots", bars, method="demark")["pivot"], wanted)
    upstream = theirs("pivots", bars, method="demark")["PIVOTS_DEMA_D_P"]
    assert near(upstream, 0.25 * (h + 2 * low + c))
    assert not near(wanted, upstream)
    for anchor, days, unit in (("ME", 3, "M"), ("YE", 30, "Y")):
        sparse = spread_out(days)
        key = pd.Series(sparse.index.to_period(unit), sparse.index)
        before = cross_sessions(sparse, key)
        wanted = (before["high"] + before["low"] + before["close"]) / 3.0
        assert near(ours("pivots", sparse, anchor=anchor)["pivot"], wanted)
        late = theirs("pivots", sparse, anchor=anchor)[f"PIVOTS_TRAD_{anchor}_P"]
        first, upstream_first = wanted.first_valid_index(), late.first_valid_index()
        assert upstream_first - first > pd.Timedelta(days=25)


def an_average_outlasts_a_still_window() -> None:
    bars = walk()
    bars = bars.assign(close=bars["close"].where(~bars.index.isin(bars.index[200:230]), 100.0))
    got, upstream = ours("vidya", bars)["value"], theirs("vidya", bars)["VIDYA_14"]
    assert near(got.iloc[:214], upstream.iloc[:214])
    assert upstream.iloc[214:].isna().all()
    assert (got.iloc[214:230] == got.iloc[214]).all()
    assert (got.iloc[300:] - bars["close"].iloc[300:]).abs().max() < 10
    assert theirs("vidya", bars, drift=2).isna().all(axis=None)
    assert not ours("vidya", bars, drift=2).iloc[20:].isna().any(axis=None)


def a_line_starts_anew_where_it_overshot() -> None:
    bars = walk(120)
    bars.loc[bars.index[40], "close"] = 1e-80
    got, upstream = ours("mcgd", bars)["value"], theirs("mcgd", bars)["MCGD_10"]
    assert near(got.iloc[:40], upstream.iloc[:40])
    assert upstream.iloc[45:].isna().all()
    assert got.iloc[40] == 1e-80
    assert not got.iloc[41:].isna().any()


def lagless_averages_are_given_in_every_mode() -> None:
    for mamode in ("ssf", "vidya"):
        assert pandas_ta.zlma(walk()["close"], mamode=mamode) is None
        assert ours("zlma", walk(), mamode=mamode)["value"].iloc[60:].notna().all()


def stops_take_whole_numbers() -> None:
    assert list(theirs("cksp", walk(), q=9, x=2)) == ["CKSPl_10_3_20", "CKSPs_10_3_20"]
    assert ours("cksp", walk(), q=9, x=2).equals(ours("cksp", walk(), q=9.0, x=2.0))
    assert not ours("cksp", walk(), q=9).equals(ours("cksp", walk()))


def fibonacci_weights_may_fall() -> None:
    close, weights = walk()["close"], np.array([8, 5, 3, 2, 1, 1]) / 20
    wanted = close.rolling(6).apply(lambda part: part @ weights, raw=True)
    assert near(ours("fwma", walk(), length=6, asc=False)["value"], wanted)
    assert pandas_ta.fwma(close, 6, asc=False).equals(pandas_ta.fwma(close, 6))


def steady_changes_never_look_ahead() -> None:
    for name, more in (("increasing", 1), ("decreasing", -1)):
        parameters = {"length": 5, "strict": True, "drift": 3}
        assert changes_its_past(lambda bars: theirs(name, bars, **parameters).iloc[:, 0])  # noqa: B023
        close = walk()["close"] * more
        wanted = (close > close.shift(3)) & (close.diff() > 0) & (close.diff().shift(1) > 0)
        assert ours(name, walk(), **parameters)["value"].astype(bool).equals(wanted)


SHOWN: dict[str, Callable[[], None]] = {
    "cksp": stops_take_whole_numbers,
    "decreasing": steady_changes_never_look_ahead,
    "dpo": a_centred_price_comes_on_the_row_that_knows_it,
    "fwma": fibonacci_weights_may_fall,
    "ichimoku": the_lagging_line_comes_on_the_row_of_its_close,
    "increasing": steady_changes_never_look_ahead,
    "mcgd": a_line_starts_anew_where_it_overshot,
    "pivots": pivots_judge_each_session_and_come_in_time,
    "vidya": an_average_outlasts_a_still_window,
    "zigzag": turns_stay_where_they_were_confirmed,
    "zlma": lagless_averages_are_given_in_every_mode,
}
"""For each indicator that says how it differs, what shows it."""


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_said_to_differ_from_pandas_ta_does(name: str) -> None:
    SHOWN[name]()


def test_every_difference_that_a_docstring_states_is_shown() -> None:
    entries = [
        entry
        for name, entry in CATALOGUE.items()
        if entry.category in CATEGORIES and name not in CLASSIC  # test_classic shows those
    ]
    stated = {e.name for e in entries if e.differs and not e.differs.startswith(KEPT_FAULT)}
    assert stated == set(SHOWN)


def ticks() -> pd.DataFrame:
    """Bars whose prices are eighths, so that sums are exact and ties are many."""
    return (generated()["coarse"][list(PRICES)].head(ROWS) * 8).round() / 8


def exact_means(x: pd.Series, window: int) -> list[Fraction | None]:
    exact = [Fraction(value) for value in x]
    full = [sum(exact[row - window + 1 : row + 1]) / window for row in range(window - 1, len(x))]
    return [None] * (window - 1) + full


def test_a_close_on_the_mean_is_not_above_it() -> None:
    bars = ticks()
    means = exact_means(0.5 * (bars["high"] + bars["low"]), 6)
    wanted = [
        1 if m is not None and Fraction(c) > m else -1
        for c, m in zip(bars["close"], means, strict=True)
    ]
    ties = sum(m == Fraction(c) for c, m in zip(bars["close"], means, strict=True) if m is not None)
    assert ties > 3
    assert ours("ttm_trend", bars)["value"].tolist() == wanted


def test_the_activator_stays_where_the_close_is_on_a_mean() -> None:
    bars = ticks()
    tops, bottoms = exact_means(bars["high"], 4), exact_means(bars["low"], 4)
    line: Fraction | None = None
    got, ties = ours("hilo", bars, high_length=4, low_length=4)["hilo"], 0
    for row in range(1, ROWS):
        close, top, bottom = Fraction(bars["close"].iloc[row]), tops[row - 1], bottoms[row - 1]
        if top is not None and close > top:
            line = bottoms[row]
        elif bottom is not None and close < bottom:
            line = tops[row]
        ties += close in (top, bottom)
        assert got.iloc[row] == line or (line is None and math.isnan(got.iloc[row])), row
    assert ties > 3


def test_a_run_needs_both_means_to_move() -> None:
    bars = ticks()
    fast, slow = exact_means(bars["close"], 4), exact_means(bars["close"], 8)
    got = ours("amat", bars, fast=4, slow=8, lookback=2, mamode="sma")
    still = 0
    for row in range(9, ROWS):
        quick, calm = fast[row] - fast[row - 2], slow[row] - slow[row - 2]
        still += quick == 0 or calm == 0
        assert got["long"].iloc[row] == (quick > 0 and calm != 0), row
        assert got["short"].iloc[row] == (quick < 0 and calm != 0), row
    assert still > 3


def test_a_thermometer_on_its_mean_is_neither_low_nor_high() -> None:
    bars = ticks()
    got = ours("thermo", bars, length=4, mamode="sma", long=1, short=1)
    means = exact_means(got["thermo"].fillna(0), 4)
    ties = 0
    for row in range(4, ROWS):
        reach, mean = Fraction(got["thermo"].iloc[row]), means[row]
        ties += reach == mean
        assert (got["long"].iloc[row], got["short"].iloc[row]) == (reach < mean, reach > mean), row
    assert ties > 3


FADED = 1_000
"""Rows after which the start of these recursions is below what is compared."""


@pytest.mark.parametrize("market", ["walk", "stocks-1d-AAPL"])
def test_corrected_variants_equal_ta_lib_once_the_start_has_faded(market: str) -> None:
    if market not in markets():
        pytest.skip(f"real bars {market} are not beside this checkout")
    bars = markets()[market]
    close = bars["close"].to_numpy()
    mama = ours("mama_ehlers", bars)
    for field, wanted in zip(mama, talib.MAMA(close), strict=True):
        assert mama[field].to_numpy()[FADED:] == pytest.approx(wanted[FADED:], rel=1e-9)
    line = ours("ht_trendline", bars)["value"].to_numpy()
    assert line[FADED:] == pytest.approx(talib.HT_TRENDLINE(close)[FADED:], rel=1e-9)
    high, low = bars["high"].to_numpy(), bars["low"].to_numpy()
    assert near(ours("wclprice", bars)["value"], talib.WCLPRICE(high, low, close))
    for length in (2, 3, 10, 31):
        assert near(ours("swma", bars, length=length)["value"], talib.TRIMA(close, length))
    upstream = ours("mama", bars)["mama"].to_numpy()
    assert np.abs(upstream / talib.MAMA(close)[0] - 1)[FADED:].max() > 1e-3
