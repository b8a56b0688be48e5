"""A trailing stop per instrument that only rises, with the price where it was hit."""


def init():
    return {"ranges": [], "last": None, "stop": None, "top": None}


def on_bar(bar, state):
    length = params.get("length", 22)
    last = state["last"]
    state["last"] = bar.close
    spread = bar.high - bar.low
    if last is not None:
        spread = max(spread, abs(bar.high - last), abs(bar.low - last))
    ranges = state["ranges"]
    ranges.append(spread)
    if len(ranges) <= length:
        return
    ranges.pop(0)
    if state["stop"] is not None and bar.close < state["stop"]:
        signal("stopped", bar.close, stop=state["stop"], top=state["top"])
        state["stop"] = state["top"] = None
        return
    state["top"] = bar.high if state["top"] is None else max(bar.high, state["top"])
    level = state["top"] - params.get("multiple", 3.0) * sum(ranges) / length
    state["stop"] = level if state["stop"] is None else max(level, state["stop"])
