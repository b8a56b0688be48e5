"""The catalogue in trends, jumps, stillness, without ranges, without trades."""

from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest

from indicators import CATALOGUE, Plan, frame
from tests.indicators.market import markets, untied
from tests.indicators.parity import UNCOMPARED, UNTIED, expected
from tests.indicators.parity_classic import PARAMETERS as CLASSIC
from tests.indicators.parity_lines import PARAMETERS as LINES
from tests.indicators.parity_momentum import PARAMETERS as MOMENTUM
from tests.indicators.parity_momentum import ranges_by_row
from tests.indicators.parity_volume import PARAMETERS as VOLUME
from tests.indicators.regimes import STILL, regimes

RELATIVE, SCALED = 1e-9, 1e-9
WIDER = {"cti": 1e-6, "stderr": 1e-6}
"""Where pandas is the noisy side after a jump.

Both are compared with exact fractions: cti below, stderr in test_classic.
"""
AFTER_STILL_ROWS = 60
NOISE_DECIDES = {
    "squeeze": "pandas leaves a deviation on windows of equal prices, and the bands then differ",
    "squeeze_pro": "as the squeeze",
    "aobv": "a mean that has come to rest moves by its last bit",
    "ht_dcphase": "against a still price both waves sum up to nothing but rounding",
    "ht_sine": "as the phase",
    "ht_trendmode": "as the phase",
}
"""Flags that are not compared while the market stands still, each with its reason."""

LOST = {
    "vidya": ("still", "equal", "dry"),  # divides by zero once a window stands still
    "zigzag": ("still", "equal"),  # more pivots than rows: it writes beyond its arrays
}
"""Regimes in which pandas-ta has no answer to compare with (test_lines shows ours)."""


def cases() -> list[tuple[str, dict[str, Any]]]:
    named = {**CLASSIC, **LINES, **MOMENTUM, **VOLUME}
    return [(name, given) for name, rows in named.items() if name not in UNCOMPARED
            for given in rows]  # fmt: skip


def moving(rows: int) -> np.ndarray:
    """The rows on which the still market moves, and has done so for a while."""
    kept = np.ones(rows, bool)
    for start, stop in STILL:
        kept[start : stop + AFTER_STILL_ROWS] = False
    return kept


@pytest.mark.parametrize(("name", "given"), cases(), ids=lambda part: str(part).strip("{}"))
def test_an_indicator_equals_its_oracle_in_any_regime(name: str, given: dict[str, Any]) -> None:
    built = CATALOGUE[name].build((), given)
    plan = Plan(dict(zip(built.columns, built.series, strict=True)))
    for regime, found in regimes().items():
        if regime in LOST.get(name, ()):
            continue
        bars = untied(found) if name in UNTIED else found
        with ranges_by_row():
            theirs = expected(CATALOGUE[name], bars, given)
        if name in NOISE_DECIDES and regime == "still":
            kept = moving(len(bars))
        else:
            kept = np.ones(len(bars), bool)
        wanted, got = theirs.to_numpy(float)[kept], frame(bars, plan)[list(theirs)][kept]
        known = [np.abs(column[np.isfinite(column)]) for column in wanted.T]
        scale = max((float(np.median(sizes)) for sizes in known if sizes.size), default=0.0)
        same = np.isclose(got, wanted, RELATIVE, WIDER.get(name, SCALED) * scale, equal_nan=True)
        assert same.all(), f"{regime}: {got.index[~same.all(axis=1)][:3]} of {name}"


def exact_correlation(part: np.ndarray) -> float:
    n, exact = len(part), [Fraction(value) for value in part]
    mean, middle = sum(exact) / n, Fraction(n - 1, 2)
    joint = sum((k - middle) * (value - mean) for k, value in enumerate(exact))
    squares = sum((value - mean) ** 2 for value in exact)
    spread = sum((k - middle) ** 2 for k in range(n))
    return 0.0 if squares == 0 else float(joint) / float(squares * spread) ** 0.5


@pytest.mark.parametrize("regime", ["jumps", "still"])
def test_the_correlation_with_time_is_exact_where_pandas_ta_is_not(regime: str) -> None:
    close = regimes()[regime]["close"]
    got = frame(regimes()[regime], {"x": "cti(length=5)"})["x"].to_numpy()
    exact = [exact_correlation(close.to_numpy()[k - 4 : k + 1]) for k in range(4, len(close))]
    assert got[4:] == pytest.approx(np.array(exact), rel=1e-12, abs=1e-13)


def exact_means(x: list[Fraction], length: int) -> list[Fraction]:
    means = [sum(x[:length]) / Fraction(length)]
    for value in x[length:]:
        means.append(means[-1] + Fraction(2, length + 1) * (value - means[-1]))
    return means


@pytest.mark.parametrize("market", sorted(markets()))
def test_the_change_of_a_triple_mean_is_that_of_an_exact_one(market: str) -> None:
    bars, length = markets()[market].head(150), 18
    means = exact_means([Fraction(value) for value in bars["close"]], length)
    for _ in range(2):
        weight, once = Fraction(2, length + 1), [means[0]]
        for value in means[1:]:
            once.append(once[-1] + weight * (value - once[-1]))
        means = once
    changes = np.diff(np.array(means)) / np.array(means[:-1])
    got = frame(bars, {"x": "trix(length=18).line"})["x"].to_numpy()[length:]
    wanted = 100.0 * changes.astype(float)
    assert got == pytest.approx(wanted, rel=1e-9, abs=3e-11 * np.median(np.abs(wanted)))


def test_regimes_are_what_they_say() -> None:
    made = regimes()
    assert (made["equal"]["high"] == made["equal"]["low"]).all()
    assert (made["dry"]["volume"] == 0).sum() > 200
    assert made["jumps"]["close"].pct_change().abs().max() > 0.1
    assert made["fall"]["close"].rolling(20).mean().diff().dropna().lt(0).all()
    still = made["still"].iloc[100:180]
    assert isinstance(still, pd.DataFrame)
    assert still[["open", "high", "low", "close"]].stack().nunique() == 1
