"""`fleet selftest`: a known tape must give the known signals on this server."""

import time

import click
import orjson

from workers.commands.options import json_option, with_settings
from workers.connection import linked
from workers.logs import configure_logs
from workers.selftest import run
from workers.settings import Settings


@click.command()
@click.option("--seconds", type=click.FloatRange(min=1), default=60.0, show_default=True)
@json_option
@with_settings
def command(settings: Settings, seconds: float, as_json: bool) -> None:
    """Push a known tape into shards of its own and compare every value; 1 when one is off."""
    configure_logs(settings.log.model_copy(update={"level": "warning"}))
    started = time.monotonic()
    with linked(settings.redis) as link:
        rows = run(link, settings, seconds)
    took_s = time.monotonic() - started
    if as_json:
        click.echo(orjson.dumps({"rows": rows, "took_s": round(took_s, 3)}))
    else:
        click.echo(f"selftest: {rows} bars and their signals are right, in {took_s:.1f} s")
