"""Model of a fleet in virtual time, around the real placement, stealing, pressure and scaling code.

The model is a fluid: rows arrive at every shard, workers do what their speed allows, in fair turns.
A handover stops a shard for a whole second, the loss of its owner for the length of a lease.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from workers.load import Pace
from workers.placement import place
from workers.pressure import Pressure, Strain, assess, assess_fleet
from workers.scaling import (
    Arrivals,
    BusyRate,
    Demand,
    History,
    Required,
    Sizing,
    combine,
    observe_arrivals,
    required,
    scale,
)
from workers.settings import ScalingSettings
from workers.stealing import DEFAULT_POLICY, held, steal

type Floats = NDArray[np.float64]
type Indices = NDArray[np.int64]
type Placement = dict[str, str]

STEP_S = 1
PAST_S = 300  # the longest lag that is told apart
CONTROL_S = 5  # how often workers read what the others measured, and place
SCALE_S = 15  # how often an autoscaler asks
HALF_LIFE_S = ScalingSettings().half_life_s
CALM_LAG_S = 1.0  # where level 1 begins


@dataclass(frozen=True, slots=True)
class Scenario:
    """Load and faults over an hour of virtual time."""

    shards: int = 4_096
    instruments: int = 1_000_000
    zipf: float = 0.6
    workers_start: int = 90
    workers_max: int = 500
    rate_per_worker: float = 200_000.0
    busy_workers: float = 65.0  # what the load keeps busy before the burst
    burst: float = 5.0
    burst_s: tuple[int, int] = (600, 1_800)
    crash_s: int = 2_700
    crash_workers: int = 10
    news_s: tuple[int, int] = (3_000, 3_300)
    news_workers: float = 0.6  # what one instrument alone adds
    seconds: int = 3_600
    start_s: int = 10  # until a new worker works
    lease_s: int = 3
    seed: int = 7


def shares(scenario: Scenario) -> Floats:
    """Share of all arrivals that each shard gets, float64 (shards,); Zipf over instruments."""
    weight = np.arange(1, scenario.instruments + 1) ** -scenario.zipf
    shard = _shard_of_each(scenario.instruments) % scenario.shards
    share: Floats = np.bincount(shard, weight, scenario.shards) / weight.sum()
    return share


@cache
def _shard_of_each(instruments: int) -> Indices:
    return np.fromiter((crc32(b"I%d" % n) for n in range(instruments)), np.int64, instruments)


@dataclass(slots=True)
class World:
    """What is true at a moment; the control code sees it through its measurements alone."""

    scenario: Scenario
    share: Floats
    random: np.random.Generator
    names: list[str]
    backlog: Floats
    arrived: Floats
    trend: Floats  # slow noise of every shard, log
    stopped: Indices  # seconds for which a shard is not processed
    owner: Indices  # index into `ready`
    past: Floats  # (seconds, shards): `arrived` as of the latest seconds, in a ring
    ready: list[str] = field(default_factory=list)  # workers that work until the next control
    placement: Placement = field(default_factory=dict)
    workers: dict[str, int] = field(default_factory=dict)  # name -> second from which it works
    speed: dict[str, float] = field(default_factory=dict)
    done: dict[str, tuple[float, float]] = field(default_factory=dict)  # rows, busy seconds
    crashed: set[str] = field(default_factory=set)
    started: int = 0


def new_world(scenario: Scenario) -> World:
    """Fleet of `workers_start` ready workers that hold nothing yet."""
    size = scenario.shards
    world = World(
        scenario=scenario,
        share=shares(scenario),
        random=np.random.default_rng(scenario.seed),
        names=[f"ticks:{{{n}}}" for n in range(size)],
        backlog=np.zeros(size),
        arrived=np.zeros(size),
        trend=np.zeros(size),
        stopped=np.zeros(size, np.int64),
        owner=np.full(size, -1),
        past=np.zeros((PAST_S, size)),
    )
    start(world, scenario.workers_start, ready_s=0)
    return world


def start(world: World, count: int, ready_s: int) -> None:
    for _ in range(count):
        name = f"worker-{world.started:04}"
        world.started += 1
        world.workers[name] = ready_s
        world.speed[name] = world.scenario.rate_per_worker * world.random.uniform(0.95, 1.05)
        world.done[name] = (0.0, 0.0)


def arrivals(world: World, second: int) -> Floats:
    """Rows that arrive at each shard in this second."""
    plan = world.scenario
    total = plan.busy_workers * plan.rate_per_worker
    in_burst = plan.burst_s[0] <= second < plan.burst_s[1]
    world.trend = 0.99 * world.trend + 0.02 * world.random.standard_normal(plan.shards)
    rows = total * world.share * (plan.burst if in_burst else 1.0) * np.exp(world.trend)
    if plan.news_s[0] <= second < plan.news_s[1]:
        rows[plan.shards // 2] += plan.news_workers * plan.rate_per_worker
    arrived: Floats = world.random.poisson(rows).astype(np.float64)
    return arrived


def step(world: World, second: int) -> None:
    """One second of arrivals and work."""
    rows = arrivals(world, second)
    world.arrived += rows
    world.past[second % PAST_S] = world.arrived
    world.backlog += rows
    speed = np.array([world.speed[name] for name in world.ready])
    did = fair(np.where(world.stopped == 0, world.backlog, 0.0), world.owner, speed)
    world.backlog -= did
    world.stopped = np.maximum(world.stopped - STEP_S, 0)
    by_worker = np.bincount(world.owner, did, len(speed))
    for name, count, rate in zip(world.ready, by_worker.tolist(), speed.tolist(), strict=True):
        before = world.done[name]
        world.done[name] = (before[0] + count, before[1] + count / rate)


def fair(wanted: Floats, owner: Indices, speed: Floats) -> Floats:
    """Rows that each shard gets when its worker takes turns: none more while another wants."""
    left, given = speed.copy(), np.zeros_like(wanted)
    for _ in range(8):  # rounds; every round satisfies the modest half of those who wait
        waits = wanted - given > 0.5
        if not waits.any():
            break
        turn = left / np.maximum(1, np.bincount(owner[waits], minlength=len(speed)))
        more = np.where(waits, np.minimum(wanted - given, turn[owner]), 0.0)
        given += more
        left -= np.bincount(owner[waits], more[waits], len(speed))
    return given


@dataclass(slots=True)
class Control:
    """What the fleet knows of itself: measurements, histories, the latest decisions."""

    rates: list[Arrivals]
    per_s: Floats
    levels: Indices
    pressure: dict[str, Pressure]
    total: Arrivals = field(default_factory=Arrivals)
    paces: dict[str, Pace] = field(default_factory=dict)
    seen: dict[str, tuple[float, float]] = field(default_factory=dict)
    moved_s: dict[str, float] = field(default_factory=dict)
    fleet: Pressure = field(default_factory=Pressure)
    history: History = field(default_factory=History)
    wanted: int = 0
    lag_s_worst: float = 0.0


@dataclass(frozen=True, slots=True)
class Move:
    """One change of owner."""

    second: int
    shard: str
    before: str
    after: str
    kind: str  # placed, stolen, or orphaned: its owner was gone


@dataclass(frozen=True, slots=True)
class Sample:
    """The fleet at one control period."""

    second: int
    workers: int
    required: int
    arrivals: float  # worker-equivalents
    lag_s_worst: float  # since the sample before
    lag_s_p99: float
    balance: float  # highest over mean load of workers with several shards
    level: int
    moves: int


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that happened."""

    samples: list[Sample]
    moves: list[Move]
    changes: list[tuple[int, int, int, str]]  # second, from, to, why
    place_ms: float  # median of the calls


def run(scenario: Scenario) -> Run:
    """Simulate the scenario from an empty placement."""
    world = new_world(scenario)
    size = len(world.names)
    control = Control(
        rates=[Arrivals()] * size,
        per_s=np.zeros(size),
        levels=np.zeros(size, np.int64),
        pressure=dict.fromkeys(world.names, Pressure()),
    )
    samples: list[Sample] = []
    moves: list[Move] = []
    changes: list[tuple[int, int, int, str]] = []
    took: list[float] = []
    for second in range(scenario.seconds):
        if second == scenario.crash_s:
            crash(world)
        if second % CONTROL_S == 0:
            measure(world, control, second)
            if second % SCALE_S == 0:
                changes += autoscale(world, control, second)
            began = time.perf_counter()
            fresh = rebalance(world, control, second)
            took.append(time.perf_counter() - began)
            moves += fresh
            samples.append(sample(world, control, second, len(fresh)))
            control.lag_s_worst = 0.0
        step(world, second)
        control.lag_s_worst = max(control.lag_s_worst, float(lags(world).max()))
    return Run(samples, moves, changes, float(np.median(took)) * 1e3)


def crash(world: World) -> None:
    """Kill workers without notice; the platform starts as many others."""
    gone = sorted(world.workers)[: world.scenario.crash_workers]
    for name in gone:
        del world.workers[name]
    world.crashed.update(gone)
    start(world, len(gone), world.scenario.crash_s + world.scenario.start_s)


def measure(world: World, control: Control, second: int) -> None:
    """Take the readings that workers publish."""
    at_s = float(second)
    control.total = observe_arrivals(control.total, int(world.arrived.sum()), at_s, HALF_LIFE_S)
    control.rates = [
        observe_arrivals(rate, int(count), at_s, HALF_LIFE_S)
        for rate, count in zip(control.rates, world.arrived.tolist(), strict=True)
    ]
    for name in world.workers:
        rows, busy_s = world.done[name]
        seen_rows, seen_s = control.seen.get(name, (0.0, 0.0))
        before = control.paces.get(name, Pace())
        control.paces[name] = before.observe(int(rows - seen_rows), busy_s - seen_s)
        control.seen[name] = (rows, busy_s)
    control.per_s = np.array([rate.per_s or 0.0 for rate in control.rates])
    press(world, control, at_s)


def rate_per_worker(control: Control, names: Iterable[str]) -> float | None:
    """Rows a busy second of the average worker, None before any was measured."""
    known = [pace for name in names if (pace := control.paces[name]).per_s is not None]
    return combine(BusyRate(pace.rows, pace.busy_s) for pace in known).per_s


def press(world: World, control: Control, at_s: float) -> None:
    """Assess every shard that lags or is under pressure; the others are calm and stay so."""
    lag_s = lags(world)
    for at in np.flatnonzero((lag_s >= CALM_LAG_S) | (control.levels > 0)).tolist():
        lag, name = float(lag_s[at]), world.names[at]
        control.pressure[name] = assess(control.pressure[name], Strain(lag, lag, 0.0), at_s)
        control.levels[at] = control.pressure[name].level
    control.fleet = assess_fleet(control.fleet, control.pressure, at_s)


def lags(world: World) -> Floats:
    """Age of each shard's oldest row, in whole seconds."""
    waits = np.flatnonzero(world.backlog > 0.5)
    done = (world.arrived - world.backlog)[waits] + 0.5
    lag_s = np.zeros(len(world.backlog))
    lag_s[waits] = (world.past[:, waits] > done).sum(axis=0)
    return lag_s


def autoscale(world: World, control: Control, second: int) -> list[tuple[int, int, int, str]]:
    """Ask for the required number of workers and go there as an autoscaler would."""
    plan = world.scenario
    rate = rate_per_worker(control, world.workers)
    demand = Demand(control.total.per_s, float(world.backlog.sum()), rate, plan.shards)
    answer = required(demand, Sizing(workers_min=2, workers_max=plan.workers_max))
    current = len(world.workers)
    decision = scale(current, answer, float(second), control.history)
    control.history = decision.history
    control.wanted = answer.workers if isinstance(answer, Required) else current
    if decision.workers == current:
        return []
    if decision.workers > current:
        start(world, decision.workers - current, second + plan.start_s)
    for name in sorted(world.workers)[decision.workers :]:
        del world.workers[name]  # drains: it hands over, nobody waits for a lease
    return [(second, current, decision.workers, decision.reason)]


def rebalance(world: World, control: Control, second: int) -> list[Move]:
    """Place, then steal, with what was measured; a move stops its shard."""
    live = [name for name, from_s in world.workers.items() if second >= from_s]
    mean_rate = rate_per_worker(control, live)
    rate = mean_rate or world.scenario.rate_per_worker
    cost = {
        name: one.per_s / rate
        for name, one in zip(world.names, control.rates, strict=True)
        if one.per_s is not None
    }
    kept = held(control.moved_s, second, DEFAULT_POLICY.window_s)
    placed = place(world.names, live, cost=cost, current=world.placement, held=kept)
    moves = hand_over(world, control, placed, second, "placed")
    backlog_s = dict(zip(world.names, (world.backlog / rate).tolist(), strict=True))
    asked = steal(
        world.placement, backlog_s, live, cost=cost, moved_s=control.moved_s, now_s=float(second)
    )
    stolen = world.placement | {one.shard: one.taker for one in asked}
    moves += hand_over(world, control, stolen, second, "stolen")
    index = {name: at for at, name in enumerate(live)}
    world.ready = live
    world.owner = np.array([index[world.placement[name]] for name in world.names])
    return moves


def hand_over(
    world: World, control: Control, after: Placement, second: int, kind: str
) -> list[Move]:
    moves = []
    for at, name in enumerate(world.names):
        before = world.placement.get(name)
        if before == after[name]:
            continue
        world.placement[name] = after[name]
        if before is None:
            continue
        gone = before not in world.workers
        world.stopped[at] = world.scenario.lease_s if before in world.crashed else STEP_S
        control.moved_s[name] = second
        moves.append(Move(second, name, before, after[name], "orphaned" if gone else kind))
    return moves


def sample(world: World, control: Control, second: int, moves: int) -> Sample:
    lag_s = lags(world)
    load = np.bincount(world.owner, control.per_s, len(world.ready))
    several = load[np.bincount(world.owner, minlength=len(load)) > 1]
    return Sample(
        second=second,
        workers=len(world.workers),
        required=control.wanted,
        arrivals=(control.total.per_s or 0.0) / world.scenario.rate_per_worker,
        lag_s_worst=control.lag_s_worst,
        lag_s_p99=float(np.quantile(lag_s, 0.99)),
        balance=float(several.max() / several.mean()) if several.any() else 1.0,
        level=control.fleet.level,
        moves=moves,
    )
