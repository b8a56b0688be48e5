"""`fleet doctor`: what is wrong with this set-up, or with this feed."""

import sys

import click
import orjson
from rich.console import Console
from rich.text import Text

from workers.commands.console import for_people
from workers.commands.options import json_option, with_settings
from workers.connection import linked
from workers.doctor import Finding, examine_setup, examine_stream
from workers.scripting.checkup import examine_scripts
from workers.settings import Settings

COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}


@click.command()
@click.option("--stream", metavar="KEY", help="Look at the entries of this stream instead.")
@json_option
@with_settings
def command(settings: Settings, stream: str | None, as_json: bool) -> None:
    """Say what is wrong, and what to do about it; exit code 1 when something is."""
    with linked(settings.redis) as link:
        if stream:
            findings = list(examine_stream(link, settings, stream))
        else:
            findings = [*examine_setup(link, settings), *examine_scripts(link, settings)]
    if as_json:
        click.echo(orjson.dumps({"findings": [finding._asdict() for finding in findings]}))
    else:
        _show(findings, for_people())
    if any(finding.level == "error" for finding in findings):
        sys.exit(1)


def _show(findings: list[Finding], console: Console) -> None:
    for level, what, advice in findings:
        console.print(Text.assemble((level, COLOURS[level]), f"  {what}"))
        if advice:
            console.print(f"       {advice}")
