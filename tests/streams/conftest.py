"""A shard log on each kind of server that must be supported."""

from collections.abc import Callable, Iterator

import pytest

from streams.connection import Link, connect
from streams.decode import warm
from streams.keys import Keys
from streams.log import ShardLog
from streams.wire import Wire
from tests.conftest import Server


@pytest.fixture(scope="session", autouse=True)
def _kernels() -> None:
    """Compiled before any lease runs."""
    warm()


@pytest.fixture(params=["server", "redis7"])
def any_server(request: pytest.FixtureRequest) -> Server:
    """The embedded Valkey, then Debian's Redis 7.0."""
    server: Server = request.getfixturevalue(request.param)
    return server


type Maker = Callable[..., ShardLog]


@pytest.fixture
def open_log() -> Iterator[Maker]:
    """Make shard logs of their own connections; all are closed in the end."""
    opened: list[tuple[Link, Wire]] = []

    def make(url: str, shard: str = "0", *, name: str = "fleet", shards: int = 1) -> ShardLog:
        link, keys = connect(url), Keys(name)
        wire = Wire(link, keys, shards=shards)
        opened.append((link, wire))
        return ShardLog(link, keys, shard, wire)

    yield make
    for link, wire in opened:
        wire.close()
        link.close()
