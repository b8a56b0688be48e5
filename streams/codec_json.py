"""Entries that carry JSON in one field: ccxt, Alpaca, Polygon (Massive), NautilusTrader, our own.

Correct first: these go through Python objects, at some ten microseconds an entry.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from streams.codec import (
    NO_ID,
    WANTED_PRICE,
    WANTED_SIZE,
    Content,
    Entry,
    Tick,
    checked_price,
    checked_size,
    codec,
    middle,
)
from streams.errors import Malformed
from streams.numbers import number, shown, time_ns
from streams.times import iso_ns

JSON_FIELDS = (b"json", b"data", b"payload")
ITEMS_MAX = 10_000  # of one entry

type Item = Mapping[str, Any]


def json_field(entry: Entry) -> bytes | None:
    """The one field that holds JSON, if the entry has one."""
    return next((field for field in JSON_FIELDS if field in entry), None)


def items(entry: Entry, read: Callable[[Item], Tick]) -> Content:
    """Each object of the entry's JSON, one or a list of them, as read by `read`."""
    field = json_field(entry)
    if field is None:
        raise Malformed("json: missing; wanted one of the fields json, data, payload")
    value = parsed(entry[field], field.decode())
    several = value if isinstance(value, list) else [value]
    if len(several) > ITEMS_MAX:
        raise Malformed(f"{field.decode()}: got {len(several)} items, wanted at most {ITEMS_MAX}")
    return [_item(one, read, field.decode()) for one in several]


def parsed(text: bytes, field: str) -> Any:
    """The value that JSON text spells; raises Malformed naming the field."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"{field}: got {shown(text)}, wanted JSON: {error.msg}") from None


def _item(value: Any, read: Callable[[Item], Tick], field: str) -> Tick | Malformed:
    try:
        if not isinstance(value, dict):
            raise Malformed(f"{field}: got {shown(value)}, wanted an object")
        return read(value)
    except Malformed as error:
        return error


def text_of(item: Item, name: str) -> bytes:
    """A text of the item as UTF-8."""
    value = item.get(name)
    if not isinstance(value, str):
        raise Malformed(f"{name}: {_seen(item, name)}, wanted a text")
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise Malformed(f"{name}: got {shown(value)}, wanted UTF-8") from None


def number_of(item: Item, name: str, wanted: str) -> float:
    """A number of the item, be it a JSON number or a text that spells one."""
    value = item.get(name)
    if isinstance(value, str):
        return number(value.encode("utf-8", "replace"), name, wanted)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed(f"{name}: {_seen(item, name)}, wanted {wanted}")
    return float(value)


def price_of(item: Item, name: str) -> float:
    """A price of the item."""
    return checked_price(number_of(item, name, WANTED_PRICE), item[name], name)


def size_of(item: Item, name: str) -> float:
    """A size of the item; 0 if there is none."""
    if item.get(name) is None:
        return 0.0
    return checked_size(number_of(item, name, WANTED_SIZE), item[name], name)


def time_of(item: Item, name: str) -> int | None:
    """A time of the item in ns: a number told apart by magnitude, or RFC 3339; None if absent."""
    value = item.get(name)
    if value is None:
        return None
    if isinstance(value, str) and "T" in value:
        return iso_ns(value, name)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Malformed(f"{name}: {_seen(item, name)}, wanted a time")
    return time_ns(str(value).encode("utf-8", "replace"), name)


def trade_of(item: Item, name: str) -> bytes:
    """The trade id of the item; b"" if there is none."""
    value = item.get(name)
    if value is None or isinstance(value, bool | dict | list):
        return b""
    trade = str(value).encode("utf-8", "replace")
    return b"" if trade in NO_ID else trade


def _seen(item: Item, name: str) -> str:
    return f"got {shown(item[name])}" if item.get(name) is not None else "missing"


def read_own(item: Item) -> Tick:
    """Our own names, and ccxt's trade: symbol, price or bid and ask, size or amount, ts or
    timestamp, id.
    """  # noqa: D205
    price = (
        price_of(item, "price")
        if item.get("price") is not None or "bid" not in item
        else middle(price_of(item, "bid"), price_of(item, "ask"))
    )
    size = "size" if item.get("size") is not None else "amount"
    time = "ts" if item.get("ts") is not None else "timestamp"
    return Tick(
        text_of(item, "symbol"),
        price,
        size_of(item, size),
        time_of(item, time),
        trade_of(item, "id"),
    )


def read_alpaca_item(item: Item) -> Tick:
    """A trade (T = t) or quote (T = q) of Alpaca's market data stream."""
    kind, symbol, ts = item.get("T"), text_of(item, "S"), time_of(item, "t")
    if kind == "t":
        return Tick(symbol, price_of(item, "p"), size_of(item, "s"), ts, trade_of(item, "i"))
    if kind == "q":
        return Tick(symbol, middle(price_of(item, "bp"), price_of(item, "ap")), 0.0, ts, b"")
    raise Malformed(f"T: {_seen(item, 'T')}, wanted 't' or 'q'")


POLYGON_SYMBOL = {"T": "sym", "XT": "pair", "Q": "sym", "XQ": "pair"}


def read_polygon_item(item: Item) -> Tick:
    """A trade (T, XT) or quote (Q, XQ) of Polygon's, now Massive's, websocket."""
    kind = item.get("ev")
    if not isinstance(kind, str) or kind not in POLYGON_SYMBOL:
        raise Malformed(f"ev: {_seen(item, 'ev')}, wanted one of {', '.join(POLYGON_SYMBOL)}")
    symbol, ts = text_of(item, POLYGON_SYMBOL[kind]), time_of(item, "t")
    if kind.endswith("T"):
        return Tick(symbol, price_of(item, "p"), size_of(item, "s"), ts, trade_of(item, "i"))
    return Tick(symbol, middle(price_of(item, "bp"), price_of(item, "ap")), 0.0, ts, b"")


def read_nautilus_item(item: Item) -> Tick:
    """A TradeTick or QuoteTick of NautilusTrader."""
    symbol, kind = text_of(item, "instrument_id"), item.get("type")
    ts = time_of(item, "ts_event")
    if kind == "TradeTick" or "trade_id" in item:
        trade = trade_of(item, "trade_id")
        return Tick(symbol, price_of(item, "price"), size_of(item, "size"), ts, trade)
    if kind == "QuoteTick" or "bid_price" in item:
        mid = middle(price_of(item, "bid_price"), price_of(item, "ask_price"))
        return Tick(symbol, mid, 0.0, ts, b"")
    raise Malformed(f"type: {_seen(item, 'type')}, wanted TradeTick or QuoteTick")


def read_any(item: Item) -> Tick:
    """An object of whichever of these shapes it has."""
    if "ev" in item:
        return read_polygon_item(item)
    if "T" in item:
        return read_alpaca_item(item)
    if "instrument_id" in item:
        return read_nautilus_item(item)
    return read_own(item)


@codec("nautilus", lambda entry: b"payload" in entry and b"topic" in entry)
def read_nautilus(entry: Entry) -> Content:
    """The message bus of NautilusTrader; it says json of msgpack payloads too, so we look."""
    payload = entry.get(b"payload", b"")
    if payload[:1] not in (b"{", b"["):
        raise Malformed(
            f"payload: got {shown(payload)}, wanted JSON (set encoding='json' on the message bus)"
        )
    return items({b"payload": payload}, read_nautilus_item)


@codec("json", lambda entry: json_field(entry) is not None)
def read_json(entry: Entry) -> Content:
    """One field json, data or payload, told apart by its keys."""
    return items(entry, read_any)


@codec("ccxt", lambda _: False)
def read_ccxt(entry: Entry) -> Content:
    """A ccxt trade, or a list of them; by name, since `json` knows it too."""
    return items(entry, read_own)


@codec("alpaca", lambda _: False)
def read_alpaca(entry: Entry) -> Content:
    """Messages of Alpaca; by name, since `json` knows them too."""
    return items(entry, read_alpaca_item)


@codec("polygon", lambda _: False)
def read_polygon(entry: Entry) -> Content:
    """Messages of Polygon; by name, since `json` knows them too."""
    return items(entry, read_polygon_item)
