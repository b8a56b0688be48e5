"""Bars to test on: real ones where they are beside the checkout, and bars made to be awkward."""

from functools import cache

import numpy as np
import pandas as pd

from indicators.bars import BarSpec, BarState, update
from tests.conftest import REPOSITORY, shared_data

ROWS = 1_500
BARS = REPOSITORY.parent / "shared" / "data" / "bars"
PRICES = ("open", "high", "low", "close")


def bars(close: np.ndarray, *, seed: int, tick: float) -> pd.DataFrame:
    """Bars around closes, all prices whole ticks, some with no volume and some with no range."""
    random = np.random.default_rng(seed)
    opens = np.roll(close, 1) + random.normal(scale=tick * 3, size=len(close))
    opens[0] = close[0]
    span = np.abs(random.normal(scale=tick * 8, size=(2, len(close))))
    frame = pd.DataFrame({"open": opens, "close": close})
    frame["high"] = frame.max(axis=1) + span[0]
    frame["low"] = frame[["open", "close"]].min(axis=1) - span[1]
    frame = (frame / tick).round() * tick
    frame["volume"] = np.round(np.exp(random.normal(6, 1.5, len(close))))
    frame.index = pd.date_range("2024-01-01", periods=len(close), freq="1h")
    return frame[[*PRICES, "volume"]]


@cache
def generated() -> dict[str, pd.DataFrame]:
    """A walk, a walk of few coarse ticks with rows of no volume, and a very cheap instrument.

    The coarse one never stands still for two rows: on a window of equal prices pandas gives
    noise where the answer is zero (test_operators has those).
    """
    random = np.random.default_rng(20_260_101)
    walk = 100.0 * np.exp(np.cumsum(random.normal(scale=0.004, size=ROWS)))
    made = {"walk": bars(walk, seed=1, tick=0.01)}
    steps = random.choice([-2, -1, 1, 2], ROWS)
    steps[::7] = 0
    coarse = bars(50 + 0.1 * np.cumsum(steps), seed=2, tick=0.1)
    coarse.loc[random.random(ROWS) < 0.1, "volume"] = 0.0
    made["coarse"] = coarse
    made["cheap"] = bars(walk * 1e-6, seed=3, tick=1e-9)
    return made


@cache
def markets() -> dict[str, pd.DataFrame]:
    """Everything that there is to test on, by name."""
    found = dict(generated())
    for path in sorted(BARS.glob("*.csv.gz")):
        table = pd.read_csv(path)
        for symbol in list(dict.fromkeys(table["symbol"]))[:2]:
            rows = table[table["symbol"] == symbol].head(ROWS).reset_index(drop=True)
            rows.index = pd.to_datetime(rows.pop("ts"), utc=True)
            found[f"{path.name.partition('.')[0]}-{symbol}"] = rows.drop(columns="symbol").astype(
                float
            )
    if len(found) == len(generated()):
        found |= sampled()
    return found


def untied(frame: pd.DataFrame) -> pd.DataFrame:
    """The same bars, each price moved by up to a millionth of itself, so that none are equal."""
    random = np.random.default_rng(4)
    moved = frame[list(PRICES)] * (1.0 + 1e-6 * random.random((len(frame), 1)))
    return frame.assign(**moved)


def sampled() -> dict[str, pd.DataFrame]:
    """Real daily bars of the sample data package, for a checkout without other data."""
    from bokeh_sampledata import stocks

    table = pd.DataFrame(stocks.AAPL).head(ROWS)
    table.index = pd.DatetimeIndex(pd.to_datetime(table["date"]))
    return {"sample-AAPL": table[[*PRICES, "volume"]].astype(float)}


def bars_of_ticks(symbol: str) -> pd.DataFrame:
    """One-minute bars that our own builder makes of a day of real trades."""
    ticks = pd.read_csv(shared_data("data/ticks/trades-20131007.csv.gz"))
    ticks = ticks[ticks["symbol"] == symbol]
    spec = BarSpec.parse("1m")
    rows = update(
        spec, BarState(spec, 1), np.zeros(len(ticks), np.int64), ticks["ts"], ticks["price"],
        ticks["size"],
    )  # fmt: skip
    return pd.DataFrame(rows.columns, index=pd.to_datetime(rows.ts, utc=True))
