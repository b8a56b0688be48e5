"""`fleet up`: worker processes on this machine, as many as the load needs."""

import signal
import sys
from collections.abc import Sequence
from threading import Event

import click

from streams.keys import Keys
from workers.commands.options import with_settings
from workers.connection import linked
from workers.logs import configure_logs
from workers.settings import Settings
from workers.supervisor import Supervisor
from workers.topology import agree
from workers.tracing import require


@click.command()
@click.option("--min", "least", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--max", "most", type=click.IntRange(min=1), default=4, show_default=True)
@with_settings
def command(settings: Settings, least: int, most: int) -> None:
    """Run between --min and --max workers here, scaled by the load, until SIGTERM."""
    if least > most:
        raise click.UsageError(f"--min {least} is above --max {most}")
    configure_logs(settings.log)
    require(settings.telemetry)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    given: list[str] = []
    with linked(settings.redis) as link:
        agree(link, Keys(settings.name), settings)
        options = click.get_current_context().params
        if settings.redis.embedded or options["redis_url"]:
            given += ["--redis", link.url]
        if options["config"]:
            given += ["--config", str(options["config"])]

        def worker(name: str) -> Sequence[str]:
            return [sys.executable, "-m", "workers", "worker", "--name", name, *given]

        Supervisor(settings, link, worker, least=least, most=most).run(stop)
