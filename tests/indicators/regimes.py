"""Bars made of one thing each: a trend, jumps, stillness, bars without a range or a trade."""

from functools import cache

import numpy as np
import pandas as pd

from tests.indicators.market import PRICES, bars

ROWS = 640
TICK = 0.125
STILL = ((100, 180), (300, 320), (400, 405))
"""Rows between which the still market does not move."""


@cache
def regimes() -> dict[str, pd.DataFrame]:
    """The markets by name, with prices of whole binary ticks where rounding would decide."""
    random = np.random.default_rng(5)
    rows = np.arange(ROWS)
    steps = random.choice([-1, 0, 0, 1], (3, ROWS)).cumsum(axis=1)
    jumps = random.normal(scale=np.where(random.random(ROWS) < 0.02, 0.2, 0.002))
    made = {
        "rise": bars(50 + 0.25 * rows + 0.5 * (rows % 3), seed=11, tick=0.25),
        "fall": bars(200 * np.exp(-0.002 * rows), seed=12, tick=0.01),
        "jumps": bars(100 * np.exp(np.cumsum(jumps)), seed=13, tick=0.01),
        "still": bars(64 + TICK * steps[0], seed=14, tick=TICK),
        "equal": bars(64 + TICK * steps[1], seed=15, tick=TICK),
        "dry": bars(64 + TICK * steps[2], seed=16, tick=TICK),
    }
    still = made["still"]
    for start, stop in STILL:
        inside = still.index[start:stop]
        still.loc[inside, list(PRICES)] = still["close"].iloc[start]
        still.loc[inside, "volume"] = 0.0
    for name in ("open", "high", "low"):
        made["equal"][name] = made["equal"]["close"]
    made["dry"].loc[random.random(ROWS) < 0.3, "volume"] = 0.0
    made["dry"].iloc[200:260, made["dry"].columns.get_loc("volume")] = 0.0
    return made
