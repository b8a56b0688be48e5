"""Indicators on real bars, beside pandas-ta: the same values, and how long each takes.

Run it as a script, or cell by cell in an editor that knows `# %%` (`jupytext` makes a notebook).
It needs `bokeh-sampledata` (real daily bars, public domain) and `pandas-ta`.
"""

# %% Real bars: five shares, 2000 to 2013, in one table
import time
import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
from bokeh_sampledata import stocks

import indicators.accessor  # noqa: F401 - registers df.fleet
from indicators import CATALOGUE, Plan, frame

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pandas_ta
    from pandas_ta.maps import Imports

Imports["talib"] = False  # pandas-ta's own code, which is what our values are compared with

FIELDS = ["open", "high", "low", "close", "volume"]
SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
tables = []
for name in SYMBOLS:
    table = pd.DataFrame(getattr(stocks, name))
    tables.append(table.assign(symbol=name, date=pd.to_datetime(table["date"])))
market = pd.concat(tables).sort_values(["date", "symbol"], kind="stable").set_index("date")
market = market[["symbol", *FIELDS]].astype(dict.fromkeys(FIELDS, float))
apple = market[market["symbol"] == "AAPL"]
print(f"{len(market):,} bars of {market['symbol'].nunique()} shares, {len(CATALOGUE)} indicators")

# %% Expressions over many instruments: one call, one column each
expressions = {
    "RSI_14": "rsi(length=14)",
    "trend": "ema(close, 50) - ema(close, 200)",
    "golden_cross": "cross_above(ema(close, 50), ema(close, 200))",
}
print(frame(market, expressions).assign(symbol=market["symbol"]).tail())

# %% In pandas-ta's manner
bars = apple.copy()
bars.fleet.macd(fast=8, slow=21, append=True)
print(bars.fleet.rsi(length=14).tail(3))
print(bars.iloc[-3:, -3:])

# %% Parity: the same columns, the same rows without a value, the same numbers
NAMES = (
    *("ema", "sma", "wma", "hma", "kama", "dema", "tema", "vwma", "linreg", "supertrend"),
    *("rsi", "macd", "stoch", "cci", "mom", "roc", "willr", "tsi", "ao", "stochrsi"),
    *("atr", "natr", "bbands", "kc", "donchian", "true_range", "obv", "mfi", "cmf", "adx"),
)


def theirs(name: str) -> pd.DataFrame:
    """What pandas-ta gives, as a table."""
    given = {one.name: apple[one.name] for one in CATALOGUE[name].inputs if one.name in apple}
    given = {"open_" if key == "open" else key: column for key, column in given.items()}
    if name in {"cmf"}:
        given.pop("open_", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = getattr(pandas_ta, name)(**given)
    return result.to_frame() if isinstance(result, pd.Series) else result


worst = {}
for name in NAMES:
    wanted, got = theirs(name), pd.DataFrame(getattr(apple.fleet, name)())
    assert list(got) == list(wanted), name
    assert (got.isna() == wanted.isna()).all(axis=None), name
    scale = wanted.abs() + wanted.abs().median()  # nothing is close to zero relative to itself
    worst[name] = float(((got - wanted).abs() / scale).max(axis=None))
print("greatest relative difference from pandas-ta")
print(pd.Series(worst).sort_values(ascending=False).head(8).map("{:.1e}".format).to_string())
assert max(worst.values()) < 1e-9
print(f"parity: {len(NAMES)} indicators agree within 1e-9")


# %% Speed: all of them over one share's bars
def seconds(work) -> float:
    """The best of five."""
    took = []
    for _ in range(5):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return min(took)


everything = Plan.parse([f"{name}()" for name in NAMES])
columns = {name: apple[name].to_numpy() for name in FIELDS}
slots = np.zeros(len(apple), np.int64)


def ours_at_once() -> None:
    everything.run(everything.new_state(1), slots, columns)


their_s, our_s = seconds(lambda: [theirs(name) for name in NAMES]), seconds(ours_at_once)
print(f"{len(NAMES)} indicators over {len(apple):,} bars:")
print(f"  pandas-ta {1e3 * their_s:8.1f} ms")
print(f"  one plan  {1e3 * our_s:8.1f} ms  ({their_s / our_s:.0f} times as fast)")

# %% Live: the same plan, bar by bar, and the same bits however the bars are cut
whole = everything.run(everything.new_state(1), slots, columns)
state, parts = everything.new_state(1), []
cuts = [0, *sorted(np.random.default_rng(1).choice(len(apple), 200, replace=False)), len(apple)]
for first, last in pairwise(cuts):
    cut = {name: column[first:last] for name, column in columns.items()}
    parts.append(everything.run(state, slots[first:last], cut))
for name, column in whole.items():
    joined = np.concatenate([part[name] for part in parts])
    assert joined.tobytes() == column.tobytes(), name
print("cut at 200 random places, the values are the same to the bit")

one_bar = {name: column[-1:] for name, column in columns.items()}
live_s = seconds(lambda: everything.run(state, slots[:1], one_bar))
print(f"one more bar through all {len(NAMES)}: {1e6 * live_s:.0f} us")
print(f"what is kept of an instrument: {len(everything.save(state, 0)):,} bytes")
