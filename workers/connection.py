"""From settings to a server: a URL with its secrets put in, or the embedded server."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from streams.address import Address
from streams.connection import Link, connect
from workers.server import EmbeddedServer
from workers.settings import RedisSettings, SettingsError


@contextmanager
def served(settings: RedisSettings) -> Iterator[str]:
    """The URL of the server that the settings name; the embedded one lives as long as this.

    Raises: SettingsError (a bad URL), ServerError.
    """
    if not settings.embedded:
        url = full_url(settings)
        try:
            Address.parse(url)
        except ValueError as error:
            raise SettingsError(f"redis.url: {error}") from error
        yield url
        return
    with EmbeddedServer(settings.folder) as server:
        yield server.url


@contextmanager
def linked(settings: RedisSettings) -> Iterator[Link]:
    """A link to that server. Raises: SettingsError (a bad URL), Unavailable, ServerError."""
    with served(settings) as url, connect(url) as link:
        yield link


def full_url(settings: RedisSettings) -> str:
    """The URL with user, password and certificate authority that are set apart from it."""
    parts = urlsplit(settings.url)
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    if settings.username is not None:
        user = quote(settings.username, safe="")
    if settings.password is not None:
        password = quote(settings.password.get_secret_value(), safe="")
    if user or password:
        hosts = f"{user}:{password}@{hosts}"
    query = dict(parse_qsl(parts.query))
    if settings.ca_file is not None:
        query["ssl_ca_certs"] = str(settings.ca_file)
    return parts._replace(netloc=hosts, query=urlencode(query)).geturl()
