"""What a declaration must have, and what is read off it."""

import json
import math

import numpy as np
import pytest

from indicators import CATALOGUE, CLOSE, ParameterError, Plan, Series
from indicators import operators as o
from indicators.bounds import Window
from indicators.catalogue import indicator
from indicators.declare import OPERATORS, State, Value, elementwise, operator
from indicators.describe import describe
from tests.indicators.subjects import columns, run


def no_source(close: Series = CLOSE) -> Series:
    """Something.

    Unit: none
    """
    return close


def no_bounds(close: Series = CLOSE, length: int = 3) -> Series:
    """Something.

    Unit: none
    Source: none
    """
    return close + length


def no_outputs(close: Series = CLOSE) -> int:
    """Something.

    Unit: none
    Source: none
    """
    return 1


def unknown_column(close: Series = CLOSE, length: Window = 3) -> Series:
    """Something.

    Unit: none
    Source: none
    """
    return close + length


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (no_source, "has no line 'Source"),
        (no_bounds, "length needs bounds"),
        (no_outputs, "must return Series"),
        (unknown_column, "uses an unknown parameter"),
    ],
)
def test_an_indicator_that_lacks_something_is_refused_at_import(
    function: object, message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        indicator(columns="X_{size}")(function)  # type: ignore[type-var]


def test_two_of_one_name_are_refused() -> None:
    def rsi(close: Series = CLOSE) -> Series:
        """Another.

        Unit: none
        Source: none
        """
        return close

    with pytest.raises(TypeError, match="rsi is defined twice"):
        indicator(columns="RSI")(rsi)

    def add(x: Value) -> float:
        """Another."""
        return x

    with pytest.raises(TypeError, match="add is declared twice"):
        elementwise(add)


def test_an_operator_needs_a_docstring_and_known_kinds() -> None:
    def silent(s: State, x: Value) -> float:
        return x

    def vague(s: State, x: Value, name: str) -> float:
        """Something."""
        return x

    with pytest.raises(TypeError, match="silent has no docstring"):
        operator(state=lambda: 0)(silent)
    with pytest.raises(TypeError, match="needs Value, Weights, int or float"):
        operator(state=lambda: 0)(vague)
    assert not {"silent", "vague"} & set(OPERATORS)


@pytest.mark.parametrize("window", [0, -1, 10_001, 2.5, math.nan, "3"])
def test_an_operator_refuses_parameters_that_its_state_has_no_room_for(window: object) -> None:
    with pytest.raises((ParameterError, ValueError)):
        o.rolling_sum(CLOSE, window)  # type: ignore[arg-type]


def test_the_memory_of_a_series_is_where_its_start_stops_to_matter() -> None:
    bars = columns(rows=1_500)
    shaken = {name: column.copy() for name, column in bars.items()}
    for column in shaken.values():
        column[0] *= 1.5
    for text in ("sma(close, 20)", "ema(close, 9)", "bbands(close, 20).upper", "wma(close, 30)"):
        plan = Plan.parse({"x": text})
        memory = int(plan.memory)
        calm, moved = run(plan, bars)["x"], run(plan, shaken)["x"]
        assert np.allclose(calm[memory:], moved[memory:], rtol=1e-13, atol=0.0), text
        assert not np.allclose(calm[memory // 3], moved[memory // 3], rtol=1e-12, atol=0), text
    assert Plan.parse(["obv()"]).memory == math.inf


def test_every_entry_can_be_described_in_json() -> None:
    told = {name: describe(entry) for name, entry in CATALOGUE.items()}
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert [output["warmup"] for output in told["macd"]["outputs"]] == [25, 33, 33]
    assert [output["column"] for output in told["macd"]["outputs"]] == [
        *("MACD_12_26_9", "MACDh_12_26_9", "MACDs_12_26_9"),
    ]
    assert told["rsi"]["inputs"] == [{"name": "close", "default": "close"}]
    assert told["rsi"]["parameters"][0] == {
        "name": "length",
        "type": "int",
        "default": 14,
        "min": 1,
        "max": 10_000,
    }
    assert told["obv"]["outputs"][0]["memory"] is None
    assert told["sma"]["state_bytes"] == 8 * (5 + 10)
