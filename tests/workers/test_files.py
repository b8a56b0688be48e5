"""Files of ticks and bars: what is read, and how a bad row is named."""

import gzip
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from tests.conftest import shared_data
from workers.files import BarChunk, TickChunk, holds_bars, read_bars, read_ticks
from workers.tables import BLOCK_BYTES, FileError

NS = 1_763_823_000_123_456_789
ROWS = [
    ("BTC-USD", NS, 64123.5, 0.25),
    ("ETH-USD", NS + 1, 3000.125, 2.0),
    ("BTC-USD", NS, 1e-5, 0),
]


def as_rows(chunks: list[TickChunk]) -> list[tuple]:
    return [
        (chunk.symbols[symbol], ts, price, size)
        for chunk in chunks
        for symbol, ts, price, size in zip(
            *(column.tolist() for column in (chunk.symbol, chunk.ts, chunk.price, chunk.size)),
            strict=True,
        )
    ]


def write(path: Path, text: str | bytes) -> Path:
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def ticks_of(path: Path) -> list[tuple]:
    return as_rows(list(read_ticks([path])))


CSV = "symbol,ts,price,size\n" + "".join(f"{s},{t},{p!r},{q}\n" for s, t, p, q in ROWS)
JSONL = "".join(
    f'{{"symbol": "{s}", "ts": {t}, "price": {p!r}, "size": {q}, "more": []}}\n'
    for s, t, p, q in ROWS
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ticks.csv", CSV),
        ("ticks.csv.gz", CSV),
        ("windows.csv", "\ufeff" + CSV.replace("\n", "\r\n")),
        ("no-last-newline.csv", CSV.rstrip("\n")),
        ("blank-lines.csv", CSV.replace("\n", "\n\n")),
        ("quoted.csv", CSV.replace("BTC-USD", '"BTC-USD"')),
        ("ticks.jsonl", JSONL),
        ("ticks.jsonl.gz", JSONL),
        ("text.jsonl", JSONL.replace("64123.5", '"64123.5"').replace(str(NS), f'"{NS}"')),
    ],
)
def test_every_text_form_gives_the_same_ticks(tmp_path, name, text):
    assert ticks_of(write(tmp_path / name, text)) == ROWS


@pytest.mark.parametrize("kind", [pa.int64(), pa.timestamp("ns"), pa.timestamp("ns", "UTC")])
@pytest.mark.parametrize("symbol", [pa.string(), pa.dictionary(pa.int32(), pa.string())])
def test_parquet_gives_the_same_ticks_whatever_its_types(tmp_path, kind, symbol):
    table = pa.table(
        {
            "size": pa.array([row[3] for row in ROWS], pa.float64()),
            "ts": pa.array([row[1] for row in ROWS], pa.int64()).cast(kind),
            "price": [row[2] for row in ROWS],
            "symbol": pa.array([row[0] for row in ROWS]).cast(symbol),
        }
    )
    parquet.write_table(table, tmp_path / "ticks.parquet")
    assert ticks_of(tmp_path / "ticks.parquet") == ROWS


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1763823000", 1763823000 * 10**9),
        ("1763823000123", 1763823000123 * 10**6),
        ("1763823000123456", 1763823000123456 * 10**3),
        ("1763823000123456789", 1763823000123456789),
        ("1763823000.123456789", 1763823000123456789),
        ("1763823000123.5", 1763823000123500000),
        ("1000000000", 10**18),
        ("9223372036", 9223372036 * 10**9),
    ],
)
@pytest.mark.parametrize("form", ["a.csv", "a.jsonl"])
def test_times_are_told_apart_by_their_magnitude(tmp_path, text, ns, form):
    lines = {"a.csv": f"symbol,ts,price\nA,{text},1\n", "a.jsonl": None}[form]
    lines = lines or f'{{"symbol":"A","ts":"{text}","price":1}}\n'
    assert ticks_of(write(tmp_path / form, lines)) == [("A", ns, 1.0, 0.0)]


def test_a_quote_without_a_price_takes_the_middle(tmp_path):
    text = f"symbol,ts,bid,ask\nEURUSD,{NS},1.3871,1.38726\n"
    assert ticks_of(write(tmp_path / "q.csv", text)) == [
        ("EURUSD", NS, (1.3871 + 1.38726) / 2, 0.0)
    ]
    text = f"symbol,ts,price,bid,ask\nA,{NS},5,1,2\nA,{NS},,1,2\nA,{NS},7,,\n"
    assert [row[2] for row in ticks_of(write(tmp_path / "m.csv", text))] == [5.0, 1.5, 7.0]


def test_trade_ids_are_kept_as_text(tmp_path):
    text = f"symbol,ts,price,id\nA,{NS},1,0012\nA,{NS},1,\n"
    (chunk,) = read_ticks([write(tmp_path / "a.csv", text)])
    assert chunk.id == ("0012", None)
    (chunk,) = read_ticks([write(tmp_path / "b.csv", CSV)])
    assert chunk.id is None


def test_a_file_without_rows_gives_no_ticks(tmp_path):
    empty = pa.table({"symbol": pa.array([], pa.string()), "ts": pa.array([], pa.int64())})
    parquet.write_table(empty, tmp_path / "a.parquet")
    for path in (write(tmp_path / "a.csv", "symbol,ts,price\n"), tmp_path / "a.parquet"):
        assert ticks_of(path) == []


def test_several_files_come_one_after_the_other_and_progress_counts_their_bytes(tmp_path):
    one, two = write(tmp_path / "a.csv", CSV), write(tmp_path / "b.jsonl.gz", JSONL)
    said: list[tuple[int, int]] = []
    chunks = list(read_ticks([one, two], lambda done, total: said.append((done, total))))
    assert as_rows(chunks) == ROWS * 2
    total = one.stat().st_size + two.stat().st_size
    assert said == [(one.stat().st_size, total), (total, total)]


def test_a_long_file_comes_in_bounded_chunks_that_lose_no_row(tmp_path):
    rows = 120_000
    frame = pd.DataFrame(
        {
            "symbol": np.random.default_rng(1).choice(["AAA", "BB", "C"], rows),
            "ts": NS + np.arange(rows),
            "price": np.arange(1, rows + 1) / 8,
            "size": 1.0,
        }
    )
    frame.to_csv(tmp_path / "a.csv.gz", index=False)
    frame.to_parquet(tmp_path / "a.parquet", index=False)
    for name in ("a.csv.gz", "a.parquet"):
        chunks = list(read_ticks([tmp_path / name]))
        assert len(chunks) > 1
        assert max(chunk.ts.size for chunk in chunks) <= BLOCK_BYTES / 10
        assert as_rows(chunks) == list(frame.itertuples(index=False, name=None))


def test_a_signal_that_the_program_handles_does_not_fail_a_read(tmp_path):
    rows = "".join(f"BTC-USD,{NS + n},1.5,1\n" for n in range(200_000))
    path = write(tmp_path / "long.csv", "symbol,ts,price,size\n" + rows)
    told: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    done = threading.Event()

    def nag() -> None:
        while not done.wait(0.001):
            os.kill(os.getpid(), signal.SIGTERM)

    nagging = threading.Thread(target=nag)
    nagging.start()
    try:
        assert sum(len(chunk.ts) for chunk in read_ticks([path])) == 200_000
    finally:
        done.set()
        nagging.join()
        signal.signal(signal.SIGTERM, before)
    assert told


def test_real_trades_are_read_as_pandas_reads_them():
    path = shared_data("data/ticks/trades-20131007.csv.gz")
    frame = pd.read_csv(path)
    assert as_rows(list(read_ticks([path]))) == list(frame.itertuples(index=False, name=None))


def test_real_bars_are_read_as_pandas_reads_them():
    path = shared_data("data/bars/btc-perp-1m.csv.gz")
    assert holds_bars(path)
    assert not holds_bars(shared_data("data/ticks/quotes-eurusd-20140505.csv.gz"))
    frame = pd.read_csv(path)
    chunks: list[BarChunk] = list(read_bars([path]))
    for name in ("ts", "open", "high", "low", "close", "volume"):
        got = np.concatenate([getattr(chunk, name) for chunk in chunks])
        assert got.tolist() == frame[name].tolist()


GOOD = f"symbol,ts,price,size\nA,{NS},1,1\n\nA,{NS},2,1\n"  # the next line is the fifth


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", GOOD + f"A,{NS},abc,1\n", r"a.csv, line 5, price: got 'abc', wanted a finite nu"),
        ("a.csv", GOOD + f"A,{NS},,1\n", r"line 5, price: got nothing, wanted a finite number abo"),
        ("a.csv", GOOD + f"A,{NS},nan,1\n", r"line 5, price: got 'nan', wanted"),
        ("a.csv", GOOD + f"A,{NS},-1,1\n", r"line 5, price: got '-1', wanted"),
        ("a.csv", GOOD + f"A,{NS},1e999,1\n", r"line 5, price: got '1e999', wanted"),
        ("a.csv", GOOD + f"A,{NS},1,-2\n", r"line 5, size: got '-2', wanted a finite number, 0"),
        ("a.csv", GOOD + "A,yesterday,1,1\n", r"line 5, ts: got 'yesterday', wanted s, ms, us or"),
        ("a.csv", GOOD + "A,12345,1,1\n", r"line 5, ts: got '12345', wanted s, ms, us or ns"),
        ("a.csv", GOOD + "A,,1,1\n", r"line 5, ts: got nothing, wanted s, ms, us or ns"),
        ("a.csv", GOOD + f",{NS},1,1\n", r"line 5, symbol: got nothing, wanted a name"),
        ("a.csv", GOOD + f"A,{NS},1\n", r"line 5: got 3 fields in 'A,\d+,1', wanted 4"),
        ("a.csv", (GOOD + f"\udcff,{NS},1,1\n").encode("utf-8", "surrogateescape"), "5: .*UTF-8"),
        (
            "a.csv",
            "symbol,when,price\nA,1,1\n",
            r"no column ts; known columns there: symbol, price",
        ),
        ("a.csv", "symbol,when,price\n", r"no column ts; known columns there: symbol, price"),
        ("a.csv", "symbol,ts\nA,1763823000\n", r"no column price"),
        ("a.csv", "a,b\n1,2\n", r"no column symbol, ts; known columns there: none"),
        ("a.csv", "symbol,ts,ts,price\n", r"line 1: a column comes twice in the header"),
        ("a.csv", GOOD + "A" * 3 * BLOCK_BYTES, r"line 5: longer than 1048576 bytes"),
        ("a.jsonl", JSONL + "{oops\n", r"a.jsonl, line 4: got '{oops', wanted JSON"),
        ("a.jsonl", JSONL + "[1]\n", r"line 4: got '\[1\]', wanted a JSON object"),
        (
            "a.jsonl",
            JSONL + '{"symbol":"A","ts":1763823000,"price":true}\n',
            r"4, price: got 'true'",
        ),
        ("a.jsonl", JSONL + '{"symbol":"A","ts":99,"price":1}\n', r"line 4, ts: got '99', wanted"),
        ("a.jsonl", JSONL + f'{{"ts":{NS},"price":1}}\n', r"line 4, symbol: got nothing"),
        ("a.parquet", "nonsense", r"a.parquet: not readable as Parquet"),
        ("a.xlsx", "nonsense", r"a.xlsx: unknown kind of file, wanted .csv, .csv.gz, .jsonl"),
    ],
)
def test_a_bad_row_is_named_with_its_line_and_what_was_wanted(tmp_path, name, text, words):
    path = write(tmp_path / name, text)
    with pytest.raises(FileError, match=words):
        list(read_ticks([path]))


def test_a_row_is_named_by_its_place_in_the_whole_file(tmp_path):
    good = f"A,{NS},1,1\n"
    rows = 3 * BLOCK_BYTES // len(good)
    path = write(tmp_path / "a.csv.gz", "symbol,ts,price,size\n" + good * rows + f"A,{NS},x,1\n")
    with pytest.raises(FileError, match=f"line {rows + 2}, price: got 'x'"):
        list(read_ticks([path]))
    prices = [1.0] * 70_000 + [-1.0]
    table = {"symbol": ["A"] * 70_001, "ts": [NS] * 70_001, "price": prices}
    parquet.write_table(pa.table(table), tmp_path / "a.parquet")
    with pytest.raises(FileError, match=r"row 70001, price: got '-1.0'"):
        list(read_ticks([tmp_path / "a.parquet"]))


def test_damaged_gzip_data_and_missing_files_are_named(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(CSV.encode())[:-12])
    with pytest.raises(FileError, match=r"a.csv.gz, after line \d+: damaged gzip data"):
        list(read_ticks([path]))
    path.write_bytes(b"no gzip")
    with pytest.raises(FileError, match=r"damaged gzip data: Not a gzipped file"):
        list(read_ticks([path]))
    with pytest.raises(FileError, match=r"missing.csv: No such file"):
        list(read_ticks([tmp_path / "missing.csv"]))
