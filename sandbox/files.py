"""Bars of a file, for running a script locally: CSV, CSV.gz, Parquet or JSON lines."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet
from numpy.typing import NDArray

from sandbox.errors import SandboxError
from sandbox.script import COLUMNS, Bars

BYTES_MAX: Final = 2 * 1024**3
SECONDS_BELOW: Final = 1e11  # a time is in s, ms, us or ns by its size
DIGITS_APART: Final = 1_000


def read_bars(path: Path) -> Bars:
    """The bars of a file in order of time.

    Columns: ts, open, high, low, close, and if there are any symbol and volume. Raises
    SandboxError, naming the file and what is missing or wrong in it.
    """
    table = _read(path)
    names = set(table.column_names)
    wanted = {"ts", "open", "high", "low", "close"}
    if not wanted <= names:
        missing = ", ".join(sorted(wanted - names))
        raise SandboxError(f"{path}: no column {missing}; there are {', '.join(sorted(names))}")
    ts = _nanoseconds(path, table["ts"])
    order = np.argsort(ts, kind="stable")
    columns = {name: _numbers(path, table, name)[order] for name in COLUMNS}
    if not all(np.isfinite(column).all() for column in columns.values()):
        raise SandboxError(f"{path}: a price or volume is missing or not finite")
    slots, symbols = _slots(table, path)
    return Bars(slots=slots[order], ts=ts[order], columns=columns, symbols=symbols)


def _read(path: Path) -> pa.Table:
    try:
        if path.stat().st_size > BYTES_MAX:
            raise SandboxError(f"{path}: larger than {BYTES_MAX} bytes")
        suffixes = "".join(path.suffixes).lower()
        if suffixes.endswith(".parquet"):
            return pa.parquet.read_table(path)
        if suffixes.endswith((".csv", ".csv.gz")):
            return pa.csv.read_csv(path)
        if suffixes.endswith((".jsonl", ".ndjson", ".jsonl.gz")):
            return pa.json.read_json(path)
    except (OSError, pa.ArrowException) as error:
        raise SandboxError(f"{path}: {error}") from None
    raise SandboxError(f"{path}: not a .csv, .csv.gz, .parquet or .jsonl file")


def _nanoseconds(path: Path, column: Any) -> NDArray[np.int64]:
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return np.asarray(column.cast(pa.timestamp("ns")).cast(pa.int64()))
    try:
        numbers = np.asarray(column.cast(pa.float64(), safe=False))
        whole = np.asarray(column) if pa.types.is_integer(column.type) else None
    except pa.ArrowException:
        raise SandboxError(f"{path}: column ts holds no times") from None
    if not len(numbers) or not np.isfinite(numbers).all() or numbers.min() <= 0:
        raise SandboxError(f"{path}: column ts is empty or holds no times")
    factor = 10**9
    while factor > 1 and numbers.max() >= SECONDS_BELOW * 10**9 / factor:
        factor //= DIGITS_APART
    if whole is not None:
        return whole.astype(np.int64) * factor
    return np.round(numbers * factor).astype(np.int64)


def _numbers(path: Path, table: pa.Table, name: str) -> NDArray[np.float64]:
    if name not in table.column_names:
        return np.zeros(table.num_rows)  # only the volume may be absent
    try:
        return np.asarray(table[name].cast(pa.float64()), np.float64)
    except pa.ArrowException:
        raise SandboxError(f"{path}: column {name} holds something else than numbers") from None


def _slots(table: pa.Table, path: Path) -> tuple[NDArray[np.int64], dict[int, str]]:
    """Slots in order of first appearance."""
    if "symbol" not in table.column_names:
        return np.zeros(table.num_rows, np.int64), {0: path.name.split(".")[0]}
    encoded = table["symbol"].cast(pa.string()).combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    return np.asarray(encoded.indices, np.int64), {i: str(name) for i, name in enumerate(names)}
