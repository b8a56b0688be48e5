"""Scripts that eat, flood, lie and crash: cut at their limit, named, and nobody else notices."""

# ruff: noqa: E501  # scripts of strangers, as they are

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.breaker import PAUSE_NS, Breaker
from sandbox.limits import MIB, Limits
from sandbox.pool import JailPool
from sandbox.results import Results
from sandbox.script import Script
from tests.sandbox.conftest import (
    await_that,
    make_bars,
    process_state,
    resident_kib,
    running,
    together,
)

DEADLINE_MS = 80
KILL_MS_MAX = 50
ATTEMPTS = 20  # the machine may be busy: what it cannot do once it has not shown
Attack = Callable[..., Results]

HUNGRY = {
    "loop": "while True: pass",
    "loop that catches all": "\n    while True:\n        try:\n            while True: pass\n"
    "        except BaseException: pass",
    "tower of powers": "x = 9 ** 9 ** 8",
    "squaring": "\n    x = 3\n    while True: x = x * x",
    "regular expression": "import re; re.match('(a+)+$', 'a' * 64 + 'b')",
    "sum in C": "sum(range(10 ** 12))",
    "sort key": "sorted([1, 2], key=lambda v: sum(range(10 ** 12)))",
    "matrices": "import numpy as np\n    while True: np.ones((500, 500)) @ np.ones((500, 500))",
    "collector": "\n    while True: import gc; gc.collect()",
    "own signals": "import signal\n    while True: signal.pthread_sigmask(signal.SIG_BLOCK, {10, 24})",
    "waiting for a lock": "import _thread; a = _thread.allocate_lock(); a.acquire(); a.acquire()",
    "reading its own socket": "import os; os.read(0, 100)",
    "a closed traceback pipe": "import os; os.close(2)\n    while True: pass",
    "a flood of complaints": "import os\n    while True: os.write(2, b'x' * 1000)",
}


@pytest.mark.parametrize("name", HUNGRY)
def test_an_endless_script_is_killed_soon_after_its_deadline(name: str, attack: Attack) -> None:
    before_kib, wall_ms = resident_kib(), []
    for _ in range(ATTEMPTS):
        results = attack(f"def on_bar(bar, state):\n    {HUNGRY[name]}\n", batch_ms_max=DEADLINE_MS)
        assert results.outcome in ("deadline", "forbidden"), results
        wall_ms.append(results.wall_ns / 1e6)
        if in_time(wall_ms[-1]):
            break
    assert in_time(wall_ms[-1]), wall_ms
    assert resident_kib() - before_kib < 4_096


def test_who_stops_himself_gets_no_more_time_than_who_spins(pool: JailPool) -> None:
    source = "import signal\ndef on_bar(bar, state):\n    signal.raise_signal(signal.SIGSTOP)\n"
    limits = Limits(batch_ms_max=60_000)
    runner = pool.load(Script("stopped", source, limits=limits, vetted=False))
    assert runner.begin(make_bars(1, 1)) is None
    await_that(lambda: process_state(runner.jail.pid) == "T", "it has stopped itself")
    assert not runner.jail._starves(10**12)
    runner.close()


def test_the_author_is_told_the_line_and_the_limit(attack: Attack) -> None:
    source = "def helper():\n    while True:\n        pass\ndef on_bar(bar, state):\n    helper()\n"
    for _ in range(ATTEMPTS):
        results = attack(source, batch_ms_max=DEADLINE_MS)
        if results.traceback:
            break
    assert results.message == f"took longer than {DEADLINE_MS} ms (limit batch_ms_max)"
    assert results.traceback[0].startswith("line ")
    assert results.traceback[0].endswith("in helper")
    assert results.traceback[1] == "line 5 in on_bar"


def in_time(wall_ms: float) -> bool:
    """Soon after its deadline; a script that the machine starved had it four times, not five."""
    late_ms = (wall_ms - DEADLINE_MS) % DEADLINE_MS
    return late_ms < KILL_MS_MAX and DEADLINE_MS <= wall_ms < 5 * DEADLINE_MS


GREEDY = {
    "list": "x = [0] * 10 ** 11",
    "text": "x = 'a' * 10 ** 12",
    "format": "n = 10 ** 10; f'{1:>{n}}'",
    "array": "import numpy as np; np.ones(65536 ** 2)",
    "growing list": "\n    x = []\n    while True: x.append([0] * 10 ** 6)",
    "doubling tuple": "\n    t = (1,)\n    while True: t = t + t",
    "anonymous maps": "import mmap\n    x = []\n    while True: x.append(mmap.mmap(-1, 2 ** 24))",
}


@pytest.mark.parametrize("name", GREEDY)
def test_a_greedy_script_meets_its_own_memory_limit(name: str, attack: Attack) -> None:
    before_kib = resident_kib()
    results = attack(
        f"def on_bar(bar, state):\n    {GREEDY[name]}\n",
        memory_bytes_max=64 * MIB, batch_ms_max=2_000,
    )  # fmt: skip
    if name == "anonymous maps":
        assert "Cannot allocate memory" in results.errors[0].text
    else:
        assert results.outcome in ("memory", "crashed"), results
    if results.outcome == "memory":
        assert "memory_bytes_max" in results.message
    assert resident_kib() - before_kib < 4_096


CRASHING = {
    "recursion": ("\n    def f(n): return f(n + 1)\n    f(0)", "done"),
    "deep comparison": (
        "\n    x = []\n    for i in range(200000): x = [x]\n    x == [x]", "done"),
    "nested iterators": (
        "\n    x = [1]\n    for i in range(200000): x = map(abs, x)\n    list(x)", "crashed"),
    "null pointer": ("import ctypes; ctypes.string_at(0)", "crashed"),
    "abort": ("import os; os.abort()", "crashed"),
    "silent exit": ("import os; os._exit(0)", "crashed"),
    "raised exit": ("raise SystemExit(3)", "done"),
    "thread": ("import _thread; _thread.start_new_thread(print, ())", "forbidden"),
    "fork": ("import os; os.fork()", "forbidden"),
    "program": ("import os; os.system('true')", "forbidden"),
}  # fmt: skip


@pytest.mark.parametrize("name", CRASHING)
def test_a_crash_stays_in_the_jail(name: str, attack: Attack) -> None:
    body, outcome = CRASHING[name]
    results = attack(f"def on_bar(bar, state):\n    {body}\n", batch_ms_max=3_000)
    assert results.outcome == outcome, results
    if outcome == "done":
        assert results.errors_total == 1


FLOODS = {
    "signals": ("for i in range(10000): signal('x')", "output", "signals_per_bar_max"),
    "log": ("for i in range(10000): print('x' * 1000)", "done", None),
    "long outputs": ("return {str(i): i for i in range(1000)}", "done", "outputs_max"),
    "long names": ("signal('x' * 1000)", "done", None),
    "fields": ("signal('x', **{'f%d' % i: 'y' * 100000 for i in range(16)})", "output",
               "output_bytes_max"),
    "error text": ("raise ValueError('A' * 10 ** 7)", "done", None),
    "escape codes": ("raise ValueError('\\x1b[2J\\u202e')", "done", None),
    "lone surrogates": ("signal('\\ud800')", "done", None),
    "whole numbers": ("return 10 ** 400", "done", None),
    "infinity": ("return float('inf')", "done", None),
}  # fmt: skip


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_of_output_is_cut_and_counted(name: str, attack: Attack) -> None:
    body, outcome, limit = FLOODS[name]
    results = attack(f"def on_bar(bar, state):\n    {body}\n", batch_ms_max=2_000)
    assert results.outcome == outcome, results
    assert limit is None or limit in results.limits
    assert len(results.signals) <= 16
    for failure in results.errors:
        assert len(failure.text) <= 500
        assert failure.text.isprintable()
    if name == "log":
        assert (len(results.log), results.log_dropped) == (50, 9950)


def test_signals_of_one_minute_are_capped_by_event_time(pool: JailPool) -> None:
    source = "def on_bar(bar, state):\n    for i in range(10):\n        signal('x', i)\n"
    runner = pool.load(Script("chatty", source, limits=Limits(signals_per_minute_max=15)))
    bars = make_bars(6, 2)  # three minutes of two instruments
    results = runner.run(bars)
    assert (len(results.signals), results.signals_cut) == (60, 0)
    same_minute = runner.run(make_bars(6, 1, first=0))
    assert same_minute.outcome == "done"
    runner.close()


# --- a jail that lies

FORGE = """
import os, struct, sys
def forge(op=None, status=0, sequence=None, rows=None, length=None, numbers=None, blob=b'{}'):
    frame = sys._getframe()
    while type(frame.f_locals.get('self')).__name__ != 'Child':
        frame = frame.f_back
    child, request = frame.f_locals['self'], frame.f_locals['request']
    numbers = struct.pack('d', 1.0) * request.rows if numbers is None else numbers
    content = numbers + blob
    child.outbound[:len(content)] = content
    os.write(0, struct.pack('<IIIIQ',
        request.op if op is None else op, status,
        request.sequence if sequence is None else sequence,
        request.rows if rows is None else rows,
        len(blob) if length is None else length))
    while True: pass
def on_bar(bar, state):
"""
LIES = {
    "another operation": "forge(op=1)",
    "another request": "forge(sequence=77)",
    "more rows": "forge(rows=4000)",
    "too long": "forge(length=2 ** 40)",
    "an unknown status": "forge(status=9)",
    "no JSON": "forge(blob=b'{')",
    "deep JSON": "forge(blob=b'[' * 5000)",
    "a list": "forge(blob=b'[]')",
    "infinite numbers": "forge(numbers=struct.pack('d', float('inf')))",
    "an unknown part": "forge(blob=b'{\"exec\":1}')",
    "a row that is not there": 'forge(blob=b\'{"signals":[[5,"x",1,{}]]}\')',
    "a negative row": 'forge(blob=b\'{"signals":[[-1,"x",1,{}]]}\')',
    "a nameless signal": 'forge(blob=b\'{"signals":[[0,"",1,{}]]}\')',
    "a value that is a list": 'forge(blob=b\'{"signals":[[0,"x",[],{}]]}\')',
    "fields that are a list": 'forge(blob=b\'{"signals":[[0,"x",1,[]]]}\')',
    "a nested field": 'forge(blob=b\'{"signals":[[0,"x",1,{"a":{}}]]}\')',
    "an unknown limit": 'forge(blob=b\'{"limits":["x"]}\')',
    "a limit that is a list": "forge(blob=b'{\"limits\":[[]]}')",
    "a count that is text": 'forge(blob=b\'{"errors_total":"1"}\')',
    "too many errors": "forge(blob=b'{\"errors\":[' + b'[0,1,\"x\"],' * 99 + b'[0,1,\"x\"]]}')",
    "a short message": "os.write(0, b'x')",
    "a huge message": "os.write(0, b'x' * 60000)",
    "its own request again": "os.write(0, struct.pack('<IIIIQ', 3, 0, 0, 0, 0))",
}


@pytest.mark.parametrize("name", LIES)
def test_a_jail_that_breaks_the_protocol_is_ended_and_quarantined(
    name: str, pool: JailPool, neighbour: Callable[[], None]
) -> None:
    runner = pool.load(Script("liar", f"{FORGE}    {LIES[name]}\n", vetted=False))
    results = runner.run(make_bars(1, 1))
    assert results.outcome == "protocol", results
    assert not runner.jail.alive
    again = runner.run(make_bars(1, 1))
    assert again.outcome == "refused"
    assert again.message.startswith("protocol: ")
    neighbour()


def test_a_reply_too_many_is_found_before_the_next_request(pool: JailPool) -> None:
    source = f"{FORGE.replace('    while True: pass', '')}    forge()\n"
    runner = pool.load(Script("twice", source, vetted=False))
    bars = make_bars(1, 1)
    assert runner.run(bars).outcome == "done"  # its own numbers, whoever wrote them
    await_that(lambda: runner.jail._readable(runner.jail.control.fileno()), "it speaks again")
    assert runner.run(bars).outcome == "protocol"


def test_a_jail_killed_between_two_batches_is_a_crash_and_no_lie(pool: JailPool) -> None:
    runner = pool.load(Script("victim", "def on_bar(bar, state):\n    return 1\n"))
    bars = make_bars(1, 1)
    assert runner.run(bars).outcome == "done"
    signal.pidfd_send_signal(runner.jail.pidfd, signal.SIGKILL)
    assert runner.run(bars).outcome == "crashed"
    assert runner.breaker.reason == ""
    runner.breaker = Breaker()
    assert runner.run(bars).restarted


def test_a_closed_socket_does_not_hang_the_worker(attack: Attack) -> None:
    source = "import os\ndef on_bar(bar, state):\n    os.close(0)\n    while True: pass\n"
    results = attack(source, batch_ms_max=600_000)
    assert results.outcome == "crashed"  # and not, after ten minutes, its deadline


def test_the_rows_cannot_be_written_by_the_jail(attack: Attack) -> None:
    source = FORGE + "\n".join(
        f"    {line}"
        for line in (
            "import ctypes",
            "frame = sys._getframe()",
            "while type(frame.f_locals.get('self')).__name__ != 'Child': frame = frame.f_back",
            "import numpy as np",
            "view = np.frombuffer(frame.f_locals['self'].inbound, np.uint8)",
            "page = ctypes.c_void_p(view.ctypes.data)",
            "return float(ctypes.CDLL(None).mprotect(page, ctypes.c_size_t(4096), 3))",
        )
    )
    results = attack(source)
    assert results.numbers.tolist() == [-1.0]


# --- strikes


def test_a_deadline_costs_a_strike_and_the_script_goes_on_where_it_was_saved(
    pool: JailPool,
) -> None:
    source = (
        "def init():\n    return {'n': 0}\n"
        "def on_bar(bar, state):\n    state['n'] += 1\n"
        "    while bar.close > 1e6:\n        state['n'] += 0\n    return state['n']\n"
    )
    runner = pool.load(Script("slow", source, limits=Limits(batch_ms_max=10 * DEADLINE_MS)))
    bars, poison = make_bars(3, 1), make_bars(1, 1)
    poison.columns["close"][:] = 2e6
    assert runner.run(bars).numbers.tolist() == [1, 2, 3]
    runner.save()
    assert runner.run(poison).outcome == "deadline"
    assert runner.breaker.resume_ns == runner.breaker.struck_ns + PAUSE_NS
    runner.breaker = dataclasses.replace(runner.breaker, resume_ns=2**63)
    assert runner.run(bars).outcome == "refused"  # paused
    runner.breaker = Breaker(strikes=runner.breaker.strikes, struck_ns=runner.breaker.struck_ns)
    results = runner.run(bars)
    assert (results.outcome, results.restarted) == ("done", True)
    assert results.numbers.tolist() == [4, 5, 6]
    runner.close()


def test_the_breaker_pauses_doubles_quarantines_and_forgets() -> None:
    second, breaker = 10**9, Breaker()
    pauses = []
    for strike in range(1, 4):
        breaker = breaker.after("deadline", "slow", now_ns=strike * second, strikes_max=3)
        pauses.append((breaker.resume_ns - strike * second) // second)
    assert pauses == [1, 2, 4]
    assert breaker.reason == "3 strikes, the last one deadline: slow"
    assert not breaker.allows(10**18)
    forgotten = Breaker().after("memory", "m", now_ns=0, strikes_max=2)
    later = forgotten.after("memory", "m", now_ns=700 * second, strikes_max=2)
    assert (later.strikes, later.reason) == (1, "")
    assert later.after("done", "", now_ns=701 * second, strikes_max=2) == later
    assert Breaker().after("forbidden", "fork", now_ns=0, strikes_max=9).reason == "forbidden: fork"


def test_a_slow_script_does_not_hold_up_the_others(pool: JailPool) -> None:
    limits, patient = Limits(batch_ms_max=DEADLINE_MS), Limits(batch_ms_max=60_000)
    spin = "def on_bar(bar, state):\n    while bar.close > 0:\n        pass\n"
    quick = "def on_bar(bar, state):\n    return bar.close\n"
    slow = pool.load(Script("slow", spin, limits=limits))
    others = [pool.load(Script(f"quick{n}", quick, limits=patient)) for n in range(6)]
    bars = make_bars(20, 2)
    results = together({slow: bars, **dict.fromkeys(others, bars)})
    assert results[slow].outcome == "deadline"
    for other in others:
        assert results[other].outcome == "done"
        assert results[other].numbers.tolist() == bars.columns["close"].tolist()
        other.close()


# --- no orphans

HOST = """
import sys, time
from sandbox.pool import JailPool
from sandbox.script import Script
pool = JailPool()
spin = "def on_bar(bar, state):\\n    while bar.close > 0:\\n        pass\\n"
runners = [pool.load(Script(str(n), spin)) for n in range(4)]
from tests.sandbox.conftest import make_bars
for runner in runners[:2]:
    runner.begin(make_bars(1, 1))
print(pool.nursery.process.pid, *[runner.jail.pid for runner in runners], flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("victim", ["worker", "zygote"])
def test_no_jail_outlives_the_worker_or_the_zygote(victim: str) -> None:
    host = subprocess.Popen(
        [sys.executable, "-c", HOST], stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    assert host.stdout is not None
    zygote, *jails = map(int, host.stdout.readline().split())
    assert all(running(pid) for pid in jails)
    os.kill(host.pid if victim == "worker" else zygote, signal.SIGKILL)
    wanted = [*jails, zygote] if victim == "worker" else jails
    await_that(lambda: not any(running(pid) for pid in wanted), "no jail outlives its worker")
    host.kill()
    host.wait()
    host.stdout.close()


def test_a_zygote_that_died_is_replaced_and_what_it_held_is_known_to_be_lost(
    neighbour: Callable[[], None],
) -> None:
    with JailPool() as pool:
        source = "def on_bar(bar, state):\n    return bar.close\n"
        runner = pool.load(Script("survivor", source))
        bars = make_bars(2, 1)
        assert runner.run(bars).outcome == "done"
        os.kill(pool.nursery.process.pid, signal.SIGKILL)
        pool.nursery.process.wait()
        assert runner.run(bars).outcome == "lost"  # its state is not as it was: it must not go on
        assert not runner.breaker.strikes
        assert pool.load(Script("successor", source)).run(bars).outcome == "done"
    neighbour()
