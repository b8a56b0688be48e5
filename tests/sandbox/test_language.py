"""What scripts may rely on: bars, state, signals, parameters, sameness on every run."""

# ruff: noqa: E501, PT017  # scripts as they are

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.capsule import freeze, thaw
from sandbox.errors import BadCapsule
from sandbox.language import Program
from sandbox.limits import Limits
from sandbox.names import MODULES
from sandbox.pool import JailPool
from sandbox.results import Results
from sandbox.runner import Refused
from sandbox.script import Bars, Script
from sandbox.vetting import vetted_code
from tests.sandbox.conftest import make_bars


def run(pool: JailPool, source: str, bars: Bars | None = None, **options: object) -> Results:
    runner = pool.load(Script("script", source, **options))  # type: ignore[arg-type]
    try:
        return runner.run(make_bars() if bars is None else bars)
    finally:
        runner.close()


def test_a_bar_carries_its_prices_time_symbol_and_values(pool: JailPool) -> None:
    bars = make_bars(4, 2)
    bars = dataclasses.replace(bars, values={"RSI_14": np.array([1.0, math.nan, 3.0, 4.0])})
    source = (
        "def on_bar(bar, state):\n"
        "    signal(bar.symbol, bar.values['RSI_14'], ts=bar.ts, range=bar.high - bar.low)\n"
        "    return (bar.open + bar.high + bar.low + bar.close) * bar.volume\n"
    )
    results = run(pool, source, bars)
    columns = bars.columns
    total = (columns["open"] + columns["high"] + columns["low"] + columns["close"]) * 5.0
    assert results.numbers.tolist() == total.tolist()
    said = [signal for signal in results.signals if signal.name != "value"]
    assert [signal.name for signal in said] == ["SYM0", "SYM1", "SYM0", "SYM1"]
    assert [signal.value for signal in said] == [1.0, None, 3.0, 4.0]
    assert said[2].fields["ts"] == bars.ts[2] / 1e9


def test_a_number_speaks_when_it_changes_and_a_condition_when_it_comes_true(
    pool: JailPool,
) -> None:
    bars = make_bars(8, 1)
    bars.columns["close"][:] = [1, 1, 2, 2, 1, 3, 3, 1]
    numbers = run(pool, "def on_bar(bar, state):\n    return bar.close - 1\n", bars)
    assert [(s.row, s.value) for s in numbers.signals] == [(2, 1), (4, 0), (5, 2), (7, 0)]
    true = run(pool, "def on_bar(bar, state):\n    return bar.close > 1\n", bars)
    assert [(s.row, s.value) for s in true.signals] == [(2, 1), (5, 1)]
    named = run(
        pool, "def on_bar(bar, state):\n    return {'up': bar.close > 1, 'x': None}\n", bars
    )
    assert [(s.row, s.name, s.value) for s in named.signals] == [(2, "up", 1), (5, "up", 1)]
    assert named.outputs[2] == (2, {"up": 1.0, "x": None})


def test_nothing_missing_is_taken_for_a_number(pool: JailPool) -> None:
    for answer in ("None", "nan", "float('nan')", "signal('x')"):
        results = run(pool, f"def on_bar(bar, state):\n    return {answer}\n", make_bars(2, 1))
        assert np.isnan(results.numbers).all()
        assert not [s for s in results.signals if s.name == "value"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ("n=2 ** 70", "field n has more than 63 bits"),
        ("**{'a' * 65: 1}", "field names have 1 to 64 characters"),
        ("**{'': 1}", "field names have 1 to 64 characters"),
        ("x=[1]", "field x must be a number"),
    ],
)
def test_a_field_that_cannot_be_sent_costs_its_own_signal_and_names_its_line(
    pool: JailPool, fields: str, why: str
) -> None:
    source = f"def on_bar(bar, state):\n    signal('kept', 2)\n    signal('lost', 1, {fields})\n"
    results = run(pool, source, make_bars(2, 1))
    assert [signal.name for signal in results.signals] == ["kept", "kept"]
    assert [(error.line, why in error.text) for error in results.errors] == [(3, True)] * 2
    whole = run(pool, "def on_bar(bar, state):\n    signal('x', 1, **{chr(0xd800): 2 ** 62})\n")
    assert whole.signals[0].fields == {"?": 2**62}


def test_more_signals_than_the_default_are_no_lie_where_the_limit_is_higher(
    pool: JailPool,
) -> None:
    limits = Limits(signals_per_bar_max=200, signals_per_minute_max=200)
    source = "def on_bar(bar, state):\n    for n in range(200):\n        signal('x', n)\n"
    results = run(pool, source, make_bars(1, 1), limits=limits)
    assert (results.outcome, len(results.signals)) == ("done", 200)


def test_instruments_share_nothing_not_even_the_module_level(pool: JailPool) -> None:
    source = (
        "seen = []\nclass Box:\n    def __init__(self):\n        self.n = 0\nbox = Box()\n"
        "def on_bar(bar, state):\n    seen.append(bar.symbol)\n    box.n += 1\n"
        "    return len(set(seen)) * 1000 + box.n\n"
    )
    results = run(pool, source, make_bars(6, 3))
    assert results.numbers.tolist() == [1001, 1001, 1001, 1002, 1002, 1002]


def test_an_error_costs_its_bar_and_names_its_line(pool: JailPool) -> None:
    source = "def on_bar(bar, state):\n    x = 1\n    return x / (bar.volume - 5)\n"
    bars = make_bars(3, 1)
    bars.columns["volume"][1] = 6
    results = run(pool, source, bars)
    assert results.outcome == "done"
    assert results.numbers[1] == 1.0
    assert [(e.row, e.line, e.text) for e in results.errors] == [
        (0, 3, "ZeroDivisionError: float division by zero"),
        (2, 3, "ZeroDivisionError: float division by zero"),
    ]


def test_a_bad_module_level_or_init_is_refused_with_its_line(pool: JailPool) -> None:
    with pytest.raises(Refused, match=r"2:1: error \[load\] KeyError: 'x'"):
        pool.load(Script("s", "a = {}\nb = a['x']\ndef on_bar(bar, state):\n    return 0\n"))
    with pytest.raises(Refused, match=r"2:1: error \[load\] ValueError: no"):
        pool.load(
            Script("s", "def init():\n    raise ValueError('no')\ndef on_bar(bar, state): pass\n")
        )


def test_parameters_arrive_as_they_were_deployed(pool: JailPool) -> None:
    source = "def on_bar(bar, state):\n    return params.get('n', 1) + len(params['word'])\n"
    results = run(pool, source, make_bars(1, 1), params={"n": 2.5, "word": "abc"})
    assert results.numbers.tolist() == [5.5]


def test_the_same_rows_give_the_same_signals_with_random_numbers_too(pool: JailPool) -> None:
    source = (
        "import random\nimport numpy as np\n"
        "def on_bar(bar, state):\n"
        "    words = {'a', 'b', 'c', 'dd', 'eee'}\n"
        "    for word in words:\n        log(word)\n"
        "    return random.random() + random.gauss(0, 1) + len(str(random.sample(range(9), 3)))\n"
    )
    first, second = run(pool, source), run(pool, source)
    assert first.numbers.tolist() == second.numbers.tolist()
    assert first.log == second.log
    assert len(set(first.numbers.tolist())) == len(first.numbers)
    bars = make_bars()
    one, other = pool.load(Script("script", source)), pool.load(Script("script", source))
    before = one.run(bars.cut(0, 17))
    other.open({slot: (bars.symbols[slot], state) for slot, state in one.save().items()})
    after = other.run(bars.cut(17, 60))
    assert before.joined(after).numbers.tolist() == first.numbers.tolist()
    one.close()
    other.close()


STATEFUL = (
    "from collections import deque, defaultdict, Counter\nimport numpy as np\n"
    "class Ema:\n    def __init__(self, n):\n        self.k = 2 / (n + 1)\n        self.x = None\n"
    "    def update(self, x):\n"
    "        self.x = x if self.x is None else self.x + self.k * (x - self.x)\n"
    "        return self.x\n"
    "fast = Ema(5)\nhours = defaultdict(list)\nmoves = Counter()\ntotal = 0\n"
    "def init():\n"
    "    return {'q': deque(maxlen=7), 't': (1, 2), 'a': np.zeros(3), 'e': Ema(9),\n"
    "            1: float('nan'), 'big': 2 ** 80}\n"
    "def on_bar(bar, state):\n"
    "    global total\n    total += 1\n"
    "    state['q'].append((bar.close, bar.volume))\n"
    "    state['t'] = state['t'] + (len(state['q']),)\n    state['t'] = state['t'][-5:]\n"
    "    state['a'] = np.roll(state['a'], 1)\n    state['a'][0] = bar.close\n"
    "    hours[int(bar.ts) % 3].append(bar.close)\n    moves['up'] += bar.close > bar.open\n"
    "    same = state['q']\n    state['alias'] = same\n"
    "    return (fast.update(bar.close) + state['e'].update(bar.close) + total + moves['up']\n"
    "            + sum(c for c, v in state['alias']) + float(state['a'].sum())\n"
    "            + sum(map(len, hours.values())) + sum(state['t']) + state['big'] % 97)\n"
)


def test_take_over_in_the_middle_changes_nothing(pool: JailPool) -> None:
    bars = make_bars(200, 3)
    whole = run(pool, STATEFUL, bars)
    assert whole.errors == ()
    first = pool.load(Script("script", STATEFUL))
    before = first.run(bars.cut(0, 101))
    capsules = first.save()
    first.close()
    second = pool.load(Script("script", STATEFUL))
    second.open({slot: (bars.symbols[slot], capsule) for slot, capsule in capsules.items()})
    after = second.run(bars.cut(101, 200))
    assert before.joined(after).numbers.tolist() == whole.numbers.tolist()
    assert before.joined(after).signals == whole.signals
    assert second.save() == _saved_whole(pool, bars)
    second.close()


def _saved_whole(pool: JailPool, bars: Bars) -> dict[int, bytes]:
    runner = pool.load(Script("script", STATEFUL))
    runner.run(bars)
    saved = runner.save()
    runner.close()
    return saved


@pytest.mark.parametrize(
    ("kept", "named"),
    [
        ("lambda: 0", "a function at state['x']"),
        ("{1, 2}", "a set at state['x']"),
        ("bar", "a Bar at state['x']"),
        ("(i for i in [])", "a generator at state['x']"),
        ("defaultdict(partial(int, 5))", "a defaultdict of something else at state['x']"),
        ("map", "a type at state['x']"),
        ("[[bar]]", "a Bar at state['x'][][]"),
        ("'a' * 70000", "limit state_bytes_max is 65536"),
    ],
)
def test_state_that_cannot_be_saved_is_named_at_the_first_bar(
    pool: JailPool, kept: str, named: str
) -> None:
    source = (
        "from collections import defaultdict\nfrom functools import partial\n"
        f"def on_bar(bar, state):\n    state['x'] = {kept}\n    return 1\n"
    )
    runner = pool.load(Script("script", source))
    results = runner.run(make_bars(1, 1))
    assert results.outcome == ("state" if "limit" in named else "done")  # what is no limit's fault
    assert named in results.errors[0].text
    with pytest.raises(BadCapsule):
        runner.save()
    runner.close()


@pytest.mark.parametrize("capsule", [b"", b"[]", b"{}", b'{"version":2}', b'{"version":1}',
    b'{"$":"ref","v":9}', b'{"$":"new","c":"Nope","v":[]}', b'{"$":"defaultdict","f":"eval"}',
    b"\xff\xfe", b'{"version":1,"bars":1,"last":{},"said":[0,0],"module":{},"state":{"$":"x"}}'])  # fmt: skip
def test_foreign_state_is_refused_and_never_guessed_at(pool: JailPool, capsule: bytes) -> None:
    runner = pool.load(Script("script", "def on_bar(bar, state):\n    return 1\n"))
    with pytest.raises(BadCapsule):
        runner.open({0: ("A", capsule)})
    assert runner.run(make_bars(2, 1)).outcome == "done"
    runner.close()


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4)
    | st.tuples(inner, inner)
    | st.dictionaries(st.text(max_size=4) | st.integers() | st.tuples(st.integers()), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(plain)
def test_state_comes_back_as_it_was(value: object) -> None:
    text = repr(value)
    try:
        blob = freeze(value, {})
    except BadCapsule as error:
        assert "cannot be saved" in str(error)  # half characters
        return
    assert repr(thaw(blob, {})) == text


def test_a_thing_that_is_met_twice_comes_back_as_one() -> None:
    inner: list[object] = [1]
    value = {"a": inner, "b": inner, "me": None}
    value["me"] = value  # type: ignore[assignment]
    back = thaw(freeze(value, {}), {})
    assert back["a"] is back["b"]
    assert back["me"] is back
    back["a"].append(2)
    assert back["b"] == [1, 2]


def test_a_batch_longer_than_the_jails_memory_is_cut_without_a_seam(pool: JailPool) -> None:
    source = (
        "def on_bar(bar, state):\n    state['n'] = state.get('n', 0) + 1\n    return state['n']\n"
    )
    results = run(pool, source, make_bars(9_000, 1))
    assert results.numbers.tolist() == list(range(1, 9_001))


def test_many_instruments_with_much_state_are_opened_and_saved_in_parts(pool: JailPool) -> None:
    source = "def init():\n    return 'é' * 20000\ndef on_bar(bar, state):\n    return len(state)\n"
    runner = pool.load(Script("script", source))
    bars = make_bars(200, 200)
    assert runner.run(bars).numbers.tolist() == [20_000] * 200
    saved = runner.save()
    assert len(saved) == 200
    runner.jail.close()
    assert runner.run(bars).restarted
    runner.close()


def test_more_instruments_than_allowed_are_refused_by_name(pool: JailPool) -> None:
    script = Script("s", "def on_bar(bar, state):\n    return 1\n", limits=Limits(slots_max=3))
    runner = pool.load(script)
    results = runner.run(make_bars(8, 4))
    assert results.outcome == "error"
    assert "slots_max" in results.message
    runner.close()


def test_a_limit_that_is_no_positive_whole_number_is_refused() -> None:
    for bad in (0, -1, 1.5, True, "9"):
        with pytest.raises(ValueError, match="batch_ms_max"):
            Limits(batch_ms_max=bad)  # type: ignore[arg-type]


def test_every_function_of_every_module_works_behind_the_walls(pool: JailPool) -> None:
    calls = {
        "numpy": "[np.polyfit(x, x, 1), np.median(x), np.percentile(x, 50), np.corrcoef(x, x),"
        " np.cov(x), np.unique(x), np.interp(x, x, x), np.gradient(x), np.quantile(x, 0.5),"
        " np.outer(x, x) @ x, np.linspace(0, 1, 9), np.nanmedian(x), str(x), np.roll(x, 1)]",
        "statistics": "[statistics.stdev(y), statistics.quantiles(y), statistics.median(y),"
        " statistics.linear_regression(y, y), statistics.correlation(y, y), statistics.mode(y)]",
        "math": "[math.sqrt(2), math.erf(0.3), math.fsum(y), math.hypot(3, 4)]",
        "collections": "[collections.Counter(y), collections.OrderedDict(), collections.deque(y)]",
        "itertools": "[list(itertools.accumulate(y)), list(itertools.pairwise(y))]",
        "functools": "[functools.reduce(max, y), functools.partial(max, 3)(4)]",
        "heapq": "[heapq.nlargest(2, y)]",
        "bisect": "[bisect.bisect(y, 2)]",
        "random": "[random.choice(y), random.randint(1, 2), random.uniform(0, 1)]",
    }
    assert set(calls) == set(MODULES)
    imports = "import numpy as np\nimport " + ", ".join(name for name in MODULES if name != "numpy")
    body = "\n".join(f"    n += len({call})" for call in calls.values())
    source = (
        f"{imports}\ndef on_bar(bar, state):\n    x = np.arange(8.0) + bar.close\n"
        f"    y = x.tolist()\n    n = 0\n{body}\n    return n\n"
    )
    results = run(pool, source, make_bars(2, 1))
    assert results.errors == ()
    assert results.numbers[0] > 30


def test_native_nodes_make_vetted_code_as_quick_as_plain_python() -> None:
    """The compiled code has no call to a guard on the hot path."""
    source = (
        "def on_bar(bar, state):\n"
        "    closes = state['closes']\n    closes.append(bar.close)\n"
        "    state['n'] += 1\n    a, b = 1, 2\n"
        "    for i, x in enumerate(closes):\n        a += x\n"
        "    return max(*closes) + a\n"
    )
    _, code = vetted_code(source, Limits())
    assert code is not None
    plain = compile(source, "<script>", "exec")
    assert code.co_consts[0].co_code == plain.co_consts[0].co_code


def test_a_program_runs_without_a_process_too() -> None:
    """The language is pure: what the jail runs can be run, and debugged, in place."""
    _, code = vetted_code("def on_bar(bar, state):\n    return bar.close * 2\n", Limits())
    assert code is not None
    program = Program(code, params={}, limits=Limits(), vetted=True)
    program.open(0, "A")
    gathered = program.run([0], [10**18], [(1.0, 2.0, 0.5, 1.5, 3.0)], None)
    assert gathered.numbers.tolist() == [3.0]
