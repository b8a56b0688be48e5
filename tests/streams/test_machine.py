"""The shard log on the real server beside a model in plain Python; they agree after every step."""

from dataclasses import dataclass, field

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streams.connection import Link, connect
from streams.errors import Fenced, Held, Stale
from streams.keys import Keys
from streams.log import ShardLog
from streams.records import ZERO, Commit, EntryId, Snapshot
from streams.symbols import SymbolTable
from streams.wire import Wire
from tests.conftest import Server

LEASE_MS = 600_000
OWNERS = st.sampled_from(["a", "b"])


@dataclass
class Worker:
    """What a worker believes, right or not."""

    log: ShardLog
    wire: Wire
    fence: int = 0
    cursor: EntryId = ZERO
    entries: int = 0
    seq: int = 0
    last: Commit | None = None


@dataclass
class Model:
    """The shard as it should be."""

    log: list[EntryId] = field(default_factory=list)
    fence: int = 0
    owner: str = ""
    held: bool = False
    cursor: EntryId = ZERO
    signals: list[str] = field(default_factory=list)
    snapshot: EntryId | None = None
    read: int = 0

    def after(self, entry: EntryId) -> list[EntryId]:
        return [one for one in self.log if one > entry]


class ShardMachine(RuleBasedStateMachine):
    url: str

    @initialize()
    def start(self) -> None:
        self.raw = redis.Redis.from_url(self.url, decode_responses=True)
        self.raw.flushall()
        self.link: Link = connect(self.url)
        self.model, self.ticks = Model(), 0
        self.workers = {}
        for name in ("a", "b"):
            wire = Wire(self.link, Keys(), shards=1)
            self.workers[name] = Worker(ShardLog(self.link, Keys(), "0", wire), wire)
            self.workers[name].log.open(SymbolTable())

    def holds(self, worker: Worker) -> bool:
        return 0 < worker.fence == self.model.fence

    def teardown(self) -> None:
        for worker in getattr(self, "workers", {}).values():
            worker.wire.close()
        if hasattr(self, "link"):
            self.link.close()
            self.raw.close()

    @rule(count=st.integers(1, 150))
    def produce(self, count: int) -> None:
        pipe = self.raw.pipeline()
        for _ in range(count):
            self.ticks += 1
            pipe.xadd("ticks:{0}", {"symbol": f"S{self.ticks % 3}", "price": str(self.ticks)})
        self.model.log += [EntryId.parse(name) for name in pipe.execute()]

    @rule(name=OWNERS)
    def acquire(self, name: str) -> None:
        model, worker = self.model, self.workers[name]
        if model.held and model.owner not in ("", name):
            with pytest.raises(Held) as held:
                worker.log.acquire(name, lease_ms=LEASE_MS)
            assert held.value.owner == model.owner
            assert 0 < held.value.wait_ms <= LEASE_MS
            return
        lease = worker.log.acquire(name, lease_ms=LEASE_MS)
        assert lease.fence > model.fence
        model.fence, model.owner, model.held = lease.fence, name, True
        assert (lease.cursor, lease.seq) == (model.cursor, len(model.signals))
        assert lease.entries == model.read
        worker.fence, worker.cursor, worker.seq = lease.fence, lease.cursor, lease.seq
        worker.entries, worker.last = lease.entries, None

    @rule()
    def lease_runs_out(self) -> None:
        if self.model.fence:
            self.raw.hset("shard:{0}", "until", 0)
            self.model.held = False

    @rule(name=OWNERS)
    def renew(self, name: str) -> None:
        worker = self.workers[name]
        if not self.holds(worker):
            with pytest.raises(Fenced):
                worker.log.renew(worker.fence, lease_ms=LEASE_MS)
        else:
            worker.log.renew(worker.fence, lease_ms=LEASE_MS)
            self.model.held = True

    @rule(name=OWNERS, successor=st.sampled_from(["", "a", "b"]))
    def release(self, name: str, successor: str) -> None:
        model, worker = self.model, self.workers[name]
        if not self.holds(worker):
            with pytest.raises(Fenced):
                worker.log.release(worker.fence)
        else:
            worker.log.release(worker.fence, successor=successor, reserve_ms=LEASE_MS)
            model.fence += 1
            model.owner, model.held = successor, True

    @rule(name=OWNERS, count=st.integers(1, 200))
    def read_and_commit(self, name: str, count: int) -> None:
        model, worker = self.model, self.workers[name]
        batches = worker.log.read(worker.cursor, count=count)
        waiting = model.after(worker.cursor)
        if worker.cursor < model.cursor:  # it lost the shard: what was trimmed since is gone for it
            kept = {EntryId.parse(name) for name, _ in self.raw.xrange("ticks:{0}")}
            waiting = [one for one in waiting if one in kept]
        waiting = waiting[:count]
        rows = [
            EntryId(int(ms), int(seq))
            for batch in batches
            for ms, seq in zip(batch.entry_ms, batch.entry_seq, strict=True)
        ]
        assert rows == waiting
        for batch in batches:
            ticks = batch.price[batch.slot >= 0].astype(int).tolist()
            signals = [
                ["seq", str(worker.seq + number), "tick", str(tick)]
                for number, tick in enumerate(ticks)
            ]
            commit = Commit(
                shard="0",
                fence=worker.fence,
                prev=worker.cursor,
                new=batch.upto,
                entries=batch.entries,
                signals=signals,
                counts={"applied": len(ticks)},
                seq=worker.seq,
            )
            worker.last = commit
            if not self.holds(worker):
                with pytest.raises(Fenced):
                    worker.log.commit(commit)
                return
            worker.log.commit(commit)
            worker.cursor, worker.seq = batch.upto, worker.seq + len(ticks)
            worker.entries += batch.entries
            model.cursor = batch.upto
            model.read += batch.entries
            model.signals += [str(tick) for tick in ticks]

    @rule(name=OWNERS)
    def repeat_the_last_commit(self, name: str) -> None:
        """The reply was lost, so the worker sends it again."""
        model, worker = self.model, self.workers[name]
        if worker.last is None:
            return
        if not self.holds(worker) or worker.last.fence != model.fence:
            with pytest.raises(Fenced):
                worker.log.commit(worker.last)
        elif worker.last.new == model.cursor:
            worker.log.commit(worker.last)
        else:
            with pytest.raises(Stale):
                worker.log.commit(worker.last)

    @rule(name=OWNERS, wrong=st.sampled_from(["prev", "seq"]))
    def commit_from_another_place(self, name: str, wrong: str) -> None:
        model, worker = self.model, self.workers[name]
        if not self.holds(worker):
            return
        commit = Commit(
            shard="0",
            fence=worker.fence,
            prev=EntryId(model.cursor.ms, model.cursor.seq + 1)
            if wrong == "prev"
            else model.cursor,
            new=EntryId(model.cursor.ms + 1, 0),
            entries=1,
            signals=[["tick", "never"]],
            seq=len(model.signals) + (wrong == "seq"),
        )
        with pytest.raises(Stale):
            worker.log.commit(commit)

    @rule(name=OWNERS)
    def add_clock(self, name: str) -> None:
        model, worker = self.model, self.workers[name]
        if not self.holds(worker):
            with pytest.raises(Fenced):
                worker.log.add_clock(worker.fence, 1763823000 * 10**9)
        else:
            model.log.append(worker.log.add_clock(worker.fence, 1763823000 * 10**9))

    @rule(name=OWNERS, size=st.sampled_from([0, 10, 5 << 20]))
    def save_snapshot(self, name: str, size: int) -> None:
        model, worker = self.model, self.workers[name]
        payload = bytes([worker.entries % 256]) * size
        snapshot = Snapshot(worker.cursor, worker.entries, "plan", 1, payload)
        if not self.holds(worker):
            with pytest.raises(Fenced):
                worker.log.save_snapshot(worker.fence, snapshot)
        else:
            newest = model.snapshot is None or worker.cursor >= model.snapshot
            assert worker.log.save_snapshot(worker.fence, snapshot) == newest
            if newest:
                model.snapshot = worker.cursor
                assert worker.log.load_snapshot() == snapshot

    @rule(name=OWNERS)
    def trim(self, name: str) -> None:
        worker = self.workers[name]
        if not self.holds(worker):
            with pytest.raises(Fenced):
                worker.log.trim(worker.fence, retention_ms=0)
        else:
            worker.log.trim(worker.fence, retention_ms=0)

    @precondition(lambda self: self.model.snapshot is not None)
    @rule(name=OWNERS)
    def replay(self, name: str) -> None:
        """A new owner finds all that happened since the snapshot."""
        model, worker = self.model, self.workers[name]
        assert model.snapshot is not None
        entries = sum(
            batch.entries for batch in worker.log.replay(model.snapshot, model.cursor, count=40)
        )
        assert entries == len([one for one in model.after(model.snapshot) if one <= model.cursor])

    @invariant()
    def what_was_published_is_what_the_model_says(self) -> None:
        if not hasattr(self, "model"):
            return
        published = self.raw.xrange("signals:{0}")
        assert [fields["tick"] for _, fields in published] == self.model.signals
        assert [int(fields["seq"]) for _, fields in published] == list(
            range(len(self.model.signals))
        )

    @invariant()
    def lag_and_status_are_what_the_model_says(self) -> None:
        if not hasattr(self, "model") or not self.model.fence:
            return
        model = self.model
        status = self.workers["a"].log.status()
        waiting = model.after(model.cursor)
        assert status.lag.entries == len(waiting)
        assert status.lag.lost == 0
        assert (status.fence, status.cursor, status.owner) == (
            model.fence,
            model.cursor,
            model.owner,
        )
        assert status.counts.get("applied", 0) == len(model.signals)
        group = self.raw.xinfo_groups("ticks:{0}")[0]
        assert group["lag"] == len(waiting)


@pytest.fixture
def _machine_server(server: Server) -> None:
    ShardMachine.url = server.url


@pytest.mark.usefixtures("_machine_server")
class TestShardMachine(ShardMachine.TestCase):
    settings = settings(
        max_examples=40,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
