"""The metadata of an Arrow IPC stream, walked without unpacking anything and trusted in nothing."""

import numpy as np

from streams.compiled import njit

DICTIONARY, BATCH = 2, 3  # kinds of messages
VERSION = 4  # V5 of the metadata, as all libraries have written it since 2020
ALIGNED = 8  # what starts here may be seen as 64-bit numbers


@njit(cache=True, nogil=True)
def integer(data, at, size):  # type: ignore[no-untyped-def]
    """The little-endian signed integer of `size` bytes; 0 beyond the end."""
    if at < 0 or at + size > len(data):
        return np.int64(0)
    value = np.uint64(0)
    for byte in range(size):
        value |= np.uint64(data[at + byte]) << np.uint64(8 * byte)
    shift = np.int64(64 - 8 * size)
    return (np.int64(value) << shift) >> shift


@njit(cache=True, nogil=True)
def member(data, table, number):  # type: ignore[no-untyped-def]
    """Place of a member of the flatbuffer table, -1 if it is left out."""
    vtable = table - integer(data, table, 4)
    if 4 + 2 * number >= integer(data, vtable, 2):
        return np.int64(-1)
    offset = integer(data, vtable + 4 + 2 * number, 2)
    return table + offset if offset else np.int64(-1)


@njit(cache=True, nogil=True)
def declared_bytes(data):  # type: ignore[no-untyped-def]
    """How many bytes the messages of an Arrow IPC stream say they unpack to.

    Walks only the parts of the metadata that say so; a broken stream gives any number.
    Source: Arrow columnar format, Message.fbs (1.5)
    """
    total, at = np.int64(0), np.int64(0)
    while at + 8 <= len(data):
        at += 4 if integer(data, at, 4) == -1 else 0
        size = integer(data, at, 4)
        at += 4
        if size <= 0 or at + size > len(data):
            return total
        message = at + integer(data, at, 4)
        kind_at, header_at = member(data, message, 1), member(data, message, 2)
        length_at = member(data, message, 3)
        body, length = at + size, np.int64(0)
        if length_at >= 0:
            length = integer(data, length_at, 8)
        if kind_at >= 0 and header_at >= 0:
            kind = integer(data, kind_at, 1)
            header = header_at + integer(data, header_at, 4)
            if kind == DICTIONARY:  # it wraps a record batch
                inner = member(data, header, 1)
                header = inner + integer(data, inner, 4)
            if kind >= DICTIONARY:
                total += _unpacked(data, header, body)
        if length < 0:
            return total
        at = body + length
    return total


@njit(cache=True, nogil=True)
def _unpacked(data, batch, body):  # type: ignore[no-untyped-def]
    """How many bytes a record batch says its buffers unpack to, compressed or not."""
    buffers = member(data, batch, 2)
    if buffers < 0:
        return np.int64(0)
    packed = member(data, batch, 3) >= 0
    vector = buffers + integer(data, buffers, 4)
    total = np.int64(0)
    for number in range(min(integer(data, vector, 4), 1024)):
        place = vector + 4 + 16 * number
        offset, length = integer(data, place, 8), integer(data, place + 8, 8)
        if packed and length >= 8:
            length = max(length, integer(data, body + offset, 8))
        total += max(length, np.int64(0))
    return total


@njit(cache=True, nogil=True)
def batch_of(data, at, kind):  # type: ignore[no-untyped-def]
    """(record batch, begin, end of its body) of the message at `at`.

    The record batch is -1 where the message is of another kind, a delta, packed or broken.
    """
    nothing = np.int64(-1), np.int64(0), np.int64(0)
    size = integer(data, at + 4, 4)
    body, message = at + 8 + size, at + 8 + integer(data, at + 8, 4)
    length = integer(data, member(data, message, 3), 8)
    if integer(data, at, 4) != -1 or size <= 0 or body > len(data) or body % ALIGNED:
        return nothing
    if length < 0 or length > len(data) - body:
        return nothing
    if integer(data, member(data, message, 0), 2) != VERSION:
        return nothing
    if integer(data, member(data, message, 1), 1) != kind:
        return nothing
    place = member(data, message, 2)
    batch = place + integer(data, place, 4)
    if kind == DICTIONARY:
        if integer(data, member(data, batch, 2), 1):
            return nothing
        place = member(data, batch, 1)
        batch = place + integer(data, place, 4)
    if place < 0 or batch < 0 or member(data, batch, 3) >= 0:
        return nothing
    return batch, body, body + length


@njit(cache=True, nogil=True)
def buffer_of(data, batch, number, body, end, size):  # type: ignore[no-untyped-def]
    """(start, length) of a buffer of at least `size` bytes; start -1 where there is none."""
    place = member(data, batch, 2)
    vector = place + integer(data, place, 4)
    offset = integer(data, vector + 4 + 16 * number, 8)
    length = integer(data, vector + 12 + 16 * number, 8)
    if place < 0 or number >= integer(data, vector, 4) or offset % ALIGNED:
        return np.int64(-1), np.int64(0)
    if not 0 <= offset <= end - body or not 0 <= size <= length <= end - body - offset:
        return np.int64(-1), np.int64(0)
    return body + offset, length


@njit(cache=True, nogil=True)
def has_column(data, batch, number, rows):  # type: ignore[no-untyped-def]
    """Whether that column of the record batch has so many rows, and no null among them."""
    place = member(data, batch, 1)
    vector = place + integer(data, place, 4)
    if place < 0 or number >= integer(data, vector, 4):
        return False
    at = vector + 4 + 16 * number
    return integer(data, at, 8) == rows and integer(data, at + 8, 8) == 0
