"""Files of rows, as bounded pieces of Arrow columns that still know where each row stood."""

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet

from streams.numbers import shown
from workers.errors import FleetError

pa.enable_signal_handlers(False)  # SIGTERM is ours: Arrow would fail the read that it meets

BLOCK_BYTES = 1 << 20
LINE_BYTES_MAX = 1 << 20
PIECE_ROWS = 1 << 16


class FileError(FleetError):
    """A file cannot be read as asked: mend the row that the message names."""


class Piece(NamedTuple):
    """Some rows: Arrow columns by name, the place of a row in words, bytes of the file read."""

    columns: dict[str, Any]
    place: Callable[[int], str]
    bytes_read: int


class Block(NamedTuple):
    """Whole lines of a text file, the number of the first of them, bytes of the file read."""

    text: bytes
    line: int
    bytes_read: int

    def lines(self) -> list[tuple[int, bytes]]:
        """The lines that are not empty, numbered."""
        numbered = enumerate(self.text.split(b"\n"), self.line)
        return [(number, line) for number, line in numbered if line not in (b"", b"\r")]

    def place(self, row: int) -> str:
        """Where the block's row stands in the file."""
        return f"line {self.lines()[row][0]}"


def pieces(path: Path, names: frozenset[str]) -> Iterator[Piece]:
    """The file's rows, of the columns in `names` those that it has. Raises: FileError."""
    read = next((READERS[end] for end in READERS if path.name.endswith(end)), None)
    if read is None:
        raise FileError(f"{path}: unknown kind of file, wanted {', '.join(READERS)}")
    try:
        yield from read(path, names)
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error


def _blocks(path: Path) -> Iterator[Block]:
    with path.open("rb") as raw, _unpacked(path, raw) as stream:
        line, rest = 1, b""
        while data := _read(path, stream, line):
            text, newline, rest = (rest + data).rpartition(b"\n")
            if len(rest) > LINE_BYTES_MAX:
                raise FileError(f"{path}, line {line}: longer than {LINE_BYTES_MAX} bytes")
            if newline:
                yield Block(text, line, raw.tell())
                line += text.count(b"\n") + 1
        if rest:
            yield Block(rest, line, raw.tell())


def _unpacked(path: Path, raw: BinaryIO) -> BinaryIO | gzip.GzipFile:
    return gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw


def _read(path: Path, stream: BinaryIO | gzip.GzipFile, line: int) -> bytes:
    try:
        return stream.read(BLOCK_BYTES)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileError(f"{path}, after line {line}: damaged gzip data: {error}") from error


def _csv_pieces(path: Path, names: frozenset[str]) -> Iterator[Piece]:
    header: list[str] = []
    for block in _blocks(path):
        if not header:
            head, _, body = block.text.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
            header = _header(path, head)
            block = Block(body, 2, block.bytes_read)
        yield Piece(_csv_columns(path, block, header, names), block.place, block.bytes_read)


def _header(path: Path, head: bytes) -> list[str]:
    fields = next(csv.reader([head.decode("utf-8", "replace").strip()]), [])
    header = [field.strip().lower() for field in fields]
    if len(set(header)) < len(header):
        raise FileError(f"{path}, line 1: a column comes twice in the header {','.join(header)}")
    return header


def _csv_columns(
    path: Path, block: Block, header: list[str], names: frozenset[str]
) -> dict[str, Any]:
    wanted = [name for name in header if name in names]
    if not block.text.strip():
        return {name: pa.array([], pa.string()) for name in wanted}
    try:
        table = arrow_csv.read_csv(
            pa.py_buffer(block.text),
            read_options=arrow_csv.ReadOptions(
                column_names=header, use_threads=False, block_size=len(block.text) + 1
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()),
                include_columns=wanted,
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        raise _broken_line(path, block, len(header), str(error)) from error
    return {name: table[name].combine_chunks() for name in wanted}


def _broken_line(path: Path, block: Block, fields: int, reason: str) -> FileError:
    """The error for the first line that is not what Arrow takes for a row."""
    for number, line in block.lines():
        try:
            got = len(next(csv.reader([line.decode()])))
        except UnicodeDecodeError as error:
            return FileError(f"{path}, line {number}: got {shown(line)}, wanted UTF-8 ({error})")
        if got != fields:
            return FileError(
                f"{path}, line {number}: got {got} fields in {shown(line)}, wanted {fields}"
            )
    return FileError(f"{path}, lines from {block.line}: {reason}")


def _json_pieces(path: Path, names: frozenset[str]) -> Iterator[Piece]:
    for block in _blocks(path):
        rows = [_json_row(path, number, line) for number, line in block.lines()]
        present = [name for name in names if any(name in row for row in rows)]
        columns = {name: _json_column([row.get(name) for row in rows]) for name in present}
        yield Piece(columns, block.place, block.bytes_read)


def _json_row(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise FileError(
            f"{path}, line {number}: got {shown(line)}, wanted JSON: {error}"
        ) from error
    if not isinstance(row, dict):
        raise FileError(f"{path}, line {number}: got {shown(line)}, wanted a JSON object")
    return row


def _json_column(values: list[Any]) -> Any:
    kinds = {type(value) for value in values} - {type(None)}
    if kinds in ({int}, {float}, {str}):
        try:
            return pa.array(values)
        except OverflowError:
            pass  # beyond 64 bits: whoever reads it as text says what is wrong with it
    # ints and floats mixed: as doubles, times in ns would lose their last digits
    as_text = (v if v is None or isinstance(v, str) else orjson.dumps(v).decode() for v in values)
    return pa.array(as_text, pa.string())


def _row(first: int, row: int) -> str:
    return f"row {first + row + 1}"


def _parquet_pieces(path: Path, names: frozenset[str]) -> Iterator[Piece]:
    total = path.stat().st_size
    try:
        with parquet.ParquetFile(path) as file:
            rows_all, first = file.metadata.num_rows, 0
            wanted = [name for name in file.schema_arrow.names if name in names]
            for batch in file.iter_batches(PIECE_ROWS, columns=wanted):
                columns = dict(zip(wanted, batch.select(wanted).columns, strict=True))
                place = partial(_row, first)
                first += batch.num_rows
                yield Piece(columns, place, total * first // rows_all)
            if not rows_all:
                columns = {name: pa.array([], pa.string()) for name in wanted}
                yield Piece(columns, partial(_row, 0), total)
    except pa.ArrowException as error:
        raise FileError(f"{path}: not readable as Parquet: {error}") from error


READERS: dict[str, Callable[[Path, frozenset[str]], Iterator[Piece]]] = {
    ".csv": _csv_pieces,
    ".csv.gz": _csv_pieces,
    ".jsonl": _json_pieces,
    ".jsonl.gz": _json_pieces,
    ".parquet": _parquet_pieces,
}


def first_columns(path: Path, names: frozenset[str]) -> frozenset[str]:
    """Which of `names` the file's first rows have."""
    return frozenset(name for piece in islice(pieces(path, names), 1) for name in piece.columns)
