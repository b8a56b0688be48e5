"""`fleet tail`: what the fleet publishes, as it comes."""

import asyncio
import re
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import click
import orjson
from rich.console import Console

from streams.errors import Malformed
from streams.reader import Gap, Position, Received, SignalReader, ValuesReader
from streams.records import EntryId
from streams.signals import Signal
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
    show = _show_json if as_json else _Table().show
    with served(settings.redis) as url, suppress(KeyboardInterrupt, BrokenPipeError):
        shards = [*map(str, range(settings.shards)), *settings.sources]
        positions = None
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


class _Table:
    """Lines for people."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)

    def show(self, received: Received) -> None:
        """Print one line."""
        item = received.item
        if isinstance(item, Malformed):
            self._console.print(f"[red]cannot be read[/red] {received.entry}: {item}")
        elif isinstance(item, Gap):
            self._console.print(
                f"[red]gap[/red] in shard {received.shard}: wanted {item.wanted}, saw {item.seen}"
            )
        else:
            when = datetime.fromtimestamp(item.ts / NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S")
            what = (
                f"[bold]{item.name}[/bold] {orjson.dumps(item.value).decode()}"
                if isinstance(item, Signal)
                else orjson.dumps(item.data).decode()
            )
            self._console.print(
                f"{when} {item.symbol:12} {item.timeframe:>4} {item.status:8} {what}"
            )
