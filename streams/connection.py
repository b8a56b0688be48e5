"""Connections to the servers that a URL names: one, Sentinel's primary, or a cluster's."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Self, cast

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import AbstractConnection
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ClusterError,
    MovedError,
    RedisClusterException,
    TryAgainError,
)
from redis.retry import Retry
from redis.sentinel import Sentinel

from streams.address import Address
from streams.errors import Refused, StreamError, Unavailable
from streams.functions import LIBRARY, Library, server_error

CONNECT_S = 3.0
REPLY_S = 10.0
REFRESH_S = 0.2
UNTRUSTED = "certificate verify failed"


class Link:
    """A server, or several, as one URL names them; connections are made when first needed."""

    def __init__(self, url: str, *, library: Library = LIBRARY) -> None:
        self.url, self.library = url, library
        self._address = Address.parse(url)
        self.clustered = self._address.kind == "cluster"
        self._client: Any = None
        self._looked_at = float("-inf")

    @property
    def client(self) -> Any:
        """A redis-py client for everything but the hot path; safe to share between threads."""
        if self._client is None:
            self._client = self._connect()
        return self._client

    def node(self, key: str) -> str:
        """Name of the server that holds a key; one name for all keys if there is one server."""
        if not self.clustered:
            return ""
        found = self._cluster.get_node_from_key(key)
        if found is None:
            raise Unavailable(f"no server of the cluster holds {key}")
        return str(found.name)

    @contextmanager
    def at(self, key: str) -> Iterator[Any]:
        """A redis-py client of the server that holds a key, for all keys of its slot.

        Unlike the cluster's own client it asks no other server on the way. Raises Unavailable.
        """
        try:
            yield self._server(self.node(key))
        except (Unavailable, *SERVER_ERRORS) as error:
            self.refresh()
            raise error if isinstance(error, Unavailable) else translated(error) from error

    def dedicated(self, node: str) -> AbstractConnection:
        """A connection of its own to one server, logged in and ready."""
        pool = self._server(node).connection_pool
        connection = pool.connection_class(**{**pool.connection_kwargs, "retry": no_retry()})
        connection.connect()
        return cast(AbstractConnection, connection)

    def pipelined(self, keys: Sequence[str], commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Replies to commands, each about the key in its place; sent together, server by server.

        Errors of a server stand in place of its replies. Raises Unavailable when no server could
        be asked.
        """
        replies: list[Any] = [None] * len(commands)
        batches = self._by_node(keys)
        away: list[Unavailable] = []
        for node, batch in batches.items():
            try:
                found = self._piped(node, [commands[at] for at in batch])
            except Unavailable as error:
                away.append(error)
                found = [error] * len(batch)
            for at, reply in zip(batch, found, strict=True):
                replies[at] = reply
        if away or any(isinstance(reply, MovedError) for reply in replies):
            self.refresh()
        if away and len(away) == len(batches):
            raise away[0]
        return replies

    def _by_node(self, keys: Sequence[str]) -> dict[str, list[int]]:
        batches: dict[str, list[int]] = {}
        with translation():
            for at, key in enumerate(keys):
                batches.setdefault(self.node(key), []).append(at)
        return batches

    def _piped(self, node: str, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        with translation(), self._server(node).pipeline(transaction=False) as pipe:
            for words in commands:
                pipe.execute_command(*words)
            replies: list[Any] = pipe.execute(raise_on_error=False)
        for reply in replies:
            if isinstance(reply, redis.ConnectionError):
                raise translated(reply)
        return replies

    def servers(self) -> list[Any]:
        """A redis-py client of each server that takes writes."""
        if not self.clustered:
            return [self.client]
        cluster = self._cluster
        return [cluster.get_redis_connection(node) for node in cluster.get_primaries()]

    def load_functions(self) -> None:
        """Load the library on every server that answers; raises Unavailable or Refused."""
        with translation():
            self.each(self.library.load)

    def each[T](self, ask: Callable[[Any], T]) -> list[T]:
        """What each server that can be reached answers. Raises where none can, or one refuses."""
        answers, away = [], None
        for server in self.servers():
            try:
                answers.append(ask(server))
            except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
                away = error
        if away is not None and not answers:
            raise away
        return answers

    def refresh(self) -> None:
        """Look again which server is which, after one of them moved; now and then at most."""
        if self.clustered and time.monotonic() - self._looked_at > REFRESH_S:
            self._looked_at = time.monotonic()
            with suppress(*SERVER_ERRORS):  # none answers now: what was known is what is known
                self._cluster.nodes_manager.initialize()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what the client holds; dedicated connections are their users' to close."""
        if self._client is not None:
            self._client.close()
            if self._address.kind == "sentinel":
                for sentinel in self._client.connection_pool.sentinel_manager.sentinels:
                    sentinel.close()
            self._client = None

    @property
    def _cluster(self) -> Any:
        """The client as what it is for a cluster; redis-py has no types there."""
        return self.client

    def _server(self, node: str) -> Any:
        if not self.clustered:
            return self.client
        found = self._cluster.get_node(node_name=node)
        if found is None:
            raise Unavailable(f"server {node} has left the cluster")
        return self._cluster.get_redis_connection(found)

    def _connect(self) -> Any:
        address = self._address
        options = {**address.options, **common()}
        if address.kind == "cluster":
            node: Any = ClusterNode
            nodes = [node(host, port) for host, port in address.hosts]
            cluster: Any = RedisCluster
            with translation():
                return cluster(startup_nodes=nodes, **options)
        if address.kind == "sentinel":
            limits = {"socket_timeout": CONNECT_S, "retry": no_retry()}
            kind: Any = Sentinel
            sentinel = kind(
                address.hosts, sentinel_kwargs={**address.sentinel_options, **limits}, **options
            )
            return sentinel.master_for(address.service)
        return redis.Redis.from_url(self.url, **common())


def connect(url: str, *, library: Library = LIBRARY) -> Link:
    """A link to the server or servers that `url` names, with the functions loaded there."""
    link = Link(url, library=library)
    link.load_functions()
    return link


def no_retry() -> Retry:
    """redis-py's own retries switched off: a retried write would be done twice."""
    return Retry(NoBackoff(), 0)


def common() -> dict[str, Any]:
    """What every connection gets, spelled out so that no default of the library decides."""
    return {
        "retry": no_retry(),
        "socket_timeout": REPLY_S,
        "socket_connect_timeout": CONNECT_S,
        "socket_keepalive": True,
        "health_check_interval": 0,
        "decode_responses": False,
    }


def translated(error: Exception) -> StreamError:
    """The error of this package that an error of redis-py or of the socket is."""
    if isinstance(error, redis.AuthenticationError):
        if str(error).startswith("HELLO must be called"):
            return Refused("the server wants a password: give redis.username and redis.password")
        return Refused(f"{type(error).__name__}: {error}")
    if UNTRUSTED in str(error):
        return Refused(f"{error} (redis.ca_file, or ssl_ca_certs in the URL, names the authority)")
    if isinstance(error, TRANSIENT_ERRORS):
        return Unavailable(f"{type(error).__name__}: {error}")
    return server_error(str(error))


@contextmanager
def translation() -> Iterator[None]:
    """Turn errors of redis-py and of the socket into this package's."""
    try:
        yield
    except SERVER_ERRORS as error:
        raise translated(error) from error


TRANSIENT_ERRORS = (
    redis.ConnectionError,  # also BusyLoadingError and MaxConnectionsError
    redis.TimeoutError,
    redis.OutOfMemoryError,
    redis.ReadOnlyError,
    ClusterDownError,  # also MasterDownError
    ClusterError,
    AskError,  # also MovedError
    TryAgainError,
    RedisClusterException,  # which is no RedisError
    OSError,
)
SERVER_ERRORS = (redis.RedisError, RedisClusterException, OSError)
