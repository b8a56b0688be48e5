"""Symbols and their slots, in order of first appearance; looked up from raw bytes by kernels."""

import os
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import orjson

from streams.compiled import njit
from streams.errors import Malformed
from streams.numbers import shown
from streams.records import Bytes, Ints, Words

SYMBOL_BYTES_MAX = 64
SYMBOLS_MAX = 100_000
PAD = 8  # bytes that a word-wise hash may read past its end
CAPACITY_MIN = 1024

_MIX = np.uint64(0x9E3779B97F4A7C15)
_STIR = np.uint64(0xFF51AFD7ED558CCD)
_33 = np.uint64(33)
_EIGHT = np.uint64(8)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


@njit(cache=True, nogil=True, inline="always")
def word(data, at):  # type: ignore[no-untyped-def]
    """The eight bytes from data[at], little-endian."""
    value = np.uint64(0)
    for byte in range(8):
        value |= np.uint64(data[at + byte]) << np.uint64(8 * byte)
    return value


@njit(cache=True, nogil=True)
def hash_bytes(data, start, length, seed):  # type: ignore[no-untyped-def]
    """A 64-bit hash of data[start:start + length]; reads up to 7 bytes beyond it."""
    mixed = seed ^ (np.uint64(length) * _MIX)
    at, left = start, length
    while left > 0:
        piece = word(data, at)
        if left < 8:
            piece &= _ALL >> (_EIGHT * np.uint64(8 - left))
        mixed = (mixed ^ piece) * _STIR
        mixed ^= mixed >> _33
        at += 8
        left -= 8
    mixed *= _MIX
    return mixed ^ (mixed >> _33)


@njit(cache=True, nogil=True)
def find_slot(data, start, length, table):  # type: ignore[no-untyped-def]
    """The slot of the symbol in data[start:start + length], or -1."""
    hashed = hash_bytes(data, start, length, table.seed)
    mask = len(table.slots) - 1
    at = np.int64(hashed & np.uint64(mask))
    while True:
        slot = table.slots[at]
        if slot < 0:
            return -1
        if table.hashes[slot] == hashed and table.lengths[slot] == length:
            begin = table.starts[slot]
            same = True
            for byte in range(length):
                if table.names[begin + byte] != data[start + byte]:
                    same = False
                    break
            if same:
                return slot
        at = (at + 1) & mask


@njit(cache=True, nogil=True)
def _enter(index, first, last):  # type: ignore[no-untyped-def]
    """Let the symbols of slots first to last - 1 be found; their bytes are in the index."""
    mask = len(index.slots) - 1
    for slot in range(first, last):
        start, length = index.starts[slot], index.lengths[slot]
        index.hashes[slot] = hash_bytes(index.names, start, length, index.seed)
        index.salts[slot] = hash_bytes(index.names, start, length, np.uint64(0))
        at = np.int64(index.hashes[slot] & np.uint64(mask))
        while index.slots[at] >= 0:
            at = (at + 1) & mask
        index.slots[at] = slot


class Index(NamedTuple):
    """The table as kernels see it; `salts` give a symbol's part in a trade key, on every run."""

    slots: Ints
    hashes: Words
    salts: Words
    starts: Ints
    lengths: Ints
    names: Bytes
    seed: np.uint64


def padded(data: bytes) -> Bytes:
    """The bytes as an array that may be hashed word by word."""
    return np.frombuffer(data + bytes(PAD), np.uint8)


class SymbolTable:
    """Bounded two-way table between symbols and slots.

    The hash of its index is seeded by chance, so that nobody can make symbols collide; slots and
    trade keys do not depend on it.
    """

    def __init__(self, symbols_max: int = SYMBOLS_MAX, *, seed: int | None = None) -> None:
        self.symbols_max = symbols_max
        self.names: list[str] = []
        self._slots: dict[bytes, int] = {}
        self._seed = np.uint64(int.from_bytes(os.urandom(8)) if seed is None else seed)
        self._grow(CAPACITY_MIN)

    def __len__(self) -> int:
        return len(self.names)

    def slot(self, symbol: bytes) -> int | None:
        """The slot of a symbol, or None if it has none."""
        return self._slots.get(symbol)

    def add(self, symbol: bytes) -> int:
        """The slot of a symbol, a new one if need be; raises Malformed if it cannot have one."""
        known = self._slots.get(symbol)
        if known is not None:
            return known
        name = checked_symbol(symbol)
        slot = len(self.names)
        if slot >= self.symbols_max:
            raise Malformed(f"symbol: {shown(symbol)} is one more than the {slot} of this shard")
        if slot == len(self.index.hashes):
            self._grow(2 * slot)
        self._place(slot, [symbol])
        self.names.append(name)
        self._slots[symbol] = slot
        return slot

    def save(self) -> bytes:
        """The names in order of their slots, as JSON."""
        return orjson.dumps(self.names)

    @classmethod
    def load(cls, blob: bytes, symbols_max: int = SYMBOLS_MAX) -> Self:
        """The table that `save` wrote; raises Malformed if there is no room for it."""
        table, names = cls(symbols_max), orjson.loads(blob)
        if len(names) > symbols_max:
            raise Malformed(f"symbols: {len(names)} were saved, and {symbols_max} have room")
        symbols = [name.encode() for name in names]
        table._grow(max(CAPACITY_MIN, 1 << (len(names) - 1).bit_length()))
        table._place(0, symbols)
        table.names, table._slots = names, {symbol: at for at, symbol in enumerate(symbols)}
        return table

    def _grow(self, capacity: int) -> None:
        self.index = Index(
            slots=np.full(4 * capacity, -1, np.int64),
            hashes=np.zeros(capacity, np.uint64),
            salts=np.zeros(capacity, np.uint64),
            starts=np.arange(capacity, dtype=np.int64) * SYMBOL_BYTES_MAX,
            lengths=np.zeros(capacity, np.int64),
            names=np.zeros(capacity * SYMBOL_BYTES_MAX, np.uint8),
            seed=self._seed,
        )
        self._place(0, list(self._slots))

    def _place(self, first: int, symbols: Sequence[bytes]) -> None:
        """Put symbols into the index, from a slot on."""
        last, begin = first + len(symbols), first * SYMBOL_BYTES_MAX
        raw = b"".join(symbol.ljust(SYMBOL_BYTES_MAX, b"\0") for symbol in symbols)
        self.index.names[begin : begin + len(raw)] = np.frombuffer(raw, np.uint8)
        self.index.lengths[first:last] = [len(symbol) for symbol in symbols]
        _enter(self.index, first, last)


def checked_symbol(symbol: bytes) -> str:
    """The symbol as text; raises Malformed when it is no printable text of 1 to 64 bytes."""
    if not 1 <= len(symbol) <= SYMBOL_BYTES_MAX:
        raise Malformed(f"symbol: got {len(symbol)} bytes, wanted 1 to {SYMBOL_BYTES_MAX}")
    try:
        name = symbol.decode()
    except UnicodeDecodeError:
        raise Malformed(f"symbol: got {shown(symbol)}, wanted UTF-8") from None
    if not name.isprintable() or name != name.strip():
        raise Malformed(f"symbol: got {shown(symbol)}, wanted printable text, no blanks around it")
    return name
