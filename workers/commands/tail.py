"""`fleet tail`: what the fleet publishes, as it comes."""

import asyncio
import re
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

import click
import orjson
from rich.console import Console
from rich.text import Text

from streams.errors import Malformed
from streams.reader import Gap, Position, Received, SignalReader, ValuesReader
from streams.records import EntryId
from streams.signals import Signal
from workers.commands.console import for_people
from workers.commands.options import json_option, with_settings
from workers.connection import served
from workers.replay import as_json
from workers.settings import Settings

ENTRY = re.compile(r"\d+(-\d+)?")
READERS = {"signals": SignalReader, "values": ValuesReader}
NS_PER_S = 1_000_000_000


@click.command()
@click.argument("kind", type=click.Choice([*READERS]), default="signals")
@click.option("--symbol", metavar="S", help="Only this instrument.")
@click.option("--from", "start", default="now", metavar="ID|start|now", help="Where to begin.")
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many.")
@json_option
@with_settings
def command(
    settings: Settings, kind: str, symbol: str | None, start: str, count: int | None, as_json: bool
) -> None:
    """Follow signals (or values) until interrupted, each exactly once."""
    if start not in ("start", "now") and not ENTRY.fullmatch(start):
        raise click.UsageError(f"--from {start!r}: wanted an entry id, start or now")
    show = _show_json if as_json else partial(_show_line, for_people())
    with served(settings.redis) as url, suppress(KeyboardInterrupt, BrokenPipeError):
        shards, positions = settings.shard_names, None
        if start not in ("start", "now"):
            positions = dict.fromkeys(shards, Position(EntryId.parse(start), None))
        reader = READERS[kind](url, shards, name=settings.name, positions=positions)
        asyncio.run(_follow(reader, start == "now", symbol, count, show))


async def _follow(
    reader: SignalReader,
    skip: bool,
    symbol: str | None,
    count: int | None,
    show: Callable[[Received], None],
) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    shown = 0
    with suppress(asyncio.CancelledError):
        async with reader:
            if skip:
                await reader.skip_to_end()
            async for received in reader:
                item = received.item
                if symbol is not None and getattr(item, "symbol", symbol) != symbol:
                    continue
                show(received)
                shown += not isinstance(item, (Gap, Malformed))
                if count is not None and shown >= count:
                    return


def _show_json(received: Received) -> None:
    item = received.item
    if isinstance(item, Malformed):
        about: dict[str, object] = {"malformed": str(item)}
    elif isinstance(item, Gap):
        about = {"gap": {"shard": received.shard, **item._asdict()}}
    else:
        about = as_json(item)
    sys.stdout.buffer.write(orjson.dumps(about) + b"\n")
    sys.stdout.buffer.flush()


def _show_line(console: Console, received: Received) -> None:
    item = received.item
    if isinstance(item, Malformed):
        line = Text.assemble(("cannot be read", "red"), f" {received.entry}: {item}")
    elif isinstance(item, Gap):
        line = Text.assemble(
            ("gap", "red"), f" in shard {received.shard}: wanted {item.wanted}, saw {item.seen}"
        )
    else:
        when = datetime.fromtimestamp(item.ts / NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S")
        line = Text(f"{when} {item.symbol:12} {item.timeframe:>4} {item.status:8} ")
        if isinstance(item, Signal):
            line.append(f"{item.name} ", "bold").append(orjson.dumps(item.value).decode())
        else:
            line.append(orjson.dumps(item.data).decode())
    console.print(line, soft_wrap=True)
