"""What only pandas-ta-classic has: beside TA-Lib, beside definitions, without tomorrow."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
import talib

from indicators import CATALOGUE, CLOSE, HIGH, LOW, OPEN, ParameterError, frame
from indicators.definitions.overlap import prices
from tests.indicators.market import generated, markets
from tests.indicators.parity import pandas_ta, pandas_ta_classic
from tests.indicators.parity_classic import PARAMETERS
from tests.indicators.regimes import regimes

ROWS, SUNDAY = 600, 6
PRICES = ("open", "high", "low", "close")

TALIB: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "adxr().adxr": lambda b: talib.ADXR(b.high, b.low, b.close),
    "avgprice()": lambda b: talib.AVGPRICE(b.open, b.high, b.low, b.close),
    "correl(high, low)": lambda b: talib.CORREL(b.high, b.low, 30),
    "dx()": lambda b: talib.DX(b.high, b.low, b.close),
    "ht_dcperiod()": lambda b: talib.HT_DCPERIOD(b.close),
    "ht_dcphase()": lambda b: talib.HT_DCPHASE(b.close),
    "ht_phasor().in_phase": lambda b: talib.HT_PHASOR(b.close)[0],
    "ht_phasor().quadrature": lambda b: talib.HT_PHASOR(b.close)[1],
    "ht_sine().lead": lambda b: talib.HT_SINE(b.close)[1],
    "ht_sine().sine": lambda b: talib.HT_SINE(b.close)[0],
    "ht_trendmode()": lambda b: talib.HT_TRENDMODE(b.close).astype(float),
    "linregangle()": lambda b: talib.LINEARREG_ANGLE(b.close),
    "linregintercept()": lambda b: talib.LINEARREG_INTERCEPT(b.close),
    "linregslope()": lambda b: talib.LINEARREG_SLOPE(b.close),
    "medprice()": lambda b: talib.MEDPRICE(b.high, b.low),
    "minus_dm(length=5)": lambda b: talib.MINUS_DM(b.high, b.low, 5),
    "plus_dm()": lambda b: talib.PLUS_DM(b.high, b.low),
    "rocp()": lambda b: talib.ROCP(b.close),
    "rocr()": lambda b: talib.ROCR(b.close),
    "rocr100()": lambda b: talib.ROCR100(b.close),
    "tsf()": lambda b: talib.TSF(b.close),
    "typprice()": lambda b: talib.TYPPRICE(b.high, b.low, b.close),
}


def ours(bars: pd.DataFrame, text: str) -> pd.Series:
    return frame(bars, {"x": text})["x"]


def walk() -> pd.DataFrame:
    return generated()["walk"].head(ROWS)


STOPS: list[dict[str, float]] = [
    {},
    {"startvalue": 99.0, "offsetonreverse": 0.01},
    {"startvalue": -101.0},
    {"accelerationinitlong": 0.01, "accelerationlong": 0.03, "accelerationmaxlong": 0.3},
    {"accelerationinitshort": 0.5, "accelerationshort": 0.01, "accelerationmaxshort": 0.1},
]


@pytest.mark.parametrize("given", STOPS, ids=str)
def test_wilders_stop_equals_talibs(given: dict[str, float]) -> None:
    text = f"sarext_wilder({', '.join(f'{name}={value}' for name, value in given.items())})"
    for market, bars in (markets() | regimes()).items():
        wanted, got = talib.SAREXT(bars["high"], bars["low"], **given), ours(bars, text)
        assert got.to_numpy() == pytest.approx(wanted.to_numpy(), rel=1e-9, nan_ok=True), market


@pytest.mark.parametrize("text", TALIB)
def test_what_talib_has_too_equals_talib(text: str) -> None:
    for market, bars in markets().items():
        wanted, got = TALIB[text](bars).to_numpy(), ours(bars, text).to_numpy()
        scale = float(np.nanmedian(np.abs(wanted)))
        same = np.isclose(got, wanted, rtol=1e-9, atol=1e-9 * scale, equal_nan=True)
        assert same.all(), f"{market}: {np.flatnonzero(~same)[:3]}"


def theirs(bars: pd.DataFrame, **given: Any) -> pd.DataFrame:
    """pandas-ta-classic's central pivot range."""
    return pandas_ta_classic.cpr(*(bars[name] for name in PRICES), **given)


def untouched_ranges_show_when_they_are_known_and_upstream_before() -> None:
    bars = walk()
    seen = theirs(bars, virgin_cpr=True)["CPR_VIRGIN"].to_numpy()
    now = 301 + int(seen[300:].argmax())
    touching = bars.copy()
    touching.iloc[now:, touching.columns.get_loc("high")] = 1e9
    touching.iloc[now:, touching.columns.get_loc("low")] = 0.0
    got, other = (ours(each, "cpr(virgin_cpr=True).virgin") for each in (bars, touching))
    assert got[:now].equals(other[:now])
    assert seen[now - 1]
    assert not theirs(touching, virgin_cpr=True)["CPR_VIRGIN"].iloc[now - 1]
    assert np.array_equal(got.to_numpy()[5:], seen[:-5].astype(float))


def weekly_levels_are_of_the_week_before_and_upstream_of_the_one_before_that() -> None:
    bars = walk()
    week = pd.DatetimeIndex(bars.index).to_period("W-SUN")
    highs = bars["high"].groupby(week).max()
    middle, support = (ours(bars, f"cpr(timeframe='weekly').{f}") for f in ("pivot", "s1"))
    wanted = highs.shift(1).reindex(week).to_numpy()
    assert (2 * middle - support).to_numpy() == pytest.approx(wanted, nan_ok=True)
    given = theirs(bars, timeframe="weekly")
    late = (2 * given["CPR_PIVOT"] - given["CPR_S1"]).to_numpy()
    sundays = pd.DatetimeIndex(bars.index).day_of_week == SUNDAY
    assert late[~sundays] == pytest.approx(
        highs.shift(2).reindex(week).to_numpy()[~sundays], nan_ok=True
    )


def test_a_stop_that_turns_goes_to_the_far_side_and_upstream_leaves_it_where_it_is() -> None:
    for bars in markets().values():
        wrong = []
        for name in ("sarext", "sarext_wilder"):
            stop = ours(bars, f"{name}()").to_numpy()[1:]
            turned = np.flatnonzero(np.diff(np.sign(stop)) != 0) + 1
            high, low = bars["high"].to_numpy()[1:][turned], bars["low"].to_numpy()[1:][turned]
            at = np.abs(stop[turned])
            inside = np.where(stop[turned] > 0, at > low, at < high)
            wrong.append(inside.mean())
            assert len(turned) > 10
        assert wrong[0] > 0.5
        assert wrong[1] == 0.0


def test_katsanos_flow_is_his_and_upstreams_is_nearly_always_none() -> None:
    bars = markets()[sorted(markets())[-1]].head(ROWS)
    typical, volume = (bars["high"] + bars["low"] + bars["close"]) / 3, bars["volume"]
    cut = 0.2 * np.log(typical / typical.shift()).rolling(30).std() * bars["close"]
    usual = volume.rolling(130).mean().shift()
    change, capped = typical.diff(), np.minimum(volume, 2.5 * usual)
    flow = capped.where(change > cut, (-capped).where(change < -cut, 0.0 * capped))
    flow = flow.where(cut.notna())
    wanted = (flow.rolling(130).sum() / usual).dropna()
    smooth = [wanted.iloc[:3].mean()]
    for value in wanted.iloc[3:]:
        smooth.append(smooth[-1] + 0.5 * (value - smooth[-1]))
    got = ours(bars, "vfi_katsanos()").dropna()
    assert got.to_numpy() == pytest.approx(np.array(smooth), rel=1e-9, abs=1e-9)
    assert got.nunique() > 100
    assert (ours(bars, "vfi()").dropna() == 0.0).mean() > 0.5


def a_position_lasts_until_the_crossing_that_ends_it() -> None:
    bars = pd.DataFrame({"close": [1.0, 1, 3, 3, 1, 1, 3, 4, 4]})
    got = frame(bars, ["xsignals(close, 2, 2)"])
    assert got["TS_Trends"].tolist() == [0, 0, 1, 1, 0, 0, 1, 1, 1]
    assert got["TS_Trades"].tolist() == [0, 0, 1, 0, -1, 0, 1, 0, 0]
    assert got["TS_Entries"].tolist() == [0, 0, 1, 0, 0, 0, 1, 0, 0]
    assert got["TS_Exits"].tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    cut = bars["close"].iloc[:-1]  # the last crossing so far: upstream has no trend after it
    assert pandas_ta.xsignals(cut, 2, 2)["TS_Trends"].tolist()[:6] == [0, 0, 1, 1, 0, 0]
    assert pandas_ta.xsignals(bars["close"].iloc[:4], 2, 2)["TS_Trends"].tolist() == [0, 0, 1, 0]
    short = frame(bars, ["xsignals(close, 2, 2, long=False)"])
    assert (short["TS_Trends"] == 1 - got["TS_Trends"]).all()


def test_lengths_between_two_numbers_are_rounded_to_the_even_one() -> None:
    bars = pd.DataFrame({"close": [1.0, 2, 4, 8, 16, 32], "open": [2.5, 2.5, 2.5, 3.5, 2.6, 0.0]})
    got = ours(bars, "mavp(close, open, 2, 4)")
    assert np.isnan(got[0])
    assert got[1:].tolist() == [1.5, 3.0, 3.75, 28 / 3, 24.0]


def fading_peaks_stop_at_zero() -> None:
    bars = pd.DataFrame({"close": [-4.0, -8, 2, -8, -8]})
    fading = [2.0 * np.exp(-0.2), 2.0 * np.exp(-0.4)]
    assert ours(bars, "edecay()").tolist() == pytest.approx([-4.0, 0.0, 2.0, *fading])
    assert pandas_ta_classic.edecay(bars["close"])[1] == -4.0 * np.exp(-0.2)


def a_missing_trend_is_none() -> None:
    bars = pd.DataFrame({"close": [np.nan, 1.0, 1.0, np.nan, 0.0]})
    got = frame(bars, ["tsignals(close)"])
    assert got["TS_Trends"].tolist() == [0, 1, 1, 0, 0]
    assert got["TS_Trades"].tolist() == [0, 1, 0, -1, 0]
    with pytest.raises(ValueError, match="NA"):
        pandas_ta.tsignals(bars["close"])


def ribbons_are_ten_at_most() -> None:
    for name in ("mmar", "rainbow"):
        with pytest.raises(ParameterError, match="1 to 10"):
            CATALOGUE[name].build((), {"num_ribbons": 11})


def cpr_differs() -> None:
    untouched_ranges_show_when_they_are_known_and_upstream_before()
    weekly_levels_are_of_the_week_before_and_upstream_of_the_one_before_that()


SHOWN: dict[str, Callable[[], None]] = {
    "cpr": cpr_differs,
    "edecay": fading_peaks_stop_at_zero,
    "mmar": ribbons_are_ten_at_most,
    "rainbow": ribbons_are_ten_at_most,
    "tsignals": a_missing_trend_is_none,
    "xsignals": a_position_lasts_until_the_crossing_that_ends_it,
}
"""For each indicator that says how it differs, what shows it."""


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_said_to_differ_does(name: str) -> None:
    SHOWN[name]()


def test_every_difference_that_a_docstring_states_is_shown() -> None:
    entries = [CATALOGUE[name] for name in PARAMETERS]
    kept = {each.name for each in entries if each.differs.startswith("not from pandas-ta")}
    assert {each.name for each in entries if each.differs} - kept == set(SHOWN)
    assert kept == {"dsp", "fosc", "macdext", "macdfix", "pmax", "po", "sarext", "vfi"}


def test_chandes_forecast_is_the_one_that_was_made_for_the_row() -> None:
    bars = walk()
    close = bars["close"]
    forecast = talib.TSF(close, 14)
    wanted = (100.0 * (close - forecast.shift()) / close).to_numpy()
    got = ours(bars, "fosc_chande()").to_numpy()
    assert got == pytest.approx(wanted, rel=1e-9, abs=1e-10, nan_ok=True)
    early = (100.0 * (close - forecast) / close).to_numpy()
    assert ours(bars, "fosc()").to_numpy() == pytest.approx(early, abs=1e-10, nan_ok=True)
    assert np.nanmedian(np.abs(early - wanted)) > 0.01


def test_ozbilgics_stop_turns_with_the_average() -> None:
    bars, length = walk(), 10
    middle = talib.EMA(bars["close"], length).to_numpy()
    ranges = ours(bars, f"atr(length={length})").to_numpy()
    long = short = direction = np.nan
    got = ours(bars, "pmax_ozbilgic()").to_numpy()
    for row in range(length - 1, ROWS):
        long_before, short_before = long, short
        long, short = middle[row] - 3.0 * ranges[row], middle[row] + 3.0 * ranges[row]
        if row == length - 1 or (direction == -1 and middle[row] > short_before):
            direction = 1
        elif direction == 1 and middle[row] < long_before:
            direction = -1
        if middle[row] > long_before:
            long = max(long, long_before)
        if middle[row] < short_before:
            short = min(short, short_before)
        assert got[row] == pytest.approx(long if direction == 1 else short, rel=1e-9), row
    assert np.isnan(got[: length - 1]).all()
    assert not np.allclose(got, ours(bars, "pmax()"), equal_nan=True)


def test_one_thing_under_two_names_is_computed_once() -> None:
    assert prices.avgprice() is prices.ohlc4()
    assert prices.medprice() is prices.hl2()
    assert prices.typprice() is prices.hlc3()
    twice: dict[str, dict[str, Any]] = {
        "linregslope": {"linreg": {"slope": True}},
        "linregangle": {"linreg": {"angle": True, "degrees": True}},
        "macdfix": {"macd": {}},
    }
    for name, other in twice.items():
        ((same, given),) = other.items()
        one, two = CATALOGUE[name].build(), CATALOGUE[same].build((), given)
        assert all(a is b for a, b in zip(one.series, two.series, strict=True))


def changes(x: np.ndarray) -> list[Fraction]:
    exact = [Fraction(value) for value in x]
    return [b / a - 1 for a, b in pairwise(exact)]


def joint(x: list[Fraction], y: list[Fraction]) -> Fraction:
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum(((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)), Fraction(0))


@pytest.mark.parametrize("market", sorted(generated()))
def test_beta_and_correlation_are_exact_where_pandas_is_not(market: str) -> None:
    bars = generated()[market].head(200)
    x, y = bars["close"].to_numpy(), bars["high"].to_numpy()
    got = frame(bars, {"b": "beta(close, high, 5)", "c": "correl(close, high, 5)"})
    for row in range(5, len(bars)):
        part = slice(row - 5, row + 1)
        one, other = changes(x[part]), changes(y[part])
        beta = float(joint(one, other) / joint(other, other))
        assert got["b"].iloc[row] == pytest.approx(beta, rel=1e-6, abs=1e-6)
        one, other = ([Fraction(v) for v in each[row - 4 : row + 1]] for each in (x, y))
        spread = float(joint(one, one)) ** 0.5 * float(joint(other, other)) ** 0.5
        wanted = float(joint(one, other)) / spread
        assert got["c"].iloc[row] == pytest.approx(wanted, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("regime", ["jumps", "still"])
def test_a_standard_error_is_exact_where_pandas_is_not(regime: str) -> None:
    bars = regimes()[regime]
    got, close = ours(bars, "stderr(length=5)").to_numpy(), bars["close"].to_numpy()
    for row in range(4, len(bars)):
        part = [Fraction(value) for value in close[row - 4 : row + 1]]
        assert got[row] == pytest.approx(float(joint(part, part) / 20) ** 0.5, rel=1e-9, abs=1e-13)


def test_given_series_may_be_any() -> None:
    bars = walk()
    built = CATALOGUE["beta"].build((CLOSE - OPEN, HIGH - LOW, 20))
    assert np.isfinite(frame(bars, dict(zip("x", built.series, strict=True)))["x"].iloc[-1])
