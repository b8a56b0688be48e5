"""`fleet server`: the embedded server in the foreground."""

import signal
import threading
from pathlib import Path

import click

from workers.server import EmbeddedServer

DEFAULT_FOLDER = Path(".fleet/redis")
POLL_S = 0.2


@click.command()
@click.option("--port", type=click.IntRange(1, 65_535), help="Loopback port.  [default: free]")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_FOLDER,
    show_default=True,
    help="Where its data lives.",
)
def command(port: int | None, folder: Path) -> None:
    """Serve a persistent Valkey on loopback until SIGTERM; print its URL."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with EmbeddedServer(folder, port) as server:
        if not server.owned:
            raise click.ClickException(f"{folder} is served already, at {server.url}")
        click.echo(server.url)
        while not stop.is_set():
            code = server.wait(POLL_S)
            if code is not None:
                raise click.ClickException(f"the server ended by itself with status {code}")
