"""What crosses between a worker and a jail: small fixed messages, and bulk in shared memory."""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from sandbox.limits import Limits

ROWS_MAX: Final = 4_096  # rows of one RUN; a longer batch is cut
VALUES_MAX: Final = 64  # indicator columns beside the bar's own
FIXED_COLUMNS: Final = 7  # slot and ts int64; open high low close volume float64
CELL_BYTES: Final = 8
ENVELOPE_BYTES: Final = 16 * 1024  # room for names and numbers around a payload
JSON_GROWTH: Final = 6  # one character may become \u0000
ERRORS_MAX: Final = 8  # errors told of one batch; the rest are counted
TEXT_CHARS_MAX: Final = 500  # of an error, a log line
NAME_CHARS_MAX: Final = 64
FIELDS_MAX: Final = 16  # fields of one signal
_REQUEST: Final = struct.Struct("<IIIIQ")
_REPLY: Final = struct.Struct("<IIIIQ")


class Op(IntEnum):
    """What a worker asks of a jail."""

    LOAD = 1  # JSON: source, params, limits; answers the report and, if declarative, the graph
    OPEN = 2  # JSON: [[slot, symbol, capsule or null], ...]
    RUN = 3  # columns; answers a column of numbers, then JSON
    SAVE = 4  # JSON: [slot, ...]; answers [[slot, capsule], ...]


class Status(IntEnum):
    """How a jail answers."""

    DONE = 0
    REFUSED = 1  # JSON: the report, or {"error": text, "line": n}


@dataclass(frozen=True)
class Request:
    """A question; `length` bytes of payload are in the inbound memory."""

    op: int
    sequence: int
    rows: int
    values: int
    length: int

    def pack(self) -> bytes:
        """The fixed bytes that cross the socket."""
        return _REQUEST.pack(self.op, self.sequence, self.rows, self.values, self.length)

    @classmethod
    def unpack(cls, raw: bytes) -> Self:
        """The message of such bytes."""
        return cls(*_REQUEST.unpack(raw))


@dataclass(frozen=True)
class Reply:
    """An answer; `length` bytes of JSON follow `rows` cells in the outbound memory."""

    op: int
    status: int
    sequence: int
    rows: int
    length: int

    def pack(self) -> bytes:
        """The fixed bytes that cross the socket."""
        return _REPLY.pack(self.op, self.status, self.sequence, self.rows, self.length)

    @classmethod
    def unpack(cls, raw: bytes) -> Self:
        """The message of such bytes."""
        return cls(*_REPLY.unpack(raw))


REPLY_BYTES: Final = _REPLY.size
REQUEST_BYTES: Final = _REQUEST.size


def inbound_bytes(limits: Limits) -> int:
    """Size of the memory a worker writes and a jail reads."""
    rows = ROWS_MAX * (FIXED_COLUMNS + VALUES_MAX) * CELL_BYTES
    text = JSON_GROWTH * max(limits.source_bytes_max, limits.state_bytes_max)
    return max(rows, text + ENVELOPE_BYTES)


def outbound_bytes(limits: Limits) -> int:
    """Size of the memory a jail writes and a worker reads."""
    rows = ROWS_MAX * CELL_BYTES + limits.output_bytes_max
    return max(rows, JSON_GROWTH * limits.state_bytes_max) + ENVELOPE_BYTES
