"""The examples and the documents beside them do what they say."""

import dataclasses
import re
from pathlib import Path

import pytest

from indicators import CATALOGUE
from sandbox import names, seccomp
from sandbox.limits import Limits
from sandbox.local import run_file, with_values
from sandbox.pool import JailPool
from sandbox.rules import RULES
from sandbox.script import Script
from sandbox.vetting import vet
from sandbox.words import WORDS
from tests.conftest import shared_data
from tests.sandbox.conftest import make_bars
from tests.sandbox.probes import PROBES
from workers.script_bars import bars_of

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((REPOSITORY / "examples" / "scripts").glob("*.py"))
IMPERATIVE = [path for path in EXAMPLES if "def on_bar" in path.read_text()]
VALUES = {"RSI_14": "rsi(length=14)", "slope": "diff(ema(close, 50), 10)"}
SCRIPTS = (REPOSITORY / "docs" / "scripts.md").read_text()
SECURITY = (REPOSITORY / "docs" / "security.md").read_text()


def test_there_are_ten_examples() -> None:
    assert len(EXAMPLES) == 10


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_accepted_without_a_word_and_runs(path: Path, pool: JailPool) -> None:
    source = path.read_text()
    assert vet(source).findings == ()
    run = run_file(pool, Script(path.stem, source), make_bars(900, 2), VALUES)
    assert run.ok, (run.message, run.errors)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_speaks_on_real_bars_neither_never_nor_always(
    path: Path, pool: JailPool
) -> None:
    bars = bars_of(shared_data("data/bars/btc-perp-1m.csv.gz"), "1m")
    run = run_file(pool, Script(path.stem, path.read_text()), bars, VALUES)
    assert run.ok, (run.message, run.errors)
    assert 3 <= len(run.signals) < len(bars) // 2


@pytest.mark.parametrize("path", IMPERATIVE, ids=lambda path: path.stem)
def test_an_example_survives_take_over(path: Path, pool: JailPool) -> None:
    bars = with_values(make_bars(700, 2), VALUES)
    script = Script(path.stem, path.read_text())
    first = pool.load(script)
    whole = pool.load(script).run(bars)
    before = first.run(bars.cut(0, 351))
    saved = first.save()
    second = pool.load(script)
    second.open({slot: (bars.symbols[slot], capsule) for slot, capsule in saved.items()})
    after = second.run(bars.cut(351, 700))
    assert before.joined(after).signals == whole.signals
    first.close()
    second.close()


def fenced(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("source", [s for s in fenced(SCRIPTS) if "def " in s])
def test_every_script_in_the_document_runs(source: str, pool: JailPool) -> None:
    run = run_file(pool, Script("document", source), make_bars(400, 1), VALUES)
    assert run.ok, (run.message, run.errors, run.report.findings)


def test_the_document_lists_every_limit_with_its_default() -> None:
    for field in dataclasses.fields(Limits):
        assert re.search(rf"\| `{field.name}` \| {field.default:,} \|", SCRIPTS), field.name


def test_the_document_lists_every_rule_builtin_module_and_word() -> None:
    for name in [*RULES, *names.MODULES, *names.BUILTINS, *names.API, *WORDS]:
        assert re.search(rf"[`\s.]{name}[`\s(]", SCRIPTS), name
    for name in re.findall(r"`ta\.(\w+)\(", SCRIPTS):
        assert name in WORDS or name in CATALOGUE or name in ("param", "const"), name


def test_what_the_security_document_claims_is_what_the_code_does() -> None:
    allowed = len(seccomp.ALLOWED) + len(seccomp.WITHOUT_EXEC) + len(seccomp.TO_SELF)
    assert f"{allowed} system calls" in SECURITY
    assert f"{len(seccomp.REFUSED)} answer an error" in SECURITY
    assert f"{len(PROBES)} single system-level attacks" in SECURITY
    assert str(len(set(re.findall(r"CVE-\d+-\d+", SECURITY)))) == "6"
