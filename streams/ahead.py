"""How much waits in front of many cursors, in two round trips for all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import redis
from redis.exceptions import NoPermissionError

from streams import lag
from streams.arrow import open_frame
from streams.codec import Frame, Tick, read_entry
from streams.connection import Link, translated
from streams.errors import Malformed, StreamError, Unavailable
from streams.keys import Keys
from streams.records import EntryId

NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Ahead:
    """Entries ever `added` to a stream, those `waiting`, and the newest event time in it.

    `newest_ns` is None where nothing waits, or where the newest entry holds no tick.
    """

    added: int
    waiting: int
    newest_ns: int | None = None


def measure_all(link: Link, keys: Keys, shards: Sequence[str]) -> dict[str, Ahead]:
    """What is in front of the cursor of each shard, but of those whose server is away.

    Raises: Unavailable when all are.
    """
    groups = _all(link, keys, shards, "XINFO GROUPS")
    counted = {shard: _counted(link, keys, shard, found) for shard, found in groups.items()}
    behind = [shard for shard, (_, waiting) in counted.items() if waiting]
    newest = _all(link, keys, behind, "XREVRANGE", "+", "-", "COUNT", 1)
    newest_ns = {shard: _newest_ns(found) for shard, found in newest.items()}
    return {
        shard: Ahead(added, waiting, newest_ns.get(shard))
        for shard, (added, waiting) in counted.items()
    }


def _all(
    link: Link, keys: Keys, shards: Sequence[str], command: str, *words: Any
) -> dict[str, Any]:
    """The replies about each shard whose server answers, its refusals among them."""
    sources = [keys.ticks(shard) for shard in shards]
    replies = link.pipelined(sources, [(command, key, *words) for key in sources])
    for reply in replies:
        if isinstance(reply, NoPermissionError):
            raise translated(reply)
    told = zip(shards, replies, strict=True)
    return {shard: reply for shard, reply in told if not _is_away(reply)}


def _is_away(reply: Any) -> bool:
    if isinstance(reply, redis.RedisError):
        return isinstance(translated(reply), Unavailable)
    return isinstance(reply, StreamError)


def _counted(link: Link, keys: Keys, shard: str, groups: Any) -> tuple[int, int]:
    """Entries added and waiting: the server's count, or ours where the server has none."""
    if isinstance(groups, Exception):
        return 0, 0
    for group in groups:
        if group["name"].decode() == keys.group and group.get("lag") is not None:
            waiting = int(group["lag"])
            return int(group["entries-read"] or 0) + waiting, waiting
    with link.at(keys.ticks(shard)) as client:
        waiting = lag.measure(client, keys.ticks(shard), keys.shard(shard)).entries
        entries = int(client.hget(keys.shard(shard), "entries") or 0)
    return entries + waiting, waiting


def _newest_ns(found: Any) -> int | None:
    if not found or isinstance(found, Exception):
        return None
    entry, fields = found[0]
    try:
        return _time_of(fields, EntryId.parse(entry))
    except Malformed:
        return None


def _time_of(fields: Mapping[bytes, bytes], entry: EntryId) -> int | None:
    content = read_entry(dict(fields))
    if isinstance(content, Frame):
        return _newest_row(open_frame(content.payload))
    if isinstance(content, tuple) and content and isinstance(content[-1], Tick):
        ts = content[-1].ts
        return entry.ms * NS_PER_MS if ts is None else ts
    return None


def _newest_row(frame: pa.RecordBatch) -> int | None:
    """Newest event time of a frame, or None where its times are not of the usual make."""
    at = frame.schema.get_field_index("ts")
    if at < 0 or not pa.types.is_timestamp(frame.schema.field(at).type):
        return None
    newest = pc.max(frame.column(at).cast(pa.timestamp("ns")).cast(pa.int64())).as_py()
    return None if newest is None else int(newest)
