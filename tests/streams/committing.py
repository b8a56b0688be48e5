"""What tests of the shard log commit."""

from streams.records import Commit, EntryId, Lease
from tests.conftest import Server

T0_S = 1763823000


def produce(server: Server, count: int, key: str = "ticks:{0}") -> list[EntryId]:
    with server.client() as client:
        pipe = client.pipeline()
        for number in range(count):
            pipe.xadd(key, {"symbol": "BTC-USD", "price": "1", "ts": T0_S + number})
        return [EntryId.parse(name) for name in pipe.execute()]


def a_commit(lease: Lease, new: EntryId, entries: int, **more: object) -> Commit:
    return Commit(lease.shard, lease.fence, lease.cursor, new, entries, **more)  # type: ignore[arg-type]
