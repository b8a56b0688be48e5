"""What the demo shows: a live table, and a summary at the end."""

import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from workers.demo import Demo

NS_PER_S = 1_000_000_000


def table(demo: Demo) -> RenderableType:
    """The fleet and its newest signals."""
    ledger, overview = demo.ledger, demo.overview
    alive = {worker.name for worker in overview.workers}
    shards = Table(title="shards", title_justify="left")
    for name in ("shard", "owner", "lag", "values", "signals"):
        shards.add_column(name, justify="left" if name == "owner" else "right")
    for shard in overview.shards:
        owner = Text(shard.owner or "nobody", style="" if shard.owner in alive else "red")
        shards.add_row(
            shard.shard, owner, f"{shard.lag.entries:,}", f"{shard.seq_values:,}", f"{shard.seq:,}"
        )
    signals = Table(title="newest signals", title_justify="left")
    for name in ("bar", "symbol", "signal", "value"):
        signals.add_column(name)
    for signal in ledger.newest:
        when = datetime.fromtimestamp(signal.ts / NS_PER_S, UTC).strftime("%H:%M:%S")
        signals.add_row(
            when, signal.symbol, f"{signal.name} ({signal.timeframe})", _short(signal.value)
        )
    rate = demo.pushed / max(demo.elapsed_s, 1e-9)
    head = Text.assemble(
        (f"{demo.elapsed_s:.0f} s of {demo.options.seconds}", "bold"),
        f"   {rate:,.0f} ticks/s   {ledger.values:,} values   {ledger.signals:,} signals   "
        f"p50 {ledger.latency_ms(50):.1f} ms   p99 {ledger.latency_ms(99):.1f} ms   "
        f"kills {demo.kills}   duplicates {ledger.duplicates}   gaps {ledger.gaps}",
    )
    keys = Text("k: kill -9 a worker    q: end", style="dim")
    return Group(head, Columns([shards, signals]), keys)


def summary(demo: Demo, console: Console) -> None:
    """What happened, and what to try next."""
    ledger, counts = demo.ledger, demo.overview.counts
    console.print()
    rows = {
        "ticks pushed": f"{demo.pushed:,}",
        "ticks accounted for": f"{sum(counts.values()):,} ("
        + ", ".join(f"{amount:,} {name}" for name, amount in counts.items())
        + ")",
        "values (one a closed bar and plan)": f"{ledger.values:,}",
        "signals": f"{ledger.signals:,}",
        "workers killed": f"{demo.kills}",
        "duplicates": f"{ledger.duplicates}",
        "gaps": f"{ledger.gaps}",
        "latency, tick stored to signal read": f"p50 {ledger.latency_ms(50):.1f} ms,"
        f" p99 {ledger.latency_ms(99):.1f} ms",
    }
    for name, value in rows.items():
        console.print(f"{name:36} [bold]{value}[/bold]", highlight=False, soft_wrap=True)
    console.print(
        "\nWhat to try next:\n"
        "  .venv/bin/fleet demo --chaos          a worker dies every five seconds\n"
        "  .venv/bin/fleet server                a server of your own, then `fleet worker`\n"
        "  .venv/bin/fleet indicators rsi        what an indicator is, and when it starts\n"
        "  README.md                             a first fleet.yaml",
        highlight=False,
        soft_wrap=True,
    )


@contextmanager
def keys_of_terminal() -> Iterator[Callable[[], str]]:
    """A function that returns the key that was pressed, "" for none; never waits."""
    if not sys.stdin.isatty():
        yield lambda: ""
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)

    def pressed() -> str:
        ready, _, _ = select.select([descriptor], [], [], 0)
        return os.read(descriptor, 1).decode("ascii", "ignore") if ready else ""

    try:
        yield pressed
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _short(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_short(part)}" for name, part in value.items())
    return f"{value:.5g}" if isinstance(value, float) else str(value)
