"""What upstream gets wrong or sees too early: ours beside it, and beside the plain definition."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from indicators import CATALOGUE, Plan, frame
from tests.indicators.market import generated, markets
from tests.indicators.parity import ask, pandas_ta
from tests.indicators.subjects import same_bits

type Numbers = NDArray[np.float64]

ROWS = 600


def walk() -> pd.DataFrame:
    return generated()["walk"].head(ROWS)


def ours(name: str, bars: pd.DataFrame, **given: Any) -> pd.DataFrame:
    """An indicator's outputs by their field."""
    built = CATALOGUE[name].build((), given)
    return frame(bars, Plan(dict(zip(built.fields, built.series, strict=True))))


def assert_near(got: pd.Series | Numbers, wanted: pd.Series | Numbers) -> None:
    got, wanted = np.asarray(got, float), np.asarray(wanted, float)
    assert np.array_equal(np.isnan(got), np.isnan(wanted))
    assert got == pytest.approx(
        wanted, rel=1e-9, abs=1e-12 * np.nanmax(np.abs(wanted)), nan_ok=True
    )


def wilder_rsi(x: pd.Series, length: int) -> pd.Series:
    change = x.diff()
    gain = change.clip(lower=0).ewm(alpha=1 / length, adjust=False).mean()
    loss = (-change.clip(upper=0)).ewm(alpha=1 / length, adjust=False).mean()
    return 100 * gain / (gain + loss)


def test_connors_strength_counts_the_streak_and_pandas_ta_takes_its_sign() -> None:
    close = walk()["close"]
    streaks = [0]
    for change in close.diff().iloc[1:]:
        last = streaks[-1]
        streaks.append(max(last, 0) + 1 if change > 0 else min(last, 0) - 1 if change < 0 else 0)
    returns = close.pct_change()
    rank = returns.rolling(101).apply(lambda part: (part[:-1] < part[-1]).mean() * 100, raw=True)
    streak = wilder_rsi(pd.Series(streaks, close.index, float), 2)
    wanted = (wilder_rsi(close, 3) + streak + rank) / 3
    got = ours("connors_rsi", walk())["value"]
    assert_near(got.iloc[101:], wanted.iloc[101:])
    assert (got - ours("crsi", walk())["value"]).abs().max() > 1


def place(x: list[float], length: int) -> list[float]:
    """The place in the range of the last values, smoothed by halves; as before without a range."""
    smooth, last, result = math.nan, math.nan, []
    for row in range(len(x)):
        part = x[max(0, row - length + 1) : row + 1]
        if len(part) == length and not any(map(math.isnan, part)):
            spread = max(part) - min(part)
            last = 100 * (x[row] - min(part)) / spread if spread > 0 else last
            smooth = last if math.isnan(smooth) else smooth + 0.5 * (last - smooth)
        result.append(smooth)
    return result


def test_schaffs_cycle_moves_below_zero_too_and_pandas_tas_stands_still_there() -> None:
    close = walk()["close"]
    gap = pandas_ta.ema(close, 23) - pandas_ta.ema(close, 50)
    wanted = place(place(gap.tolist(), 10), 10)
    got = ours("schaff_trend_cycle", walk())["value"]
    assert_near(got, np.array(wanted))
    frozen = gap.rolling(12).max() < 0
    assert frozen.sum() > 50
    theirs = ask("stc", walk(), {"fast": 23, "slow": 50})["STCstoch_10_23_50_0.5"]
    assert (theirs.diff()[frozen].abs() < 0.5).mean() > (got.diff()[frozen].abs() < 0.5).mean()


def test_the_squeeze_takes_the_width_of_its_bands_under_its_own_name_only() -> None:
    bars = walk()
    same, narrow = ({"bb_std": std, "lazybear": True} for std in (2.0, 1.2))
    assert_near(ours("ttm_squeeze", bars)["on"], ask("squeeze", bars, same)["SQZ_ON"])
    assert_near(ours("ttm_squeeze", bars)["momentum"], ask("squeeze", bars, same).iloc[:, 0])
    assert_near(ours("squeeze", bars, **narrow)["on"], ask("squeeze", bars, same)["SQZ_ON"])
    bands = pandas_ta.bbands(bars["close"], 20, lower_std=1.2, upper_std=1.2).to_numpy().T
    channel = pandas_ta.kc(bars["high"], bars["low"], bars["close"], 20, 1.5, mamode="sma")
    lower, _, upper = channel.to_numpy().T
    on = (bands[0] > lower) & (bands[2] < upper)
    got = ours("ttm_squeeze", bars, bb_std=1.2)
    assert_near(got["on"], on.astype(float))
    assert on.sum() > ours("ttm_squeeze", bars)["on"].sum()


def test_volume_indices_multiply_and_pandas_tas_do_not_go_on() -> None:
    bars = walk()
    close, volume = bars["close"].to_numpy(), bars["volume"].to_numpy()
    for name, way in (("positive_volume_index", 1), ("negative_volume_index", -1)):
        wanted = [1000.0]
        for row in range(1, ROWS):
            moved = np.sign(volume[row] - volume[row - 1]) == way
            wanted.append(wanted[-1] * (close[row] / close[row - 1] if moved else 1.0))
        assert_near(ours(name, bars)["value"], np.array(wanted))
    assert ours("pvi", bars)["line"].sub(100).abs().max() < 2
    assert ours("positive_volume_index", bars)["value"].sub(1000).abs().max() > 20


def test_the_heat_of_volume_is_its_distance_from_the_mean_in_deviations() -> None:
    volume = walk()["volume"]
    wanted = (volume - volume.rolling(50).mean()) / volume.rolling(100).std(ddof=0)
    assert_near(ours("volume_heatmap", walk(), length=50, std_length=100)["value"], wanted)


def test_vhm_is_on_each_row_what_pandas_ta_has_on_a_table_that_ends_there() -> None:
    bars, given = walk(), {"length": 50, "std_length": 70}
    got = ours("vhm", bars, **given)["value"]
    for end in (70, 150, ROWS):
        assert_near(got.iloc[end - 1 : end], ask("vhm", bars.head(end), given).iloc[-1])
    short, whole = (ask("vhm", bars.head(n), given).iloc[99] for n in (100, ROWS))
    assert short.iloc[0] != pytest.approx(whole.iloc[0], rel=1e-3)


def test_smc_leaves_missing_what_pandas_ta_fills_from_the_future() -> None:
    bars = walk()
    got, theirs = ours("smc", bars)["bottom_percent"], ask("smc", bars, {})["SMCbp_14_50_20_5"]
    assert np.isnan(got.iloc[:13]).all()
    assert (theirs.iloc[:13] == got.iloc[13]).all()


def test_a_profile_on_the_last_row_is_pandas_tas_table_of_the_rows_so_far() -> None:
    for bars in (each.head(400) for each in markets().values()):
        table = pandas_ta.vp(bars["close"], bars["volume"], width=8, sort=True)
        got = ours("vp", bars, width=8, sort=True, length=400).iloc[-1]
        wanted = table.loc[table.iloc[:, -1].idxmax()]
        assert got.to_numpy()[[1, 3, 4, 5, 6]] == pytest.approx(wanted.to_numpy()[[1, 3, 4, 5, 6]])
        if bars["close"].median() > 1:  # pandas-ta rounds to cents, and starts a little lower
            assert got["high"] == pytest.approx(wanted.iloc[2], abs=0.011)
            assert got["low"] >= wanted.iloc[0] - 0.011


def test_a_profile_by_time_is_the_newest_stretch_of_pandas_tas_table() -> None:
    bars = walk()
    stretch = bars.iloc[-20:]
    way = np.sign(bars["close"].diff()).iloc[-20:]
    low, high, mean = (getattr(stretch["close"], f)() for f in ("min", "max", "mean"))
    flows = [stretch["volume"][way == side].sum() for side in (1, -1, 0)]
    got = ours("vp", bars, length=205).iloc[-1]
    assert got.tolist() == pytest.approx([low, mean, high, *flows, flows[0] + flows[1]])
    assert ours("vp", bars, length=205)["low"].first_valid_index() == bars.index[204]


def test_a_session_profile_knows_the_rows_of_its_session_alone() -> None:
    bars = walk()
    got = ours("vp_session", bars, width=6)
    days = bars.index.to_series().dt.date
    change = np.sign(bars["close"].diff()).fillna(0)
    for row in (3, 23, 24, 100, 431):
        today = bars[(days == days.iloc[row]) & (bars.index <= bars.index[row])]
        edges = np.linspace(today["close"].min(), today["close"].max(), 7)
        if len(today) == 1:
            assert got["total"].iloc[row] == today["volume"].iloc[0]
            continue
        part = np.maximum(np.searchsorted(edges, today["close"], "left") - 1, 0)
        total = [today["volume"][(part == k) & (change[today.index] != 0)].sum() for k in range(6)]
        assert got["total"].iloc[row] == pytest.approx(max(total))
        assert got["low"].iloc[row] == pytest.approx(edges[int(np.argmax(total))])


def test_phases_of_a_squeeze_equal_pandas_tas_but_for_ties() -> None:
    for name in ("squeeze", "squeeze_pro"):
        for market, bars in markets().items():
            if market == "coarse":  # nearly every tenth row is a tie there
                continue
            built = CATALOGUE[name].build((), {"detailed": True})
            got = frame(bars, Plan(dict(zip(built.columns, built.series, strict=True))))
            theirs = ask(name, bars, {"detailed": True})
            assert list(theirs) == list(got)
            line = theirs.iloc[:, 0]
            scale = 1e-9 * line.abs().median()
            tied = line.abs() < scale
            for part in (line, line[line >= 0], line[line < 0]):
                tied |= (part.diff().abs() < scale).reindex(line.index, fill_value=False)
            assert tied.mean() < 0.02
            for column in theirs:
                same = (got[column] - theirs[column]).abs() < scale
                same |= got[column].isna() & theirs[column].isna()
                assert same[~tied].all(), f"{column}: {same[~tied].idxmin()}"


def test_a_corrected_variant_of_a_squeeze_is_no_other_squeeze_at_its_defaults() -> None:
    plan = Plan.parse({"a": "ttm_squeeze().on", "b": "squeeze(lazybear=True).on"})
    table = frame(walk(), plan)
    assert same_bits(table["a"].to_numpy(), table["b"].to_numpy())
