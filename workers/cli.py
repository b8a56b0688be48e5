"""`fleet`: the root of the command line. Sub-commands are imported when they are called."""

import sys
from importlib import import_module
from io import TextIOWrapper

import click

# Where each sub-command lives: imported only when asked for, so that `fleet --help` is instant.
COMMANDS = {
    "demo": "workers.commands.demo",
    "server": "workers.commands.server",
    "worker": "workers.commands.worker",
    "up": "workers.commands.up",
    "feed": "workers.commands.feed",
    "backfill": "workers.commands.backfill",
    "tail": "workers.commands.tail",
    "replay": "workers.commands.replay",
    "status": "workers.commands.status",
    "top": "workers.commands.top",
    "selftest": "workers.commands.selftest",
    "indicators": "workers.commands.indicators",
    "vet": "workers.commands.vet",
    "script": "workers.commands.deploy",
    "doctor": "workers.commands.doctor",
}


class LazyGroup(click.Group):
    """A group whose commands are the `command` of the modules in COMMANDS."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Every sub-command, in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The sub-command of that name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name]).command
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="signalfleet")
def root() -> None:
    """Ticks in, signals out, exactly once: a fleet of workers over Redis Streams."""


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 bad usage or configuration."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # what the locale has no letter for is a ?
    try:
        sys.exit(root.main(standalone_mode=False) or 0)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except click.Abort:
        sys.exit(1)
    except Exception as error:
        code = exit_code(error)
        if code is None:
            raise
        click.echo(f"fleet: {error}", err=True)
        sys.exit(code)


def exit_code(error: Exception) -> int | None:
    """2 for a bad configuration, 1 for a failure we know how to say, None for our own mistakes."""
    from indicators.errors import IndicatorError
    from streams.errors import StreamError
    from workers.errors import FleetError
    from workers.settings import SettingsError

    if isinstance(error, SettingsError):
        return 2
    # An OSError is the machine's: a full disk, a folder that may not be written to.
    known = (IndicatorError, StreamError, FleetError, OSError)
    return 1 if isinstance(error, known) else None
