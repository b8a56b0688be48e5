"""`fleet worker`: one worker, until SIGTERM."""

import os
import socket

import click

from workers.commands.options import with_settings
from workers.connection import linked
from workers.logs import configure_logs
from workers.service import run_worker
from workers.settings import Settings


@click.command()
@click.option("--name", help="Its name in the fleet.  [default: host and process id]")
@with_settings
def command(settings: Settings, name: str | None) -> None:
    """Process shards until SIGTERM, then hand them over."""
    configure_logs(settings.log)
    with linked(settings.redis) as link:
        run_worker(settings, name or f"{socket.gethostname()}-{os.getpid()}", link)
