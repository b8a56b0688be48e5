"""`fleet status`: shards, owners, lag, workers."""

import click
import orjson
from rich.console import Console
from rich.table import Table

from workers.commands.options import json_option, with_settings
from workers.connection import linked
from workers.overview import Overview, look
from workers.settings import Settings


@click.command()
@json_option
@with_settings
def command(settings: Settings, as_json: bool) -> None:
    """Show who holds which shard, and how far behind it is."""
    with linked(settings.redis) as link:
        overview = look(link, settings)
    if as_json:
        click.echo(orjson.dumps(overview.as_json()))
    else:
        show(overview, Console())


def show(overview: Overview, console: Console) -> None:
    """Print the overview for people."""
    table = Table(title=f"fleet {overview.name}", title_justify="left")
    for name in ("shard", "owner", "lag", "behind", "entries", "values", "signals", "dead"):
        table.add_column(name, justify="left" if name in {"shard", "owner"} else "right")
    for shard in overview.shards:
        table.add_row(
            shard.shard,
            shard.owner or "[red]nobody[/red]",
            f"{shard.lag.entries:,}",
            f"{shard.lag.seconds:.1f} s",
            f"{shard.entries:,}",
            f"{shard.seq_values:,}",
            f"{shard.seq:,}",
            f"{shard.counts.get('dead', 0):,}",
        )
    console.print(table)
    for worker in overview.workers:
        console.print(f"{worker.name}: {len(worker.shards)} shards, seen {worker.age_ms} ms ago")
    if not overview.workers:
        console.print("[red]no worker is alive[/red]: start one with `fleet worker`")
    counts = ", ".join(f"{amount:,} {name}" for name, amount in overview.counts.items())
    console.print(f"{overview.lag_entries:,} entries wait; ticks: {counts}")
