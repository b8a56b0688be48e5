"""The fleet's decision code at full size: 4,096 shards, 500 workers, a million instruments.

`python -m benchmarks.simulation` prints balance, moves on join and leave, the time that a burst, a
crash and a hot instrument take, and scale events; `--json` prints the same as one object, and
`--write docs` renews the table and the plot there. Exit code 1 where a bound does not hold.
"""

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from math import ceil, log
from pathlib import Path

from benchmarks.fleet_model import (
    SCALE_S,
    Move,
    Run,
    Sample,
    Scenario,
    run,
    shares,
)
from benchmarks.plot import Panel, svg
from workers.placement import DEFAULT_BALANCE, place
from workers.scaling import Behaviour
from workers.stealing import DEFAULT_POLICY

LAG_S_MAX = 5.0
PING_PONG_S = 300
EXPONENTS = (0.6, 0.8, 1.0)
MARKERS = ("<!-- begin generated -->", "<!-- end generated -->")


def worker_loads(placement: dict[str, str], cost: dict[str, float]) -> dict[str, list[float]]:
    """Costs of every worker's shards."""
    loads: dict[str, list[float]] = {}
    for shard, worker in placement.items():
        loads.setdefault(worker, []).append(cost[shard])
    return loads


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report: what was asked, what came out, the bound where there is one."""

    name: str
    value: float
    bound: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the value is within its bound, if it has one."""
        return self.bound is None or self.value <= self.bound


def balances(scenario: Scenario, workers: int) -> list[Row]:
    """How even a full fleet is loaded, by how uneven the instruments are."""
    names = [f"ticks:{{{n}}}" for n in range(scenario.shards)]
    fleet = [f"worker-{n:04}" for n in range(workers)]
    rows = []
    for zipf in EXPONENTS:
        cost = dict(zip(names, shares(replace(scenario, zipf=zipf)).tolist(), strict=True))
        loads = worker_loads(place(names, fleet, cost=cost), cost)
        several = [sum(load) for load in loads.values() if len(load) > 1]
        even = max(several) / (sum(several) / len(several))
        rows += [
            Row(f"Zipf {zipf}: heaviest shard over mean load", max(cost.values()) * workers),
            Row(f"Zipf {zipf}: workers with a hot shard alone", workers - len(several)),
            Row(f"Zipf {zipf}: max/mean load of the others", even, DEFAULT_BALANCE.capacity),
        ]
    return rows


def memberships(scenario: Scenario, workers: int) -> list[Row]:
    """Count moves when workers join and leave, against shards/workers for each of them."""
    names = [f"ticks:{{{n}}}" for n in range(scenario.shards)]
    fleet = [f"worker-{n:04}" for n in range(workers)]
    cost = dict(zip(names, shares(scenario).tolist(), strict=True))
    before = place(names, fleet, cost=cost)
    share, rows = ceil(scenario.shards / workers), []
    for count in (1, workers // 10):
        joined = place(
            names, [*fleet, *(f"joins-{n}" for n in range(count))], cost=cost, current=before
        )
        left = place(names, fleet[count:], cost=cost, current=before)
        orphans = sum(before[name] in fleet[:count] for name in names)
        rows += [
            Row(f"moves when {count} join", moved(before, joined), count * share),
            Row(f"shards of {count} that leave", orphans),
            Row(f"moves when {count} leave", moved(before, left), orphans + count * share),
        ]
    return rows


def moved(before: dict[str, str], after: dict[str, str]) -> int:
    return sum(after[shard] != worker for shard, worker in before.items())


def absorbed_s(samples: list[Sample], began: int, ended: int) -> int:
    """Seconds from the start of a disturbance until no shard lags over the objective again."""
    over = [one.second for one in within(samples, began, ended) if one.lag_s_worst > LAG_S_MAX]
    return max(over) - began if over else 0


def within(samples: list[Sample], began: int, ended: int) -> list[Sample]:
    return [one for one in samples if began < one.second <= ended]


def hasty_moves(moves: list[Move]) -> int:
    """Willing moves of a shard within the window of its move before."""
    last_s: dict[str, int] = {}
    hasty = 0
    for move in moves:
        if move.kind != "orphaned" and move.shard in last_s:
            hasty += move.second - last_s[move.shard] < DEFAULT_POLICY.window_s
        last_s[move.shard] = move.second
    return hasty


def ping_pongs(moves: list[Move]) -> int:
    """Willing moves there, back and there again, all within five minutes."""
    path: dict[str, list[Move]] = {}
    for move in moves:
        path.setdefault(move.shard, []).append(move)
    return sum(
        "orphaned" not in (one.kind, two.kind, three.kind)
        and one.before == two.after == three.before
        and one.after == two.before == three.after
        and three.second - one.second < PING_PONG_S
        for of in path.values()
        for one, two, three in zip(of, of[1:], of[2:], strict=False)
    )


def disturbances(scenario: Scenario, seen: Run) -> list[Row]:
    """Lag and recovery in the burst, the crash and the news, and the pressure that was shown."""
    burst, crash_s, news = scenario.burst_s, scenario.crash_s, scenario.news_s
    spells = {
        f"{scenario.burst:g}x burst": burst,
        f"crash of {scenario.crash_workers}": (crash_s, news[0]),
        "news on one instrument": news,
    }
    rows = []
    for name, (began, ended) in spells.items():
        spell = within(seen.samples, began, ended)
        rows += [
            Row(f"{name}: worst lag, s", max(one.lag_s_worst for one in spell)),
            Row(f"{name}: no shard over {LAG_S_MAX:g} s after, s",
                absorbed_s(seen.samples, began, ended)),
            Row(f"{name}: highest fleet pressure level", max(one.level for one in spell)),
        ]  # fmt: skip
    return rows


def stability(scenario: Scenario, seen: Run) -> list[Row]:
    """Scale events and moves; what would be flapping and ping-pong is bounded."""
    burst = scenario.burst_s
    steady_s = burst[0] + absorbed_s(seen.samples, *burst)
    up = [one for one in seen.changes if steady_s <= one[0] < burst[1]]
    down = [one for one in seen.changes if one[0] >= shrink_end(scenario)]
    kinds = Counter(move.kind for move in seen.moves)
    return [
        Row("workers before the burst", within(seen.samples, 0, burst[0])[-1].workers),
        Row("workers in the burst", within(seen.samples, *burst)[-1].workers),
        Row("workers at the end", seen.samples[-1].workers),
        Row("scale events", len(seen.changes)),
        Row("scale events after the burst is absorbed, before it ends", len(up), 3),
        Row("scale events after the fleet has shrunk", len(down), 3),
        Row("moves by placement", kinds["placed"]),
        Row("moves by stealing", kinds["stolen"]),
        Row("moves of shards whose worker was gone", kinds["orphaned"]),
        Row("willing moves of a shard within the window of another", hasty_moves(seen.moves), 0),
        Row("moves there, back and there again in five minutes", ping_pongs(seen.moves), 0),
    ]


def shrink_end(scenario: Scenario) -> int:
    """Second by which the window and the pace down let the fleet be small again."""
    pace = Behaviour()
    steps = ceil(log(scenario.burst) / -log(1 - pace.down_share)) + 1
    return scenario.burst_s[1] + int(pace.down_window_s + pace.down_period_s * steps) + SCALE_S


def plot(scenario: Scenario, seen: Run) -> str:
    """Draw the run as SVG: workers, lag, balance and moves over time."""
    seconds = [one.second / 60 for one in seen.samples]
    return svg(
        f"{scenario.shards:,} shards, {scenario.instruments:,} instruments",
        "minutes",
        seconds,
        [
            Panel("workers", {
                "arrivals in workers": [one.arrivals for one in seen.samples],
                "required": [float(one.required) for one in seen.samples],
                "running": [float(one.workers) for one in seen.samples],
            }),
            Panel("lag, s", {
                "worst shard": [one.lag_s_worst for one in seen.samples],
                "99 % of shards": [one.lag_s_p99 for one in seen.samples],
            }),
            Panel("max/mean load", {"several shards": [one.balance for one in seen.samples]}),
            Panel("moves in 5 s", {"moves": [float(one.moves) for one in seen.samples]}),
        ],
    )  # fmt: skip


def table(sections: dict[str, list[Row]]) -> str:
    """Markdown table of the rows."""
    lines = ["| what | value | bound |", "|---|---:|---:|"]
    for title, rows in sections.items():
        lines.append(f"| **{title}** | | |")
        lines += [f"| {row.name} | {row.value:,.4g} | {_bound(row)} |" for row in rows]
    return "\n".join(lines)


def _bound(row: Row) -> str:
    return "" if row.bound is None else f"{row.bound:,.4g}"


def write(folder: Path, text: str, picture: str) -> None:
    """Renew the plot, and the table between the markers of the page."""
    (folder / "simulation.svg").write_text(picture)
    page = folder / "simulation.md"
    head, _, rest = page.read_text().partition(MARKERS[0])
    tail = rest.partition(MARKERS[1])[2]
    page.write_text(f"{head}{MARKERS[0]}\n{text}\n{MARKERS[1]}{tail}")


def report(scenario: Scenario, workers: int) -> tuple[dict[str, list[Row]], Run]:
    """Sections of rows, and the run that some of them tell of."""
    seen = run(scenario)
    sections = {
        f"balance, {workers} workers": balances(scenario, workers),
        f"join and leave, {workers} workers": memberships(scenario, workers),
        "disturbances": disturbances(scenario, seen),
        "stability": stability(scenario, seen),
    }
    return sections, seen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--write", type=Path, metavar="DIR", help="renew table and plot there")
    parser.add_argument("--seed", type=int, default=Scenario().seed)
    options = parser.parse_args()
    scenario = Scenario(seed=options.seed)
    began = time.perf_counter()
    sections, seen = report(scenario, scenario.workers_max)
    took_s = time.perf_counter() - began
    if options.write:
        write(options.write, table(sections), plot(scenario, seen))
    if options.json:
        rows = {title: [asdict(row) for row in rows] for title, rows in sections.items()}
        changes = [dict(zip(("second", "from", "to", "why"), one, strict=True))
                   for one in seen.changes]  # fmt: skip
        print(json.dumps({"scenario": asdict(scenario), "rows": rows, "changes": changes,
                          "place_ms": seen.place_ms, "took_s": took_s}))  # fmt: skip
    else:
        print(table(sections))
        print(f"\nplacing: {seen.place_ms:.1f} ms (median); all of this: {took_s:.0f} s")
    return int(any(not row.holds for rows in sections.values() for row in rows))


if __name__ == "__main__":
    sys.exit(main())
