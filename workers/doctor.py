"""What is wrong with a set-up, or with a feed: each finding says what to do."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from streams.codec import CODECS, Clock, Deploy, Frame, Tick, read_entry
from streams.connection import Link, translation
from streams.errors import Malformed
from streams.keys import Keys, is_numbered, shard_name, shard_of
from streams.log import ShardLog
from streams.records import EntryId
from streams.wire import Wire
from workers.program import Program
from workers.settings import Settings, SettingsError

REDIS_VERSION_MIN = (7, 0)
SAMPLE_ENTRIES = 1_000
SKEW_S_MAX = 60.0
LAG_S_MAX = 10.0
NS_PER_S = 1_000_000_000
MS_PER_S = 1_000
REASONS_SHOWN = 5

Level = Literal["ok", "warning", "error"]


class Finding(NamedTuple):
    """One thing that was looked at: how it stands, and what to do about it."""

    level: Level
    what: str
    advice: str = ""


def examine_setup(link: Link, settings: Settings) -> Iterator[Finding]:
    """Look at the plans, at the server and at every shard of the fleet."""
    try:
        Program(settings.plans)
    except SettingsError as error:
        yield Finding("error", str(error), "mend these expressions: no worker starts with them")
    with translation():
        for server in link.servers():
            yield from _server(server)
        yield from _shards(link, settings)


def examine_stream(link: Link, settings: Settings, key: str) -> Iterator[Finding]:
    """Look at the newest entries of one stream as a worker would read them."""
    with translation():
        kind = link.client.type(key).decode()
        if kind != "stream":
            yield Finding(
                "error", f"{key} is of type {kind}, not a stream", "XADD to it, or mend the key"
            )
            return
        entries = link.client.xrevrange(key, count=SAMPLE_ENTRIES)
        yield Finding("ok", f"{key}: looked at its newest {len(entries)} entries")
        sample = _Sample(key, settings.shards)
        for name, fields in entries:
            sample.add(EntryId.parse(name), fields)
        yield from sample.findings()


def _server(client: Any) -> Iterator[Finding]:
    info = client.info()
    version = info.get("valkey_version", info["redis_version"])
    name = "Valkey" if "valkey_version" in info else "Redis"
    compatible = tuple(int(part) for part in info["redis_version"].split(".")[:2])
    if compatible < REDIS_VERSION_MIN:
        yield Finding("error", f"{name} {version}", "signalfleet needs Redis 7.0 or Valkey")
    else:
        yield Finding("ok", f"{name} {version}")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield Finding(
            "error",
            f"maxmemory-policy is {policy}: whole streams can vanish, with their groups",
            "CONFIG SET maxmemory-policy noeviction",
        )
    if not info.get("aof_enabled"):
        yield Finding(
            "warning",
            "append-only persistence is off: a restart of the server loses what came since",
            "CONFIG SET appendonly yes (appendfsync everysec, or always)",
        )
    if info.get("maxmemory") and info["used_memory"] > 0.9 * info["maxmemory"]:
        yield Finding(
            "warning",
            f"memory: {info['used_memory']:,} of {info['maxmemory']:,} bytes are used",
            "raise maxmemory or shorten retention.ticks_s",
        )


def _shards(link: Link, settings: Settings) -> Iterator[Finding]:
    keys = Keys(settings.name)
    topology = link.client.hgetall(keys.topology)
    agreed = int(topology.get(b"shards", settings.shards))
    if agreed != settings.shards:
        yield Finding(
            "error",
            f"{keys.topology} says {agreed} shards, these settings say {settings.shards}",
            f"set shards: {agreed}, or give this fleet another name",
        )
    wire = Wire(link, keys, shards=agreed)
    for shard in [*map(str, range(agreed)), *settings.sources]:
        key = keys.ticks(shard)
        kind = link.client.type(key).decode()
        if kind not in ("stream", "none"):
            yield Finding("error", f"{key} is of type {kind}", "rename or delete that key")
            continue
        yield from _shard(ShardLog(link, keys, shard, wire), key)


def _shard(log: ShardLog, key: str) -> Iterator[Finding]:
    status = log.status()
    if status.lag.entries and not status.owner:
        yield Finding("error", f"{key}: entries wait and nobody owns it", "start `fleet worker`")
    elif status.lag.seconds > LAG_S_MAX:
        yield Finding(
            "warning",
            f"{key}: {status.lag.entries:,} entries wait, {status.lag.seconds:.1f} s behind",
            "add workers",
        )
    if status.lag.lost:
        yield Finding(
            "error",
            f"{key}: {status.lag.lost:,} entries were trimmed before they were read",
            "take MAXLEN and XTRIM off the producers: the fleet trims behind itself",
        )
    if status.counts.get("dead"):
        yield Finding(
            "warning",
            f"{key}: dead letters so far: {status.counts['dead']:,}",
            f"fleet doctor --stream '{key}', and XRANGE the deadletter stream for the reasons",
        )


class _Sample:
    """What a run of entries of one stream looks like to a worker."""

    def __init__(self, key: str, shards: int) -> None:
        shard = shard_name(key)
        self._shard = int(shard) if is_numbered(shard) else None
        self._shards = shards
        self._kinds: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._misplaced: Counter[str] = Counter()
        self._ahead_s: list[float] = []

    def add(self, entry: EntryId, fields: dict[bytes, bytes]) -> None:
        """Take in one entry."""
        self._kinds[_kind(fields)] += 1
        try:
            content = read_entry(fields)
        except Malformed as error:
            self._reasons[str(error)] += 1
            return
        if not isinstance(content, (Clock, Deploy, Frame)):
            for item in content:
                self._add_item(entry, item)

    def _add_item(self, entry: EntryId, item: Tick | Malformed) -> None:
        if isinstance(item, Malformed):
            self._reasons[str(item)] += 1
            return
        if self._shard is not None and shard_of(item.symbol, self._shards) != self._shard:
            self._misplaced[item.symbol.decode("utf-8", "replace")] += 1
        if item.ts is not None:
            self._ahead_s.append(item.ts / NS_PER_S - entry.ms / MS_PER_S)

    def findings(self) -> Iterator[Finding]:
        """What is to be said of them."""
        kinds = ", ".join(f"{kind} ({count})" for kind, count in self._kinds.most_common())
        yield Finding("ok", f"read as {kinds or 'nothing: the stream is empty'}")
        for reason, count in self._reasons.most_common(REASONS_SHOWN):
            yield Finding("error", f"{count} cannot be read: {reason}", "mend the producer")
        for symbol, count in self._misplaced.most_common(REASONS_SHOWN):
            right = f"crc32(symbol) % {self._shards} = {shard_of(symbol, self._shards)}"
            yield Finding("error", f"{count} of {symbol} are in the wrong shard", f"it is {right}")
        newest_s = max(self._ahead_s, default=0.0)
        if newest_s > SKEW_S_MAX:
            yield Finding(
                "warning",
                f"ts runs {newest_s:.0f} s ahead of the server's clock",
                "check the unit of ts and the producer's clock",
            )
        if newest_s < -SKEW_S_MAX:
            yield Finding("ok", f"historical: ts is at least {-newest_s:,.0f} s behind the server")


def _kind(fields: dict[bytes, bytes]) -> str:
    return next((name for name, codec in CODECS.items() if codec.matches(fields)), "unknown")
