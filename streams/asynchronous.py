"""From a URL to redis-py's asyncio client: one server, Sentinel, or Cluster."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import redis.asyncio
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from streams.address import Address
from streams.connection import CONNECT_S, SERVER_ERRORS, common


def client_of(url: str, *, reply_s: float) -> Any:
    """A client that waits `reply_s` for a reply; raises ValueError for a URL of no known kind."""
    address = Address.parse(url)
    shared = {**common(), "retry": Retry(NoBackoff(), 0), "socket_timeout": reply_s}
    options = {**address.options, **shared}
    if address.kind == "cluster":
        node: Any = ClusterNode
        nodes = [node(host, port) for host, port in address.hosts]
        cluster: Any = RedisCluster
        return cluster(startup_nodes=nodes, **options)
    if address.kind == "sentinel":
        limits = {"retry": Retry(NoBackoff(), 0), "socket_timeout": CONNECT_S}
        sentinel: Any = Sentinel
        found = sentinel(
            address.hosts, sentinel_kwargs={**address.sentinel_options, **limits}, **options
        )
        return found.master_for(address.service)
    return redis.asyncio.Redis.from_url(url, **shared)


def is_clustered(client: Any) -> bool:
    """Whether one command can only be about one slot."""
    return isinstance(client, RedisCluster)


async def pipelined(client: Any, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
    """The replies to commands, each about one key, in order; errors of a server among them.

    A cluster's client follows no redirection here: it would send what comes later first.
    """
    pipe = client.pipeline(transaction=False)
    for words in commands:
        pipe.execute_command(*words)
    options = {"allow_redirections": False} if is_clustered(client) else {}
    replies: list[Any] = await pipe.execute(raise_on_error=False, **options)
    return replies


async def look_again(client: Any) -> None:
    """Find out which server of a cluster is which, if one answers; nothing for other clients."""
    if is_clustered(client):
        with suppress(*SERVER_ERRORS):
            await client.nodes_manager.initialize()


async def hang_up(client: Any) -> None:
    """Close all connections, those to the sentinels too."""
    await client.aclose()
    manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    for sentinel in manager.sentinels if manager is not None else ():
        await sentinel.aclose()
