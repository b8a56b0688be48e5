"""From a URL to connections: one server, Sentinel, or Cluster.

`redis://[user:password@]host[:port][/db]` and `rediss://` (TLS) name one server;
`redis+sentinel://[user:password@]host[:port][,host[:port]...]/service[/db]` the primary that the
sentinels know under that name; `redis+cluster://[user:password@]host[:port][,...]` a cluster.
`rediss+sentinel://` and `rediss+cluster://` are the same over TLS. The query carries any further
option of redis-py's connections (`?ssl_ca_certs=/ca.pem`, `?sentinel_password=...`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import AbstractConnection, parse_url
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ClusterError,
    RedisClusterException,
    TryAgainError,
)
from redis.retry import Retry
from redis.sentinel import Sentinel

from streams.errors import Refused, StreamError, Unavailable
from streams.functions import LIBRARY, Library, server_error

CONNECT_S = 3.0
REPLY_S = 10.0
PORT, SENTINEL_PORT = 6379, 26379
SCHEMES = (
    *("redis", "redis+sentinel", "redis+cluster"),
    *("rediss", "rediss+sentinel", "rediss+cluster"),
)


class Link:
    """A server, or several, as one URL names them; connections are made when first needed."""

    def __init__(self, url: str, *, library: Library = LIBRARY) -> None:
        self.url, self.library = url, library
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES:
            raise ValueError(f"scheme {parts.scheme!r}: wanted one of {', '.join(SCHEMES)}")
        self._parts = parts
        self.clustered = parts.scheme.endswith("+cluster")
        self._client: Any = None

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

    def dedicated(self, node: str) -> AbstractConnection:
        """A connection of its own to one server, logged in and ready."""
        pool = self._server(node).connection_pool
        connection = pool.connection_class(**{**pool.connection_kwargs, "retry": no_retry()})
        connection.connect()
        return cast(AbstractConnection, connection)

    def load_functions(self) -> None:
        """Load the library on every server; raises Unavailable or Refused."""
        try:
            for node in self._cluster.get_primaries() if self.clustered else ():
                self.library.load(self._cluster.get_redis_connection(node))
            if not self.clustered:
                self.library.load(self.client)
        except SERVER_ERRORS as error:
            raise translated(error) from error

    def refresh(self) -> None:
        """Look again which server is which, after one of them moved."""
        if self.clustered:
            try:
                self._cluster.nodes_manager.initialize()
            except SERVER_ERRORS as error:
                raise translated(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what the client holds; dedicated connections are their users' to close."""
        if self._client is not None:
            self._client.close()
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
        parts, options = self._parts, self._options()
        if parts.scheme.endswith("+cluster"):
            node: Any = ClusterNode
            nodes = [node(host, port) for host, port in hosts(parts, PORT)]
            cluster: Any = RedisCluster
            try:
                return cluster(startup_nodes=nodes, **options)
            except SERVER_ERRORS as error:
                raise translated(error) from error
        if parts.scheme.endswith("+sentinel"):
            return self._sentinel(options)
        return redis.Redis.from_url(self.url, **common())

    def _sentinel(self, options: dict[str, Any]) -> Any:
        service, _, db = self._parts.path.strip("/").partition("/")
        if not service:
            raise ValueError(f"url {self.url!r}: wanted /service after the sentinels")
        login = {name: options.pop(f"sentinel_{name}", None) for name in ("username", "password")}
        kind: Any = Sentinel
        sentinel = kind(
            hosts(self._parts, SENTINEL_PORT),
            sentinel_kwargs={**login, "socket_timeout": CONNECT_S, "retry": no_retry()},
            db=int(db or 0),
            **options,
        )
        return sentinel.master_for(service)

    def _options(self) -> dict[str, Any]:
        """Options of redis-py that the URL of several hosts stands for."""
        query = self._parts.query
        options = dict(parse_qsl(query))
        user = self._parts._replace(netloc=f"{self._login()}localhost", scheme=self._plain())
        parse: Any = parse_url
        parsed = parse(user._replace(path="").geturl())
        for name in ("host", "port", "db", "connection_class"):
            parsed.pop(name, None)
        if self._plain() == "rediss":
            parsed["ssl"] = True
        return {**options, **parsed, **common()}

    def _login(self) -> str:
        login, at, _ = self._parts.netloc.rpartition("@")
        return login + at

    def _plain(self) -> str:
        return self._parts.scheme.partition("+")[0]


def connect(url: str, *, library: Library = LIBRARY) -> Link:
    """A link to the server or servers that `url` names, with the functions loaded there."""
    link = Link(url, library=library)
    link.load_functions()
    return link


def hosts(parts: SplitResult, port: int) -> list[tuple[str, int]]:
    """The hosts of a URL that names several, each with its port."""
    named = parts.netloc.rpartition("@")[2].split(",")
    split = [urlsplit(f"//{host}") for host in named]
    return [(unquote(host.hostname or "127.0.0.1"), host.port or port) for host in split]


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
        return Refused(f"{type(error).__name__}: {error}")
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
