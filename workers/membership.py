"""Who is alive, and what each worker holds: heartbeats in Redis, on the server's clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import orjson

from streams.connection import Link, translation
from streams.keys import Keys
from workers.load import ShardLoad

NS_PER_MS = 1_000_000
US_PER_MS = 1_000
MS_PER_S = 1_000
TELL_MS = 1_000  # what is as it was is told again so often: the server may have lost it
SHARED = "*"  # the field of the parts that is for all workers: no worker is called so
FORGET_MS = 60_000  # a worker silent for so long is taken off the list


@dataclass(frozen=True, slots=True)
class Peer:
    """One live worker as it describes itself."""

    name: str
    age_ms: int
    shards: tuple[str, ...]
    loads: Mapping[str, ShardLoad] = field(default_factory=dict)  # of those that it has measured
    giving: Mapping[str, str] = field(default_factory=dict)  # shards that it hands over, to whom
    leaving: bool = False  # it gives all of its shards up


class View(NamedTuple):
    """Who is alive at a moment of the server's clock."""

    now_ms: int
    peers: list[Peer]

    @property
    def given(self) -> dict[str, str]:
        """Shards that are on their way, and to which worker that stays."""
        stays = {peer.name for peer in self.peers if not peer.leaving}
        return {
            shard: taker
            for peer in self.peers
            for shard, taker in peer.giving.items()
            if taker in stays
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


class Beat(NamedTuple):
    """What a heartbeat came back with: whether this worker conducts, its part, and all workers'."""

    now_ms: int
    conducts: bool
    part: bytes | None
    shared: bytes | None


class Membership:
    """The heartbeat of one worker, which costs the same however many there are.

    Only one of them, the conductor, reads what all tell, and writes for each its part. The first to
    ask is it, for as long as it goes on asking.
    """

    def __init__(self, link: Link, keys: Keys, name: str, *, alive_ms: int) -> None:
        self._client, self._keys, self._name = link.client, keys, name
        self._alive_ms = alive_ms
        self.leaving = False
        self._told, self._told_ms = b"", 0
        self._read: dict[bytes, tuple[bytes, Peer]] = {}
        self._directed: Mapping[str, bytes] = {}
        self._directed_ms = 0

    def beat(
        self,
        shards: tuple[str, ...],
        loads: Mapping[str, ShardLoad],
        giving: Mapping[str, str],
    ) -> Beat:
        """Say that this worker lives, what it holds and gives. Raises: Unavailable."""
        told = {shard: load.as_json() for shard, load in loads.items()}
        about = {"shards": shards, "loads": told, "giving": giving}
        with translation():
            return self._beat(orjson.dumps({**about, "leaving": True} if self.leaving else about))

    def resign(self) -> bool:
        """Ask for a part without shards, and conduct no more; whether a worker stays to take them.

        Raises: Unavailable.
        """
        self.leaving = True
        with translation():
            conductor = self._client.get(self._keys.conductor)
            if conductor == self._name.encode():
                self._client.delete(self._keys.conductor)
        return any(not peer.leaving and peer.name != self._name for peer in self.view().peers)

    def leave(self) -> None:
        """Be gone at once, for everyone. Raises: Unavailable."""
        with translation():
            self._forget([self._name])
            conductor = (self._client.get(self._keys.conductor) or b"").decode()
            if conductor == self._name:
                self._client.delete(self._keys.conductor)
            self._client.publish(self._keys.wake(conductor), self._name)

    def view(self) -> View:
        """Every live worker, by name. Raises: Unavailable."""
        with translation():
            return self._alive(self._now_ms())

    def direct(self, parts: Mapping[str, bytes], now_ms: int) -> None:
        """Write the parts that changed, and all of them now and then. Raises: Unavailable."""
        again = now_ms - self._directed_ms >= TELL_MS
        news = {
            name: part for name, part in parts.items() if again or self._directed.get(name) != part
        }
        changed = {
            name for name in news if name != SHARED and self._directed.get(name) != news[name]
        }
        with translation():
            if news:
                self._client.hset(self._keys.parts, mapping=news)
            for name in changed - {self._name}:  # one by one: a cluster takes them no other way
                self._client.publish(self._keys.wake(name), self._name)
        self._directed = parts
        self._directed_ms = now_ms if again else self._directed_ms

    def _beat(self, about: bytes) -> Beat:
        now_ms, keys = self._now_ms(), self._keys
        with self._client.pipeline(transaction=False) as pipe:
            pipe.zadd(keys.workers, {self._name: now_ms})
            if about != self._told or now_ms - self._told_ms >= TELL_MS:
                pipe.hset(keys.loads, self._name, about)
                self._told, self._told_ms = about, now_ms
            if not self.leaving:
                pipe.set(keys.conductor, self._name, nx=True, px=self._alive_ms)
            pipe.get(keys.conductor)
            pipe.hmget(keys.parts, [self._name, SHARED])
            *_, conductor, (part, shared) = pipe.execute()
        conducts = conductor == self._name.encode() and not self.leaving
        if conducts:
            self._client.pexpire(keys.conductor, self._alive_ms)
        return Beat(now_ms, conducts, part, shared)

    def _alive(self, now_ms: int) -> View:
        with self._client.pipeline(transaction=False) as pipe:
            pipe.zrange(self._keys.workers, 0, -1, withscores=True)
            pipe.hgetall(self._keys.loads)
            beats, described = pipe.execute()
        read = {name: self._peer(name, described.get(name, b"{}")) for name, _ in beats}
        self._read = read
        peers = [replace(read[name][1], age_ms=int(now_ms - beat)) for name, beat in beats]
        self._forget([peer.name for peer in peers if peer.age_ms > FORGET_MS])
        live = [peer for peer in peers if peer.age_ms < self._alive_ms]
        return View(now_ms, sorted(live, key=lambda peer: peer.name))

    def _peer(self, name: bytes, described: bytes) -> tuple[bytes, Peer]:
        """What a worker says of itself, read once as long as it says the same."""
        known = self._read.get(name)
        if known is not None and known[0] == described:
            return known
        return described, _peer(name.decode(), described)

    def _now_ms(self) -> int:
        seconds, micros = self._client.time()
        return int(seconds) * MS_PER_S + int(micros) // US_PER_MS

    def _forget(self, names: list[str]) -> None:
        if names:
            self._client.zrem(self._keys.workers, *names)
            self._client.hdel(self._keys.loads, *names)
            self._client.hdel(self._keys.parts, *names)


def _peer(name: str, described: bytes) -> Peer:
    about = orjson.loads(described)
    loads = {shard: ShardLoad.parse(told) for shard, told in about.get("loads", {}).items()}
    shards, giving = tuple(about.get("shards", ())), about.get("giving", {})
    return Peer(name, 0, shards, loads, giving, about.get("leaving", False))
