import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.buffer import ReplyBuffer
from streams.decode import ENTRY_BYTES_MAX, Decoder
from streams.errors import Unavailable
from streams.records import Batch, EntryId
from streams.symbols import SymbolTable
from tests.streams.replies import T0, decode, entry, flat, one, pieces

KNOWN = ["symbol", "price", "size", "ts", "id", "bid", "ask", "amount", "timestamp", "clock"]
OTHERS = ["receipt_timestamp", "exchange", "side", "note", "pricex", "receipt_timestamq", "symbo"]
NAMES = st.sampled_from(KNOWN + OTHERS)
VALUES = st.one_of(
    st.sampled_from(["BTC-USD", "ETH-USD", "XRP-USD", "None", "", "nan", "-1", "0", "1e5", "BTC"]),
    st.sampled_from([str(T0), "1763823000.5", "1763823000123", "17", "1763823000.1234567891"]),
    st.floats(0, 1e6).map(repr),
    st.binary(max_size=12),
).map(lambda value: value if isinstance(value, bytes) else value.encode())
IDS = st.builds(
    "{}-{}".format,
    st.one_of(st.integers(1763823000000, 1763823001000), st.integers(0, 2**64 - 1)),
    st.integers(0, 2**64 - 1),
)
GOOD = st.fixed_dictionaries(
    {"symbol": st.sampled_from([b"BTC-USD", b"ETH-USD"]), "price": st.floats(1, 9).map(str)},
    optional={"size": st.floats(0, 9).map(str), "ts": st.just(T0), "id": st.integers(0, 3)},
)
ENTRIES = st.lists(
    st.one_of(
        st.builds(entry, IDS, st.lists(st.tuples(NAMES.map(str.encode), VALUES), max_size=8)),
        st.builds(lambda name, fields: entry(name, flat(**fields)), IDS, GOOD),
    ),
    min_size=1,
    max_size=12,
)


def python_only() -> Decoder:
    """The definition: every entry read by the table of codecs, none by the kernel."""
    decoder = Decoder("0", SymbolTable(), shards=1)
    decoder._compiled = False
    return decoder


def told(batches: tuple[Batch, ...]) -> list[object]:
    """A batch without what the two ways of reading may differ in; NaN equal to itself."""
    return [
        (
            batch.upto,
            batch.entries,
            batch.bytes_in,
            batch.rejects,
            batch.control,
            *(
                column.tobytes()
                for column in (batch.slot, batch.ts, batch.price, batch.size, batch.key)
            ),
            batch.entry_ms.tolist(),
            batch.entry_seq.tolist(),
        )
        for batch in batches
    ]


@settings(max_examples=600, deadline=None)
@given(ENTRIES, st.integers(1, 200))
def test_the_kernel_reads_every_entry_as_python_does_wherever_the_bytes_are_cut(
    entries: list[bytes], cut: int
) -> None:
    assert told(decode(*entries, cut=cut)) == told(decode(*entries, decoder=python_only()))


def test_columns_hold_what_the_entry_said() -> None:
    batch = one(symbol="BTC-USD", price="64123.5", size="0.25", ts=T0, id="77", side="buy")
    assert batch.slot.tolist() == [0]
    assert batch.ts.tolist() == [T0]
    assert batch.price.tolist() == [64123.5]
    assert batch.size.tolist() == [0.25]
    assert batch.key[0] != 0
    assert batch.upto == EntryId(1763823000200, 0)
    assert (batch.entries, batch.rejects, batch.control) == (1, (), None)


def test_what_is_left_out_has_its_default() -> None:
    batch = one(symbol="BTC-USD", price="1")
    assert batch.size.tolist() == [0.0]
    assert batch.ts.tolist() == [1763823000200 * 10**6]
    assert batch.key.tolist() == [0]


def test_a_quote_takes_the_mid() -> None:
    assert one(symbol="BTC-USD", bid="10", ask="11").price.tolist() == [10.5]
    assert one(symbol="BTC-USD", bid="10", ask="11", price="3").price.tolist() == [3.0]


def test_a_trade_id_has_one_key_a_symbol_on_every_run() -> None:
    def key(symbol: str, trade: str, table: SymbolTable) -> int:
        decoder = Decoder("0", table, shards=1)
        return int(one(decoder=decoder, symbol=symbol, price=1, id=trade).key[0])

    first, second = SymbolTable(seed=1), SymbolTable(seed=2)
    second.add(b"another first")
    assert key("A", "1", first) == key("A", "1", second)
    assert len({key("A", "1", first), key("B", "1", first), key("A", "2", first)}) == 3
    assert key("A", "None", first) == key("A", "", first) == 0


CRYPTOFEED = {
    "exchange": "COINBASE",
    "symbol": "BTC-USD",
    "side": "buy",
    "amount": "1e-07",
    "price": "1850.0",
    "id": "None",
    "type": "None",
    "timestamp": "1763823000.123456",
    "receipt_timestamp": "1763823000.2",
}


def test_an_entry_of_cryptofeed_is_known_by_its_shape() -> None:
    batch = one(**CRYPTOFEED)
    assert (batch.price[0], batch.size[0], batch.key[0]) == (1850.0, 1e-07, 0)
    assert batch.ts[0] == 1763823000123456000


def test_a_time_that_cryptofeed_does_not_know_is_the_time_of_receipt() -> None:
    assert one(**CRYPTOFEED | {"timestamp": "None"}).ts[0] == 1763823000200000000


def test_a_ticker_of_cryptofeed_takes_the_mid() -> None:
    ticker = {name: CRYPTOFEED[name] for name in ("exchange", "symbol", "timestamp")}
    batch = one(**ticker, bid="1.0", ask="2.0", receipt_timestamp="None")
    assert batch.price.tolist() == [1.5]


def test_a_clock_entry_is_a_row_of_no_instrument() -> None:
    batch = one(clock=T0)
    assert (batch.slot[0], batch.ts[0], math.isnan(batch.price[0])) == (-1, T0, True)


def test_a_deployment_ends_its_batch() -> None:
    tick = flat(symbol="BTC-USD", price=1)
    first, second = decode(
        entry("1763823000000-0", tick),
        entry("1763823000000-1", [(b"deploy", b"plan"), (b"payload", b"\x00\xff")]),
        entry("1763823000000-2", tick),
    )
    assert first.control is not None
    assert (first.control.kind, first.control.payload) == ("plan", b"\x00\xff")
    assert (first.entries, first.rows, first.upto.seq) == (2, 1, 1)
    assert (second.entries, second.rows, second.control) == (1, 1, None)


@pytest.mark.parametrize("cut", [1, 7, 100, 65536])
def test_an_entry_beyond_the_bounds_is_set_aside_without_being_kept(cut: int) -> None:
    tick = entry("1763823000000-0", flat(symbol="BTC-USD", price=1))
    many = entry("1763823000000-1", [(b"f%d" % number, b"x") for number in range(1000)])
    after = entry("1763823000000-2", flat(symbol="BTC-USD", price=2))
    (batch,) = decode(tick, many, after, cut=cut)
    assert batch.price.tolist() == [1.0, 2.0]
    assert batch.rejects[0].reason.startswith("entry: got 1000 fields of")
    assert batch.rejects[0].entry == EntryId(1763823000000, 1)


def test_a_huge_value_does_not_grow_the_buffer() -> None:
    tick = entry("1763823000000-0", flat(symbol="BTC-USD", price=1))
    huge = entry("1763823000000-1", flat(symbol="BTC-USD", price=1, note=b"x" * (30 << 20)))
    data = tick + huge + tick
    buffer = ReplyBuffer(pieces(data, 1 << 20), 2 * ENTRY_BYTES_MAX)
    (batch,) = Decoder("0", SymbolTable(), shards=1).batches(buffer, 3)
    assert (batch.entries, batch.rows, len(batch.rejects)) == (3, 2, 1)
    assert len(buffer.data) <= 2 * ENTRY_BYTES_MAX + 8


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.integers(1, 60))
def test_bytes_that_are_no_reply_end_in_an_error_of_ours(data: bytes, cut: int) -> None:
    good = entry("1763823000000-0", flat(symbol="BTC-USD", price=1))
    with pytest.raises(Unavailable):
        decode(good[: len(good) - 1 - len(data) % 30], b"*3\r\n" + data, cut=cut)


def test_a_connection_that_ends_in_an_entry_is_unavailable() -> None:
    whole = entry("1763823000000-0", flat(symbol="BTC-USD", price=1))
    for size in range(len(whole)):
        with pytest.raises(Unavailable):
            decode(whole[:size])


def test_slots_are_given_in_order_of_appearance_and_survive_a_save() -> None:
    table = SymbolTable()
    names = [f"S{number}" for number in range(3000)]
    decoder = Decoder("0", table, shards=1)
    entries = [entry("1763823000000-0", flat(symbol=name, price=1)) for name in names]
    (batch,) = decode(*entries, decoder=decoder)
    assert batch.slot.tolist() == list(range(3000))
    again = SymbolTable.load(table.save())
    (batch,) = decode(*reversed(entries), decoder=Decoder("0", again, shards=1))
    assert batch.slot.tolist() == list(reversed(range(3000)))
    assert np.array_equal(again.index.salts[:3000], table.index.salts[:3000])
