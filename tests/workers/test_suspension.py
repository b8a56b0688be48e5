"""Tier 3 suspends scripts: they say nothing, count it, and are then where they would have been."""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import pytest

from sandbox.builder import build_graph
from sandbox.pool import JailPool
from tests.workers.test_processor import NAMES, a_batch, a_state, as_fields, joined
from workers.processor import Output, advance
from workers.program import Program
from workers.scripting import waiting
from workers.scripting.deployment import Deployment, Trust
from workers.scripting.host import ScriptHost
from workers.scripting.state import QUARANTINED, Scripts, ScriptState
from workers.settings import PlanSettings
from workers.shedder import tier_useful
from workers.shedding import Shed, Tier
from workers.state import ShardState

KEY = b"0123456789abcdef"
MEAN = """
def init():
    return {"n": 0, "sum": 0.0}


def on_bar(bar, state):
    state["n"] += 1
    state["sum"] += bar.close + bar.values["e"]
    signal("mean", state["sum"] / state["n"], n=state["n"])
"""
GRAPH = build_graph(
    lambda ta: {"up": ta.close > ta.shift(ta.close, 1), "mean": ta.sma(ta.close, 3)},
    nodes_max=20, params={}, outputs_max=4,
)  # fmt: skip
PLANS = {
    "low": PlanSettings(timeframe="2s", values={"e": "ema(close, 3)"}, priority="low"),
    "core": PlanSettings(timeframe="2s", emit="forming", values={"e": "ema(close, 3)"}),
    "top": PlanSettings(timeframe="2s", values={"e": "ema(close, 3)"}, priority="high"),
}
PROGRAM = Program(PLANS)
TICKS = [(at % 3, at * 0.3, 10.0 + at * 7 % 5, 0) for at in range(300)]


@pytest.fixture(scope="module")
def pool() -> Iterator[JailPool]:
    with JailPool() as made:
        yield made


def a_script(plan: str, **more: Any) -> ScriptState:
    made = Deployment(
        fleet="fleet", name=f"{plan}-{len(more)}", revision=1, tenant="desk", plan=plan,
        symbols=("*",), signals=("*",), limits={"batch_ms_max": 5_000}, **{"source": MEAN, **more},
    )  # fmt: skip
    return ScriptState.new(made, made.sealed(KEY))


def scripted() -> ShardState:
    """State with an imperative script on each plan, and a declarative one on `core`."""
    state = a_state(PROGRAM)
    for plan in PLANS:
        state.scripts.put(a_script(plan))
    state.scripts.put(a_script("core", style="declarative", graph=GRAPH))
    return state


def run(
    state: ShardState, pool: JailPool, parts: Sequence[tuple[Tier | None, Sequence[Any]]]
) -> tuple[list[Output], ShardState, Shed]:
    """The rows part by part, each under a tier (None: as before); saved and loaded in between."""
    outputs, total, first = [], Shed(), 1
    for tier, rows in parts:
        if tier is not None:
            total += state.shedding.shed
            state.shedding.enter(tier, ("B*",))
        host = ScriptHost(pool)
        outputs.append(advance(PROGRAM, state, a_batch(rows, first), 7, host))
        assert not host.collect(state.scripts)
        host.close()
        first += len(rows)
        _, state = ShardState.load(state.save(PROGRAM), 10, Trust(KEY, "fleet"))
    return outputs, state, total + state.shedding.shed


def said(output: Output, source: str) -> list[tuple[str, str, str, str]]:
    signals = [as_fields(entry) for entry in output.signals]
    return [
        (one["symbol"], one["ts"], one["value"], one.get("degraded", ""))
        for one in signals
        if one["source"].startswith(source)
    ]


def test_a_suspended_script_says_nothing_and_is_afterwards_where_it_would_have_been(
    pool: JailPool,
) -> None:
    calm, whole, _ = run(scripted(), pool, [(None, TICKS[:200]), (None, TICKS[200:])])
    cut = [(Tier.PLANS, TICKS[50:90]), (None, TICKS[90:91]), (None, TICKS[91:200])]
    parts = [(None, TICKS[:50]), *cut, (Tier.NOTHING, TICKS[200:])]
    outputs, state, shed = run(scripted(), pool, parts)
    for source in ("low-0", "core-0", "core-2"):
        assert not any(said(output, source) for output in outputs[1:4]), source
        assert said(outputs[4], source), source
        assert said(outputs[4], source) == said(calm[1], source)
    every = [one for output in outputs for one in said(output, "top-0")]
    assert every == [one for output in calm for one in said(output, "top-0")]
    # One signal a bar of the imperative ones, of which the declarative one saw as many.
    missed = len(said(calm[0], "core-0")) - len(said(outputs[0], "core-0"))
    assert shed.scripts == 3 * missed
    assert {name: one.capsules for name, one in state.scripts.of.items()} == {
        name: one.capsules for name, one in whole.scripts.of.items()
    }


@pytest.mark.parametrize("step", [1, 7, 40])
def test_any_cut_of_the_log_gives_the_same_under_a_suspension(pool: JailPool, step: int) -> None:
    def parts(step: int) -> list[tuple[Tier | None, Any]]:
        shed = [(None, TICKS[at : min(at + step, 90)]) for at in range(30, 90, step)]
        return [(None, TICKS[:30]), (Tier.PLANS, []), *shed, (Tier.NOTHING, TICKS[90:100])]

    expected, state, shed = run(scripted(), pool, parts(60))
    outputs, other, counted = run(scripted(), pool, parts(step))
    assert joined(outputs) == joined(expected)
    assert counted == shed
    assert other.scripts.save() == state.scripts.save()


def test_a_script_that_missed_more_than_is_kept_begins_anew_says_so_and_is_marked(
    pool: JailPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars_max = 20
    monkeypatch.setattr(waiting, "WAITING_BYTES_MAX", bars_max * 8 * 8)
    results = []
    for step in (1, 13, 150):
        shed = [(None, TICKS[at : min(at + step, 200)]) for at in range(50, 200, step)]
        parts = [(None, TICKS[:50]), (Tier.PLANS, []), *shed, (Tier.NOTHING, TICKS[200:])]
        outputs, state, _ = run(scripted(), pool, parts)
        lines = [line for output in outputs for line in output.scripts.lines]
        assert any(line[0] == "core-0" and "begins anew" in line[3] for line in lines)
        results.append(said(outputs[-1], "core-0"))
        assert state.scripts.of["core-0"].anew
        assert not state.scripts.of["core-2"].anew  # a declarative one never loses its state
    assert results[0] == results[1] == results[2]
    assert {mark for *_, mark in results[0]} == {"3"}
    most = max(orjson.loads(value)["n"] for _, _, value, _ in results[0])
    assert most <= bars_max + 100 * 0.3 / 2  # of 44 bars that there were


def test_signals_of_scripts_are_marked_where_tier_4_dropped_ticks(pool: JailPool) -> None:
    parts = [(Tier.TICKS, TICKS[:100]), (Tier.NOTHING, TICKS[100:])]
    outputs, _, shed = run(scripted(), pool, parts)
    assert shed.ticks == outputs[0].counts["shed"] > 0
    for source in ("core-0", "core-2", "top-0"):
        marks = {(symbol, mark) for symbol, _, _, mark in said(outputs[1], source)}
        assert marks == {(NAMES[0], ""), (NAMES[1], ""), (NAMES[2], "4")}
    values = [as_fields(entry) for entry in outputs[1].values]
    final = {(one["symbol"], one.get("degraded", "")) for one in values}
    assert final == {(NAMES[0], ""), (NAMES[1], ""), (NAMES[2], "4")}


def test_tier_3_is_useful_where_a_script_would_rest() -> None:
    scripts = Scripts()
    program = Program({name: PLANS[name] for name in ("core", "top")})
    assert tier_useful(program, (), scripts) == Tier.FORMING
    scripts.put(a_script("top"))
    assert tier_useful(program, (), scripts) == Tier.FORMING
    scripts.put(a_script("core"))
    assert tier_useful(program, (), scripts) == Tier.PLANS
    scripts.of["core-0"].status = QUARANTINED
    assert tier_useful(program, (), scripts) == Tier.FORMING
    assert tier_useful(program, ("B*",), scripts) == Tier.TICKS
