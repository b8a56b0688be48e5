"""One number from -1 to 1 for how much the common trend measures agree."""

LENGTHS = (10, 20, 50, 100)


def above(ta, length):
    mean = ta.ema(ta.close, length)
    return ta.where(ta.close > mean, 1, -1) + ta.sign(ta.change(mean))


def build(ta):
    votes = sum([above(ta, length) for length in LENGTHS]) / (2 * len(LENGTHS))
    strong = ta.adx(14) > 25
    return {
        "score": votes,
        "bull": strong & (votes > 0.7),
        "bear": strong & (votes < -0.7),
    }
