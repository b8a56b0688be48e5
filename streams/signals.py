"""Entries of the output streams: signals and values, written and read in one place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple, Self

import orjson

from streams.errors import Malformed
from streams.records import EntryId, Fields

ID_BYTES = 12
SEPARATOR = "\x1f"  # no printable symbol or name holds it
NUMPY = orjson.OPT_SERIALIZE_NUMPY


class About(NamedTuple):
    """What a signal is about: with its ordinal, all that its id is made of."""

    source: str
    name: str
    symbol: str
    timeframe: str
    ts: int
    status: str


def signal_id(
    *, source: str, name: str, symbol: str, timeframe: str, ts: int, status: str, ordinal: int = 0
) -> str:
    """The id that this signal has on every run: 24 hexadecimal digits.

    `ordinal` tells apart what one source says more than once about one bar.
    """
    parts = (source, name, symbol, timeframe, str(ts), status, str(ordinal))
    return blake2b(SEPARATOR.join(parts).encode(), digest_size=ID_BYTES).hexdigest()


def as_json(value: Any) -> bytes:
    """The value as JSON: numbers as the shortest decimals that read back equal, NaN as null."""
    return orjson.dumps(value, option=NUMPY)


@dataclass(frozen=True, slots=True)
class Signal:
    """One entry of a signals stream; times in ns, `ts` the close of its bar."""

    id: str
    symbol: str
    name: str
    timeframe: str
    ts: int
    status: str
    value: Any
    source: str
    entry: EntryId
    ts_event: int
    ts_publish: int
    seq: int = 0
    valid_until: int | None = None
    degraded: str | None = None

    def encode(self, seq: int) -> Fields:
        """The flat fields of the entry that is the `seq`-th of its stream."""
        return signal_fields(
            About(self.source, self.name, self.symbol, self.timeframe, self.ts, self.status),
            seq,
            own_id=self.id,
            value=self.value,
            entry=self.entry,
            ts_event=self.ts_event,
            ts_publish=self.ts_publish,
            valid_until=self.valid_until,
            degraded=self.degraded,
        )

    @classmethod
    def decode(cls, fields: Mapping[bytes, bytes]) -> Self:
        """The signal that an entry holds; raises Malformed when it holds none."""
        try:
            valid_until, degraded = fields.get(b"valid_until"), fields.get(b"degraded")
            return cls(
                id=fields[b"id"].decode(),
                symbol=fields[b"symbol"].decode(),
                name=fields[b"name"].decode(),
                timeframe=fields[b"timeframe"].decode(),
                ts=int(fields[b"ts"]),
                status=fields[b"status"].decode(),
                value=orjson.loads(fields[b"value"]),
                source=fields[b"source"].decode(),
                entry=EntryId.parse(fields[b"entry"]),
                ts_event=int(fields[b"ts_event"]),
                ts_publish=int(fields[b"ts_publish"]),
                seq=int(fields[b"seq"]),
                valid_until=None if valid_until is None else int(valid_until),
                degraded=None if degraded is None else degraded.decode(),
            )
        except (KeyError, ValueError) as error:
            raise Malformed(f"no signal: {type(error).__name__} {error}") from None


def signal_fields(
    about: About,
    seq: int,
    *,
    own_id: str,
    value: Any,
    entry: EntryId,
    ts_event: int,
    ts_publish: int,
    valid_until: int | None = None,
    degraded: str | None = None,
) -> Fields:
    """The flat fields of a signals entry."""
    source, name, symbol, timeframe, ts, status = about
    return (
        *("id", own_id, "seq", str(seq), "symbol", symbol, "name", name),
        *("timeframe", timeframe, "ts", str(ts), "status", status),
        *("value", as_json(value).decode(), "source", source, "entry", str(entry)),
        *("ts_event", str(ts_event), "ts_publish", str(ts_publish)),
        *(() if valid_until is None else ("valid_until", str(valid_until))),
        *(() if degraded is None else ("degraded", degraded)),
    )


@dataclass(frozen=True, slots=True)
class Values:
    """One entry of a values stream: the outputs of one plan for one bar of one instrument."""

    symbol: str
    timeframe: str
    ts: int
    status: str
    source: str
    data: Mapping[str, float | None]
    seq: int = 0
    partial: bool = False
    degraded: str | None = None

    def encode(self, seq: int) -> Fields:
        """The flat fields of the entry that is the `seq`-th of its stream."""
        return values_fields(
            (self.symbol, self.timeframe, str(self.ts), self.status, self.source),
            seq,
            as_json(self.data).decode(),
            partial=self.partial,
            degraded=self.degraded,
        )

    @classmethod
    def decode(cls, fields: Mapping[bytes, bytes]) -> Self:
        """The values that an entry holds; raises Malformed when it holds none."""
        try:
            degraded = fields.get(b"degraded")
            return cls(
                symbol=fields[b"symbol"].decode(),
                timeframe=fields[b"timeframe"].decode(),
                ts=int(fields[b"ts"]),
                status=fields[b"status"].decode(),
                source=fields[b"source"].decode(),
                data=orjson.loads(fields[b"data"]),
                seq=int(fields[b"seq"]),
                partial=b"partial" in fields,
                degraded=None if degraded is None else degraded.decode(),
            )
        except (KeyError, ValueError) as error:
            raise Malformed(f"no values: {type(error).__name__} {error}") from None


def values_fields(
    row: Sequence[str],
    seq: int,
    data: str,
    *,
    partial: bool = False,
    degraded: str | None = None,
) -> Fields:
    """The flat fields of a values entry: symbol, timeframe, ts, status, source; seq; JSON data.

    `partial` marks the first bar of an instrument, of which earlier ticks may be unknown;
    `degraded` is the tier of shedding that it was affected by.
    """
    symbol, timeframe, ts, status, source = row
    return (
        *("symbol", symbol, "timeframe", timeframe, "ts", ts, "status", status),
        *("source", source, "seq", str(seq), "data", data),
        *(("partial", "1") if partial else ()),
        *(() if degraded is None else ("degraded", degraded)),
    )
