"""What an entry says: one table of codecs, the definition that the compiled parser must match."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from streams.errors import Malformed
from streams.numbers import number, shown, time_ns

type Entry = Mapping[bytes, bytes]

AUTO = "auto"
NO_ID = (b"", b"None")


class Tick(NamedTuple):
    """One trade or quote; `ts` None is the entry's own time, `trade` b"" is no id."""

    symbol: bytes
    price: float
    size: float
    ts: int | None
    trade: bytes


class Clock(NamedTuple):
    """What time it is, said by the shard's owner."""

    ts: int


class Deploy(NamedTuple):
    """A deployment."""

    kind: str
    payload: bytes


class Frame(NamedTuple):
    """A columnar batch, still packed; `history` marks what happened before the fleet looked."""

    payload: bytes
    history: bool = False


type Content = Sequence[Tick | Malformed] | Clock | Deploy | Frame
"""A sequence holds one item a row; a row that cannot be read is there as its error."""


class Codec(NamedTuple):
    """How to know a kind of entry, and how to read it (raises Malformed)."""

    matches: Callable[[Entry], bool]
    read: Callable[[Entry], Content]


CODECS: dict[str, Codec] = {}
"""In the order in which they are tried."""


def codec(
    name: str, matches: Callable[[Entry], bool]
) -> Callable[[Callable[[Entry], Content]], Callable[[Entry], Content]]:
    """Enter a reader into the table of codecs; a second one of the same name is an error."""

    def enter(read: Callable[[Entry], Content]) -> Callable[[Entry], Content]:
        if name in CODECS:
            raise ValueError(f"codec {name} is there already")
        CODECS[name] = Codec(matches, read)
        return read

    return enter


def read_entry(entry: Entry, name: str = AUTO) -> Content:
    """The content of an entry, by the named codec or by the first whose shape it has."""
    if name != AUTO:
        for own in (FRAME, CLOCK, DEPLOY):  # the fleet's own kinds come through any source
            if CODECS[own].matches(entry):
                return CODECS[own].read(entry)
        return CODECS[name].read(entry)
    for candidate in CODECS.values():
        if candidate.matches(entry):
            return candidate.read(entry)
    names = ", ".join(shown(field) for field in list(entry)[:8]) or "no fields"
    raise Malformed(f"symbol: missing; the entry has {names}")


FRAME, CLOCK, DEPLOY = "frame", "clock", "deploy"


@codec(FRAME, lambda entry: b"frame" in entry)
def read_frame(entry: Entry) -> Frame:
    """One field with an Arrow IPC stream, and maybe one that says that it is history."""
    return Frame(entry[b"frame"], b"history" in entry)


@codec(DEPLOY, lambda entry: b"deploy" in entry)
def read_deploy(entry: Entry) -> Deploy:
    """A deployment: its kind, and whatever that kind carries."""
    try:
        return Deploy(entry[b"deploy"].decode("ascii"), entry.get(b"payload", b""))
    except UnicodeDecodeError:
        raise Malformed(f"deploy: got {shown(entry[b'deploy'])}, wanted ASCII") from None


@codec(CLOCK, lambda entry: b"clock" in entry and b"symbol" not in entry)
def read_clock(entry: Entry) -> Clock:
    """The time, as the owner of the shard saw it."""
    return Clock(time_ns(entry[b"clock"], "clock"))


def is_cryptofeed(entry: Entry) -> bool:
    """Whether an entry looks like cryptofeed's Redis stream backend."""
    return b"exchange" in entry and b"symbol" in entry and b"receipt_timestamp" in entry


@codec("cryptofeed", is_cryptofeed)
def read_cryptofeed(entry: Entry) -> Content:
    """A trade or ticker of cryptofeed: `None` is its way to leave a field out."""
    kept = {field: value for field, value in entry.items() if value != b"None"}
    return read_plain(kept)


@codec("plain", lambda entry: b"symbol" in entry)
def read_plain(entry: Entry) -> Content:
    """Flat fields: symbol and price, or bid and ask; size, ts and id if there are any."""
    if b"symbol" not in entry:
        raise Malformed("symbol: missing")
    size = _first(entry, b"size", b"amount")
    time = _first(entry, b"ts", b"timestamp", b"receipt_timestamp")
    trade = entry.get(b"id", b"")
    return (
        Tick(
            symbol=entry[b"symbol"],
            price=_price(entry),
            size=checked_size(number(size[1], size[0], WANTED_SIZE), size[1], size[0])
            if size
            else 0.0,
            ts=time_ns(time[1], time[0]) if time else None,
            trade=b"" if trade in NO_ID else trade,
        ),
    )


WANTED_PRICE = "a finite number above 0"
WANTED_SIZE = "a finite number, 0 or above"


def checked_price(value: float, seen: object, field: str) -> float:
    """The value if it can be a price; else raises Malformed that quotes what was seen."""
    if not 0.0 < value < math.inf:
        raise Malformed(f"{field}: got {shown(seen)}, wanted {WANTED_PRICE}")
    return value


def checked_size(value: float, seen: object, field: str) -> float:
    """The value if it can be a size; else raises Malformed that quotes what was seen."""
    if not 0.0 <= value < math.inf:
        raise Malformed(f"{field}: got {shown(seen)}, wanted {WANTED_SIZE}")
    return value


def middle(bid: float, ask: float) -> float:
    """The price that stands for a quote."""
    return checked_price((bid + ask) / 2, f"{bid!r} and {ask!r}", "bid and ask")


def _price(entry: Entry) -> float:
    if b"price" in entry:
        return _above_zero(entry, b"price")
    if b"bid" not in entry and b"ask" not in entry:
        raise Malformed("price: missing; wanted price, or bid and ask")
    for field in (b"bid", b"ask"):
        if field not in entry:
            raise Malformed(f"{field.decode()}: missing; wanted price, or bid and ask")
    return middle(_above_zero(entry, b"bid"), _above_zero(entry, b"ask"))


def _above_zero(entry: Entry, field: bytes) -> float:
    name, text = field.decode(), entry[field]
    return checked_price(number(text, name, WANTED_PRICE), text, name)


def _first(entry: Entry, *names: bytes) -> tuple[str, bytes] | None:
    """The first of these fields that the entry has: its name and value."""
    for name in names:
        if name in entry:
            return name.decode(), entry[name]
    return None
