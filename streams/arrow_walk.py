"""How large an Arrow IPC stream says it is, found out before anything is unpacked."""

import numpy as np

from streams.compiled import njit


@njit(cache=True, nogil=True)
def _int(data, at, size):  # type: ignore[no-untyped-def]
    """The little-endian signed integer of `size` bytes; 0 beyond the end."""
    if at < 0 or at + size > len(data):
        return np.int64(0)
    value = np.uint64(0)
    for byte in range(size):
        value |= np.uint64(data[at + byte]) << np.uint64(8 * byte)
    shift = np.int64(64 - 8 * size)
    return (np.int64(value) << shift) >> shift


@njit(cache=True, nogil=True)
def _member(data, table, number):  # type: ignore[no-untyped-def]
    """Place of a member of the flatbuffer table, -1 if it is left out."""
    vtable = table - _int(data, table, 4)
    if 4 + 2 * number >= _int(data, vtable, 2):
        return np.int64(-1)
    offset = _int(data, vtable + 4 + 2 * number, 2)
    return table + offset if offset else np.int64(-1)


@njit(cache=True, nogil=True)
def declared_bytes(data):  # type: ignore[no-untyped-def]
    """How many bytes the messages of an Arrow IPC stream say they unpack to.

    Walks only the parts of the metadata that say so; a broken stream gives any number.
    Source: Arrow columnar format, Message.fbs (1.5)
    """
    total, at = np.int64(0), np.int64(0)
    while at + 8 <= len(data):
        at += 4 if _int(data, at, 4) == -1 else 0
        size = _int(data, at, 4)
        at += 4
        if size <= 0 or at + size > len(data):
            return total
        message = at + _int(data, at, 4)
        kind_at, header_at = _member(data, message, 1), _member(data, message, 2)
        length_at = _member(data, message, 3)
        body, length = at + size, np.int64(0)
        if length_at >= 0:
            length = _int(data, length_at, 8)
        if kind_at >= 0 and header_at >= 0:
            kind = _int(data, kind_at, 1)
            header = header_at + _int(data, header_at, 4)
            if kind == 2:  # a dictionary wraps a record batch
                inner = _member(data, header, 1)
                header = inner + _int(data, inner, 4)
            if kind >= 2:
                total += _unpacked(data, header, body)
        if length < 0:
            return total
        at = body + length
    return total


@njit(cache=True, nogil=True)
def _unpacked(data, batch, body):  # type: ignore[no-untyped-def]
    """How many bytes a record batch says its buffers unpack to, compressed or not."""
    buffers = _member(data, batch, 2)
    if buffers < 0:
        return np.int64(0)
    packed = _member(data, batch, 3) >= 0
    vector = buffers + _int(data, buffers, 4)
    total = np.int64(0)
    for number in range(min(_int(data, vector, 4), 1024)):
        place = vector + 4 + 16 * number
        offset, length = _int(data, place, 8), _int(data, place + 8, 8)
        if packed and length >= 8:
            length = max(length, _int(data, body + offset, 8))
        total += max(length, np.int64(0))
    return total
