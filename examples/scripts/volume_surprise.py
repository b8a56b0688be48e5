"""Volume far above its own habit, with the direction of the bar it came on."""


def build(ta):
    length = ta.param("length", 50, min=10, max=1000)
    usual, spread = ta.sma(ta.volume, length), ta.stdev(ta.volume, length)
    surprise = (ta.volume - usual) / spread
    loud = surprise > ta.param("deviations", 3.0, min=1.0, max=10.0)
    return {
        "surprise": ta.where(loud, surprise, 0),
        "bought": loud & (ta.close > ta.open),
        "sold": loud & (ta.close < ta.open),
    }
