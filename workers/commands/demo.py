"""`fleet demo`: an embedded server, a market, workers, a live table; ends with a summary."""

import asyncio
import signal
import tempfile
from contextlib import nullcontext
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live

from streams.connection import connect
from workers.demo import QUIT, Demo, Options, write_config
from workers.demo_view import keys_of_terminal, summary, table
from workers.program import Program
from workers.server import EmbeddedServer
from workers.settings import load_settings
from workers.warm import warm

REFRESHES_PER_S = 4
LINE_EVERY_S = 2.0  # where there is no terminal


@click.command()
@click.option("--seconds", type=click.IntRange(1, 86_400), default=30, show_default=True)
@click.option("--symbols", type=click.IntRange(1, 5_000), default=50, show_default=True)
@click.option("--rate", type=click.IntRange(1, 50_000), default=5_000, show_default=True,
              help="Ticks a second.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1, 16), default=2, show_default=True)
@click.option("--chaos", is_flag=True, help="Kill -9 a worker every few seconds.")
def command(seconds: int, symbols: int, rate: int, workers: int, chaos: bool) -> None:
    """Show it all on one machine: press k to kill -9 a worker, q to end."""
    console = Console()
    options = Options(seconds, symbols, rate, workers, chaos)
    with tempfile.TemporaryDirectory(prefix="signalfleet-demo-") as name:
        folder = Path(name)
        console.print("starting the embedded server ...")
        with EmbeddedServer(folder / "redis") as server:
            config = write_config(folder, server.url)
            settings = load_settings(config)
            with console.status("compiling kernels (the first time takes about a minute) ..."):
                took_s = warm(Program(settings.plans))
            console.print(f"ready after {took_s:.1f} s; starting {workers} workers ...")
            with connect(server.url) as link:
                demo = Demo(options, settings, link, config, folder)
                asyncio.run(_watch(demo, console))
                summary(demo, console)
    if demo.ledger.duplicates or demo.ledger.gaps:
        raise click.ClickException("signals were lost or repeated: this must never happen")


async def _watch(demo: Demo, console: Console) -> None:
    live = (
        Live(console=console, refresh_per_second=REFRESHES_PER_S, transient=True)
        if console.is_terminal
        else nullcontext()
    )
    with live as screen, keys_of_terminal() as keys:
        told_at = 0.0
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async for _ in demo.run(lambda: QUIT if stop.is_set() else keys()):
            if screen is not None:
                screen.update(table(demo))
            elif demo.elapsed_s >= told_at:
                console.print(demo.line(), soft_wrap=True)
                told_at = demo.elapsed_s + LINE_EVERY_S
