"""What a URL says: one server, Sentinel or Cluster; where, as whom, over what.

`redis://[user:password@]host[:port][/db]` and `rediss://` (TLS) name one server;
`redis+sentinel://[user:password@]host[:port][,host[:port]...]/service[/db]` the primary that the
sentinels know under that name; `redis+cluster://[user:password@]host[:port][,...]` a cluster.
`rediss+sentinel://` and `rediss+cluster://` are the same over TLS, the sentinels included. The
query carries any further option of redis-py's connections (`?ssl_ca_certs=/ca.pem`,
`?sentinel_password=...`).
"""

from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from redis.connection import parse_url

_parse_url: Any = parse_url  # redis-py has no types there
PORT, SENTINEL_PORT = 6379, 26379
SCHEMES = (
    *("redis", "redis+sentinel", "redis+cluster"),
    *("rediss", "rediss+sentinel", "rediss+cluster"),
)

type Kind = Literal["", "sentinel", "cluster"]


@dataclass(frozen=True, slots=True)
class Address:
    """A URL taken apart; `options` and `sentinel_options` are those of redis-py's connections."""

    url: str
    kind: Kind
    hosts: tuple[tuple[str, int], ...]
    service: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    sentinel_options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, url: str) -> "Address":
        """The address that a URL is. Raises: ValueError, which says what was wanted."""
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES:
            raise ValueError(f"scheme {parts.scheme!r}: wanted one of {', '.join(SCHEMES)}")
        if parts.scheme.endswith("+cluster"):
            return cls(url, "cluster", _hosts(parts, PORT), options=_options(parts))
        if not parts.scheme.endswith("+sentinel"):
            _parse_url(url)
            return cls(url, "", _hosts(parts, PORT))
        service, _, db = parts.path.strip("/").partition("/")
        if not service:
            raise ValueError("wanted /service after the sentinels")
        options = {**_options(parts), "db": int(db or 0)}
        login = {name: options.pop(f"sentinel_{name}", None) for name in ("username", "password")}
        secure = {name: value for name, value in options.items() if name.startswith("ssl")}
        hosts = _hosts(parts, SENTINEL_PORT)
        return cls(url, "sentinel", hosts, service, options, {**login, **secure})


def _hosts(parts: SplitResult, port: int) -> tuple[tuple[str, int], ...]:
    named = parts.netloc.rpartition("@")[2].split(",")
    split = [urlsplit(f"//{host}") for host in named]
    return tuple((unquote(host.hostname or "127.0.0.1"), host.port or port) for host in split)


def _options(parts: SplitResult) -> dict[str, Any]:
    """The options that redis-py reads off a URL of one host, for one that names several."""
    plain = parts.scheme.partition("+")[0]
    login, at, _ = parts.netloc.rpartition("@")
    alone = parts._replace(scheme=plain, netloc=f"{login}{at}localhost", path="")
    parsed = _parse_url(alone.geturl())
    for name in ("host", "port", "db", "connection_class"):
        parsed.pop(name, None)
    if plain == "rediss":
        parsed["ssl"] = True
    return {**dict(parse_qsl(parts.query)), **parsed}
