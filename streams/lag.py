"""How far a shard is behind, by our own count: the server's is nil or wrong in known cases."""

from typing import Any

import redis

from streams.records import EntryId, Lag, Status

RECOUNT_MAX = 10_000  # entries counted one by one when others deleted some in front of the cursor
COUNT_PREFIX = b"count:"
NO_KEY = "no such key"


def measure(client: Any, ticks: str, shard: str) -> Lag:
    """The lag of a shard; `lost` entries were trimmed by someone before they were read."""
    cursor, entries = client.hmget(shard, "cursor", "entries")
    return between(client, ticks, EntryId.parse(cursor or b"0-0"), int(entries or 0))


def between(client: Any, ticks: str, cursor: EntryId, entries: int) -> Lag:
    """The lag of a cursor that has `entries` behind it.

    Exact, except that entries which others deleted in front of the cursor count as waiting
    when there are more than ten thousand: then it is a bit too high.
    """
    info = _info(client, ticks)
    if info is None or EntryId.parse(info["last-generated-id"]) <= cursor:
        return Lag(0, 0.0, _lost(info, entries) if info else 0)
    length = int(info["length"])
    first = info["first-entry"]
    if first is None:
        return Lag(0, 0.0, _lost(info, entries))
    if EntryId.parse(first[0]) > cursor:
        waiting = length
    else:
        waiting = max(1, min(int(info["entries-added"]) - entries, length - 1))
        if EntryId.parse(info["max-deleted-entry-id"]) > cursor and waiting <= RECOUNT_MAX:
            waiting = len(client.xrange(ticks, f"({cursor}", "+", count=waiting))
    return Lag(waiting, _seconds(client, ticks, cursor) if waiting else 0.0, _lost(info, entries))


def status(client: Any, shard: str, ticks: str, key: str) -> Status:
    """Everything about a shard that is worth a line on a screen."""
    held = client.hgetall(key)
    cursor, entries = EntryId.parse(held.get(b"cursor", b"0-0")), int(held.get(b"entries", 0))
    counts = {
        name.removeprefix(COUNT_PREFIX).decode(): int(amount)
        for name, amount in held.items()
        if name.startswith(COUNT_PREFIX)
    }
    return Status(
        shard=shard,
        owner=held.get(b"owner", b"").decode(),
        fence=int(held.get(b"fence", 0)),
        lease_ms=max(0, int(held.get(b"until", 0)) - _now_ms(client)),
        cursor=cursor,
        entries=entries,
        seq=int(held.get(b"seq", 0)),
        seq_values=int(held.get(b"seq_values", 0)),
        counts=counts,
        lag=between(client, ticks, cursor, entries),
    )


def groups(client: Any, ticks: str) -> list[str]:
    """Names of the groups on a stream; none if there is no stream."""
    try:
        return [group["name"].decode() for group in client.xinfo_groups(ticks)]
    except redis.ResponseError as error:
        if NO_KEY in str(error):
            return []
        raise


def _info(client: Any, ticks: str) -> dict[str, Any] | None:
    """What the server knows about a stream; None if there is none."""
    try:
        info: dict[str, Any] = client.xinfo_stream(ticks)
    except redis.ResponseError as error:
        if NO_KEY in str(error):
            return None
        raise
    return info


def _lost(info: dict[str, Any], entries: int) -> int:
    """Entries that were trimmed though nobody had committed them."""
    return max(0, int(info["entries-added"]) - int(info["length"]) - entries)


def _seconds(client: Any, ticks: str, cursor: EntryId) -> float:
    """Age of the oldest entry that waits, by the server's clock and the entry's id."""
    oldest = client.xrange(ticks, f"({cursor}", "+", count=1)
    if not oldest:
        return 0.0
    return max(0.0, (_now_ms(client) - EntryId.parse(oldest[0][0]).ms) / 1000)


def _now_ms(client: Any) -> int:
    seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000
