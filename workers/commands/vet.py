"""`fleet vet`: what speaks against a script, without running a bar."""

import json
import sys
from pathlib import Path

import click

from sandbox.script import Script
from workers.commands.script import FAILED, open_pool, params_of, print_report, source_of


@click.command("vet")
@click.argument(
    "file", metavar="SCRIPT", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(file: Path, params: tuple[str, ...], as_json: bool) -> None:
    """Say what speaks against SCRIPT: 0 accepted, 1 refused."""
    script = Script(file.stem, source_of(file), params=params_of(params))
    with open_pool() as pool:
        report = pool.vet(script)
    if as_json:
        click.echo(json.dumps(report.as_json()))
    else:
        print_report(file, report)
    sys.exit(0 if report.accepted else FAILED)
