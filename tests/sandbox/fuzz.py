"""Fuzzing of the vetter and of the worker's reading of a jail's answers.

`python -m tests.sandbox.fuzz --seconds 60` runs it for longer than the tests do.
"""

# ruff: noqa: PT017, SIM905, T201  # a program of its own

import argparse
import ast
import contextlib
import dis
import json
import random
import sys
import time
import types
from collections.abc import Callable
from typing import Any, Final

from sandbox import protocol
from sandbox.errors import BadScript, JailFailed
from sandbox.graph import declared
from sandbox.limits import Limits
from sandbox.names import SAFE_ATTRIBUTES, foreign_attributes
from sandbox.vetting import vetted_code
from sandbox.wire import Op, Request
from tests.sandbox.conftest import corpus
from tests.sandbox.probes import PROBES

LIMITS: Final = Limits()
HOOKS: Final = {"_getattr_", "_write_", "_facade_"}
MAGIC: Final = {
    "__name__",
    "__module__",
    "__qualname__",
    "__doc__",
    "__firstlineno__",
    "__static_attributes__",
    "__init__",
    "__contains__",
} | {f"__{word}__" for word in ("lt", "le", "eq", "ne", "gt", "ge")}
SEEDS: Final = [
    "def on_bar(bar, state):\n    state['n'] = state.get('n', 0) + 1\n    return bar.close\n",
    "class A:\n    def __init__(self):\n        self.data = 1\ndef on_bar(bar, state):\n"
    "    a = A()\n    a.data += 2\n    return a.data\n",
    "import numpy as np\nfrom math import sqrt\ndef on_bar(bar, state):\n"
    "    try:\n        return float(np.mean([sqrt(x) for x in (1, 2)]))\n"
    "    except ValueError as e:\n        raise TypeError(str(e))\n",
    "def build(ta):\n    m = ta.macd(ta.close, 12, 26, 9)\n"
    "    return {'long': ta.crossover(m.line, m.signal) & (ta.close > 3), 'x': m.hist}\n",
]
WORDS: Final = (
    "__class__ __globals__ _getattr_ _write_ _facade_ _ gi_frame f_back format eval exec open ta"
    " bar state self ctypes data base func lambda yield await async def class with match case type"
    " import from as global nonlocal del except* : ( ) [ ] { } = := + ** * / , . ; @ ->"
    " f'{x!r:>{9}}' 10**9 'a'*9 \\ \n \n\t # \uff3f \u017f \u202e \0 \ud800 None True 1e400 0x"
).split(" ")


def mutated(source: str, rng: random.Random) -> str:
    """The source with a few words cut, doubled, swapped or put in."""
    parts = list(source) if rng.random() < 0.3 else source.replace(".", " . ").split(" ")
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(parts) + 1)
        match rng.randrange(4):
            case 0:
                parts.insert(at, rng.choice(WORDS))
            case 1 if parts:
                parts[at - 1] = rng.choice(WORDS)
            case 2:
                del parts[at : at + rng.randint(1, 3)]
            case _:
                parts[at:at] = parts[rng.randrange(len(parts) + 1) :][: rng.randint(1, 5)]
    joined = "".join(parts) if parts and all(len(part) == 1 for part in parts) else " ".join(parts)
    return joined.replace(" . ", ".")


def grafted(first: str, second: str, rng: random.Random) -> str:
    """A statement or expression of one source in the place of one of another."""
    with contextlib.suppress(SyntaxError, ValueError, LookupError, RecursionError, MemoryError):
        host, donor = ast.parse(first), ast.parse(second)
        places = [node for node in ast.walk(host) if isinstance(getattr(node, "body", None), list)]
        statements = [node for node in ast.walk(donor) if isinstance(node, ast.stmt)]
        rng.choice(places).body.insert(0, rng.choice(statements))  # type: ignore[attr-defined]
        return ast.unparse(ast.fix_missing_locations(host))
    return first


def check_source(source: str) -> bool:
    """Vet; what is accepted must hold no name that leads out. True if it was accepted."""
    report, code = vetted_code(source, LIMITS)
    assert report.accepted == (code is not None)
    for finding in report.findings:
        assert finding.seen.isprintable()
    if code is not None:
        _check_code(code)
    return code is not None


def _check_code(code: types.CodeType) -> None:
    attributes = {"LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "STORE_ATTR", "DELETE_ATTR"}
    before = ""
    for step in dis.get_instructions(code):
        if step.opname in attributes:
            name = str(step.argval)
            assert not name.startswith("_"), name
            if step.opname != "STORE_ATTR" and before != "COPY":  # a guarded x.a += 1
                assert name in SAFE_ATTRIBUTES or name not in foreign_attributes(), name
        elif step.opname in ("LOAD_NAME", "LOAD_GLOBAL", "STORE_NAME", "STORE_GLOBAL"):
            name = str(step.argval)
            assert not name.startswith("_") or name == "_" or name in HOOKS | MAGIC, name
            assert not (step.opname.startswith("STORE") and name in HOOKS), name
        before = step.opname
        assert not step.opname.startswith(("IMPORT_", "BEFORE_WITH", "GET_AWAITABLE")), step
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _check_code(constant)


VALID: Final[list[tuple[str, Any]]] = [
    ("results", {"signals": [[0, "x", 1.0, {"a": "b"}]], "outputs": [[0, {"y": None}]],
                 "errors": [[0, 3, "E"]], "errors_total": 1, "log": [[0, "t"]], "log_dropped": 2,
                 "signals_cut": 1, "limits": ["batch_ms_max"]}),
    ("report", {"style": "imperative", "findings": [
        {"rule": "name", "severity": "error", "line": 1, "column": 2, "seen": "s"}]}),
    ("refusal", {"error": "text", "line": 3}),
    ("capsules", [[0, "{}"], [1, "{}"]]),
    ("graph", {"nodes": [["field", "close", [], {}, 1], ["call", "ema", [{"node": 0}, 12], {}, 2],
                         ["operator", "<", [{"node": 0}, {"node": 1}], {}, 3],
                         ["call", "macd", [], {}, 4], ["output", "hist", [{"node": 3}], {}, 4]],
               "outputs": {"a": 2, "b": 4}, "params": {"n": {"default": 1, "value": 1}}}),
]  # fmt: skip
READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "results": lambda c: protocol.read_results(b"\0" * 8, json.dumps(c).encode(), 1, LIMITS),
    "report": lambda c: protocol.read_report(c, "digest"),
    "refusal": protocol.read_refusal,
    "capsules": lambda c: protocol.read_capsules(c, [0, 1], LIMITS),
    "graph": lambda c: declared(c, LIMITS),
}
ODD: Final[list[Any]] = [
    None, True, -1, 0, 1, 2**31, 2**63, 1e308, "", "x" * 70, "\x1b[2J", "\u202e", [], {}, [[]],
    [{}], {"node": 0}, {"node": -1}, {"node": 10**9}, "__class__", "ema", "close", 0.5,
    [0, 1, 2, 3], {"": {}}, "sma", {"node": True},
]  # fmt: skip


def twisted(value: Any, rng: random.Random) -> Any:
    """The JSON value with one part of it replaced, dropped or doubled."""
    if rng.random() < 0.25 or not isinstance(value, list | dict) or not value:
        return rng.choice(ODD)
    copy: Any = list(value) if isinstance(value, list) else dict(value)
    key = rng.choice(list(copy) if isinstance(copy, dict) else range(len(copy)))
    match rng.randrange(4):
        case 0:
            del copy[key]
        case 1 if isinstance(copy, list):
            copy += copy * rng.choice((1, 300))
        case 1:
            copy[rng.choice(("a", "node", "exec", "x" * 80))] = copy[key]
        case _:
            copy[key] = twisted(copy[key], rng)
    return copy


def check_answer(kind: str, content: Any) -> bool:
    """Read; only the two errors that say so may come out. True if it was accepted."""
    try:
        READERS[kind](content)
    except JailFailed as failed:
        assert failed.outcome == "protocol"
        return False
    except BadScript as error:
        assert str(error).replace("\n", "").isprintable()
        return False
    return True


def check_reply(raw: bytes) -> None:
    """A reply of any bytes is read or refused."""
    with contextlib.suppress(JailFailed):
        reply = protocol.read_reply(raw, Request(Op.RUN, 1, 5, 0, 0), 4096)
        assert reply.rows * 8 + reply.length <= 4096


def fuzz(seconds: float, seed: int) -> dict[str, int]:
    """Fuzz for that long; counts of what was tried and what was accepted."""
    rng = random.Random(seed)
    sources = [*SEEDS, *(case["source"] for name in ("benign", "hostile") for case in corpus(name))]
    sources = [s for s in sources if len(s) < 4_000] + [probe.script for probe in PROBES[:10]]
    counts = dict.fromkeys(("sources", "accepted", "answers", "read"), 0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        source = rng.choice(sources)
        if rng.random() < 0.4:
            source = grafted(source, rng.choice(sources), rng)
        source = source if rng.random() < 0.05 else mutated(source, rng)
        counts["sources"] += 1
        counts["accepted"] += check_source(source)
        for _ in range(8):
            kind, content = rng.choice(VALID)
            for _ in range(rng.randint(1, 3)):
                content = twisted(content, rng)
            counts["answers"] += 1
            counts["read"] += check_answer(kind, content)
        check_reply(rng.randbytes(rng.choice((0, 1, 23, 24, 25, 80))))
    return counts


def main() -> None:
    """Fuzz for --seconds from --seed (the time by default) and print the counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    print(fuzz(options.seconds, options.seed))


if __name__ == "__main__":
    sys.exit(main())
