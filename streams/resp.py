"""Compiled parser: entries of a raw stream reply (RESP2 or RESP3) straight into columns.

It takes plain entries, cryptofeed's trades and tickers, and clock entries, when all is well with
them. Whatever else it meets it hands back by its place in the buffer; `streams.codecs` then says
what it is, or what is wrong with it. Both must agree on every entry that both read.
"""

import math
from typing import Final

import numpy as np

from streams.columns import Columns
from streams.compiled import njit
from streams.numbers import FIRST_NS, LAST_NS, NOT_SURE_NS, read_float, read_time
from streams.records import CLOCK_SLOT
from streams.symbols import PAD, Index, find_slot, hash_bytes, word

DONE: Final = 0
MORE: Final = 1  # the entry at `at` is not wholly there
FULL: Final = 2  # no row left
OTHER: Final = 3  # the entry in [at, stop) is for Python to read
OVERSIZE: Final = 4  # the entry at `at` is beyond the bounds
BROKEN: Final = 5  # not RESP

FIELDS_MAX = 64  # names and values of one entry
NAME_BYTES_MAX = 8  # known names, but for the two timestamps
DIGITS_MAX = 20  # of an id's half

NS_PER_MS = 1_000_000
FIRST_MS = np.uint64(FIRST_NS // NS_PER_MS)
LAST_MS = np.uint64(LAST_NS // NS_PER_MS)


def _name(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(text.encode()[:NAME_BYTES_MAX], "little"))


SYMBOL, PRICE, SIZE, AMOUNT = _name("symbol"), _name("price"), _name("size"), _name("amount")
TS, TRADE_ID, BID, ASK = _name("ts"), _name("id"), _name("bid"), _name("ask")
CLOCK, FRAME, DEPLOY = _name("clock"), _name("frame"), _name("deploy")
JSON, DATA, PAYLOAD = _name("json"), _name("data"), _name("payload")
TIMESTAMP, RECEIPT = _name("timestamp"), _name("receipt_timestamp")
NONE = _name("None")

# places of the known fields in the scratch array of (start, stop) pairs
F_SYMBOL, F_PRICE, F_SIZE, F_TS, F_ID, F_BID, F_ASK, F_CLOCK, F_RECEIPT, F_OTHER = range(10)
KNOWN = 10
_BITS = np.array([(1 << 8 * size) - 1 for size in range(9)], np.uint64)


@njit(cache=True, nogil=True, inline="always")
def _length(data, at, end):  # type: ignore[no-untyped-def]
    """(value, next place) of the decimal and CRLF at `at`; next -1: incomplete, -2: broken."""
    value = np.int64(0)
    stop = at
    while stop < end and 48 <= data[stop] <= 57:
        value = value * 10 + (np.int64(data[stop]) - 48)
        stop += 1
    if stop - at > 18:
        return value, -2
    if stop + 1 >= end:
        return value, -1
    if stop == at or data[stop] != 13 or data[stop + 1] != 10:
        return value, -2
    return value, stop + 2


@njit(cache=True, nogil=True, inline="always")
def _bulk(data, at, end, bytes_max):  # type: ignore[no-untyped-def]
    """(start, stop) of the bulk string at `at`; start -1: incomplete, -2: broken, -3: oversize."""
    if at >= end:
        return -1, 0
    if data[at] != 36:
        return -2, 0
    size, start = _length(data, at + 1, end)
    if start < 0:
        return start, 0
    if size > bytes_max:
        return -3, 0
    if start + size + 2 > end:
        return -1, 0
    return start, start + size


@njit(cache=True, nogil=True, inline="always")
def _half(data, start, stop):  # type: ignore[no-untyped-def]
    value = np.uint64(0)
    for at in range(start, stop):
        value = value * np.uint64(10) + np.uint64(np.int64(data[at]) - 48)
    return value


@njit(cache=True, nogil=True)
def _known(data, start, length):  # type: ignore[no-untyped-def]  # noqa: C901
    """Which field a name is: its place, -1 for none, F_OTHER for one that Python must read."""
    if length > 17:
        return -1
    name = word(data, start) & _BITS[min(length, NAME_BYTES_MAX)]
    if length <= NAME_BYTES_MAX:
        if name == SYMBOL:
            return F_SYMBOL
        if name == PRICE:
            return F_PRICE
        if name in (SIZE, AMOUNT):
            return F_SIZE
        if name == TS:
            return F_TS
        if name == TRADE_ID:
            return F_ID
        if name == BID:
            return F_BID
        if name == ASK:
            return F_ASK
        if name == CLOCK:
            return F_CLOCK
        if name in (FRAME, DEPLOY, JSON, DATA, PAYLOAD):
            return F_OTHER
    elif length == 9 and name == TIMESTAMP and data[start + 8] == 112:
        return F_TS
    elif length == 17 and name == RECEIPT:
        return F_RECEIPT
    return -1


@njit(cache=True, nogil=True)
def _scan(data, at, end, bytes_max, places):  # type: ignore[no-untyped-def]  # noqa: C901
    """(status, stop, id start, id stop) of the entry at `at`; fills the places of its fields.

    The status is DONE for an entry with nothing but known fields once and unknown ones.
    """
    if end - at < 4:
        return MORE, at, 0, 0
    if data[at] != 42 or data[at + 1] != 50 or data[at + 2] != 13 or data[at + 3] != 10:
        return BROKEN, at, 0, 0
    id_start, id_stop = _bulk(data, at + 4, end, 2 * DIGITS_MAX + 1)
    if id_start < 0:
        return MORE if id_start == -1 else BROKEN, at, 0, 0
    place = id_stop + 2
    if place + 1 >= end:
        return MORE, at, 0, 0
    if data[place] == 95 or data[place + 1] == 45:  # no fields: _ or *-1
        stop = place + (3 if data[place] == 95 else 5)
        return OTHER if stop <= end else MORE, stop, id_start, id_stop
    if data[place] != 42:
        return BROKEN, at, 0, 0
    names, place = _length(data, place + 1, end)
    if place < 0:
        return MORE if place == -1 else BROKEN, at, 0, 0
    if names > FIELDS_MAX:
        return OVERSIZE, at, id_start, id_stop
    places[:] = -1
    status = DONE
    for _ in range(names >> 1):
        start, stop = _bulk(data, place, end, bytes_max)
        if start < 0:
            return _trouble(start), at, id_start, id_stop
        value, place = _bulk(data, stop + 2, end, bytes_max)
        if value < 0:
            return _trouble(value), at, id_start, id_stop
        known = _known(data, start, stop - start)
        if known >= 0:
            if known == F_OTHER or places[2 * known] >= 0:
                status = OTHER
            places[2 * known] = value
            places[2 * known + 1] = place
        place += 2
    if place - at > bytes_max:
        return OVERSIZE, at, id_start, id_stop
    return status, place, id_start, id_stop


@njit(cache=True, nogil=True, inline="always")
def _trouble(code):  # type: ignore[no-untyped-def]
    return MORE if code == -1 else (BROKEN if code == -2 else OVERSIZE)


@njit(cache=True, nogil=True)
def _read_row(data, places, table, columns, row):  # type: ignore[no-untyped-def]
    """Whether the scanned entry is a good tick or clock; if so it is in the columns at `row`.

    Its entry id is there already.
    """
    if places[2 * F_SYMBOL] < 0:
        if places[2 * F_CLOCK] < 0:
            return False
        ts = read_time(data, places[2 * F_CLOCK], places[2 * F_CLOCK + 1])
        columns.slot[row], columns.ts[row] = CLOCK_SLOT, ts
        columns.price[row], columns.size[row], columns.key[row] = math.nan, 0.0, np.uint64(0)
        return ts != NOT_SURE_NS
    start = places[2 * F_SYMBOL]
    slot = find_slot(data, start, places[2 * F_SYMBOL + 1] - start, table)
    price = _price(data, places)
    size = 0.0
    if places[2 * F_SIZE] >= 0:
        size = read_float(data, places[2 * F_SIZE], places[2 * F_SIZE + 1])
    ts = _time(data, places, columns.entry_ms[row])
    if slot < 0 or not price > 0.0 or not size >= 0.0 or ts == NOT_SURE_NS:
        return False
    columns.slot[row], columns.ts[row] = slot, ts
    columns.price[row], columns.size[row] = price, size
    columns.key[row] = np.uint64(0)
    if places[2 * F_ID] >= 0:
        start, stop = places[2 * F_ID], places[2 * F_ID + 1]
        columns.key[row] = trade_key(data, start, stop - start, table.salts[slot])
    return True


@njit(cache=True, nogil=True)
def trade_key(data, start, length, salt):  # type: ignore[no-untyped-def]
    """What tells a trade of an instrument from another; 0 for an empty id and for None."""
    if length == 0 or (length == 4 and word(data, start) & _BITS[4] == NONE):
        return np.uint64(0)
    return max(hash_bytes(data, start, length, salt), np.uint64(1))


@njit(cache=True, nogil=True, inline="always")
def _price(data, places):  # type: ignore[no-untyped-def]
    if places[2 * F_PRICE] >= 0:
        return read_float(data, places[2 * F_PRICE], places[2 * F_PRICE + 1])
    if places[2 * F_BID] < 0 or places[2 * F_ASK] < 0:
        return math.nan
    bid = read_float(data, places[2 * F_BID], places[2 * F_BID + 1])
    ask = read_float(data, places[2 * F_ASK], places[2 * F_ASK + 1])
    return (bid + ask) / 2 if bid > 0.0 and ask > 0.0 else math.nan


@njit(cache=True, nogil=True, inline="always")
def _time(data, places, entry_ms):  # type: ignore[no-untyped-def]
    for place in (F_TS, F_RECEIPT):
        if places[2 * place] >= 0:
            return read_time(data, places[2 * place], places[2 * place + 1])
    if entry_ms < FIRST_MS or entry_ms > LAST_MS:
        return NOT_SURE_NS
    return np.int64(entry_ms) * NS_PER_MS


@njit(cache=True, nogil=True)
def _read_id(data, start, stop, columns, row):  # type: ignore[no-untyped-def]
    dash = start
    while dash < stop and data[dash] != 45:
        dash += 1
    columns.entry_ms[row] = _half(data, start, dash)
    columns.entry_seq[row] = _half(data, dash + 1, stop)


@njit(cache=True, nogil=True)
def parse(  # type: ignore[no-untyped-def]
    data, at, end, count, bytes_max, places, row,
    slots, hashes, salts, starts, lengths, names, seed,
    slot, ts, price, size, key, entry_ms, entry_seq,
):  # fmt: skip
    """Read up to `count` entries of data[at:end] into the columns from `row` on.

    The members of an `Index` and of `Columns` come one by one: to take named tuples apart costs
    a call from Python more than a few entries do.

    Gives (status, at, stop, count left, row): `at` is the first byte not consumed, `stop` the
    end of the entry there if the status is OTHER. data must go on for 8 bytes behind `end`.
    """
    table = Index(slots, hashes, salts, starts, lengths, names, seed)
    columns = Columns(slot, ts, price, size, key, entry_ms, entry_seq)
    rows_max = len(slot)
    while count > 0:
        if row == rows_max:
            return FULL, at, at, count, row
        status, stop, id_start, id_stop = _scan(data, at, end, bytes_max, places)
        if status == MORE and end - at > bytes_max:
            status = OVERSIZE
        if status != DONE:
            return status, at, stop, count, row
        _read_id(data, id_start, id_stop, columns, row)
        if not _read_row(data, places, table, columns, row):
            return OTHER, at, stop, count, row
        at = stop
        count -= 1
        row += 1
    return DONE, at, at, 0, row


@njit(cache=True, nogil=True)
def scan(data, at, end, bytes_max, places):  # type: ignore[no-untyped-def]
    """(status, stop) of the entry at `at`, read by nobody yet: DONE and OTHER alike are whole."""
    status, stop, _, _ = _scan(data, at, end, bytes_max, places)
    if status == MORE and end - at > bytes_max:
        status = OVERSIZE
    return status, stop


assert PAD >= NAME_BYTES_MAX
