"""Uses the plan's own values: a low RSI counts only when the market is not falling hard.

Run it with --value RSI_14="rsi(length=14)" --value slope="diff(ema(close, 50), 10)".
"""


def init():
    return {"armed": False}


def on_bar(bar, state):
    rsi, slope = bar.values["RSI_14"], bar.values["slope"]
    if rsi < 30:
        state["armed"] = True
    elif state["armed"] and rsi > 40 and slope > -0.01 * bar.close:
        state["armed"] = False
        return signal("recovered", bar.close, rsi=round(rsi, 1))
    return None
