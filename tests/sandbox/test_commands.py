"""`fleet vet` and `fleet script run`, as an author uses them."""

# ruff: noqa: E501  # scripts as they are

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tests.conftest import shared_data
from tests.sandbox.conftest import START_S, make_bars
from workers.commands.script import command as script
from workers.commands.vet import command as vet

SIMPLE = "def on_bar(bar, state):\n    return bar.close > bar.open\n"
Write = Callable[[str, str], str]


def fleet(command: click.Command, *arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(name: str, text: str) -> str:
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return to_file


@pytest.fixture
def bars(write: Write) -> str:
    made = make_bars(60, 2)
    lines = ["symbol,ts,open,high,low,close,volume"]
    for row in range(60):
        prices = ",".join(repr(float(column[row])) for column in made.columns.values())
        lines.append(f"SYM{made.slots[row]},{made.ts[row]},{prices}")
    return write("bars.csv", "\n".join(lines) + "\n")


def test_vet_accepts_with_zero_and_refuses_with_one(write: Write) -> None:
    good, bad = write("good.py", SIMPLE), write("bad.py", "import os\n" + SIMPLE)
    accepted = fleet(vet, good)
    assert (accepted.exit_code, accepted.output.count("accepted")) == (0, 1)
    refused = fleet(vet, bad, "--json")
    assert refused.exit_code == 1
    report = json.loads(refused.output)
    (finding,) = report["findings"]
    assert (finding["rule"], finding["line"], finding["column"]) == ("import", 1, 1)
    assert report["accepted"] is False
    assert set(finding) == {"rule", "severity", "line", "column", "seen", "instead"}


def test_vet_runs_build_once_and_names_its_line(write: Write) -> None:
    source = "def build(ta):\n    x = ta.close\n    return ta.emaa(x, 12)\n"
    refused = fleet(vet, write("b.py", source))
    assert refused.exit_code == 1
    assert ":3:1: error [build] ta.emaa: ta has no such name; nearest: ema" in refused.output


def test_vet_says_so_when_the_module_level_never_ends(write: Write) -> None:
    warned = "import math\ndef g():\n    return math.name\n"
    source = warned + "def f():\n    while len('a'):\n        pass\nf()\n" + SIMPLE
    refused = fleet(vet, write("slow.py", source), "--json")
    assert refused.exit_code == 1
    (finding,) = json.loads(refused.output)["findings"]  # its text was read in the jail alone
    assert "took longer than 2000 ms (limit load_ms_max)" in finding["seen"]


def test_a_script_runs_on_a_file_of_bars(write: Write, bars: str) -> None:
    done = fleet(script, "run", write("s.py", SIMPLE), bars, "--json")
    assert done.exit_code == 0, done.output
    (run,) = json.loads(done.output)["runs"]
    assert (run["outcome"], run["rows"], run["errors_total"]) == ("done", 60, 0)
    assert {signal["symbol"] for signal in run["signals"]} == {"SYM0", "SYM1"}
    assert all(signal["value"] == 1.0 for signal in run["signals"])
    assert run["cpu_us_per_bar"] > 0
    shown = fleet(script, "run", write("s.py", SIMPLE), bars)
    assert f"{len(run['signals'])} signals, 0 errors" in shown.output


def test_a_file_of_ticks_becomes_bars_first(write: Write) -> None:
    lines = [f"A,{START_S + 10 * n},{100 + n % 7},1" for n in range(60)]
    ticks = write("ticks.csv", "symbol,ts,price,size\n" + "\n".join(lines) + "\n")
    source = "def on_bar(bar, state):\n    return bar.volume\n"
    done = fleet(script, "run", write("s.py", source), ticks, "--timeframe", "1m", "--json")
    (run,) = json.loads(done.output)["runs"]
    assert run["rows"] in (9, 10)
    assert run["signals"][1]["value"] == 6.0


def test_values_of_the_plan_are_at_hand(write: Write, bars: str) -> None:
    source = "def on_bar(bar, state):\n    if bar.values['R'] > 0:\n        signal('x', bar.values['R'])\n"
    done = fleet(script, "run", write("s.py", source), bars, "--value", "R=rsi(length=5)", "--json")
    (run,) = json.loads(done.output)["runs"]
    assert run["signals"]
    assert all(0 <= signal["value"] <= 100 for signal in run["signals"])
    bad = fleet(script, "run", write("s.py", source), bars, "--value", "R=rsii(5)")
    assert bad.exit_code == 1
    assert "rsi" in bad.output


def test_parameters_reach_build_and_their_bounds_are_kept(write: Write, bars: str) -> None:
    source = "def build(ta):\n    n = ta.param('length', 20, min=5, max=50)\n    return ta.highest(ta.high, n)\n"
    path = write("p.py", source)
    good = fleet(script, "run", path, bars, "--param", "length=7", "--json")
    assert good.exit_code == 0
    first = json.loads(good.output)["runs"][0]["signals"][0]
    assert first["ts"] == (START_S + 6 * 60) * 10**9  # the seventh bar
    for wrong, said in (
        ("length=3", "from 5 to 50"),
        ("lenght=7", "no parameter lenght"),
        ("length=1" + "0" * 30, "from 5 to 50"),
        ("length=NaN", "param length must be a int, not 'NaN'"),
        ("length=" + "[" * 100_000, "param length must be a int"),
    ):
        bad = fleet(script, "run", path, bars, "--param", wrong)
        assert bad.exit_code == 1
        assert said in bad.output


def test_an_error_is_told_with_its_line_and_fails_the_command(write: Write, bars: str) -> None:
    source = "def on_bar(bar, state):\n    return 1 / 0\n"
    done = fleet(script, "run", write("e.py", source), bars)
    assert done.exit_code == 1
    assert "error, row 0, line 2: ZeroDivisionError: division by zero" in done.output
    assert "60 errors" in done.output


def test_the_deadline_is_told_with_the_line_and_the_limit(write: Write, bars: str) -> None:
    source = "def on_bar(bar, state):\n    while bar.close > 0:\n        pass\n"
    path = write("slow.py", source)
    for _ in range(20):  # the machine may be too busy for it to say where it was
        done = fleet(script, "run", path, bars)
        assert done.exit_code == 1
        assert "deadline: took longer than 250 ms (limit batch_ms_max)" in done.output
        if "in on_bar" in done.output:
            return
    raise AssertionError("the line was never told")


def test_unvetted_is_contained_all_the_same(write: Write, bars: str) -> None:
    path = write(
        "u.py", "import os\ndef on_bar(bar, state):\n    return os.getpid() + os.system('id')\n"
    )
    assert fleet(script, "run", path, bars).exit_code == 1
    done = fleet(script, "run", path, bars, "--unvetted")
    assert done.exit_code == 1
    assert "forbidden: made a system call that scripts may not make" in done.output


def test_bad_usage_is_two_and_bad_files_are_named(write: Write, bars: str) -> None:
    good = write("s.py", SIMPLE)
    assert fleet(script, "run", good).exit_code == 2
    assert fleet(script, "run", good, bars, "--param", "x").exit_code == 2
    wrong = fleet(script, "run", good, write("x.csv", "a,b\n1,2\n"))
    assert wrong.exit_code == 1
    assert "x.csv" in wrong.output


def test_a_script_runs_on_real_bars(write: Write) -> None:
    path = shared_data("data/bars/btc-perp-1m.csv.gz")
    source = "def build(ta):\n    return ta.crossover(ta.rsi(ta.close, 14), 30)\n"
    done = fleet(script, "run", write("s.py", source), str(path), "--json")
    (run,) = json.loads(done.output)["runs"]
    assert run["rows"] == 20_000
    assert 100 < len(run["signals"]) < 2_000
