"""Ticks and bars from files: CSV, JSONL (both also gzipped) and Parquet, in bounded chunks.

Columns are found by name, others are passed over. Ticks: `symbol`, `ts`, `price`, or `bid` and
`ask` where a price is missing, optional `size` (0) and `id`. Bars: `symbol`, `ts` (the close),
`open`, `high`, `low`, `close`, `volume`. `ts` is s, ms, us or ns since the epoch by its magnitude,
or a Parquet timestamp. What a live fleet would set aside, a file is refused for, by its line.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streams.codec import WANTED_PRICE, WANTED_SIZE
from streams.errors import Malformed
from streams.numbers import LAST_NS, TIME_DIGITS, number, shown, time_ns
from workers.tables import FileError, Piece, first_columns, pieces

type Ints = npt.NDArray[np.int64]
type Floats = npt.NDArray[np.float64]
type OnBytes = Callable[[int, int], None]

WANTED_TIME = "s, ms, us or ns since the epoch, 2001 to 2262"
TICK_NAMES = frozenset({"symbol", "ts", "price", "size", "bid", "ask", "id"})
PRICES = ("open", "high", "low", "close")
BAR_NAMES = frozenset({"symbol", "ts", *PRICES, "volume"})


@dataclass(frozen=True, slots=True)
class TickChunk:
    """Ticks in the file's order; `symbol` indexes `symbols`. All columns are (rows,)."""

    symbols: tuple[str, ...]
    symbol: Ints
    ts: Ints
    price: Floats
    size: Floats
    id: tuple[str | None, ...] | None

    def take(self, rows: Ints) -> Self:
        """These rows, of the same symbols."""
        trades = None if self.id is None else tuple(self.id[row] for row in rows.tolist())
        columns = (self.symbol[rows], self.ts[rows], self.price[rows], self.size[rows])
        return type(self)(self.symbols, *columns, trades)


@dataclass(frozen=True, slots=True)
class BarChunk:
    """Bars in the file's order; `symbol` indexes `symbols`. All columns are (rows,)."""

    symbols: tuple[str, ...]
    symbol: Ints
    ts: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


def read_ticks(paths: Sequence[Path], on_bytes: OnBytes | None = None) -> Iterator[TickChunk]:
    """The ticks of the files, one file after the other, at most about 1 MiB of text at a time.

    `on_bytes` is told how many bytes of the files have been read, and of how many, after each
    chunk. Raises: FileError, naming file, line and field.
    """
    for part in _parts(paths, TICK_NAMES, on_bytes):
        symbols, symbol = part.symbols()
        yield TickChunk(
            symbols, symbol, part.times(), part.tick_prices(), part.sizes("size"), part.ids()
        )


def read_bars(paths: Sequence[Path], on_bytes: OnBytes | None = None) -> Iterator[BarChunk]:
    """The bars of the files, as `read_ticks` gives ticks. Raises: FileError."""
    for part in _parts(paths, BAR_NAMES, on_bytes):
        part.require(*PRICES)
        symbols, symbol = part.symbols()
        prices = {name: part.prices(name) for name in PRICES}
        yield BarChunk(symbols, symbol, part.times(), **prices, volume=part.sizes("volume"))


def holds_bars(path: Path) -> bool:
    """Whether the file has a bar's columns rather than a tick's. Raises: FileError."""
    return first_columns(path, BAR_NAMES | TICK_NAMES) >= frozenset(PRICES)


def _parts(
    paths: Sequence[Path], names: frozenset[str], on_bytes: OnBytes | None
) -> Iterator["_Part"]:
    try:
        sizes = [path.stat().st_size for path in paths]
    except OSError as error:
        raise FileError(f"{error.filename}: {error.strerror}") from error
    for number_of_path, path in enumerate(paths):
        before = sum(sizes[:number_of_path])
        for piece in pieces(path, names):
            part = _Part(path, piece)
            part.require("symbol", "ts")
            if part.rows:
                yield part
            if on_bytes is not None:
                on_bytes(before + piece.bytes_read, sum(sizes))


class _Part(NamedTuple):
    """A piece of a file, whose columns are checked as they are taken."""

    path: Path
    piece: Piece

    @property
    def rows(self) -> int:
        return len(next(iter(self.piece.columns.values())))

    def require(self, *names: str) -> None:
        missing = [name for name in names if name not in self.piece.columns]
        if missing:
            known = ", ".join(self.piece.columns) or "none"
            raise FileError(
                f"{self.path}: no column {', '.join(missing)}; known columns there: {known}"
            )

    def refuse(self, row: int, field: str, seen: object, wanted: str) -> NoReturn:
        what = "nothing" if seen is None else shown(seen)
        raise FileError(
            f"{self.path}, {self.piece.place(row)}, {field}: got {what}, wanted {wanted}"
        )

    def symbols(self) -> tuple[tuple[str, ...], Ints]:
        column = self.piece.columns["symbol"]
        if not pa.types.is_dictionary(column.type):
            column = column.cast(pa.string()).dictionary_encode()
        names = tuple(column.dictionary.cast(pa.string()).to_pylist())
        index = np.asarray(column.indices.cast(pa.int64()).fill_null(-1), np.int64)
        empty = [place for place, name in enumerate(names) if not name]
        bad = np.flatnonzero(np.isin(index, [-1, *empty]))
        if bad.size:
            self.refuse(int(bad[0]), "symbol", None, "a name")
        return names, index

    def times(self) -> Ints:
        column = self.piece.columns["ts"]
        if pa.types.is_timestamp(column.type):
            ns = self._whole(column.cast(pa.timestamp("ns", column.type.tz), safe=False))
            return self._checked_times(ns, ns)
        try:
            raw = self._whole(column)
        except pa.ArrowInvalid:  # decimals, or no number at all
            return self._times_one_by_one(column)
        ns = np.zeros(raw.size, np.int64)
        for digits, zeros in TIME_DIGITS.items():
            unit = 10**zeros
            fits = (raw >= 10 ** (digits - 1)) & (raw <= min(10**digits - 1, LAST_NS // unit))
            ns[fits] = raw[fits] * unit
        return self._checked_times(ns, raw)

    def _whole(self, column: Any) -> Ints:
        return np.asarray(column.cast(pa.int64()).fill_null(0), np.int64)

    def _checked_times(self, ns: Ints, raw: Ints) -> Ints:
        bad = np.flatnonzero(ns <= 0)
        if bad.size:
            row = int(bad[0])
            is_given = self.piece.columns["ts"][row].is_valid
            self.refuse(row, "ts", str(raw[row]) if is_given else None, WANTED_TIME)
        return ns

    def _times_one_by_one(self, column: Any) -> Ints:
        ns = np.zeros(len(column), np.int64)
        for row, value in enumerate(column.to_pylist()):
            try:
                ns[row] = time_ns(str(value).encode(), "ts")
            except Malformed:
                self.refuse(row, "ts", value, WANTED_TIME)
        return ns

    def prices(self, name: str) -> Floats:
        values = self._floats(name, WANTED_PRICE)
        self._check(name, _is_price(values), WANTED_PRICE)
        return values

    def tick_prices(self) -> Floats:
        """The price, or the middle of bid and ask in rows that have none."""
        columns = self.piece.columns
        if "bid" not in columns or "ask" not in columns:
            self.require("price")
            return self.prices("price")
        is_quote = np.ones(self.rows, np.bool_)
        price: Floats = np.full(self.rows, np.nan)
        if "price" in columns:
            is_quote = np.asarray(columns["price"].is_null())
            price = self._floats("price", WANTED_PRICE)
            self._check("price", is_quote | _is_price(price), WANTED_PRICE)
        bid, ask = (self._floats(name, WANTED_PRICE) for name in ("bid", "ask"))
        self._check("bid", ~is_quote | _is_price(bid), WANTED_PRICE)
        self._check("ask", ~is_quote | _is_price(ask), WANTED_PRICE)
        return np.where(is_quote, (bid + ask) / 2, price)

    def sizes(self, name: str) -> Floats:
        """The sizes, 0 where there are none."""
        column = self.piece.columns.get(name)
        if column is None:
            return np.zeros(self.rows)
        values = self._floats(name, WANTED_SIZE)
        values[np.asarray(column.is_null())] = 0.0
        self._check(name, np.isfinite(values) & (values >= 0), WANTED_SIZE)
        return values

    def ids(self) -> tuple[str | None, ...] | None:
        column = self.piece.columns.get("id")
        return None if column is None else tuple(column.cast(pa.string()).to_pylist())

    def _floats(self, name: str, wanted: str) -> Floats:
        """The column as float64, NaN where there is nothing."""
        column = self.piece.columns[name]
        if pa.types.is_boolean(column.type):
            self.refuse(0, name, column[0].as_py(), wanted)
        try:
            values = column.cast(pa.float64(), safe=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            for row, text in enumerate(column.to_pylist()):
                try:
                    number(str(text).encode() if text is not None else b"0", name, wanted)
                except Malformed:
                    self.refuse(row, name, text, wanted)
            raise
        return np.array(values.to_numpy(zero_copy_only=False), np.float64)

    def _check(self, name: str, good: npt.NDArray[np.bool_], wanted: str) -> None:
        bad = np.flatnonzero(~good)
        if bad.size:
            row = int(bad[0])
            self.refuse(row, name, self.piece.columns[name][row].as_py(), wanted)


def _is_price(values: Floats) -> npt.NDArray[np.bool_]:
    return np.isfinite(values) & (values > 0)
