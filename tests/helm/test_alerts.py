"""Every alert fires when it should, and none on a fleet that is well, says Prometheus itself."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.helm.chart import render, the

SERIES = 'namespace="trading", service="demo-signalfleet"'
MINUTES = 120
# By the metric and its further labels, in promtool's notation: a start, a step, how often.
CALM = {
    'shards_owned{pod="a"}': "32x120",
    'shards_owned{pod="b"}': "32x120",
    'lag_seconds{pod="a", shard="0"}': "0.1x120",
    'lag_seconds{pod="b", shard="1"}': "0.2x120",
    'required_workers{pod="a"}': "2x120",
    'required_workers{pod="b"}': "2x120",
    'takeovers_total{pod="a", from_state="handed"}': "0x30 30x90",  # as of a rollout
    'takeovers_total{pod="b", from_state="handed"}': "0x40 30x80",
    'takeovers_total{pod="b", from_state="silent"}': "0x60 32x60",  # one worker died
    'dead_letters_total{pod="a"}': "3x120",
    'ticks_total{pod="a"}': "0+60000x120",
    'ticks_late_total{pod="a"}': "0+10x120",
    'shedding_tier{pod="a", shard="0"}': "0x120",
    'shed_ticks_total{pod="a"}': "0x120",
    'snapshot_age_seconds{pod="a", shard="0"}': "10x120",
    'commits_total{pod="a", result="done"}': "0+3000x120",
    'commits_total{pod="a", result="fenced"}': "0+1x120",
    'reconnects_total{pod="a"}': "0x30 1x90",
    'script_quarantined{pod="a", script="x"}': "0x120",
}
# What differs when something is wrong.
WRONG = {
    "ShardsWithoutOwner": {'shards_owned{pod="b"}': "32x60 0x60"},
    "Lagging": {'lag_seconds{pod="b", shard="1"}': "31x120"},
    "LaggingBadly": {'lag_seconds{pod="b", shard="1"}': "301x120"},
    "AtMaximum": {'required_workers{pod="b"}': "33x120"},
    "RequiredUnknown": {
        'required_workers{pod="a"}': "2x60 _x60",
        'required_workers{pod="b"}': "2x60 _x60",
    },
    # From four to eight workers and back, every six minutes: the four take half of 64 shards.
    "Flapping": {
        'takeovers_total{pod="a", from_state="handed"}': " ".join(
            f"{32 * cycle}x5" for cycle in range(MINUTES // 6)
        )
    },
    "Takeovers": {'takeovers_total{pod="b", from_state="silent"}': "0+5x120"},
    "DeadLetters": {'dead_letters_total{pod="a"}': "3x115 4x5"},
    "LateTicks": {'ticks_late_total{pod="a"}': "0+1000x120"},
    "Shedding": {'shedding_tier{pod="a", shard="0"}': "1x120"},
    "TicksShed": {'shed_ticks_total{pod="a"}': "0x115 7x5"},
    "SnapshotStale": {'snapshot_age_seconds{pod="a", shard="0"}': "901x120"},
    "CommitsRefused": {'commits_total{pod="a", result="fenced"}': "0+300x120"},
    "Reconnecting": {'reconnects_total{pod="a"}': "0+2x120"},
    "ScriptQuarantined": {'script_quarantined{pod="a", script="x"}': "0x60 1x60"},
}
AS_WELL = {"LaggingBadly": {"Lagging"}, "Takeovers": {"Flapping"}}


def fires(series: dict[str, str], expected: set[str], folder: Path, *minutes: int) -> None:
    """Let promtool run the rules over these series, and say what fires at those minutes."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: it comes with Debian's prometheus")
    rules = the(render("keda"), "PrometheusRule")["spec"]
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    given = [
        {"series": f"signalfleet_{name.replace('{', '{' + SERIES + ', ')}", "values": values}
        for name, values in series.items()
    ]
    firing = 'count by (alertname) (ALERTS{alertstate="firing"})'
    samples = [{"labels": f'{{alertname="Signalfleet{name}"}}', "value": 1} for name in expected]
    asked = [{"expr": firing, "eval_time": f"{at}m", "exp_samples": samples} for at in minutes]
    test = {"interval": "1m", "input_series": given, "promql_expr_test": asked}
    path = folder / "test.yaml"
    path.write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": [test]}))
    done = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_a_trouble_for_every_alert() -> None:
    [group] = the(render("keda"), "PrometheusRule")["spec"]["groups"]
    assert {rule["alert"] for rule in group["rules"]} == {f"Signalfleet{name}" for name in WRONG}


def test_no_alert_fires_on_a_fleet_that_is_well(tmp_path: Path) -> None:
    fires(CALM, set(), tmp_path, *range(MINUTES))


@pytest.mark.parametrize("alert", WRONG)
def test_an_alert_fires_when_it_should(alert: str, tmp_path: Path) -> None:
    fires(CALM | WRONG[alert], {alert} | AS_WELL.get(alert, set()), tmp_path, MINUTES)
