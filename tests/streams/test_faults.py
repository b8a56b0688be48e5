"""The nth call dies, before or after it took effect: downstream nothing changes."""

import pytest
import redis

from streams.connection import Link, connect
from streams.errors import Fenced, Held, Stale, Unavailable
from streams.functions import LIBRARY, Library
from streams.keys import Keys
from streams.log import ShardLog
from streams.records import ZERO, Commit, EntryId, Lease, Snapshot
from streams.symbols import SymbolTable
from streams.wire import Wire
from tests.conftest import Server
from tests.streams.proxy import Proxy, When

TICKS = 60
COUNT = 25
TRIES_MAX = 500
SOURCE = LIBRARY.source.replace(LIBRARY.version, "@VERSION@")


class Worker:
    """A small worker as one would be: does each step again when the server was unavailable."""

    def __init__(self, link: Link) -> None:
        self.link, self.tries = link, 0
        self.wire = Wire(link, Keys(), shards=1)
        self.log = ShardLog(link, Keys(), "0", self.wire)
        self.log.open(SymbolTable())

    def insist(self, step):
        while True:
            self.tries += 1
            assert self.tries < TRIES_MAX
            try:
                return step()
            except Unavailable:
                continue

    def run(self) -> None:
        lease: Lease = self.insist(lambda: self.log.acquire("w1", lease_ms=60_000))
        self.insist(lambda: self.log.add_clock(lease.fence, 1763823000 * 10**9))
        cursor, entries, seq = lease.cursor, lease.entries, lease.seq
        commits: list[Commit] = []
        while True:
            got = self.insist(
                lambda sent=commits, at=cursor: self.wire.exchange(sent, {"0": at}, count=COUNT)
            )
            assert not got.lost
            batches = got.batches.get("0", ())
            if not batches:
                break
            commits = []
            for batch in batches:
                ticks = batch.price[batch.slot >= 0].astype(int).tolist()
                commits.append(self.commit_of(lease, cursor, seq, batch.upto, batch.entries, ticks))
                cursor, seq, entries = batch.upto, seq + len(ticks), entries + batch.entries
        self.insist(lambda: self.log.renew(lease.fence, lease_ms=60_000))
        snapshot = Snapshot(cursor, entries, "plan", 1, b"state")
        self.insist(lambda: self.log.save_snapshot(lease.fence, snapshot))
        assert self.insist(self.log.load_snapshot) == snapshot
        self.insist(lambda: self.log.trim(lease.fence, retention_ms=0))
        assert self.insist(self.log.lag).entries == 0

    @staticmethod
    def commit_of(
        lease: Lease, prev: EntryId, seq: int, upto: EntryId, entries: int, ticks: list[int]
    ) -> Commit:
        signals = [
            ["seq", str(seq + number), "tick", str(tick)] for number, tick in enumerate(ticks)
        ]
        return Commit("0", lease.fence, prev, upto, entries, signals=signals, seq=seq)

    def close(self) -> None:
        self.wire.close()
        self.link.close()


def produce(client: redis.Redis, first: int = 1, count: int = TICKS) -> list[EntryId]:
    pipe = client.pipeline()
    for number in range(first, first + count):
        pipe.xadd("ticks:{0}", {"symbol": "A", "price": str(number)})
    return [EntryId.parse(name) for name in pipe.execute()]


def check_published(client: redis.Redis, ticks: int) -> None:
    """Every tick has had its signal once, in order, without a hole."""
    found = [
        (int(fields["seq"]), int(fields["tick"])) for _, fields in client.xrange("signals:{0}")
    ]
    assert found == [(number, number + 1) for number in range(ticks)]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_that_dies_at_any_call_changes_nothing_downstream(
    server: Server, when: When
) -> None:
    fatal = 0
    while True:
        fatal += 1
        with server.client() as client:
            client.flushall()
            client.function_flush()
            produce(client)
            proxy = Proxy(server.port, fatal, when)
            try:
                worker = None
                for _ in range(TRIES_MAX):
                    try:
                        worker = Worker(connect(proxy.url))
                        break
                    except Unavailable:
                        continue
                assert worker is not None
                worker.run()
                worker.close()
            finally:
                proxy.close()
            check_published(client, TICKS)
            group = client.xinfo_groups("ticks:{0}")[0]
            assert group["lag"] == 0
        if not proxy.fired:
            break
    assert fatal > 15


def run_zombie(server: Server, library: Library) -> None:
    """A worker that was paused before its commit wakes up after another took over."""
    with server.client() as client:
        ids = produce(client)
        link = connect(server.url, library=library)
        zombie = Worker(link)
        lease = zombie.log.acquire("w1", lease_ms=60_000)
        client.hset("shard:{0}", "until", 0)
        successor = Worker(connect(server.url, library=library))
        successor.run()
        with pytest.raises(Fenced):
            zombie.log.commit(Worker.commit_of(lease, ZERO, 0, ids[4], 5, [1, 2, 3, 4, 5]))
        zombie.close()
        successor.close()
        check_published(client, TICKS)


def test_a_worker_that_wakes_up_after_its_lease_publishes_nothing(any_server: Server) -> None:
    run_zombie(any_server, LIBRARY)


def test_a_commit_that_publishes_before_it_checks_the_fence_would_be_caught(
    server: Server,
) -> None:
    check = "  if held[1] ~= args[1] then"
    publication = "  publish(keys, counts, outputs, keeps)\n"
    decoding = (
        "  local keeps, counts = cjson.decode(args[8]), cjson.decode(args[9])\n"
        "  local outputs = cjson.decode(args[10])\n"
    )
    assert SOURCE.count(decoding) == 1
    assert SOURCE.count(check) == SOURCE.count(publication) == 1
    early = decoding + publication
    mutant = SOURCE.replace(decoding, "").replace(publication, "").replace(check, early + check)
    with pytest.raises(AssertionError):
        run_zombie(server, Library(mutant))


def test_a_commit_that_forgets_what_it_did_would_be_caught(server: Server) -> None:
    check = "  if cursor == new then return 'DUP' end\n"
    place = "  if cursor ~= args[3] then return 'STALE ' .. cursor end\n"
    seq = "  if (held[5] or '0') ~= args[6]"
    assert SOURCE.count(check) == SOURCE.count(place) == SOURCE.count(seq) == 1
    move = "  if not id_less(cursor, new) then"
    mutant = (
        SOURCE.replace(check, "").replace(place, "").replace(seq, "  if false and args[6]")
    ).replace(move, "  if false then")
    with server.client() as client:
        ids = produce(client)
        worker = Worker(connect(server.url, library=Library(mutant)))
        lease = worker.log.acquire("w1", lease_ms=60_000)
        commit = Worker.commit_of(lease, ZERO, 0, ids[-1], TICKS, list(range(1, TICKS + 1)))
        worker.log.commit(commit)
        check_published(client, TICKS)
        worker.log.commit(commit)
        worker.close()
        with pytest.raises(AssertionError):
            check_published(client, TICKS)


def test_two_releases_of_the_functions_run_side_by_side(any_server: Server) -> None:
    newer = Library(SOURCE + "\n-- the next release\n")
    assert newer.version != LIBRARY.version
    with any_server.client() as client:
        ids = produce(client, count=20)
        old = Worker(connect(any_server.url))
        new = Worker(connect(any_server.url, library=newer))
        assert len(client.function_list()) == 2
        lease = old.log.acquire("old", lease_ms=60_000)
        old.log.commit(Worker.commit_of(lease, ZERO, 0, ids[9], 10, list(range(1, 11))))
        with pytest.raises(Held):
            new.log.acquire("new", lease_ms=60_000)
        old.log.release(lease.fence, successor="new", reserve_ms=60_000)
        taken = new.log.acquire("new", lease_ms=60_000)
        assert (taken.cursor, taken.seq, taken.entries) == (ids[9], 10, 10)
        new.log.commit(Worker.commit_of(taken, ids[9], 10, ids[19], 10, list(range(11, 21))))
        check_published(client, 20)
        with pytest.raises(Fenced):
            old.log.commit(Worker.commit_of(lease, ids[9], 10, ids[19], 10, [1]))
        old.close()
        new.close()


def test_a_server_that_fell_back_to_an_older_prefix_is_noticed(server: Server) -> None:
    with server.client() as client:
        ids = produce(client)
        worker = Worker(connect(server.url))
        lease = worker.log.acquire("w1", lease_ms=60_000)
        worker.log.commit(Worker.commit_of(lease, ZERO, 0, ids[9], 10, list(range(1, 11))))
        client.hset("shard:{0}", mapping={"cursor": str(ids[4]), "entries": 5, "seq": 5})
        with pytest.raises(Stale, match=str(ids[4])):
            worker.log.commit(Worker.commit_of(lease, ids[9], 10, ids[19], 10, [11]))
        worker.close()
