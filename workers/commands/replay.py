"""`fleet replay`: rows and signals from files, without a server."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import orjson
import pyarrow as pa
import pyarrow.parquet as parquet

from workers.commands.options import with_settings
from workers.commands.progress import progress_of
from workers.replay import as_json, replay
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
@with_settings
def command(settings: Settings, files: tuple[Path, ...], out: Path | None) -> None:
    """Print the values and signals that a live fleet gives for these ticks.

    One JSON object a line, with the fields of `fleet tail --json`: a line with `data` is of the
    values, one with `id` of the signals. Bars that no later tick closes stay open.
    """
    counts = {"values": 0, "signals": 0}
    with writer(out) as write, progress_of("replay") as tell:
        for item in replay(files, settings, tell):
            about = as_json(item)
            counts["values" if "data" in about else "signals"] += 1
            write(about)
    click.echo(f"{counts['values']:,} values, {counts['signals']:,} signals", err=True)


@contextmanager
def writer(out: Path | None) -> Iterator[Write]:
    """Where the rows go, by the ending of the file's name."""
    if out is None:
        yield lambda row: sys.stdout.buffer.write(orjson.dumps(row) + b"\n")
        sys.stdout.buffer.flush()
    elif out.suffix == ".jsonl":
        with out.open("wb") as file:
            yield lambda row: file.write(orjson.dumps(row) + b"\n")
    elif out.suffix == ".parquet":
        with _Parquet(out) as sheet:
            yield sheet.write
    else:
        raise click.UsageError(f"--out {out}: wanted a name that ends in .jsonl or .parquet")


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
