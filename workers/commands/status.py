"""`fleet status`: shards, owners, lag, workers."""

import click
import orjson
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from workers.commands.console import for_people
from workers.commands.options import json_option, with_settings
from workers.connection import linked
from workers.load import ShardLoad
from workers.overview import Overview, look
from workers.settings import Settings

COLUMNS = (
    *("shard", "owner", "lag", "behind", "entries", "values", "signals", "dead"),
    *("busy", "pressure", "hottest"),
)
TEXTS = {"shard", "owner", "hottest"}


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
        for_people().print(picture(overview))


def picture(overview: Overview) -> Group:
    """The overview for people."""
    table = Table(
        title=f"fleet {overview.name}", title_justify="left",
        box=box.SIMPLE_HEAD, show_edge=False, padding=0,
    )  # fmt: skip
    for name in COLUMNS:
        if name in TEXTS:
            table.add_column(name, overflow="fold", min_width=len(name))
        else:  # names give way where it is narrow: a number that is cut is a wrong one
            table.add_column(name, justify="right", no_wrap=True)
    loads = overview.loads
    for shard in overview.shards:
        load = loads.get(shard.shard, ShardLoad())
        table.add_row(
            shard.shard,
            shard.owner or Text("nobody", style="red"),
            f"{shard.lag.entries:,}",
            f"{shard.lag.seconds:.1f} s",
            f"{shard.entries:,}",
            f"{shard.seq_values:,}",
            f"{shard.seq:,}",
            f"{shard.counts.get('dead', 0):,}",
            "?" if load.cost is None else f"{load.cost:.1%}",
            f"{load.level}" + (f", sheds {load.tier}" if load.tier else ""),
            f"{load.hot} {load.hot_share:.0%}" if load.hot else "",
        )
    lines: list[str | Text] = [
        f"{worker.name}: {len(worker.shards)} shards, seen {worker.age_ms} ms ago"
        for worker in overview.workers
    ]
    counts = ", ".join(f"{amount:,} {name}" for name, amount in overview.counts.items())
    return Group(
        table,
        *(lines or [Text("no worker is alive: start one with `fleet worker`", style="red")]),
        f"{overview.lag_entries:,} entries wait; ticks: {counts}",
        f"workers required {overview.required.reason}",
        f"pressure {overview.pressure.level}: {overview.pressure.reason}",
    )
