"""`fleet backfill`: history from files, so that plans are warm before the first live tick."""

import asyncio
import time
from pathlib import Path

import click
import orjson

from indicators.bars import BarSpec
from indicators.errors import IndicatorError
from streams.producer import FrameProducer, HistoryProducer
from workers.backfill import TICKS_PER_BAR, history
from workers.commands.options import json_option, with_settings
from workers.commands.progress import progress_of
from workers.connection import served
from workers.feeding import push
from workers.program import Program
from workers.settings import Settings


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--timeframe", metavar="1m", help="How long the bars are, where the files hold bars.")
@click.option("--publish", is_flag=True, help="Publish what plans say of history, as if live.")
@click.option("--heedless", is_flag=True, help="Do not slow down when the fleet cannot keep up.")
@json_option
@with_settings
def command(
    settings: Settings,
    files: tuple[Path, ...],
    timeframe: str | None,
    publish: bool,
    heedless: bool,
    as_json: bool,
) -> None:
    """Warm the plans with the ticks or bars of CSV, CSV.gz, Parquet or JSONL files.

    History goes through the log like live ticks, moves the state of every plan, and is not
    published. Bars have symbol, ts (the close), open, high, low, close, volume. Run it once, and
    before the live feed: what is older than an instrument's newest closed bar counts as late.
    """
    started = time.monotonic()
    spec = _spec(timeframe)
    program = Program(settings.plans)
    producer = FrameProducer if publish else HistoryProducer
    with served(settings.redis) as url, progress_of("backfill") as tell:
        heeds = None if heedless else settings.name
        fed = asyncio.run(
            push(
                producer(url, shards=settings.shards, heeds=heeds),
                history(files, program, spec, tell),
            )
        )
    took_s = time.monotonic() - started
    bars = fed.ticks // TICKS_PER_BAR if spec else 0
    if as_json:
        click.echo(orjson.dumps({**fed._asdict(), "bars": bars, "took_s": took_s}))
    else:
        what = f"{bars:,} bars as {fed.ticks:,} ticks" if spec else f"{fed.ticks:,} ticks"
        stopped = ", stopped before the end" if fed.stopped else ""
        click.echo(f"{what} of history in {took_s:.1f} s{stopped}")


def _spec(timeframe: str | None) -> BarSpec | None:
    try:
        return None if timeframe is None else BarSpec.parse(timeframe)
    except IndicatorError as error:
        raise click.UsageError(f"--timeframe: {error}") from None
