"""The first hour's range of each UTC day, and the first break of it on either side."""

HOUR = 3600
DAY = 24 * HOUR


def init():
    return {"day": None, "high": 0.0, "low": 0.0, "said": []}


def on_bar(bar, state):
    opened = bar.ts - 1  # a bar that closes at midnight is of the day before
    day, second = opened // DAY, opened % DAY
    if day != state["day"]:
        state["day"], state["high"], state["low"], state["said"] = day, bar.high, bar.low, []
    if second < HOUR:
        state["high"] = max(state["high"], bar.high)
        state["low"] = min(state["low"], bar.low)
        return
    for name, broken in (("up", bar.close > state["high"]), ("down", bar.close < state["low"])):
        if broken and name not in state["said"]:
            state["said"].append(name)
            signal(name, bar.close, high=state["high"], low=state["low"])
