"""Declarative scripts: a graph as data, checked outside the jail, the same as the words say."""

# ruff: noqa: E501  # scripts as they are

import dataclasses
from typing import Any

import numpy as np
import pytest

from indicators import IndicatorError, Plan
from sandbox.changes import changed, new_levels
from sandbox.errors import BadScript, JailFailed
from sandbox.graph import Declared, declared
from sandbox.limits import Limits
from sandbox.local import columns_of, run_file
from sandbox.pool import JailPool
from sandbox.runner import Refused
from sandbox.script import Bars, Script
from tests.sandbox.conftest import make_bars


def column(pool: JailPool, expression: str, bars: Bars) -> np.ndarray[Any, Any]:
    runner = pool.load(Script("s", f"def build(ta):\n    return {expression}\n"))
    assert runner.declared is not None
    plan = runner.declared.plan()
    runner.close()
    return plan.run(plan.new_state(1), bars.slots, bars.columns)["value"]


def closes(*values: float) -> Bars:
    bars = make_bars(len(values), 1)
    bars.columns["close"][:] = values
    return bars


NAN = float("nan")
MEANINGS = {
    "ta.crossover(ta.close, 2)": ([1, 2, 3, 1, 3], [0, 0, 1, 0, 1]),
    "ta.crossunder(ta.close, 2)": ([3, 2, 1, 3, 1], [0, 0, 1, 0, 1]),
    "ta.cross(ta.close, 2)": ([1, 3, 3, 1, 2], [0, 1, 0, 1, 0]),
    "ta.shift(ta.close, 2)": ([1, 2, 3, 4], [NAN, NAN, 1, 2]),
    "ta.change(ta.close)": ([1, 2, 4, 3], [NAN, 1, 2, -1]),
    "ta.rising(ta.close, 2)": ([1, 2, 3, 2, 3, 4], [0, 0, 1, 0, 0, 1]),
    "ta.falling(ta.close, 2)": ([3, 2, 1, 2, 1, 0], [0, 0, 1, 0, 0, 1]),
    "ta.valuewhen(ta.close > 2, ta.close, 0)": ([1, 3, 1, 4, 1], [NAN, 3, 3, 4, 4]),
    "ta.valuewhen(ta.close > 2, ta.close, 1)": ([3, 1, 4, 5, 1], [NAN, NAN, 3, 4, 4]),
    "ta.barssince(ta.close > 2)": ([3, 1, 1, 3, 1], [0, 1, 2, 0, 1]),
    "ta.clip(ta.close, -1, 1)": ([-3, 0.5, 3], [-1, 0.5, 1]),
    "ta.sign(ta.close - 2)": ([1, 2, 3], [-1, 0, 1]),
    "ta.floor(ta.close) + ta.ceil(ta.close)": ([1.5, -0.5], [3, -1]),
    "ta.sum(ta.close, 2)": ([1, 2, 3], [NAN, 3, 5]),
    "ta.cum(ta.close)": ([1, 2, 3], [1, 3, 6]),
    "ta.nz(ta.shift(ta.close), 9)": ([1, 2, 3], [9, 1, 2]),
    "ta.isnan(ta.shift(ta.close))": ([1, 2], [1, 0]),
    "ta.where(ta.close > 1, ta.close, -ta.close)": ([1, 2], [-1, 2]),
    "ta.min(ta.close, 2) + ta.max(ta.close, 2)": ([1, 5], [3, 7]),
    "abs(ta.close - 3) ** 2 % 3": ([1, 2, 7], [1, 1, 1]),
    "2 - ta.close / 2 + 2 * ta.close": ([2, 4], [5, 8]),
    "~(ta.close > 1) | (ta.close == 5) & (ta.close != 4)": ([1, 3, 5], [1, 0, 1]),
    "ta.const(3)": ([1, 1], [3, 3]),
    "3": ([1, 1], [3, 3]),
    "ta.highest(ta.high, 1) - ta.high": ([1, 2], [0, 0]),
    "ta.ema(ta.close, length=1)": ([1, 2], [1, 2]),
}


@pytest.mark.parametrize("expression", MEANINGS)
def test_a_word_means_what_it_says(expression: str, pool: JailPool) -> None:
    given, wanted = MEANINGS[expression]
    got = column(pool, expression, closes(*given))
    nothing_yet = np.isnan(got) & (np.array(wanted, float) == 0)  # a condition before it can be
    np.testing.assert_array_equal(np.where(nothing_yet, 0.0, got), np.array(wanted, float))


WRONG = {
    "ta.emma(ta.close, 3)": r"ta.emma: ta has no such name; nearest: .*ema",
    "ta.ema": r"it must be called: ta.ema\(",
    "ta.ema(ta.close, 0)": r"length=0 is out of bounds: 1 to 10000",
    "ta.ema(ta.close, 10 ** 6)": r"out of bounds",
    "ta.ema(ta.close, 1.5)": r"not a whole number",
    "ta.ema(ta.close, 3, size=4)": r"unexpected keyword argument 'size'.*; it takes ema\(",
    "ta.atr(1, 2, 3, 4, 5, 6, 7, 8, 9)": r"arguments too many",
    "ta.bbands(ta.close).top": r"has no output .top; it has lower, middle, upper",
    "ta.bbands(ta.close)": r"several outputs; say which: lower, middle, upper",
    "ta.close.high": r"this is one series, it has no output .high",
    "ta.crossover(ta.close)": r"missing 1 required positional argument: 'y'; it is ta.crossover\(x, y\)",
    "ta.valuewhen(ta.close > 1, ta.close, -1)": r"occurrence must be a whole number",
    "ta.close and ta.open": r"a series has no truth value while the graph is built",
    "min(ta.close, ta.open)": r"use ta.where",
    "[x for x in ta.macd()]": r"cannot be unpacked",
    "ta.ema(ta.close, [1])": r"ta takes nodes, numbers and text, not a list",
    "{'a': 'b'}": r"output 'a' is a str, not a node of ta",
    "{}": r"1 to 32 outputs",
    "None": r"is a NoneType, not a node of ta",
    "ta.param('n', 5, min=6)": r"param n is 5, it must be from 6 to None",
    "ta.close > 1e400": r"ta takes finite numbers, not inf",
    "ta.ema(ta.close, 10 ** 30)": r"length=1e\+30 is out of bounds",
    "{'a' * 65: ta.close}": r"an output's name may have 64 printable characters",
    "{'a' + chr(10): ta.close}": r"an output's name may have 64 printable characters",
    "{chr(0xd800): ta.close}": r"an output's name may have 64 printable characters",
    "ta.param('mode', 'fast') and ta.close": r"param mode needs plain numbers, not 'fast'",
    "ta.param('on', True) and ta.close": r"param on needs plain numbers, not True",
    "ta.param('n', 5, max='a') and ta.close": r"param n needs plain numbers, not 'a'",
    "ta.param('n', 1e400) and ta.close": r"ta takes finite numbers, not inf",
    "ta.rsi(ta.close, 14, on='5m' * 40)": r"text may have 64 printable characters",
    "ta.rsi(ta.close, **{chr(0xd800): 3})": r"ta.rsi takes parameters by plain names only",
    "ta." + "q" * 80 + "(ta.close)": r"ta has no name of 80 characters",
}  # fmt: skip


@pytest.mark.parametrize("expression", WRONG)
def test_a_wrong_graph_is_refused_with_its_line_and_the_remedy(
    expression: str, pool: JailPool
) -> None:
    with pytest.raises(Refused, match=WRONG[expression]) as refused:
        pool.load(Script("s", f"def build(ta):\n    x = 1\n    return {expression}\n"))
    (finding,) = refused.value.report.findings
    assert finding.rule in ("build", "load")
    assert finding.line in (0, 3)


def test_equal_nodes_are_one_and_their_number_is_bounded(pool: JailPool) -> None:
    loop = "def build(ta):\n    x = ta.close\n    for i in range({n}):\n        x = x + {step}\n    return x\n"
    runner = pool.load(
        Script("s", "def build(ta):\n    return ta.close + ta.close * 0 + ta.close\n")
    )
    assert runner.declared is not None
    runner.close()
    with pytest.raises(Refused, match=r"4:1: .*more than 2000 nodes \(limit graph_nodes_max\)"):
        pool.load(Script("s", loop.format(n=3_000, step="i")))
    with pytest.raises(Refused, match="RecursionError"):
        pool.load(Script("s", "def build(ta):\n    return build(ta)\n"))
    with pytest.raises(Refused, match="more than 2000 nodes"):
        pool.load(Script("s", loop.format(n=5_000, step="x")))


def test_state_of_a_graph_is_bounded(pool: JailPool) -> None:
    source = "def build(ta):\n    return sum([ta.sma(ta.close, 9000 + n) for n in range(9)])\n"
    with pytest.raises(Refused, match="graph_cells_max is 16384"):
        pool.load(Script("s", source))


def graph(**changes: Any) -> dict[str, Any]:
    honest = {
        "nodes": [["field", "close", [], {}, 1], ["call", "ema", [{"node": 0}, 3], {}, 2]],
        "outputs": {"value": 1},
        "params": {},
    }
    return {**honest, **changes}


FORGED = {
    "a reference to itself": {"nodes": [["operator", "+", [{"node": 0}, 1], {}, 1]]},
    "a reference to later": {"outputs": {"value": 7}},
    "a negative reference": {"outputs": {"value": -1}},
    "a true reference": {"outputs": {"value": True}},
    "an unknown kind": {"nodes": [["eval", "close", [], {}, 1]]},
    "an unknown operator": {"nodes": [["operator", "@", [1, 2], {}, 1]]},
    "a node that is none": {"nodes": [["field", "close"]]},
    "a nameless node": {"nodes": [["field", None, [], {}, 1]]},
    "a nested argument": {"nodes": [["call", "ema", [[1]], {}, 1]]},
    "too many nodes": {"nodes": [["field", "close", [], {}, 1]] * 2_001},
    "too many outputs": {"outputs": {str(n): 0 for n in range(33)}},
    "no outputs": {"outputs": {}},
    "an output with escape codes": {"outputs": {"\x1b[2J": 0}},
    "parameters that are none": {"params": []},
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_graph_is_a_broken_protocol(name: str) -> None:
    assert declared(graph(), Limits()).outputs
    with pytest.raises(JailFailed) as failed:
        declared(graph(**FORGED[name]), Limits())
    assert failed.value.outcome == "protocol"


def test_a_graph_that_grows_outside_the_jail_is_stopped() -> None:
    nodes: list[Any] = [["field", "close", [], {}, 1]]
    nodes += [["call", "adx", [], {"length": n}, n] for n in range(2, 900)]
    nodes += [["output", "plus", [{"node": n}], {}, n] for n in range(1, 899)]
    with pytest.raises(BadScript, match="graph_nodes_max"):
        declared(graph(nodes=nodes, outputs={"x": len(nodes) - 1}), Limits(graph_nodes_max=1_800))


def test_both_styles_say_the_same_on_the_same_bars(pool: JailPool) -> None:
    bars = make_bars(300, 3)
    said = {}
    for style, source in {
        "declarative": "def build(ta):\n    return {'up': ta.close > ta.open, 'x': ta.close - ta.open,"
        " 'late': ta.shift(ta.close, 2)}\n",
        "imperative": "def init():\n    return []\ndef on_bar(bar, state):\n"
        "    state.append(bar.close)\n    late = state.pop(0) if len(state) > 2 else None\n"
        "    return {'up': bar.close > bar.open, 'x': bar.close - bar.open, 'late': late}\n",
    }.items():
        run = run_file(pool, Script(style, source), bars)
        assert run.style == style
        said[style] = [(s.row, s.name, s.value) for s in run.signals]
    assert sorted(said["declarative"]) == sorted(said["imperative"])


def test_changes_do_not_depend_on_how_a_stream_is_cut(pool: JailPool) -> None:
    runner = pool.load(
        Script("s", "def build(ta):\n    return {'v': ta.sign(ta.change(ta.close))}\n")
    )
    assert runner.declared is not None
    plan, bars = runner.declared.plan(), make_bars(200, 4)
    runner.close()
    columns = plan.run(plan.new_state(4), bars.slots, bars.columns)
    whole = changed(runner.declared, new_levels(runner.declared, 4), bars.slots, columns)
    levels, pieces = new_levels(runner.declared, 4), []
    for start in range(0, 200, 7):
        cut = slice(start, start + 7)
        part = {name: values[cut] for name, values in columns.items()}
        found = changed(runner.declared, levels, bars.slots[cut], part)
        pieces += [dataclasses.replace(signal, row=signal.row + start) for signal in found]
    assert tuple(pieces) == whole


COARSER = {
    'ta.rsi(ta.close, 14, on="5m")': "rsi(close, 14, on='5m')",
    'ta.macd(ta.close, 3, 6, 2, on="15m").hist': "macd(close, 3, 6, 2, on='15m').histogram",
    'ta.close - ta.ema(ta.close, 9, on="5m")': "close - ema(close, 9, on='5m')",
    'ta.atr(5, offset=1, on="2m")': "atr(length=5, offset=1, on='2m')",
    'ta.bbands(ta.close, 10, 2.0, on="5m").upper': "bbands(close, 10, 2.0, 2.0, on='5m').upper",
    'ta.change(ta.close, on="5m")': "diff(close, 1, on='5m')",
}


def declared_by(pool: JailPool, expression: str) -> Declared:
    runner = pool.load(Script("s", f"def build(ta):\n    return {expression}\n"))
    runner.close()
    assert runner.declared is not None
    return runner.declared


@pytest.mark.parametrize("expression", COARSER)
def test_a_coarser_timeframe_is_the_very_node_of_the_plan_s_expression(
    expression: str, pool: JailPool
) -> None:
    made, bars = declared_by(pool, expression), make_bars(300, 2)
    plan = Plan.parse({"value": COARSER[expression]}, timeframe="1m")
    assert made.outputs["value"] is plan.series["value"]
    columns = columns_of(bars)
    got = made.plan("1m").run(plan.new_state(2), bars.slots, columns)["value"]
    wanted = plan.run(plan.new_state(2), bars.slots, columns)["value"]
    assert np.isfinite(wanted).any()
    np.testing.assert_array_equal(got, wanted)


def test_a_coarser_condition_speaks_when_it_comes_true(pool: JailPool) -> None:
    bars = closes(1, 3, 1, 3, 3, 1, 1, 3)
    bars.ts[:] = 60 * 10**9 * np.arange(1, 9)  # so that every second one closes one of 2m
    source = 'def build(ta):\n    return ta.crossover(ta.close, 2, on="2m")\n'
    run = run_file(pool, Script("s", source), bars, timeframe="1m")
    assert [(signal.row, signal.value) for signal in run.signals] == [(7, 1.0)]
    steady = closes(1, 1, 3, 3, 3, 3, 1, 1)
    steady.ts[:] = bars.ts
    run = run_file(pool, Script("s", source), steady, timeframe="1m")
    assert [(signal.row, signal.value) for signal in run.signals] == [(3, 1.0)]


def test_a_coarser_timeframe_that_the_bars_cannot_make_is_refused(pool: JailPool) -> None:
    made = declared_by(pool, 'ta.rsi(ta.close, 14, on="5m")')
    made.plan("1m")
    for timeframe in ("2m", "1h", "100t"):
        with pytest.raises(IndicatorError, match=r"multiple|not one of time"):
            made.plan(timeframe)
    for wrong, why in (("7m", "divide a day"), ("100t", "not one of time"), (5, "on=5")):
        with pytest.raises(Refused, match=why):
            declared_by(pool, f"ta.rsi(ta.close, 14, on={wrong!r})")
        with pytest.raises(Refused, match=why):
            declared_by(pool, f"ta.change(ta.close, on={wrong!r})")
    with pytest.raises(Refused, match="on a timeframe"):
        declared_by(pool, 'ta.ema(ta.rsi(ta.close, on="5m"), 3, on="15m")')
