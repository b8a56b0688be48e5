"""`fleet top`: the fleet as it is now, again and again."""

import time

import click
from rich.console import Console, Group
from rich.live import Live

from streams.errors import Unavailable
from workers.commands.options import with_settings
from workers.commands.status import picture
from workers.connection import linked
from workers.overview import look
from workers.settings import Settings


@click.command()
@click.option("--every", type=click.FloatRange(min=0.1), default=1.0, show_default=True)
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many looks.")
@with_settings
def command(settings: Settings, every: float, count: int | None) -> None:
    """Show shards, workers, lag, pressure, and how many workers are required and why."""
    console = Console()
    looks = 0
    with linked(settings.redis) as link, Live(console=console, auto_refresh=False) as live:
        while count is None or looks < count:
            looks += 1
            try:
                seen = picture(look(link, settings))
            except Unavailable as error:
                seen = Group(f"server away: {error}")
            live.update(seen, refresh=True)
            if looks != count:
                time.sleep(every)
