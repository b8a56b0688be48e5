"""The 50-bar mean crosses the 200-bar mean: the slowest signal that people still trade."""


def build(ta):
    fast_length = ta.param("fast", 50, min=2, max=500)
    slow_length = ta.param("slow", 200, min=5, max=2000)
    fast, slow = ta.sma(ta.close, fast_length), ta.sma(ta.close, slow_length)
    return {
        "golden": ta.crossover(fast, slow),
        "death": ta.crossunder(fast, slow),
    }
