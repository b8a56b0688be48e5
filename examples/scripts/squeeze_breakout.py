"""Bollinger's bands inside Keltner's channel, then out: calm, and which way it ended."""


def build(ta):
    bands, channel = ta.bbands(ta.close, 20, 2.0), ta.keltner(20, 1.5)
    calm = (bands.upper < channel.upper) & (bands.lower > channel.lower)
    ended = ta.shift(calm, 1) & ~calm
    push = ta.linreg(ta.close - ta.sma(ta.close, 20), 20)
    return {
        "calm": calm,
        "up": ended & (push > 0),
        "down": ended & (push < 0),
    }
