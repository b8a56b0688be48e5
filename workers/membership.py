"""Who is alive, and what each worker holds: heartbeats in Redis, on the server's clock."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from streams.connection import Link, translation
from streams.keys import Keys

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
    load: Mapping[str, float]


class Membership:
    """The heartbeat of one worker, and its view of the others."""

    def __init__(self, link: Link, keys: Keys, name: str, *, alive_ms: int) -> None:
        self._client, self._keys, self._name = link.client, keys, name
        self._alive_ms = alive_ms

    def beat(self, shards: tuple[str, ...], load: Mapping[str, float]) -> list[Peer]:
        """Say that this worker lives and what it holds; returns every live one, by name.

        Raises: Unavailable.
        """
        with translation():
            return self._beat(shards, load)

    def leave(self) -> None:
        """Be gone at once, for everyone. Raises: Unavailable."""
        with translation():
            self._forget([self._name])
            self._client.publish(self._keys.wake, self._name)

    def peers(self) -> list[Peer]:
        """Every live worker, by name. Raises: Unavailable."""
        with translation():
            return self._alive(self._now_ms())

    def _beat(self, shards: tuple[str, ...], load: Mapping[str, float]) -> list[Peer]:
        now_ms = self._now_ms()
        described = orjson.dumps({"shards": shards, "load": load})
        with self._client.pipeline(transaction=False) as pipe:
            pipe.zadd(self._keys.workers, {self._name: now_ms})
            pipe.hset(self._keys.loads, self._name, described)
            pipe.execute()
        return self._alive(now_ms)

    def _alive(self, now_ms: int) -> list[Peer]:
        with self._client.pipeline(transaction=False) as pipe:
            pipe.zrange(self._keys.workers, 0, -1, withscores=True)
            pipe.hgetall(self._keys.loads)
            beats, described = pipe.execute()
        peers = [
            _peer(name.decode(), int(now_ms - beat), described.get(name)) for name, beat in beats
        ]
        self._forget([peer.name for peer in peers if peer.age_ms > FORGET_MS])
        return sorted(
            (peer for peer in peers if peer.age_ms < self._alive_ms), key=lambda peer: peer.name
        )

    def _now_ms(self) -> int:
        seconds, micros = self._client.time()
        return int(seconds) * MS_PER_S + int(micros) // US_PER_MS

    def _forget(self, names: list[str]) -> None:
        if names:
            self._client.zrem(self._keys.workers, *names)
            self._client.hdel(self._keys.loads, *names)


def _peer(name: str, age_ms: int, described: bytes | None) -> Peer:
    about = orjson.loads(described) if described else {"shards": (), "load": {}}
    return Peer(name, age_ms, tuple(about["shards"]), about["load"])
