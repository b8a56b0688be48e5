"""`fleet script run`: what an author needs before anything is deployed."""

import json
import sys
from pathlib import Path
from typing import Any, Final

import click
import orjson

from indicators.errors import IndicatorError
from sandbox.errors import SandboxError
from sandbox.local import LocalRun, run_file
from sandbox.pool import JailPool
from sandbox.report import Report
from sandbox.runner import Refused
from sandbox.script import Param, Script
from workers.script_bars import bars_of
from workers.settings import Settings
from workers.tables import FileError

FAILED: Final = 1
SIGNALS_SHOWN: Final = 20
ERRORS_SHOWN: Final = 8


@click.group("script")
def command() -> None:
    """Scripts of your own."""


@command.command("run")
@click.argument(
    "file", metavar="SCRIPT", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.argument(
    "data", metavar="FILE...", nargs=-1, required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)  # fmt: skip
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter.")
@click.option(
    "--value", "values", multiple=True, metavar="NAME=EXPRESSION",
    help="An indicator for bar.values, for instance RSI_14=rsi(length=14).",
)  # fmt: skip
@click.option(
    "--timeframe", default="1m", show_default=True,
    help="How long bars are: those of the file, or those to make of its ticks.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--unvetted", is_flag=True, help="Skip vetting: to test the walls behind it.")
def run(
    file: Path,
    data: tuple[Path, ...],
    params: tuple[str, ...],
    values: tuple[str, ...],
    timeframe: str,
    as_json: bool,
    unvetted: bool,
) -> None:
    """Run SCRIPT on files of bars or ticks, in the jail it would have in the fleet."""
    loaded = Script(file.stem, source_of(file), params=params_of(params), vetted=not unvetted)
    expressions = dict(pair(value) for value in values)
    runs: list[dict[str, Any]] = []
    ok = True
    with open_pool() as pool:
        for path in data:
            done = _run_one(pool, file, loaded, path, timeframe, expressions)
            ok = ok and done.ok
            if as_json:
                runs.append({"file": str(path), **done.as_json()})
            else:
                _print_run(path, done)
    if as_json:
        click.echo(json.dumps({"script": loaded.name, "digest": loaded.digest, "runs": runs}))
    sys.exit(0 if ok else FAILED)


def _run_one(
    pool: JailPool, file: Path, script: Script, path: Path, timeframe: str, values: dict[str, str]
) -> LocalRun:
    try:
        return run_file(pool, script, bars_of(path, timeframe), values, timeframe)
    except Refused as refused:
        print_report(file, refused.report, err=True)
        sys.exit(FAILED)
    except (FileError, IndicatorError, SandboxError) as error:
        click.echo(f"{path}: {error}", err=True)
        sys.exit(FAILED)


def open_pool(settings: Settings | None = None) -> JailPool:
    """A pool for this one command, as strict as the workers'; ends it where there can be none."""
    try:
        return JailPool(landlock_required=settings is None or settings.scripts.landlock_required)
    except SandboxError as error:
        click.echo(str(error), err=True)
        sys.exit(FAILED)


def source_of(file: Path) -> str:
    """The text of a script, or bad usage."""
    try:
        return file.read_bytes().decode()
    except OSError as error:
        raise click.UsageError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{file} is not UTF-8: byte {error.start}") from None


def pair(text: str) -> tuple[str, str]:
    """Name and value of `NAME=VALUE`, or bad usage."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"{text!r} is not NAME=VALUE")
    return name, value


def params_of(texts: tuple[str, ...]) -> dict[str, Param]:
    """Parameters by name: numbers, true and false as such, the rest as text."""
    params: dict[str, Param] = {}
    for name, value in map(pair, texts):
        try:
            read = orjson.loads(value)  # large numbers become floats, NaN stays a word
        except ValueError:
            read = value
        params[name] = read if isinstance(read, str | int | float | bool) else value
    return params


def print_report(file: Path, report: Report, *, err: bool = False) -> None:
    """Print findings and verdict."""
    for finding in report.findings:
        click.echo(f"{file}:{finding}", err=err)
    verdict = "accepted" if report.accepted else "refused"
    click.echo(f"{file}: {verdict} ({report.style}, {report.digest})", err=err)


def _print_run(path: Path, done: LocalRun) -> None:
    content = done.as_json()
    for signal in content["signals"][:SIGNALS_SHOWN]:
        fields = json.dumps(signal["fields"]) if "fields" in signal else ""
        click.echo(f"{signal['ts']} {signal['symbol']} {signal['name']} {signal['value']} {fields}")
    hidden = len(done.signals) - SIGNALS_SHOWN
    if hidden > 0:
        click.echo(f"... and {hidden} signals more (--json shows all)")
    for row, text in done.log:
        click.echo(f"log, row {row}: {text}")
    for failure in done.errors[:ERRORS_SHOWN]:
        click.echo(f"error, row {failure.row}, line {failure.line}: {failure.text}", err=True)
    if done.outcome != "done":
        click.echo("\n".join((f"{done.outcome}: {done.message}", *done.traceback)), err=True)
    click.echo(
        f"{path}: {done.rows} bars, {len(done.signals)} signals, {done.errors_total} errors,"
        f" {content['cpu_us_per_bar']} us a bar"
    )
    for limit, share in content["limits_near"].items():
        click.echo(f"limit {limit}: {share:.0%} used")
