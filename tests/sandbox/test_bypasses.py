"""Published ways out of RestrictedPython: refused by vetting, contained without it."""

# ruff: noqa: E501  # scripts of strangers, as they are

from collections.abc import Callable

import pytest

from sandbox.results import Results
from sandbox.vetting import vet

TAIL = "\n    return 1.0 if escape() else 0.0\n"
HEAD = "def on_bar(bar, state):\n"
# each tries to read a file through what the bypass gives it
BYPASSES = {
    "CVE-2023-37271 frame of a generator": (
        "def escape():\n"
        "    g = (g.gi_frame.f_back.f_back.f_builtins for x in [1])\n"
        "    for found in g:\n        return found['open']('/etc/passwd').read()\n"
    ),
    "CVE-2023-41039 format of an attribute": (
        "class A:\n    def f(self):\n        return 1\n"
        "def escape():\n"
        "    text = '{0.__globals__[__builtins__]}'.format(A.f)\n"
        "    return open('/etc/passwd').read() if text else ''\n"
    ),
    "CVE-2024-47532 attribute of an error": (
        "def escape():\n"
        "    try:\n        b''.nothing\n    except AttributeError as e:\n"
        "        return e.obj.__class__.__base__.__subclasses__()[0] and open('/etc/passwd').read()\n"
    ),
    "CVE-2025-22153 exception groups": (
        "def escape():\n"
        "    found = []\n"
        "    class E(Exception):\n"
        "        def __init__(self, *a):\n            found.append(a)\n"
        "        def split(self, f):\n            return f\n"
        "    try:\n        raise ValueError('x')\n"
        "    except* ValueError as e:\n"
        "        text = e.exceptions[0].__traceback__.tb_frame.f_builtins['open']('/etc/passwd').read()\n"
        "    return text\n"
    ),
    "CVE-2026-55830 positional-only parameter": (
        "def escape():\n"
        "    def f(_getattr_, /):\n"
        "        return f.__globals__\n"
        "    return f(None) and open('/etc/passwd').read()\n"
    ),
    "CVE-2026-76825 string.Formatter": (
        "import string\n"
        "def escape():\n"
        "    text = string.Formatter().vformat('{0.__globals__}', (escape,), {})\n"
        "    return text and open('/etc/passwd').read()\n"
    ),
    "frame of an asynchronous generator": (
        "def escape():\n"
        "    async def f():\n        yield 1\n"
        "    g = f()\n"
        "    return g.ag_frame.f_builtins['open']('/etc/passwd').read()\n"
    ),
    "a name that is a subclass of text": (
        "class S(str):\n    def startswith(self, x):\n        return False\n"
        "def escape():\n    return getattr(1, S('__class__')) and open('/etc/passwd').read()\n"
    ),
    "a built-in that iterates in C": (
        "def escape():\n"
        "    return sorted(map('{0.__class__}'.format, [1])) and open('/etc/passwd').read()\n"
    ),
}


@pytest.mark.parametrize("name", BYPASSES)
def test_vetting_refuses_a_published_bypass(name: str) -> None:
    report = vet(BYPASSES[name] + HEAD + TAIL.lstrip("\n"))
    assert not report.accepted


@pytest.mark.parametrize("name", BYPASSES)
def test_the_kernel_contains_a_published_bypass(name: str, attack: Callable[..., Results]) -> None:
    script = BYPASSES[name] + HEAD + TAIL.lstrip("\n")
    results = attack(script)
    assert results.outcome == "forbidden" or results.errors_total == 1, results
    text = " ".join(failure.text for failure in results.errors)
    assert "Operation not permitted" in text or results.outcome == "forbidden", text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_bypasses_do_read_the_file_where_there_is_no_jail() -> None:
    working = []
    for name, source in BYPASSES.items():
        names: dict[str, object] = {}
        exec(compile(source + HEAD + TAIL.lstrip("\n"), "bypass", "exec"), names)
        if names["on_bar"](None, None) == 1.0:  # type: ignore[operator]
            working.append(name)
    assert len(working) == len(BYPASSES), set(BYPASSES) - set(working)
