"""A position size between 0 and 1 from the recent edge of a simple trend rule."""

import numpy as np


class Window:
    """The last values, oldest first."""

    def __init__(self, size):
        self.size = size
        self.items = []

    def add(self, value):
        self.items.append(value)
        if len(self.items) > self.size:
            self.items.pop(0)

    def full(self):
        return len(self.items) == self.size


def init():
    return {"closes": Window(60), "gains": Window(120), "side": 0}


def on_bar(bar, state):
    closes, gains = state["closes"], state["gains"]
    if closes.items:
        gains.add(state["side"] * (bar.close / closes.items[-1] - 1.0))
    closes.add(bar.close)
    if not closes.full():
        return None
    state["side"] = 1 if bar.close > sum(closes.items) / closes.size else 0
    if not gains.full():
        return None
    values = np.array(gains.items)
    spread = float(values.var())
    edge = float(values.mean()) / spread if spread > 0 else 0.0
    size = round(min(max(edge * params.get("fraction", 0.25), 0.0), 1.0), 1)
    return {"size": size * state["side"]}
