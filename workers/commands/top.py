"""`fleet top`: the fleet as it is now, again and again."""

import time
from contextlib import nullcontext, suppress

import click
from rich.console import Group
from rich.live import Live

from streams.connection import Link
from streams.errors import Unavailable
from workers.commands.console import for_people
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
    console = for_people()
    live = Live(console=console, auto_refresh=False) if console.is_terminal else nullcontext()
    looks = 0
    with suppress(KeyboardInterrupt), linked(settings.redis) as link, live as screen:
        while count is None or looks < count:
            looks += 1
            seen = _look(link, settings)
            if screen is None:
                console.print(seen)
            else:
                screen.update(seen, refresh=True)
            if looks != count:
                time.sleep(every)


def _look(link: Link, settings: Settings) -> Group:
    try:
        return picture(look(link, settings))
    except Unavailable as error:
        return Group(f"server away: {error}")
