import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.arrow_quick import outline_of, quick_rows
from streams.arrow_walk import declared_bytes
from streams.columns import room
from streams.decode import Decoder
from streams.records import Batch, EntryId
from streams.symbols import SymbolTable
from tests.streams.replies import T0, decode, entry, flat

ROWS = 500
SYMBOLS = [f"S{number}" for number in range(40)]


def columns(rows: int = ROWS) -> dict[str, pa.Array]:
    rng = np.random.default_rng(7)
    which = pa.array(rng.integers(0, len(SYMBOLS), rows), pa.int32())
    return {
        "symbol": pa.DictionaryArray.from_arrays(which, pa.array(SYMBOLS)),
        "ts": pa.array(T0 + np.arange(rows), pa.timestamp("ns")),
        "price": pa.array(rng.uniform(1, 100, rows)),
        "size": pa.array(rng.random(rows)),
    }


def packed(
    table: dict[str, pa.Array] | list[pa.RecordBatch], compression: str | None = None
) -> bytes:
    batches = (
        table
        if isinstance(table, list)
        else [pa.RecordBatch.from_arrays(list(table.values()), list(table))]
    )
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, batches[0].schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def joined(batches: tuple[Batch, ...]) -> Batch:
    """The batches as one: where a frame makes many rows, a batch ends before it."""
    names = ("slot", "ts", "price", "size", "key", "entry_ms", "entry_seq")
    rows = {name: np.concatenate([getattr(batch, name) for batch in batches]) for name in names}
    rejects = tuple(reject for batch in batches for reject in batch.rejects)
    return batches[-1]._replace(rejects=rejects, **rows)


def read(frame: bytes, decoder: Decoder | None = None) -> Batch:
    tick = entry("1763823000000-0", flat(symbol="first", price=1))
    decoder = decoder or Decoder("0", SymbolTable(), shards=1)
    framed = entry("1763823000000-1", [(b"frame", frame)])
    batches = decode(tick, framed, tick, decoder=decoder)
    assert sum(batch.entries for batch in batches) == 3
    return joined(batches)


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_a_frame_gives_its_rows_in_their_place_among_the_entries(compression: str | None) -> None:
    table = columns()
    decoder = Decoder("0", SymbolTable(), shards=1)
    batch = read(packed(table, compression), decoder)
    assert batch.rows == ROWS + 2
    assert batch.rejects == ()
    names = decoder.symbols.names
    assert [names[slot] for slot in batch.slot[1:-1]] == table["symbol"].to_pylist()
    assert np.array_equal(batch.price[1:-1], table["price"].to_numpy())
    assert np.array_equal(batch.size[1:-1], table["size"].to_numpy())
    assert np.array_equal(batch.ts[1:-1], T0 + np.arange(ROWS))
    assert set(batch.entry_seq[1:-1].tolist()) == {1}


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int8(), pa.string())]
)
def test_symbols_may_come_as_any_kind_of_text(kind: pa.DataType) -> None:
    table = columns()
    texts = pa.array(table["symbol"].to_pylist())
    frame = packed(table | {"symbol": texts.cast(kind)})
    batch = read(frame)
    assert np.array_equal(batch.slot, read(packed(table)).slot)
    _, first = np.unique(batch.slot, return_index=True)
    assert first.tolist() == sorted(first)  # slots in order of appearance


def test_a_symbol_that_no_row_uses_takes_no_slot() -> None:
    decoder = Decoder("0", SymbolTable(), shards=1)
    names = pa.DictionaryArray.from_arrays(pa.array([2, 2]), pa.array(["A", "B", "C"]))
    read(packed(columns(2) | {"symbol": names}), decoder)
    assert decoder.symbols.names == ["first", "C"]


def test_times_may_come_in_any_unit_and_be_left_out() -> None:
    table = columns(2)
    for unit in ("s", "ms", "us"):
        coarse = pa.array([1763823000, 1763823001], pa.int64()).cast(pa.timestamp("s"))
        times = read(packed(table | {"ts": coarse.cast(pa.timestamp(unit))})).ts[1:-1]
        assert times.tolist() == [1763823000 * 10**9, 1763823001 * 10**9]
    del table["ts"]
    assert read(packed(table)).ts.tolist() == [1763823000000 * 10**6] * 4


def test_prices_may_come_as_float32_or_integers_and_as_quotes() -> None:
    table = columns(2)
    for kind in (pa.float32(), pa.int64()):
        assert read(packed(table | {"price": pa.array([2, 3], kind)})).price[1:-1].tolist() == [
            2,
            3,
        ]
    quote = {"bid": pa.array([1.0, 2.0]), "ask": pa.array([2.0, 4.0])}
    half = table | {"price": pa.array([9.0, None])} | quote
    assert read(packed(half)).price[1:-1].tolist() == [9.0, 3.0]
    del table["price"]
    assert read(packed(table | quote)).price[1:-1].tolist() == [1.5, 3.0]


def test_trade_ids_of_a_frame_are_those_of_plain_entries() -> None:
    decoder = Decoder("0", SymbolTable(), shards=1)
    table = columns(3) | {"symbol": pa.array(["A", "A", "B"]), "id": pa.array(["1", None, "1"])}
    keys = read(packed(table), decoder).key[1:-1]
    (plain,) = decode(entry("1763823000000-9", flat(symbol="A", price=1, id=1)), decoder=decoder)
    assert keys[0] == plain.key[0]
    assert keys[1] == 0
    assert keys[2] not in (0, keys[0])


def test_several_batches_in_one_frame_are_one_run_of_rows() -> None:
    first, second = columns(3), columns(2) | {"symbol": pa.array(["X", "Y"]).dictionary_encode()}
    batches = [pa.RecordBatch.from_arrays(list(t.values()), list(t)) for t in (first, second)]
    decoder = Decoder("0", SymbolTable(), shards=1)
    batch = read(packed(batches), decoder)
    assert [decoder.symbols.names[slot] for slot in batch.slot[4:6]] == ["X", "Y"]


def test_each_bad_row_is_named_and_the_good_ones_stay() -> None:
    table = columns(9) | {
        "symbol": pa.array(["A", None, "A", "A", "A", "A", "A", " ", "A"]),
        "ts": pa.array([T0, T0, 5, T0, T0, T0, T0, T0, None], pa.timestamp("ns")),
        "price": pa.array([1.0, 1.0, 1.0, None, -1.0, np.inf, 1.0, 1.0, 1.0]),
        "size": pa.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, np.nan, 1.0, None]),
    }
    batch = read(packed(table))
    assert batch.rows == 2 + 2
    reasons = {reject.row: reject.reason for reject in batch.rejects}
    assert reasons == {
        1: "symbol: missing",
        2: "ts: got '5', wanted a time in 2001 to 2262",
        3: "price: got 'nan', wanted a finite number above 0",
        4: "price: got '-1.0', wanted a finite number above 0",
        5: "price: got 'inf', wanted a finite number above 0",
        6: "size: got 'nan', wanted a finite number, 0 or above",
        7: "symbol: got ' ', wanted printable text, no blanks around it",
    }


def test_the_dead_letter_of_a_row_holds_the_row() -> None:
    (reject,) = read(packed(columns(1) | {"price": pa.array([-2.5])})).rejects
    assert set(reject.fields) == {"symbol", "ts", "price", "size"}
    assert reject.fields["price"] == "-2.5"
    assert reject.fields["symbol"] in SYMBOLS
    assert reject.fields["ts"].startswith("2025-11-22")


def test_many_bad_rows_share_a_dead_letter_that_counts_them() -> None:
    rejects = read(packed(columns() | {"price": pa.array([-1.0] * ROWS)})).rejects
    assert len(rejects) == 101
    assert sum(reject.rows for reject in rejects) == ROWS
    assert "so or alike in 400 rows" in rejects[-1].reason


def test_rows_of_another_shard_are_set_aside() -> None:
    decoder = Decoder("1", SymbolTable(), shards=2)
    framed = entry("1763823000000-1", [(b"frame", packed(columns()))])
    (batch,) = decode(framed, decoder=decoder)
    assert batch.rows + sum(reject.rows for reject in batch.rejects) == ROWS
    assert batch.rejects[0].reason.endswith("lives in shard 0 of 2, wanted shard 1")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"symbol": pa.array([1, 2])}, "symbol: got a column of int64, wanted strings"),
        ({"price": pa.array(["1", "2"])}, "price: got a column of string, wanted float64"),
        ({"size": pa.array([True, False])}, "size: got a column of bool, wanted float64"),
        ({"ts": pa.array([1.0, 2.0])}, "ts: got a column of double, wanted timestamp[ns]"),
        ({"id": pa.array([[1], [2]])}, "id: got a column of list<item: int64>, wanted strings"),
        ({"price": None}, "price: missing; wanted a column price, or bid and ask"),
        ({"symbol": None}, "symbol: missing; the frame has 'ts,price,size'"),
    ],
)
def test_a_column_of_the_wrong_kind_refuses_the_frame(
    change: dict[str, pa.Array | None], reason: str
) -> None:
    table = {name: column for name, column in (columns(2) | change).items() if column is not None}
    (reject,) = read(packed(table)).rejects
    assert reject.reason == reason


def test_two_columns_of_one_name_refuse_the_frame() -> None:
    table = columns(2)
    batch = pa.RecordBatch.from_arrays([*table.values(), table["price"]], [*table, "price"])
    (reject,) = read(packed([batch])).rejects
    assert reject.reason == "price: got 2 columns in the frame, wanted one"


def test_a_frame_without_rows_is_no_error() -> None:
    assert read(packed(columns(0))).rows == 2


def test_a_frame_that_would_unpack_to_gigabytes_is_refused_before_it_is_unpacked() -> None:
    bomb = packed(columns(2) | {"price": pa.array([1.0, 2.0])})
    rows = 10_000_000
    bomb = packed({"symbol": pa.array(["A"] * 0), "price": pa.array([], pa.float64())})
    zeros = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), pa.array(["A"]))
    bomb = packed({"symbol": zeros, "price": pa.array(np.ones(rows))}, "zstd")
    assert len(bomb) < 20_000
    (reject,) = read(bomb).rejects
    assert reject.reason.startswith("frame: unpacks to 9")


def test_the_declared_size_is_what_a_frame_unpacks_to() -> None:
    table = columns()
    for compression in (None, "lz4", "zstd"):
        frame = packed(table, compression)
        declared = declared_bytes(np.frombuffer(frame, np.uint8))
        actual = sum(
            buffer.size
            for column in table.values()
            for buffer in [*column.buffers(), *(
                column.dictionary.buffers() if hasattr(column, "dictionary") else []
            )]
            if buffer
        )  # fmt: skip
        assert abs(declared - actual) <= 64 * 8  # alignment


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_damaged_frame_is_read_or_refused_but_never_stops_the_shard(data: st.DataObject) -> None:
    frame = bytearray(packed(columns(20), data.draw(st.sampled_from([None, "lz4", "zstd"]))))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(frame) - 1))
        frame[at] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del frame[data.draw(st.integers(0, len(frame) - 1)) :]
    decoder = Decoder("0", SymbolTable(), shards=1)
    read(packed(columns(20)), decoder)  # so that the quick way is tried
    batch = read(bytes(frame), decoder)
    assert batch.rows + sum(reject.rows for reject in batch.rejects) >= 2


def test_the_quick_way_and_the_general_way_give_the_same_columns() -> None:
    table = columns()
    decoder = Decoder("0", SymbolTable(), shards=1)
    general = read(packed(table), decoder)  # its symbols are new
    quick = read(packed(table), decoder)
    data = np.frombuffer(packed(table), np.uint8)
    outline = outline_of(data)
    assert outline is not None
    assert quick_rows(data, outline, EntryId(1, 1), decoder.symbols, room(ROWS))
    for name in ("slot", "ts", "price", "size", "key", "entry_ms", "entry_seq"):
        assert np.array_equal(getattr(quick, name), getattr(general, name))


def test_only_a_frame_of_the_usual_make_goes_the_quick_way() -> None:
    usual = columns()
    whole = [pa.RecordBatch.from_arrays(list(usual.values()), list(usual))]
    halves = [whole[0].slice(0, 20), whole[0].slice(20)]
    null = pa.array([None, *usual["price"].to_pylist()[1:]])
    zoned = usual["ts"].cast(pa.timestamp("ns", "UTC"))
    frames = {
        "usual": packed(usual),
        "no rows": packed(columns(0)),
        "two batches": packed(halves),
        "packed": packed(usual, "lz4"),
        "a null": packed(usual | {"price": null}),
        "another type": packed(usual | {"price": usual["price"].cast(pa.float32())}),
        "a time zone": packed(usual | {"ts": zoned}),
        "one more column": packed(usual | {"id": pa.array(["1"] * ROWS)}),
        "another order": packed(dict(reversed(usual.items()))),
        "cut off": packed(usual)[:-100],
    }
    data = {name: np.frombuffer(frame, np.uint8) for name, frame in frames.items()}
    assert [name for name in data if outline_of(data[name]) is not None] == ["usual"]


@pytest.mark.parametrize(
    "change",
    [
        {"price": pa.array([1.0, -1.0])},
        {"price": pa.array([1.0, None])},
        {"size": pa.array([np.nan, 1.0])},
        {"ts": pa.array([5, T0], pa.timestamp("ns"))},
        {
            "symbol": pa.DictionaryArray.from_arrays(
                pa.array([0, None], pa.int32()), pa.array(["S1"])
            )
        },
    ],
)
def test_the_quick_way_leaves_a_bad_row_to_the_general_one(change: dict[str, pa.Array]) -> None:
    decoder = Decoder("0", SymbolTable(), shards=1)
    read(packed(columns()), decoder)
    batch = read(packed(columns(2) | change), decoder)
    assert (batch.rows, len(batch.rejects)) == (2 + 1, 1)


def test_a_batch_ends_where_its_memory_does_and_no_frame_is_divided() -> None:
    framed = [
        entry(f"1763823000000-{number}", [(b"frame", packed(columns(3000)))])
        for number in range(20)
    ]
    batches = decode(*framed)
    assert sum(batch.rows for batch in batches) == 60_000
    assert len(batches) > 1
    assert all(batch.rows == 3000 * batch.entries <= 1 << 14 for batch in batches)
    ends = np.cumsum([batch.entries for batch in batches]) - 1
    assert [batch.upto.seq for batch in batches] == ends.tolist()


@pytest.mark.parametrize("cut", [7, 1 << 20])
def test_a_frame_of_history_is_a_batch_of_its_own_wherever_it_stands(cut: int) -> None:
    tick = entry("1763823000000-0", flat(symbol="first", price=1, ts=T0))
    frame = entry("1763823000000-1", [(b"frame", packed(columns())), (b"history", b"1")])
    plain = entry("1763823000000-2", [(b"frame", packed(columns()))])
    broken = entry("1763823000000-3", [(b"frame", b"no"), (b"history", b"1")])
    batches = decode(tick, tick, frame, frame, plain, tick, broken, tick, cut=cut)
    told = [(batch.entries, batch.rows, batch.history) for batch in batches]
    assert told[:3] == [(2, 2, False), (1, ROWS, True), (1, ROWS, True)]
    assert sum(rows for _, rows, history in told if not history) == ROWS + 4
    assert sum(entries for entries, _, _ in told) == 8
    assert told[-2:] == [(1, 0, True), (1, 1, False)]
    assert [len(batch.rejects) for batch in batches][-2:] == [1, 0]
