"""What decides about scripts, without a worker: signatures, rights, rulings, saved state."""

import re

import numpy as np
import pytest
import yaml

from indicators import Plan
from sandbox.builder import build_graph
from sandbox.limits import Limits
from sandbox.results import Failure, Results
from tests.conftest import REPOSITORY
from tests.workers.test_processor import PROGRAM, a_batch, a_state
from workers.commands.deploy import user_name
from workers.processor import advance
from workers.program import Program
from workers.scripting.access import refusal, within
from workers.scripting.decisions import TRIAL_BARS, apply, fault, read_ruling, ruling, verdict
from workers.scripting.deployment import Deployment, Trust, Untrusted, opened
from workers.scripting.lifecycle import fits
from workers.scripting.state import CUT, QUARANTINED, SPEAKS, Scripts, ScriptState
from workers.settings import PlanSettings, SettingsError, TenantSettings, load_settings
from workers.state import ShardState

KEY = b"0123456789abcdef"
OURS = Trust(KEY, "fleet")
GRAPH = build_graph(
    lambda ta: {"up": ta.close > 10, "mean": ta.sma(ta.close, 2)},
    nodes_max=10, params={}, outputs_max=4,
)  # fmt: skip

COARSER = build_graph(
    lambda ta: {"up": ta.rsi(ta.close, 14, on="5m") > 50},
    nodes_max=10, params={}, outputs_max=4,
)  # fmt: skip
PLANS = {"core": PlanSettings(timeframe="1m")}


def a_deployment(**more: object) -> Deployment:
    given = {
        "fleet": "fleet", "name": "one", "revision": 1, "tenant": "desk", "plan": "core",
        "symbols": ("A*",), "signals": ("up", "mean"), "source": "...",
    }  # fmt: skip
    return Deployment.model_validate({**given, **more})


def a_script(**more: object) -> ScriptState:
    made = a_deployment(**more)
    return ScriptState.new(made, made.sealed(KEY))


def test_only_the_key_for_this_fleet_opens_a_deployment() -> None:
    sealed = a_deployment().sealed(KEY)
    assert opened(OURS, sealed) == a_deployment()
    for trust in (Trust(None, "fleet"), Trust(b"another key here", "fleet"), Trust(KEY, "other")):
        with pytest.raises(Untrusted):
            opened(trust, sealed)
    for at in range(0, len(sealed), 7):
        changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        with pytest.raises(Untrusted):
            opened(OURS, changed)


def test_a_version_is_named_by_its_content_alone() -> None:
    assert a_deployment().digest == a_deployment(revision=9, fleet="other").digest
    for change in ({"source": "x"}, {"plan": "p"}, {"params": {"n": 1}}, {"symbols": ("*",)}):
        assert a_deployment().digest != a_deployment(**change).digest


@pytest.mark.parametrize(
    ("pattern", "allowed", "inside"),
    [
        ("BTC-USD", ["BTC-*"], True),
        ("BTC-USD", ["ETH-*"], False),
        ("A*", ["*"], True),
        ("A*", ["A*"], True),
        ("AB*", ["A*"], True),
        ("A*", ["A?"], False),
        ("*", ["A*", "B*"], False),
        ("[AB]*", ["A*"], False),
        ("A*", [], False),
    ],
)
def test_a_pattern_is_within_only_what_surely_holds_all_of_it(
    pattern: str, allowed: list[str], inside: bool
) -> None:
    assert within(pattern, allowed) is inside


def test_nothing_is_allowed_that_no_pattern_names() -> None:
    desk = TenantSettings(symbols=("A*",), plans=("core",), signals=("up", "mean"))
    tenants = {"desk": desk}
    assert refusal(a_deployment(), tenants, PLANS) is None
    assert refusal(a_deployment(graph=GRAPH, style="declarative"), tenants, PLANS) is None
    wrong = {
        "tenant": {"tenant": "other"},
        "plan": {"plan": "fast"},
        "symbols": {"symbols": ("*",)},
        "signals": {"signals": ("down",)},
        "signals up": {"signals": ("mean",), "graph": GRAPH},
        "limits": {"limits": {"batch_ms_max": 9_000}},
    }
    for word, change in wrong.items():
        assert word in str(refusal(a_deployment(**change), tenants, PLANS)), change
    assert refusal(a_deployment(), {"desk": TenantSettings()}, PLANS) is not None
    assert refusal(a_deployment(removed=True, tenant="other"), tenants, {}) is not None


@pytest.mark.parametrize(
    ("timeframe", "fits"), [("1m", True), ("5m", True), ("2m", False), ("100t", False)]
)
def test_an_on_needs_a_plan_whose_bars_can_make_those(timeframe: str, fits: bool) -> None:
    desk = TenantSettings(symbols=("A*",), plans=("core",), signals=("up", "mean"))
    made = a_deployment(graph=COARSER, style="declarative")
    plans = {"core": PlanSettings(timeframe=timeframe)}
    reason = refusal(made, {"desk": desk}, plans)
    assert reason is None if fits else "plan 'core': " in str(reason), reason


def test_what_a_declared_script_costs_is_accounted() -> None:
    state = a_state()
    state.scripts.put(a_script(graph=GRAPH, style="declarative", plan="fast"))
    heard = advance(PROGRAM, state, a_batch([(0, float(at), 10.0, 0) for at in range(12)]), 0)
    assert heard.scripts.cpu_ns["one"] > 0


def test_a_deployer_without_a_name_goes_by_his_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 2_000_010_001)  # as in a pod: in no list of users
    assert user_name() == "uid 2000010001"


def test_a_declared_script_whose_plan_has_other_bars_now_is_quarantined() -> None:
    state = a_state()
    state.scripts.put(a_script(graph=COARSER, style="declarative", plan="fast"))
    heard = advance(PROGRAM, state, a_batch([(0, float(at), 10.0, 0) for at in range(12)]), 0)
    assert not heard.scripts.faults  # bars of 5 s make those of 5 m
    slow = Program({"fast": PlanSettings(timeframe="2m", values={"c": "close"})})
    state = ShardState.new(slow, state.symbols, 16)
    state.scripts.put(a_script(graph=COARSER, style="declarative", plan="fast"))
    heard = advance(slow, state, a_batch([(0, 0.0, 10.0, 0), (0, 130.0, 10.0, 0)], first=13), 0)
    (fault,) = heard.scripts.faults
    assert "on= of 300 s is not a multiple of the plan's timeframe '2m'" in fault.reason
    assert verdict(fault.script, fault.outcome, fault.reason, 1).action == "quarantine"


def test_strikes_cut_and_then_quarantine_and_the_worst_at_once() -> None:
    scripts, now_ms = Scripts(), 10**12
    scripts.put(a_script())
    for expected in (CUT, CUT, QUARANTINED):
        script = scripts.of["one"]
        made = verdict(script, "deadline", "deadline: slow", now_ms)
        apply(scripts, read_ruling(made.model_dump_json().encode()) or made)
        assert scripts.of["one"].status == expected
        apply(scripts, ruling(script, "resume", "", now_ms)) if expected == CUT else None
    assert "3 strikes" in scripts.of["one"].reason
    assert verdict(a_script(), "forbidden", "open()", now_ms).action == "quarantine"
    late = a_script()
    late.strikes, late.struck_ms = 2, now_ms
    assert verdict(late, "deadline", "", now_ms + 3_600_000).action == "cut"


def test_an_error_counts_in_the_first_bars_alone_and_takes_the_version_back() -> None:
    failed = Results(errors=(Failure(3, 7, "ZeroDivisionError"),), errors_total=1)
    scripts, fresh, old = Scripts(), a_script(revision=2, source="new"), a_script()
    assert "line 7" in fault(fresh, failed)
    fresh.previous = old
    scripts.put(fresh)
    apply(scripts, verdict(fresh, failed.outcome, "line 7", 1))
    assert scripts.of["one"] is old
    assert old.status == SPEAKS
    assert "taken back" in old.reason
    old.bars = TRIAL_BARS
    assert fault(old, failed) == ""
    assert verdict(a_script(), "done", "", 1).action == "quarantine"


def test_a_ruling_about_another_revision_changes_nothing() -> None:
    scripts = Scripts()
    scripts.put(a_script(revision=2))
    apply(scripts, ruling(a_script(revision=1), "quarantine", "", 1))
    assert scripts.of["one"].status == SPEAKS


def test_saved_scripts_come_back_and_those_of_another_key_are_left_out() -> None:
    scripts = Scripts()
    graphed = a_script(name="graph", graph=GRAPH, style="declarative")
    graphed.grow(3)
    graphed.cells[:] = np.arange(graphed.cells.size).reshape(graphed.cells.shape)
    graphed.levels["mean"][1] = 5.0
    graphed.previous = a_script(name="graph")
    counted = a_script()
    counted.capsules, counted.bars, counted.feed = {4: b'{"state": 1}'}, 7, ("1m", 0)
    for script in (graphed, counted):
        scripts.put(script)
    scripts.revisions = {"one": 1, "graph": 3}
    saved = scripts.save()
    loaded = Scripts.load(saved, OURS)
    assert loaded.save() == saved
    assert loaded.of["one"].capsules == counted.capsules
    np.testing.assert_array_equal(loaded.of["graph"].cells, graphed.cells)
    program = loaded.of["graph"].program
    assert program is not None
    assert isinstance(program[1], Plan)
    stranger = Scripts.load(saved, Trust(b"another key here", "fleet"))
    assert not stranger.of
    assert set(stranger.refused) == {"one", "graph"}
    assert stranger.revisions == scripts.revisions
    with pytest.raises(Untrusted):
        Scripts.load(saved, Trust(None, "fleet"))
    with pytest.raises(ValueError, match="cut off"):
        Scripts.load(saved[:-1], OURS)


def test_a_graph_that_this_release_cannot_read_is_refused_wherever_it_turns_up() -> None:
    later = {"nodes": [["call", "of_a_later_release", [], {}, 3]], "outputs": {"up": 0}}
    newer = a_deployment(graph={**later, "params": {}}, style="declarative")
    desk = TenantSettings(symbols=("A*",), plans=("core",), signals=("up", "mean"))
    assert "line 3: ta.of_a_later_release" in str(refusal(newer, {"desk": desk}, PLANS))
    limited = a_deployment().model_copy(update={"limits": {"of_a_later_release": 1}})
    with pytest.raises(Untrusted, match="it is of another release"):
        opened(OURS, limited.sealed(KEY))
    scripts, script = Scripts(), a_script(name="newer", graph=GRAPH, style="declarative")
    script.sealed = newer.sealed(KEY)
    for one in (script, a_script()):
        scripts.put(one)
    loaded = Scripts.load(scripts.save(), OURS)
    assert set(loaded.of) == {"one"}
    assert "line 3: ta.of_a_later_release" in loaded.refused["newer"]


def test_state_is_carried_over_where_it_has_every_name_that_is_needed() -> None:
    def capsule(state: bytes) -> bytes:
        return b'{"state": ' + state + b"}"

    assert fits(capsule(b'{"n": 0}'), capsule(b'{"n": 5, "more": 1}'))
    assert fits(capsule(b"{}"), capsule(b'{"n": 5}'))
    assert not fits(capsule(b'{"n": 0, "m": 0}'), capsule(b'{"n": 5}'))
    assert not fits(capsule(b"[]"), capsule(b"{}"))


@pytest.mark.parametrize(
    "lie", [b"", b"no JSON", b"[]", b"7", b"{}", b'{"state": ' + b"[" * 5_000 + b"]" * 5_000 + b"}"]
)
def test_saved_state_that_a_hostile_process_made_up_fits_nothing(lie: bytes) -> None:
    assert not fits(b'{"state": {"n": 0}}', lie)
    assert not fits(lie, b'{"state": {"n": 0}}')


def test_limits_of_a_tenant_and_the_key_are_checked_with_the_settings() -> None:
    for scripts, word in (
        ({"tenants": {"a": {"limits": {"batch_ms": 1}}}}, "batch_ms_max"),
        ({"tenants": {"a": {"limits": {"batch_ms_max": 0}}}}, "positive"),
    ):
        with pytest.raises(SettingsError, match=word):
            load_settings(None, {"scripts": scripts})
    with pytest.raises(SettingsError, match="16 bytes"):
        load_settings(None, {"scripts": {"key": "short"}}).scripts.signing_key()
    with pytest.raises(SettingsError, match="keep one of them"):
        load_settings(None, {"scripts": {"key": "k" * 20, "key_file": "k"}}).scripts.signing_key()
    with pytest.raises(SettingsError, match="key_file: nowhere: No such file"):
        load_settings(None, {"scripts": {"key_file": "nowhere"}}).scripts.signing_key()
    assert load_settings(None, {}).scripts.signing_key() is None
    assert Limits().batch_ms_max == 250


def test_the_documents_name_the_version_that_their_example_gets() -> None:
    text = (REPOSITORY / "docs" / "scripts.md").read_text()
    source = re.findall(r"```python\n(def init.*?)```", text, re.DOTALL)[0]
    settings = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0])
    tenant = settings["scripts"]["tenants"]["desk"]
    made = Deployment(
        fleet="fleet", name="record", revision=1, tenant="desk", plan="core", source=source,
        symbols=tenant["symbols"], signals=tenant["signals"], limits=tenant["limits"],
    )  # fmt: skip
    assert f"`{made.source_name}`" in text
