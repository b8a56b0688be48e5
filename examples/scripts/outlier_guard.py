"""A bar whose move is absurd beside the recent ones: a bad print, or news."""

import math
import statistics
from collections import deque


def init():
    return {"moves": deque(maxlen=100), "last": None}


def on_bar(bar, state):
    last, moves = state["last"], state["moves"]
    state["last"] = bar.close
    if last is None:
        return
    move = math.log(bar.close / last)
    if len(moves) >= 30:
        middle = statistics.median(moves)
        usual = statistics.median([abs(x - middle) for x in moves])
        score = abs(move - middle) / (1.4826 * usual) if usual > 0 else 0.0
        if score > params.get("deviations", 8.0):
            signal("outlier", score, move=move, usual=usual)
            log(bar.symbol, "moved", f"{move:.4f}", "where", f"{usual:.4f}", "is usual")
    moves.append(move)
