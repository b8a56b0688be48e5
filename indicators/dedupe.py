"""Which keys were seen before, among the last so many: repeated ticks are told by it."""

import hashlib
import struct
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from indicators.compiled import column_of, compiled, inlined
from indicators.errors import IndicatorError

type Keys = npt.NDArray[np.uint64]

WINDOW_MAX = 2**26
SPARE = 2  # table places a key of the window: probes stay short
MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio: spreads keys that are near
NONE = np.uint64(0)
ONE = np.uint64(1)


class Memory(NamedTuple):
    """The keys twice, in order of arrival and by hash; 0 is an empty place.

    ring: (window,); table: a power of two of places; cursor: where in the ring the next key
    goes (1,).
    """

    ring: Keys
    table: Keys
    cursor: npt.NDArray[np.int64]


@inlined
def home(key: np.uint64, mask: np.uint64) -> np.uint64:
    """The place in the table where `key` is looked for first."""
    mixed = key * MIX
    return (mixed ^ (mixed >> np.uint64(32))) & mask


@inlined
def place_of(table: Keys, key: np.uint64) -> np.uint64:
    """The place that holds `key`, or the empty one where it would go."""
    mask = np.uint64(table.size - 1)
    place = home(key, mask)
    while table[place] not in (NONE, key):
        place = (place + ONE) & mask
    return place


@inlined
def remove(table: Keys, key: np.uint64) -> None:
    """Take `key` out, and close the hole, so that every probe still finds what it looks for."""
    mask = np.uint64(table.size - 1)
    hole = place_of(table, key)
    place = hole
    while True:
        place = (place + ONE) & mask
        if table[place] == NONE:
            break
        wanted = home(table[place], mask)
        if ((place - wanted) & mask) >= ((place - hole) & mask):
            table[hole] = table[place]
            hole = place
    table[hole] = NONE


@inlined
def remember(memory: Memory, key: np.uint64) -> None:
    """Put a new key in the place of the oldest."""
    ring, table, cursor = memory
    oldest = ring[cursor[0]]
    if oldest != NONE:
        remove(table, oldest)
    table[place_of(table, key)] = key
    ring[cursor[0]] = key
    cursor[0] = (cursor[0] + 1) % ring.size


@compiled
def mark_repeated(
    ring: Keys,
    table: Keys,
    cursor: npt.NDArray[np.int64],
    keys: Keys,
    repeated: npt.NDArray[np.bool_],
) -> None:
    """Set `repeated` where a key is among the last new ones; remember those that are not."""
    memory = Memory(ring, table, cursor)
    for row in range(keys.size):
        key = keys[row]
        if key == NONE:
            continue
        if memory.table[place_of(memory.table, key)] == key:
            repeated[row] = True
        else:
            remember(memory, key)


@compiled
def fill_table(ring: Keys, table: Keys) -> None:
    """Enter every key of the ring."""
    for key in ring:
        if key != NONE:
            table[place_of(table, key)] = key


class SeenKeys:
    """The last `window` different keys."""

    VERSION = 1
    HEADER = struct.Struct("<4sHxxqq")  # magic, version, window, cursor
    MAGIC = b"SFDD"
    DIGEST_BYTES = 16

    def __init__(self, window: int) -> None:
        if not 1 <= window <= WINDOW_MAX:
            raise IndicatorError(f"dedupe window {window} is outside 1 to {WINDOW_MAX}")
        places = 1 << (SPARE * window - 1).bit_length()
        self.memory = Memory(
            ring=np.zeros(window, np.uint64),
            table=np.zeros(places, np.uint64),
            cursor=np.zeros(1, np.int64),
        )

    @property
    def window(self) -> int:
        """How many different keys are remembered."""
        return self.memory.ring.size

    def save(self) -> bytes:
        """A capsule of the keys, for `load`."""
        cursor = int(self.memory.cursor[0])
        header = self.HEADER.pack(self.MAGIC, self.VERSION, self.window, cursor)
        body = header + self.memory.ring.tobytes()
        return body + hashlib.blake2b(body, digest_size=self.DIGEST_BYTES).digest()

    @classmethod
    def load(cls, window: int, blob: bytes) -> Self:
        """The keys that `save` packed. Raises: IndicatorError, for any other bytes or window."""
        end = len(blob) - cls.DIGEST_BYTES
        if end < cls.HEADER.size or blob[:4] != cls.MAGIC:
            raise IndicatorError(f"not a capsule of keys: {len(blob)} bytes from {blob[:4]!r}")
        _, version, saved_window, cursor = cls.HEADER.unpack_from(blob)
        if version != cls.VERSION:
            raise IndicatorError(f"capsule of keys: version {version}, this reads {cls.VERSION}")
        if hashlib.blake2b(blob[:end], digest_size=cls.DIGEST_BYTES).digest() != blob[end:]:
            raise IndicatorError(f"capsule of keys: {len(blob)} bytes do not match their digest")
        if saved_window != window:
            raise IndicatorError(f"capsule of keys: a window of {saved_window}, wanted {window}")
        state = cls(window)
        state.memory.ring[:] = np.frombuffer(blob, np.uint64, window, cls.HEADER.size)
        state.memory.cursor[0] = cursor
        fill_table(state.memory.ring, state.memory.table)
        return state


def seen(state: SeenKeys, keys: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Which rows repeat one of the last `window` different keys, as bool (rows,).

    Keys are uint64 (rows,), hashes of what must not come twice; 0 is no key and never repeats.
    A repeat does not make its key younger. Cuts of the input do not matter.

    Cost: O(1) a row.
    """
    column = column_of(keys, np.uint64)
    if column.ndim != 1:
        raise IndicatorError(f"keys must be (rows,), not {column.shape}")
    repeated = np.zeros(column.size, np.bool_)
    mark_repeated(*state.memory, column, repeated)
    return repeated
