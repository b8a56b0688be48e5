"""`fleet feed`: ticks from files into the fleet."""

import asyncio
import time
from pathlib import Path

import click
import orjson

from streams.producer import FrameProducer, TickProducer
from workers.commands.options import json_option, with_settings
from workers.commands.progress import progress_of
from workers.connection import served
from workers.feeding import Fed, push
from workers.files import read_ticks
from workers.settings import Settings

MAX = "max"


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--speed", default=MAX, metavar="X|max", show_default=True, help="Times the pace of the data."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["plain", "frame"]),
    default="plain",
    show_default=True,
    help="One entry a tick, or up to 1,000 ticks an entry.",
)
@click.option("--heedless", is_flag=True, help="Do not slow down when the fleet cannot keep up.")
@json_option
@with_settings
def command(
    settings: Settings,
    files: tuple[Path, ...],
    speed: str,
    form: str,
    heedless: bool,
    as_json: bool,
) -> None:
    """Push the ticks of CSV, CSV.gz, Parquet or JSONL files, each exactly once."""
    started = time.monotonic()
    with served(settings.redis) as url, progress_of("feed") as tell:
        heeds = None if heedless else settings.name
        producer = FrameProducer if form == "frame" else TickProducer
        fed = asyncio.run(
            push(
                producer(url, shards=settings.shards, heeds=heeds),
                read_ticks(files, tell),
                _speed(speed),
            )
        )
    _report(fed, time.monotonic() - started, as_json)


def _speed(text: str) -> float | None:
    """Times the pace of the data; None for as fast as it goes."""
    if text == MAX:
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise click.UsageError(f"--speed {text!r}: wanted a number above 0, or max")
    return speed


def _report(fed: Fed, took_s: float, as_json: bool) -> None:
    if as_json:
        click.echo(orjson.dumps({**fed._asdict(), "took_s": took_s}))
    else:
        rate = fed.ticks / max(took_s, 1e-9)
        stopped = ", stopped before the end" if fed.stopped else ""
        click.echo(f"{fed.ticks:,} ticks in {took_s:.1f} s ({rate:,.0f} a second){stopped}")
