"""What crosses Redis: keys, codecs, the shard log with its fenced commit, signals, lag."""

from streams.connection import Link, connect
from streams.decode import warm
from streams.errors import (
    Fenced,
    Held,
    Malformed,
    Refused,
    Stale,
    StreamError,
    Unavailable,
)
from streams.keys import Keys, shard_of
from streams.log import ShardLog, renew_all
from streams.producer import FrameProducer, TickProducer
from streams.reader import Gap, Position, Received, SignalReader, ValuesReader
from streams.records import (
    ZERO,
    Batch,
    Commit,
    Control,
    EntryId,
    Exchange,
    Keep,
    Lag,
    Lease,
    Reject,
    Snapshot,
    Status,
)
from streams.signals import Signal, Values, signal_id
from streams.symbols import SymbolTable
from streams.wire import Wire

__all__ = [
    "ZERO",
    "Batch",
    "Commit",
    "Control",
    "EntryId",
    "Exchange",
    "Fenced",
    "FrameProducer",
    "Gap",
    "Held",
    "Keep",
    "Keys",
    "Lag",
    "Lease",
    "Link",
    "Malformed",
    "Position",
    "Received",
    "Refused",
    "Reject",
    "ShardLog",
    "Signal",
    "SignalReader",
    "Snapshot",
    "Stale",
    "Status",
    "StreamError",
    "SymbolTable",
    "TickProducer",
    "Unavailable",
    "Values",
    "ValuesReader",
    "Wire",
    "connect",
    "renew_all",
    "shard_of",
    "signal_id",
    "warm",
]
