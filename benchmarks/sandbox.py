"""What the jail costs: `python -m benchmarks.sandbox [--quick]`.

Every number is beside its peer of the same run; absolute times hold only for this machine.
"""

import argparse
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from indicators import Plan
from sandbox.crew import Crew
from sandbox.language import Program
from sandbox.limits import Limits
from sandbox.pool import JailPool
from sandbox.results import Results
from sandbox.runner import Runner
from sandbox.script import Bars, Script
from sandbox.vetting import vet, vetted_code
from sandbox.wire import Op

NOTHING = "def on_bar(bar, state):\n    return None\n"
SMA_CROSS = """
def init():
    return {'closes': [], 'prev': 0.0}
def on_bar(bar, state):
    closes = state['closes']
    closes.append(bar.close)
    if len(closes) > 50:
        closes.pop(0)
    if len(closes) < 50:
        return 0
    fast = sum(closes[-10:]) / 10.0
    slow = sum(closes) / 50.0
    prev = state['prev']
    state['prev'] = fast - slow
    if prev <= 0 and fast > slow:
        return 1
    return -1 if prev >= 0 and fast < slow else 0
"""
EMA_RSI = """
class Wilder:
    def __init__(self, n):
        self.n = n
        self.value = None
    def update(self, x):
        if self.value is None:
            self.value = x
        else:
            self.value += (x - self.value) / self.n
        return self.value
def init():
    return {'fast': None, 'last': None, 'up': Wilder(14), 'down': Wilder(14)}
def on_bar(bar, state):
    c = bar.close
    if state['last'] is None:
        state['last'] = state['fast'] = c
        return 0.0
    change = c - state['last']
    state['last'] = c
    state['fast'] += 0.15 * (c - state['fast'])
    up = state['up'].update(max(change, 0.0))
    down = state['down'].update(max(-change, 0.0))
    rsi = 100.0 * up / (up + down) if up + down > 0 else 50.0
    return 1 if rsi < 30 and c > state['fast'] else 0
"""
CHANNEL = """
def init():
    return {'h': []}
def on_bar(bar, state):
    hist = state['h']
    hist.append((bar.high, bar.low, bar.close))
    if len(hist) > 20:
        hist.pop(0)
    hi, lo = -1e18, 1e18
    for h, l, c in hist:
        if h > hi:
            hi = h
        if l < lo:
            lo = l
    return 1 if bar.close >= hi else -1 if bar.close <= lo else 0
"""
ON_BARS = {"sma cross": SMA_CROSS, "ema and rsi": EMA_RSI, "channel loop": CHANNEL}
DECLARED = "def build(ta):\n    return ta.crossover(ta.ema(ta.close, 12), ta.ema(ta.close, 26))\n"


def bars_of(rows: int, slots: int) -> Bars:
    rng = np.random.default_rng(1)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.001, rows)))
    columns = {"open": close, "high": close * 1.001, "low": close * 0.999, "close": close}
    return Bars(
        slots=np.arange(rows) % slots,
        ts=(1_700_000_000 + 60 * (np.arange(rows) // slots)) * 10**9,
        columns={**columns, "volume": np.full(rows, 5.0)},
        symbols={slot: f"S{slot}" for slot in range(slots)},
    )


def seconds(work: Callable[[], object], times: int) -> list[float]:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return taken


def tell(what: str, value: str, wanted: str = "") -> None:
    print(f"{what:<46} {value:<34} {wanted}")


def spawning(pool: JailPool, times: int) -> None:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        jail = pool.nursery.spawn(Limits())
        jail.write(b"[]")
        jail.ask(Op.OPEN, "load_ms_max", length=2)  # answered once the process is locked down
        jail.collect()
        taken.append(time.perf_counter() - start)
        jail.close()
    show_ms("jail spawned and locked down", taken, "<= 10 ms")
    taken = seconds(lambda: pool.load(Script("s", SMA_CROSS)).close(), times)
    show_ms("script loaded: spawn, vet, compile, rehearse", taken)
    show_ms("vetting alone, 20 lines", seconds(lambda: vet(SMA_CROSS), times))


def show_ms(what: str, taken: list[float], wanted: str = "") -> None:
    median, least = statistics.median(taken) * 1e3, min(taken) * 1e3
    tell(what, f"median {median:.2f} ms, min {least:.2f} ms", wanted)


def round_trip(pool: JailPool, times: int) -> None:
    """Rows in and numbers out; then the transport alone, without the loop over bars."""
    runner = pool.load(Script("empty", NOTHING))
    for rows in (1, 1_000):
        bars = bars_of(rows, 1)
        runner.run(bars)
        taken = [part for _ in range(times) for part in seconds(partial(runner.run, bars), 1)]
        show_us(f"round trip of {rows:,} rows with an empty on_bar", taken)
    taken = seconds(partial(_echo, runner, bars_of(1_000, 1)), times)
    show_us("round trip of 1,000 rows, transport alone", taken, "<= 60 us")
    runner.close()


def _echo(runner: Runner, bars: Bars) -> None:
    """The rows go in as for a run; the question is one that the jail answers at once."""
    jail = runner.jail
    for offset, column in enumerate((bars.slots, bars.ts, *bars.columns.values())):
        jail.write(column.tobytes(), 64 + 8_000 * offset)
    jail.write(b"[]")
    jail.ask(Op.OPEN, "load_ms_max", length=2)
    answer = jail.collect()
    bytes(jail.outbound.map[:8_000])
    assert answer.reply.length == 0


def show_us(what: str, taken: list[float], wanted: str = "") -> None:
    median, least = statistics.median(taken) * 1e6, min(taken) * 1e6
    tell(what, f"median {median:.1f} us, min {least:.1f} us", wanted)


def on_bar_cost(times: int) -> None:
    """The same batch through vetted and through plain code, in turn, in this process."""
    bars = bars_of(2_000, 1)
    rows = list(zip(*(column.tolist() for column in bars.columns.values()), strict=True))
    slots, ts = bars.slots.tolist(), bars.ts.tolist()
    for name, source in ON_BARS.items():
        programs = {}
        for kind in ("vetted", "plain"):
            code = vetted_code(source, Limits())[1] if kind == "vetted" else None
            compiled = code or compile(source, "<script>", "exec")
            programs[kind] = Program(compiled, params={}, limits=Limits(), vetted=kind == "vetted")
            programs[kind].open(0, "A")
        best = dict.fromkeys(programs, float("inf"))
        for _ in range(times):
            for kind, program in programs.items():
                start = time.process_time()
                program.run(slots, ts, rows, None)  # type: ignore[arg-type]
                best[kind] = min(best[kind], time.process_time() - start)
        ratio = best["vetted"] / best["plain"]
        a_bar = best["vetted"] / 2_000 * 1e6
        tell(f"on_bar, {name}", f"{ratio:.2f} x plain Python, {a_bar:.2f} us a bar", "<= 1.3 x")


def declarative(pool: JailPool, times: int) -> None:
    runner = pool.load(Script("declared", DECLARED))
    assert runner.declared is not None
    fast, slow = "ema(close, 12)", "ema(close, 26)"
    text = f"({fast} > {slow}) & (lag({fast}, 1) <= lag({slow}, 1))"
    plans = {"script": runner.declared.plan(), "plan": Plan.parse({"value": text})}
    bars = bars_of(20_000, 50)
    states = {name: plan.new_state(50) for name, plan in plans.items()}
    best = dict.fromkeys(plans, float("inf"))
    for _ in range(times):
        for name, plan in plans.items():
            start = time.perf_counter()
            plan.run(states[name], bars.slots, bars.columns)
            best[name] = min(best[name], time.perf_counter() - start)
    ratio, a_row = best["script"] / best["plan"], best["script"] / 20_000 * 1e9
    same = plans["script"].series["value"] is plans["plan"].series["value"]
    tell("declarative against the same expression", f"{ratio:.2f} x, {a_row:.0f} ns a bar", "1.0 x")
    tell("  the same nodes", str(same))
    runner.close()


def sharing(pool: JailPool, scripts: int, times: int) -> None:
    """Scripts that share a node: a plan for each, as they run, against one plan of them all."""
    outputs, plans = {}, []
    for number in range(scripts):
        source = f"def build(ta):\n    return ta.crossover(ta.rsi(ta.close, 14), {20 + number})\n"
        runner = pool.load(Script(f"s{number}", source))
        runner.close()
        assert runner.declared is not None
        outputs[runner.script.name] = runner.declared.outputs["value"]
        plans.append(runner.declared.plan())
    for rows in (200, 20_000):
        bars, best = bars_of(rows, 200), []
        for group in (plans, [Plan(outputs)]):
            states = [plan.new_state(200) for plan in group]
            least = float("inf")
            for _ in range(times):
                start = time.perf_counter()
                for plan, state in zip(group, states, strict=True):
                    plan.run(state, bars.slots, bars.columns)
                least = min(least, time.perf_counter() - start)
            best.append(least / rows / scripts * 1e9)
        apart, joint = best
        text = f"{apart:.0f} ns a bar and script, {joint:.0f} in one plan"
        tell(f"{scripts} that share rsi(close, 14), {rows:,} bars", text)


def together(work: Mapping[Runner, Bars]) -> dict[Runner, Results]:
    """A batch for each script, side by side."""
    crew = Crew()
    jobs = {runner: crew.add(runner, bars) for runner, bars in work.items()}
    return {runner: crew.finish(job) for runner, job in jobs.items()}


def crowd(pool: JailPool, scripts: int, instruments: int) -> None:
    runners = [pool.load(Script(f"s{n}", EMA_RSI)) for n in range(scripts)]
    bars = bars_of(instruments * 4, instruments)
    work = dict.fromkeys(runners, bars)
    together(work)
    taken = seconds(lambda: together(work), 10)
    rows = scripts * len(bars)
    show_ms(f"{scripts} scripts on {instruments} instruments, 4 bars each", taken)
    tell("  a bar of a script", f"{statistics.median(taken) / rows * 1e6:.2f} us")
    memory = sum(runner.jail.memory_bytes() for runner in runners) / scripts / 2**20
    tell("  resident memory of a jail, shared pages counted", f"{memory:.1f} MB")
    for runner in runners:
        runner.close()


BURN = "import os\nos.nice(5)\nwhile True:\n    pass\n"
WANTED = {"alone": "", "beside a busy process": "", "beside a spinner": "as beside a busy process"}
SPIN = "def on_bar(bar, state):\n    while bar.close > 0:\n        pass\n"


def neighbours(pool: JailPool, times: int) -> None:
    """A batch of a well-behaved script, from its question until its answer is at hand.

    Alone, beside a process of ours that burns one CPU (what sharing the machine costs anyone),
    and beside a script that spins: in turn, so that the noise of the machine is in all three.
    """
    bars = bars_of(200, 1)
    good = pool.load(Script("good", SMA_CROSS))
    bad = pool.load(Script("bad", SPIN, limits=Limits(batch_ms_max=20)))
    burner = subprocess.Popen([sys.executable, "-c", BURN])
    taken: dict[str, list[float]] = {kind: [] for kind in WANTED}
    for _ in range(times):
        for kind, values in taken.items():
            crew = Crew()
            burner.send_signal(signal.SIGCONT if "busy" in kind else signal.SIGSTOP)
            spinning = crew.add(bad, bars) if "spinner" in kind else None
            crew.work()
            start = time.perf_counter()
            crew.finish(crew.add(good, bars))
            values.append((time.perf_counter() - start) * 1e3)
            if spinning is not None:
                assert crew.finish(spinning).outcome == "deadline"
                bad.close()
                bad = pool.load(bad.script)
    burner.kill()
    burner.wait()
    for kind, values in taken.items():
        ranked = sorted(values)
        p50, p99 = ranked[len(ranked) // 2], ranked[int(len(ranked) * 0.99) - 1]
        tell(f"200 bars, {kind}", f"p50 {p50:.2f} ms, p99 {p99:.2f} ms", WANTED[kind])
    good.close()
    bad.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    times = 20 if quick else 200
    print(f"{platform.machine()}, Linux {platform.release()}, {os.cpu_count()} CPUs,")
    print(f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}\n")
    with JailPool() as pool:
        spawning(pool, times // 4)
        round_trip(pool, times * 5)
        on_bar_cost(times // 4)
        declarative(pool, times // 4)
        sharing(pool, 20, times // 4)
        neighbours(pool, times)
        crowd(pool, 20 if quick else 100, 50)


if __name__ == "__main__":
    main()
