"""Plans: what text means, what is refused and how, what a capsule protects."""

import numpy as np
import pytest

from indicators import (
    CATALOGUE,
    CLOSE,
    HIGH,
    CapsuleError,
    ExpressionError,
    IndicatorError,
    Plan,
)
from indicators.definitions.momentum.changes import macd
from indicators.definitions.overlap.averages import ema
from indicators.plan import SERIES_MAX
from tests.indicators.subjects import columns, run, same_bits

REFUSED = {
    "rsii()": "nearest: rsi",
    "rsi(14)": "name the parameter that you mean",
    "rsi": "is an indicator: call it",
    "rsi(lenght=3)": "unexpected keyword argument 'lenght'",
    "rsi(length=0)": "length=0 is out of bounds: 1 to 10000",
    "rsi(length=2.5)": "is not a whole number",
    "rsi(length=True)": "is not a number",
    "rsi(mamode='nope')": "known are",
    "rsi(length=close)": "is not a number",
    "rsi(offset=-1)": "offset=-1 is out of bounds",
    "macd() + 1": "say which: .macd, .histogram, .signal",
    "macd().histo": "nearest: histogram",
    "close.real": "only an indicator's outputs have names",
    "close[0]": "Subscript has no place",
    "close if open else high": "IfExp has no place",
    "(lambda: 1)()": "only indicators can be called",
    "__import__('os')": "unknown name '__import__'",
    "[close]": "List has no place",
    "close is close": "comparison is not known",
    "close @ open": "operator is not known",
    "'text'": "is not a series or a number",
    "1 / 0": "cannot be combined",
    "9 ** 9 ** 9": "cannot be combined",
    "1e999": "too large",
    "close <": "invalid syntax",
    "close; open": "invalid syntax",
    "": "invalid syntax",
    "rsi(*close)": "Starred has no place",
    "rsi(**close)": "** has no place",
    "-" * 100 + "close": "levels of nesting",
    "close +" * 500 + " close": "at most 2000 characters",
    "(" * 300 + "close" + ")" * 300: "",
    "\0": "",
}


@pytest.mark.parametrize("text", REFUSED)
def test_bad_text_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        Plan.parse({"x": text})
    assert REFUSED[text] in str(caught.value)


def test_a_refusal_points_at_the_place() -> None:
    with pytest.raises(ExpressionError) as caught:
        Plan.parse({"x": "close + rsii(close)"})
    message, text, mark = str(caught.value).splitlines()
    assert message.startswith("x: unknown name 'rsii'")
    assert text[mark.index("^") :].startswith("rsii")


def test_expressions_mean_what_python_means() -> None:
    bars = columns()
    o, h, c = bars["open"], bars["high"], bars["close"]
    wanted = {
        "close - open * 2": c - o * 2,
        "-close ** 2 / 3": -(c**2) / 3,
        "1 < close - 99 <= 2.5": ((c - 99 > 1) & (c - 99 <= 2.5)).astype(float),
        "close > open and not high > 100 or close == high": (
            (c > o) & ~(h > 100) | (c == h)
        ).astype(float),
        "(close > open) & (high > 100) | ~(close < 100)": ((c > o) & (h > 100) | ~(c < 100)).astype(
            float
        ),
        "max(open, close, 100) - min(open, close)": np.maximum(np.maximum(o, c), 100)
        - np.minimum(o, c),
        "where(close > open, 1, -1)": np.where(c > o, 1.0, -1.0),
        "abs(open - close)": np.abs(o - c),
        "hl2 * 2 - high": (0.5 * (h + bars["low"])) * 2 - h,
        "close % 7": np.mod(c, 7),
        "close - lag(close, 0)": c - c,
        "2 * 3 + 1": np.full(len(c), 7.0),
    }
    got = run(Plan.parse({text: text for text in wanted}), bars)
    for text, numbers in wanted.items():
        np.testing.assert_allclose(got[text], numbers, rtol=1e-12, err_msg=text)


def test_a_list_is_named_by_pandas_ta_and_a_mapping_by_fields() -> None:
    listed = Plan.parse(["rsi(length=14)", "macd()", "close - ema(close, 20)", "lag(close, 2)"])
    assert listed.outputs == (
        *("RSI_14", "MACD_12_26_9", "MACDh_12_26_9", "MACDs_12_26_9"),
        *("close - ema(close, 20)", "lag(close, 2)"),
    )
    mapped = Plan.parse({"m": "macd()", "gap": CLOSE - ema(CLOSE, 20), "n": macd(CLOSE)})
    fields = ("macd", "histogram", "signal")
    assert mapped.outputs == (*(f"m.{f}" for f in fields), "gap", *(f"n.{f}" for f in fields))
    assert mapped.series["m.signal"] is mapped.series["n.signal"]


def test_outputs_that_pandas_ta_has_no_name_for_are_named_by_field() -> None:
    plan = Plan.parse(["mama_ehlers(prenan=3) ", "wclprice()"])
    assert plan.outputs == (
        "mama_ehlers(prenan=3).mama",
        "mama_ehlers(prenan=3).fama",
        "wclprice()",
    )


def test_two_outputs_of_one_name_are_refused() -> None:
    with pytest.raises(ExpressionError, match="two outputs are named 'RSI_14'"):
        Plan.parse(["rsi()", "rsi(length=14)"])


def test_an_offset_looks_back() -> None:
    bars = columns()
    got = run(Plan.parse({"now": "rsi()", "before": "rsi(offset=3)"}), bars)
    assert same_bits(got["now"][20:-3], got["before"][23:])


def test_a_plan_is_named_by_what_it_computes() -> None:
    plan = Plan.parse({"x": "ema(close, 20)"})
    assert plan.digest == Plan.parse({"x": ema(CLOSE, 20)}).digest
    others = [{"y": "ema(close, 20)"}, {"x": "ema(close, 21)"}, {"x": "ema(high, 20)"}]
    assert plan.digest not in {Plan.parse(other).digest for other in others}
    assert plan.fields == ("close",)
    assert plan.warmup == 19


def test_a_plan_is_bounded() -> None:
    series = CLOSE
    for k in range(SERIES_MAX):
        series = series + float(k)
    with pytest.raises(IndicatorError, match=f"{SERIES_MAX} are allowed"):
        Plan({"x": series})
    texts = [f"bbands(close, {10_000 - k})" for k in range(10)]
    with pytest.raises(IndicatorError, match="numbers of state"):
        Plan.parse(texts)


def test_slots_and_shapes_are_checked_before_anything_moves() -> None:
    plan = Plan.parse(["ema(close, 3)"])
    state, close = plan.new_state(2), {"close": np.ones(4)}
    slots = np.array([0, 1, 0, 2])
    wrong = {
        "row 3: slot 2, but state has 2 slots": (state, slots, close),
        "row 0: slot -1": (state, slots - 1, close),
        "needs a column 'close'": (state, slots, {"open": np.ones(4)}),
        "column 'close'": (state, slots, {"close": np.ones(3)}),
        "int64": (state, slots.astype(np.int32), close),
        r"wanted float64 \(slots, ": (np.zeros((2, 99)), slots, close),
        "contiguous": (np.zeros((2, 2 * plan.width))[:, ::2], slots, close),
    }
    for message, arguments in wrong.items():
        with pytest.raises(IndicatorError, match=message):
            plan.run(*arguments)
    assert not state.any()


def test_columns_may_be_read_only_and_batches_empty() -> None:
    plan = Plan.parse(["ema(close, 3)"])
    close, slots = np.ones(4), np.zeros(4, np.int64)
    close.flags.writeable = slots.flags.writeable = False
    assert plan.run(plan.new_state(1), slots, {"close": close})["EMA_3"][-1] == 1.0
    assert len(plan.run(plan.new_state(1), slots[:0], {"close": close[:0]})["EMA_3"]) == 0


def test_a_damaged_or_foreign_capsule_is_refused() -> None:
    plan, other = Plan.parse(["ema(close, 3)"]), Plan.parse(["ema(close, 4)"])
    state = plan.new_state(3)
    plan.run(state, np.arange(3), {"close": np.array([1.0, 2.0, 3.0])})
    blob = plan.save(state, 1)
    damage = [blob[:-1], blob + b"x", blob[:10], b"", b"SFLT" + bytes(60)]
    damage += [blob[:k] + bytes([blob[k] ^ 1]) + blob[k + 1 :] for k in range(len(blob))]
    for bad in damage:
        with pytest.raises(CapsuleError):
            plan.load(state, 0, bad)
    with pytest.raises(CapsuleError, match="is of plan"):
        other.load(other.new_state(1), 0, blob)
    with pytest.raises(CapsuleError, match="3 instruments"):
        plan.load(state, 0, plan.save_all(state))
    plan.load(state, 2, blob)
    assert same_bits(state[2], state[1])
    assert same_bits(plan.load_all(plan.save_all(state)), state)


def test_a_series_has_no_truth_value_and_no_maker() -> None:
    with pytest.raises(TypeError, match="combine conditions with"):
        bool(CLOSE > HIGH)
    with pytest.raises(TypeError, match="not by hand"):
        type(CLOSE)()


def test_every_entry_of_the_catalogue_says_what_it_is() -> None:
    for name, entry in CATALOGUE.items():
        assert entry.summary.endswith("."), name
        assert entry.unit, name
        assert entry.source, name
        assert entry.category, name
