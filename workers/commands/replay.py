"""`fleet replay`: rows and signals from files, without a server."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
import orjson
import pyarrow as pa
import pyarrow.parquet as parquet

from sandbox.script import Param
from workers.commands.drafts import Scope, draft, with_scope
from workers.commands.options import with_settings
from workers.commands.progress import progress_of
from workers.commands.script import FAILED, open_pool, pair, params_of
from workers.errors import FleetError
from workers.replay import Cast, as_json, replay
from workers.scripting.access import refusal
from workers.scripting.stage import Account
from workers.settings import Settings

ROWS_PER_GROUP = 50_000
PARQUET_COLUMNS = {
    **dict.fromkeys(("stream", "symbol", "name", "timeframe", "status", "source"), pa.string()),
    **dict.fromkeys(("ts", "seq", "ts_event", "ts_publish", "valid_until"), pa.int64()),
    **dict.fromkeys(("id", "entry", "value", "data", "degraded"), pa.string()),
    "partial": pa.bool_(),
}

type Write = Callable[[dict[str, Any]], object]


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write here (.jsonl or .parquet) instead of printing lines.",
)
@click.option(
    "--script", "scripts", multiple=True, metavar="NAME=FILE",
    help="A script that is put before the first tick; the options below are for all of them.",
)  # fmt: skip
@with_scope
@click.option(
    "--param", "params", multiple=True, metavar="[SCRIPT.]NAME=VALUE",
    help="A parameter, of one script or of all.",
)  # fmt: skip
@with_settings
def command(
    settings: Settings,
    files: tuple[Path, ...],
    out: Path | None,
    scripts: tuple[str, ...],
    params: tuple[str, ...],
    **scope: Any,
) -> None:
    """Print the values and signals that a live fleet gives for these ticks.

    One JSON object a line, with the fields of `fleet tail --json`: a line with `data` is of the
    values, one with `id` of the signals. Bars that no later tick closes stay open. What scripts
    print goes to standard error; it ends with 1 if one of them failed.
    """
    counts, failed = {"values": 0, "signals": 0}, set[str]()
    with ExitStack() as stack:
        told = partial(_tell, failed)
        cast = stack.enter_context(_cast(settings, scripts, params, Scope(**scope), told))
        write, tell = stack.enter_context(writer(out)), stack.enter_context(progress_of("replay"))
        for item in replay(files, settings, tell, cast):
            about = as_json(item)
            counts["values" if "data" in about else "signals"] += 1
            write(about)
    click.echo(f"{counts['values']:,} values, {counts['signals']:,} signals", err=True)
    if failed:
        sys.exit(FAILED)


@contextmanager
def _cast(
    settings: Settings,
    scripts: tuple[str, ...],
    params: tuple[str, ...],
    scope: Scope,
    told: Callable[[Account], None],
) -> Iterator[Cast]:
    """The scripts as a deployer would draft them, by the rights of the same tenant."""
    if not scripts:
        yield Cast()
        return
    files = dict(map(pair, scripts))
    if len(files) < len(scripts):
        raise click.UsageError("--script: two of them have the same name")
    with open_pool(settings) as pool:
        given = _params(files, params)
        drafts = [
            draft(settings, pool, name, Path(file), scope=scope, params=given[name])
            for name, file in files.items()
        ]
        for each in drafts:
            reason = refusal(each, settings.scripts.tenants, settings.plans)
            if reason is not None:
                raise FleetError(f"{each.name} is refused: {reason}")
        yield Cast(drafts, pool, told)


def _params(scripts: Iterable[str], texts: tuple[str, ...]) -> dict[str, dict[str, Param]]:
    """Parameters by script: `length=5` is for all of them, `record.length=5` for `record`."""
    given: dict[str, dict[str, Param]] = {script: {} for script in scripts}
    for text in texts:
        name, value = pair(text)
        owner, dot, name = name.rpartition(".")
        if dot and owner not in given:
            raise click.UsageError(f"--param {text}: there is no --script {owner}")
        for script in [owner] if dot else given:
            given[script] |= params_of((f"{name}={value}",))
    return given


def _tell(failed: set[str], account: Account) -> None:
    """Say what scripts had to say, and which of them are out."""
    for script, symbol, ts, text in account.lines:
        click.echo(f"{script}: {symbol} {ts} {text}", err=True)
    for fault in account.faults:
        failed.add(fault.script.name)
        click.echo(f"script {fault.script.name} is in quarantine: {fault.reason}", err=True)


@contextmanager
def writer(out: Path | None) -> Iterator[Write]:
    """Where the rows go, by the ending of the file's name."""
    if out is None:
        yield lambda row: sys.stdout.buffer.write(orjson.dumps(row) + b"\n")
        sys.stdout.buffer.flush()
    elif out.suffix == ".jsonl":
        with _whole(out) as path, path.open("wb") as file:
            yield lambda row: file.write(orjson.dumps(row) + b"\n")
    elif out.suffix == ".parquet":
        with _whole(out) as path, _Parquet(path) as sheet:
            yield sheet.write
    else:
        raise click.UsageError(f"--out {out}: wanted a name that ends in .jsonl or .parquet")


@contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """Where to write what becomes `out` once it is whole: an earlier one stays until then."""
    part = out.with_name(f"{out.name}.part")
    try:
        yield part
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


class _Parquet:
    """Both kinds of rows in one table; JSON values and data as text."""

    def __init__(self, path: Path) -> None:
        self._schema = pa.schema(list(PARQUET_COLUMNS.items()))
        self._file = parquet.ParquetWriter(path, self._schema)
        self._rows: list[dict[str, Any]] = []

    def __enter__(self) -> "_Parquet":
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._file.close()

    def write(self, row: dict[str, Any]) -> None:
        """Add a row."""
        row["stream"] = "values" if "data" in row else "signals"
        for name in ("data", "value"):
            if name in row:
                row[name] = orjson.dumps(row[name]).decode()
        self._rows.append(row)
        if len(self._rows) >= ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        self._file.write_table(pa.Table.from_pylist(self._rows, self._schema))
        self._rows.clear()
