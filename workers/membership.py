"""Who is alive, and what each worker holds: heartbeats in Redis, on the server's clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from streams.connection import Link, translation
from streams.keys import Keys
from workers.load import ShardLoad

NS_PER_MS = 1_000_000
US_PER_MS = 1_000
MS_PER_S = 1_000
FORGET_MS = 60_000  # a worker silent for so long is taken off the list


@dataclass(frozen=True, slots=True)
class Peer:
    """One live worker as it describes itself."""

    name: str
    age_ms: int
    shards: tuple[str, ...]
    loads: Mapping[str, ShardLoad] = field(default_factory=dict)  # of those that it has measured
    giving: Mapping[str, str] = field(default_factory=dict)  # shards that it hands over, to whom


class View(NamedTuple):
    """Who is alive at a moment of the server's clock."""

    now_ms: int
    peers: list[Peer]

    @property
    def given(self) -> dict[str, str]:
        """Shards that are on their way, and to which live worker."""
        live = {peer.name for peer in self.peers}
        return {
            shard: taker
            for peer in self.peers
            for shard, taker in peer.giving.items()
            if taker in live
        }

    @property
    def owners(self) -> dict[str, str]:
        """Owner of every shard that somebody says to hold, or that is on its way to somebody."""
        given = self.given
        return given | {
            shard: given.get(shard, peer.name) if shard in peer.giving else peer.name
            for peer in self.peers
            for shard in peer.shards
        }

    @property
    def loads(self) -> dict[str, ShardLoad]:
        """Load of every shard that its owner has measured."""
        return {shard: load for peer in self.peers for shard, load in peer.loads.items()}


class Membership:
    """The heartbeat of one worker, and its view of the others."""

    def __init__(self, link: Link, keys: Keys, name: str, *, alive_ms: int) -> None:
        self._client, self._keys, self._name = link.client, keys, name
        self._alive_ms = alive_ms

    def beat(
        self,
        shards: tuple[str, ...],
        loads: Mapping[str, ShardLoad],
        giving: Mapping[str, str],
    ) -> View:
        """Say that this worker lives, what it holds and gives; returns every live one, by name.

        Raises: Unavailable.
        """
        told = {shard: load.as_json() for shard, load in loads.items()}
        with translation():
            return self._beat({"shards": shards, "loads": told, "giving": giving})

    def leave(self) -> None:
        """Be gone at once, for everyone. Raises: Unavailable."""
        with translation():
            self._forget([self._name])
            self._client.publish(self._keys.wake, self._name)

    def view(self) -> View:
        """Every live worker, by name. Raises: Unavailable."""
        with translation():
            return self._alive(self._now_ms())

    def _beat(self, about: Mapping[str, object]) -> View:
        now_ms = self._now_ms()
        described = orjson.dumps(about)
        with self._client.pipeline(transaction=False) as pipe:
            pipe.zadd(self._keys.workers, {self._name: now_ms})
            pipe.hset(self._keys.loads, self._name, described)
            pipe.execute()
        return self._alive(now_ms)

    def _alive(self, now_ms: int) -> View:
        with self._client.pipeline(transaction=False) as pipe:
            pipe.zrange(self._keys.workers, 0, -1, withscores=True)
            pipe.hgetall(self._keys.loads)
            beats, described = pipe.execute()
        peers = [
            _peer(name.decode(), int(now_ms - beat), described.get(name)) for name, beat in beats
        ]
        self._forget([peer.name for peer in peers if peer.age_ms > FORGET_MS])
        live = [peer for peer in peers if peer.age_ms < self._alive_ms]
        return View(now_ms, sorted(live, key=lambda peer: peer.name))

    def _now_ms(self) -> int:
        seconds, micros = self._client.time()
        return int(seconds) * MS_PER_S + int(micros) // US_PER_MS

    def _forget(self, names: list[str]) -> None:
        if names:
            self._client.zrem(self._keys.workers, *names)
            self._client.hdel(self._keys.loads, *names)


def _peer(name: str, age_ms: int, described: bytes | None) -> Peer:
    about = orjson.loads(described) if described else {}
    loads = {shard: ShardLoad.parse(told) for shard, told in about.get("loads", {}).items()}
    return Peer(name, age_ms, tuple(about.get("shards", ())), loads, about.get("giving", {}))
