"""Foreign JSON: the shapes as their senders print them."""

import orjson
import pytest

from streams.decode import Decoder
from streams.records import Batch
from streams.symbols import SymbolTable
from tests.streams.replies import ENTRY_ID, decode, entry, flat

T0_S = 1763823000
ALPACA_TRADE = {
    "T": "t", "i": 96921, "S": "AAPL", "x": "D", "p": 126.55, "s": 1,
    "t": "2025-11-22T14:50:00.123456789Z", "c": ["@", "I"], "z": "C",
}  # fmt: skip
ALPACA_QUOTE = {
    "T": "q", "S": "AMD", "bx": "U", "bp": 87.66, "bs": 1, "ax": "Q", "ap": 87.68, "as": 4,
    "t": "2025-11-22T14:50:00Z", "c": ["R"], "z": "C",
}  # fmt: skip
POLYGON_TRADE = {
    "ev": "T", "sym": "MSFT", "x": 4, "i": "12345", "z": 3, "p": 114.125, "s": 100, "c": [0, 12],
    "t": 1763823000123, "q": 3681328,
}  # fmt: skip
POLYGON_CRYPTO = {
    "ev": "XT", "pair": "BTC-USD", "p": 33021.9, "t": 1763823000123, "s": 0.01616617, "c": [2],
    "i": "14272084", "x": 3, "r": 1763823000130,
}  # fmt: skip
CCXT = {
    "id": "12345-67890:09876/54321", "timestamp": 1763823000123, "symbol": "ETH/BTC",
    "datetime": "2025-11-22T14:50:00.123Z", "order": None, "type": None, "side": "buy",
    "takerOrMaker": "taker", "price": 0.06917684, "amount": 1.5, "cost": 0.10376526, "fee": {},
}  # fmt: skip
NAUTILUS = {
    "type": "TradeTick", "instrument_id": "ETHUSDT-PERP.BINANCE", "price": "1850.10",
    "size": "0.250", "aggressor_side": "BUYER", "trade_id": "T-1",
    "ts_event": "1763823000123456789", "ts_init": "1763823000123456790",
}  # fmt: skip


def read(value: object, field: str = "json", codec: str = "auto", **more: str) -> Batch:
    decoder = Decoder("0", SymbolTable(), shards=1, codec=codec)
    fields = flat(**{**more, field: orjson.dumps(value)})
    (batch,) = decode(entry(ENTRY_ID, fields), decoder=decoder)
    return batch


@pytest.mark.parametrize(
    ("value", "codec", "price", "size", "ns"),
    [
        (ALPACA_TRADE, "alpaca", 126.55, 1.0, 123456789),
        (ALPACA_QUOTE, "alpaca", (87.66 + 87.68) / 2, 0.0, 0),
        (POLYGON_TRADE, "polygon", 114.125, 100.0, 123000000),
        (POLYGON_CRYPTO, "polygon", 33021.9, 0.01616617, 123000000),
        (CCXT, "ccxt", 0.06917684, 1.5, 123000000),
        (NAUTILUS, "nautilus", 1850.1, 0.25, 123456789),
        ({"symbol": "A", "price": "2.5", "ts": T0_S, "id": 7}, "json", 2.5, 0.0, 0),
        ({"symbol": "A", "bid": 1, "ask": 2, "ts": T0_S}, "json", 1.5, 0.0, 0),
    ],
)
def test_a_foreign_object_is_read_by_its_shape_and_by_name_alike(
    value: dict[str, object], codec: str, price: float, size: float, ns: int
) -> None:
    for field in ("json", "data", "payload"):
        batch = read(value, field)
        assert (batch.price[0], batch.size[0]) == (price, size)
        assert batch.ts[0] == T0_S * 10**9 + ns
    by_name = read(value, "payload", codec, topic="data.trades")
    assert by_name.price[0] == price
    assert by_name.key[0] == batch.key[0]


def test_a_list_gives_a_row_each_and_its_bad_ones_are_named_by_row() -> None:
    bad = ALPACA_TRADE | {"p": -1}
    status = {"T": "success", "S": "x", "msg": "connected"}
    batch = read([ALPACA_TRADE, bad, ALPACA_QUOTE, status])
    assert batch.rows == 2
    assert batch.entries == 1
    assert [(reject.row, reject.reason) for reject in batch.rejects] == [
        (1, "p: got '-1', wanted a finite number above 0"),
        (3, "T: got 'success', wanted 't' or 'q'"),
    ]


def test_the_message_bus_of_nautilus_is_known_by_its_fields() -> None:
    batch = read(NAUTILUS, "payload", topic="data.trades.BINANCE.ETHUSDT-PERP", encoding="Json")
    assert batch.price.tolist() == [1850.1]
    iso = NAUTILUS | {"ts_event": "2025-11-22T14:50:00.123456789Z"}
    assert read(iso, "payload", topic="t").ts[0] == T0_S * 10**9 + 123456789


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"p": True}, "p: got 'True', wanted a finite number above 0"),
        ({"p": None}, "p: missing, wanted a finite number above 0"),
        ({"p": "x"}, "p: got 'x', wanted a finite number above 0"),
        ({"S": 5}, "S: got '5', wanted a text"),
        ({"t": "2025-13-22T14:50:00Z"}, "t: got '2025-13-22T14:50:00Z', wanted RFC 3339"),
        ({"t": [1]}, "t: got '[1]', wanted a time"),
        ({"s": {}}, "s: got '{}', wanted a finite number, 0 or above"),
    ],
)
def test_a_bad_field_of_an_object_is_named(change: dict[str, object], reason: str) -> None:
    (reject,) = read(ALPACA_TRADE | change).rejects
    assert reject.reason.startswith(reason)


def test_a_codec_that_is_set_by_name_still_lets_the_fleets_own_entries_through() -> None:
    decoder = Decoder("0", SymbolTable(), shards=1, codec="alpaca")
    clock = entry("1763823000000-0", flat(clock=T0_S))
    trade = entry("1763823000000-1", flat(json=orjson.dumps(ALPACA_TRADE)))
    plain = entry("1763823000000-2", flat(symbol="A", price=1))
    (batch,) = decode(clock, trade, plain, decoder=decoder)
    assert batch.slot.tolist() == [-1, 0]
    assert batch.rejects[0].reason.startswith("json: missing")
