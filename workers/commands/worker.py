"""`fleet worker`: one worker, until SIGTERM."""

import os
import socket
import sys
from contextlib import ExitStack

import click

from sandbox.errors import SandboxUnavailable
from sandbox.lockdown import undumpable
from sandbox.pool import JailPool
from workers.commands.options import with_settings
from workers.connection import linked
from workers.errors import FleetError
from workers.logs import configure_logs
from workers.service import run_worker
from workers.settings import Settings


@click.command()
@click.option("--name", help="Its name in the fleet.  [default: host and process id]")
@with_settings
def command(settings: Settings, name: str | None) -> None:
    """Process shards until SIGTERM, then hand them over."""
    configure_logs(settings.log)
    if sys.platform == "linux":
        undumpable()
    with ExitStack() as stack:
        # Jails first: the process that scripts are born from must not inherit a connection.
        jails = stack.enter_context(_jails(settings)) if _runs_scripts(settings) else None
        link = stack.enter_context(linked(settings.redis))
        run_worker(settings, name or f"{socket.gethostname()}-{os.getpid()}", link, jails)


def _runs_scripts(settings: Settings) -> bool:
    return settings.scripts.signing_key() is not None


def _jails(settings: Settings) -> JailPool:
    try:
        return JailPool(
            landlock_required=settings.scripts.landlock_required,
            processes_max=settings.scripts.processes_max,
        )
    except SandboxUnavailable as error:
        raise FleetError(f"scripts.key is set, and scripts cannot run here: {error}") from error
