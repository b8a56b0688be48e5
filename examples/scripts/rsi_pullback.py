"""Buy a short dip in a long rise (after Connors' RSI-2), and say when it is over."""


def build(ta):
    trend = ta.close > ta.ema(ta.close, 200)
    quick = ta.rsi(ta.close, 2)
    return {
        "enter": trend & (quick < ta.param("low", 10.0, min=1.0, max=50.0)),
        "leave": (quick > 65) | ta.crossunder(ta.close, ta.ema(ta.close, 200)),
    }
