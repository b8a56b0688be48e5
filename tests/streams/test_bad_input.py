"""Every malformed shape: set aside, with a reason that names the field, and nothing else lost."""

import orjson
import pyarrow as pa
import pytest

from streams.codec import CODECS, codec
from streams.deadletter import encode
from streams.decode import Decoder
from streams.keys import shard_of
from streams.numbers import shown
from streams.producer import frame_of
from streams.symbols import SymbolTable
from tests.streams.replies import T0, decode, entry, flat, one, rejected

GOOD = {"symbol": "BTC-USD", "price": "1", "ts": T0}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"price": None}, "price: missing; wanted price, or bid and ask"),
        ({"price": None, "bid": "1"}, "ask: missing"),
        ({"price": None, "ask": "1"}, "bid: missing"),
        ({"price": None, "bid": "0", "ask": "1"}, "bid: got '0', wanted a finite number above 0"),
        ({"price": None, "bid": "1", "ask": "x"}, "ask: got 'x', wanted a finite number above 0"),
        ({"price": ""}, "price: got '', wanted a finite number above 0"),
        ({"price": "abc"}, "price: got 'abc', wanted a finite number above 0"),
        ({"price": "nan"}, "price: got 'nan', wanted a finite number above 0"),
        ({"price": "inf"}, "price: got 'inf', wanted a finite number above 0"),
        ({"price": "1e999"}, "price: got '1e999', wanted a finite number above 0"),
        ({"price": "0"}, "price: got '0', wanted a finite number above 0"),
        ({"price": "-1"}, "price: got '-1', wanted a finite number above 0"),
        ({"price": "1,5"}, "price: got '1,5', wanted a finite number above 0"),
        ({"price": b"\xff\x00\n"}, r"price: got '\\xff\x00\n', wanted a finite number above 0"),
        ({"price": "9" * 70}, f"price: got '{'9' * 48}...', wanted a finite number above 0"),
        ({"size": "-1"}, "size: got '-1', wanted a finite number, 0 or above"),
        ({"size": "nan"}, "size: got 'nan', wanted a finite number, 0 or above"),
        ({"size": "None"}, "size: got 'None', wanted a finite number, 0 or above"),
        ({"amount": "x"}, "amount: got 'x', wanted a finite number, 0 or above"),
        ({"ts": "17"}, "ts: got '17', wanted s, ms, us or ns since the epoch, 2001 to 2262"),
        ({"ts": "2025-01-01"}, "ts: got '2025-01-01', wanted s, ms, us or ns"),
        ({"ts": "-1763823000"}, "ts: got '-1763823000', wanted s, ms, us or ns"),
        ({"ts": None, "timestamp": "soon"}, "timestamp: got 'soon', wanted s, ms, us or ns"),
        ({"symbol": ""}, "symbol: got 0 bytes, wanted 1 to 64"),
        ({"symbol": "x" * 65}, "symbol: got 65 bytes, wanted 1 to 64"),
        ({"symbol": b"\xff"}, r"symbol: got '\\xff', wanted UTF-8"),
        ({"symbol": "a\nb"}, r"symbol: got 'a\nb', wanted printable text"),
        ({"symbol": " a"}, "symbol: got ' a', wanted printable text, no blanks around it"),
        ({"symbol": None}, "symbol: missing; the entry has 'price', 'ts'"),
        ({"symbol": None, "price": None, "clock": "x", "ts": None}, "clock: got 'x', wanted s, ms"),
        ({"frame": "junk"}, "frame: "),
        ({"frame": ""}, "frame: "),
        ({"symbol": None, "json": "{"}, "json: got '{', wanted JSON"),
        ({"symbol": None, "data": "[1]"}, "data: got '1', wanted an object"),
        ({"symbol": None, "payload": "7"}, "payload: got '7', wanted an object"),
        ({"symbol": None, "topic": "t", "payload": b"\x85"}, r"payload: got '\\x85', wanted JSON"),
        ({"deploy": b"\xff"}, r"deploy: got '\\xff', wanted ASCII"),
    ],
)
def test_a_reason_names_the_field_what_was_seen_and_what_was_wanted(
    change: dict[str, object], reason: str
) -> None:
    fields = {name: value for name, value in (GOOD | change).items() if value is not None}
    reject = rejected(**fields)
    assert reject.reason.startswith(reason)
    assert set(reject.fields) == set(fields)
    assert reject.reason.isascii()
    assert reject.reason.isprintable()


def test_a_tick_of_another_shard_is_set_aside_and_told_its_home() -> None:
    home = shard_of("BTC-USD", 16)
    other = (home + 1) % 16
    decoder = Decoder(str(other), SymbolTable(), shards=16)
    reject = one(decoder=decoder, **GOOD).rejects[0]
    assert reject.reason == (f"symbol: 'BTC-USD' lives in shard {home} of 16, wanted shard {other}")


def test_a_foreign_source_takes_every_symbol() -> None:
    decoder = Decoder("trades-COINBASE-BTC-USD", SymbolTable(), shards=16)
    assert one(decoder=decoder, **GOOD).rows == 1


def test_one_symbol_too_many_is_set_aside_and_the_known_ones_go_on() -> None:
    decoder = Decoder("0", SymbolTable(symbols_max=2), shards=1)
    entries = [entry("1763823000000-0", flat(symbol=name, price=1)) for name in "ABCAB"]
    (batch,) = decode(*entries, decoder=decoder)
    assert batch.slot.tolist() == [0, 1, 0, 1]
    assert batch.rejects[0].reason == "symbol: 'C' is one more than the 2 of this shard"


def test_an_entry_id_that_is_no_time_cannot_stand_for_the_time() -> None:
    (batch,) = decode(entry("5-1", flat(symbol="A", price=1)))
    assert batch.rejects[0].reason == "ts: missing, and the entry id 5-1 is no time either"


def test_an_entry_without_fields_is_set_aside() -> None:
    for nothing in (b"*0\r\n", b"*-1\r\n", b"_\r\n"):
        (batch,) = decode(b"*2\r\n$15\r\n1763823000000-0\r\n" + nothing)
        assert batch.rejects[0].reason == "symbol: missing; the entry has no fields"


def test_a_dead_letter_holds_reason_entry_and_fields_cut_to_size() -> None:
    reject = one(symbol="BTC-USD", price="x", note="y" * 5000, raw=b"\xfe").rejects[0]
    flat_fields = encode(reject)
    fields = dict(zip(flat_fields[::2], flat_fields[1::2], strict=True))
    assert fields["entry"] == "1763823000200-0"
    kept = orjson.loads(fields["fields"])
    assert kept["symbol"] == "BTC-USD"
    assert kept["note"] == "y" * 512 + "... (5000 bytes)"
    assert kept["raw"] == "\\xfe"


def test_a_quoted_value_is_printable_and_short() -> None:
    assert shown(b"\x1b[2J" + b"x" * 100) == "'\\x1b[2J" + "x" * 44 + "...'"
    assert shown("\u202e") == "'\\u202e'"


def test_two_codecs_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="codec plain is there already"):
        codec("plain", lambda _: True)(CODECS["plain"].read)


def test_an_unknown_codec_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"codec 'csv': wanted auto or one of .*cryptofeed"):
        Decoder("0", SymbolTable(), shards=1, codec="csv")


DAY_NS = 86_400_000_000_000


def test_a_tick_from_the_future_is_set_aside_for_it_would_make_all_others_late() -> None:
    latest = 1763823000200 * 1_000_000 + DAY_NS
    assert one(symbol="A", price=1, ts=latest).rows == 1
    batch = one(symbol="A", price=1, ts=latest + 1)
    assert batch.rows == 0
    assert batch.entries == 1
    (reject,) = batch.rejects
    assert reject.reason == f"ts: got {latest + 1}, wanted at most a day after the entry's own time"
    assert reject.fields["symbol"] == "A"
    (own_time,) = decode(entry("7-1", flat(symbol="A", price=1, ts=latest + 1)))
    assert own_time.rows == 1  # an id that is no time says nothing about it


def test_a_frame_from_the_future_is_one_dead_letter_that_counts_its_rows() -> None:
    row = ("A", 1.0, 1.0, 1763823000200 * 1_000_000 + 2 * DAY_NS, "")
    batch = one(frame=frame_of([row] * 30))
    assert batch.rows == 0
    assert [reject.rows for reject in batch.rejects] == [30]


def test_a_time_beyond_any_calendar_is_set_aside_by_its_number() -> None:
    beyond = pa.array([2**62], pa.timestamp("s"))
    batch = pa.RecordBatch.from_arrays(
        [pa.array(["A"]), pa.array([1.0]), beyond], ["symbol", "price", "ts"]
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    (reject,) = one(frame=sink.getvalue().to_pybytes()).rejects
    assert reject.fields["ts"] == str(2**62)
