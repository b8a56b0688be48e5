"""Cycles as their author wrote them, beside the loops that say so."""

import math

import numpy as np
from numpy.typing import NDArray

from indicators.catalogue import CATALOGUE
from tests.indicators.market import markets
from tests.indicators.test_operators import values

LENGTH, SMOOTH, ALPHA = 20, 14, 0.04


def smoothed(close: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ehlers's two-pole smoothing, with half of SMOOTH as its period, from the first price on."""
    decay = math.exp(-math.sqrt(2.0) * math.pi / (SMOOTH / 2))
    second = 2.0 * decay * math.cos(math.radians(math.sqrt(2.0) * 180.0 / (SMOOTH / 2)))
    third = -decay * decay
    line = np.full(len(close), close[0])
    for row in range(2, len(close)):
        mean = (close[row] + close[row - 1]) / 2.0
        before = second * line[row - 1] + third * line[row - 2]
        line[row] = (1.0 - second - third) * mean + before
    return line


def test_reflex_is_what_its_author_wrote() -> None:
    series = CATALOGUE["reflex_ehlers"].build((), {"length": LENGTH, "smooth": SMOOTH}).series[0]
    for market, bars in markets().items():
        close = bars["close"].to_numpy()
        line, squares = smoothed(close), 0.0
        wanted = np.full(len(close), np.nan)
        for row in range(LENGTH, len(close)):
            slope = (line[row - LENGTH] - line[row]) / LENGTH
            back = np.arange(1, LENGTH + 1)
            gap = np.mean(line[row] + back * slope - line[row - back])
            squares = ALPHA * gap * gap + (1.0 - ALPHA) * squares
            wanted[row] = gap / math.sqrt(squares)
        assert np.allclose(values(series, close), wanted, 1e-9, 1e-9, equal_nan=True), market


def test_the_sine_wave_differs_just_by_the_jump_it_starts_with() -> None:
    close = markets()["walk"]["close"].to_numpy()
    theirs, ours = (
        values(CATALOGUE[name].build().series[0], close) for name in ("ebsw", "ebsw_ehlers")
    )
    assert np.abs(theirs - ours)[40:60].max() > 0.5
    assert np.allclose(theirs[300:], ours[300:], rtol=0.0, atol=1e-9)


def test_a_wave_of_its_own_period_swings_between_the_ends() -> None:
    rows = np.arange(600)
    close = 100.0 + np.sin(2.0 * math.pi * rows / 30) + 0.01 * rows
    wave = values(CATALOGUE["ebsw_ehlers"].build().series[0], close)[200:]
    assert wave.max() > 0.95
    assert wave.min() < -0.95
    assert np.sum(np.diff(np.sign(wave)) != 0) in (26, 27)
