"""A shard changes hands: whatever dies on the way, it is given up, and once."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

import pytest

from streams.connection import Link, connect
from streams.keys import Keys
from streams.log import ShardLog
from streams.wire import Wire
from tests.conftest import Server
from tests.streams.proxy import Proxy, When
from tests.workers.fleet import NOON_NS, SECOND_NS, wait_until
from workers.accounts import Accounts
from workers.dataplane import DataPlane, Give, Take
from workers.metrics import Metrics
from workers.program import Program
from workers.scripting.keeper import ScriptKeeper
from workers.settings import PlanSettings, Settings
from workers.shedder import Shedder
from workers.takeover import take_over

OLD = {"old": PlanSettings(timeframe="1s", values={"c": "close"})}
NEW = {"new": PlanSettings(timeframe="1s", values={"d": "close * 2"})}
LEASE_MS = 600_000


class Later(Executor):
    """Runs what it is given when it is told to."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[Callable[[], Any]] = SimpleQueue()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self._waiting.put(lambda: fn(*args, **kwargs))
        return Future()

    def run_one(self) -> None:
        self._waiting.get(timeout=60)()

    @property
    def waits(self) -> bool:
        return not self._waiting.empty()


class Owner:
    """A data plane with one shard in its hands."""

    def __init__(self, link: Link, background: Executor) -> None:
        self.link, self.keys, self.background = link, Keys(), background
        self.settings = Settings(shards=1, plans=OLD)
        self.gone: SimpleQueue[str] = SimpleQueue()
        metrics = Metrics()
        self.keeper = ScriptKeeper(self.settings, "w1", link, self.keys, metrics, background, None)
        self.plane = DataPlane(
            self.settings,
            Wire(link, self.keys, shards=1),
            Accounts(metrics),
            background,
            self.keeper,
            Shedder(link, self.keys, self.settings.shedding),
            lambda shard, rest: self.gone.put(shard),
        )

    def take(self) -> None:
        log = ShardLog(self.link, self.keys, "0", Wire(self.link, self.keys, shards=1))
        lease = log.acquire("w1", lease_ms=LEASE_MS)
        worker = self.settings.worker
        self.plane.commands.put(
            Take(take_over(log, lease, Program(OLD), worker, self.keeper.bench))
        )


@contextmanager
def owner(url: str, background: Executor) -> Iterator[Owner]:
    """A data plane at work, until the end of the block."""
    stop = Event()
    with connect(url) as link:
        running = Owner(link, background)
        thread = Thread(target=running.plane.run, args=(stop,))
        thread.start()
        try:
            yield running
        finally:
            stop.set()
            thread.join()


def push(server: Server, first: int, count: int) -> None:
    with server.client() as client:
        for at in range(first, first + count):
            ts = NOON_NS + at * SECOND_NS
            client.xadd("ticks:{0}", {"symbol": "AAA", "price": 100 + at, "ts": ts})


def await_committed(server: Server) -> None:
    with server.client() as client:
        wait_until(
            lambda: (
                client.hget("shard:{0}", "cursor") == client.xrevrange("ticks:{0}", count=1)[0][0]
            ),
            "all is committed",
        )


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_shard_is_given_up_whichever_call_of_the_hand_over_dies(
    server: Server, when: When
) -> None:
    fatal, fired = 0, True
    while fired:
        fatal += 1
        with server.client() as client:
            client.flushall()
            client.function_flush()
        proxy = Proxy(server.port, 0, when)
        with ThreadPoolExecutor() as background, owner(proxy.url, background) as old:
            old.take()
            push(server, 0, 5)
            await_committed(server)
            proxy.kill_after(fatal)
            old.plane.commands.put(Give("0", "w2"))
            assert old.gone.get(timeout=60) == "0"
            with server.client() as client:
                assert client.hget("shard:{0}", "owner") == "w2"
        proxy.close()
        fired = proxy.fired
    assert fatal > 3


def test_a_shard_that_is_to_go_while_it_obeys_a_deployment_goes_afterwards(server: Server) -> None:
    later = Later()
    with owner(server.url, later) as old, connect(server.url) as link:
        old.take()
        push(server, 0, 5)
        await_committed(server)
        log = ShardLog(link, Keys(), "0", Wire(link, Keys(), shards=1))
        log.add_deploy(log.status().fence, "plans", Program(NEW).payload)
        wait_until(lambda: later.waits, "the deployment is to be obeyed")
        old.plane.commands.put(Give("0", "w2"))
        wait_until(old.plane.commands.empty, "it is told to give the shard up")
        later.run_one()
        wait_until(lambda: later.waits or not old.gone.empty(), "it goes on")
        while later.waits:
            later.run_one()
        assert old.gone.get(timeout=60) == "0"
        assert log.status().owner == "w2"


class Turns(Event):
    """Says something to a data plane at the start of each of its turns, and then lets it stop."""

    def __init__(self, old: Owner, tell: Sequence[Callable[[], None]]) -> None:
        super().__init__()
        self._old, self._tell = old, list(tell)

    def is_set(self) -> bool:
        if self._tell:
            self._tell.pop(0)()
            return False
        return not self._old.gone.empty()


def test_a_deployment_that_was_read_and_not_obeyed_is_obeyed_by_the_next_owner(
    server: Server,
) -> None:
    with ThreadPoolExecutor() as background, connect(server.url) as link:
        old = Owner(link, background)
        old.take()
        push(server, 0, 5)
        log = ShardLog(link, Keys(), "0", Wire(link, Keys(), shards=1))
        log.add_deploy(log.status().fence, "plans", Program(NEW).payload)
        read, give = lambda: None, lambda: old.plane.commands.put(Give("0", "w2"))
        old.plane.run(Turns(old, [read, give]))
        assert log.lag().entries == 0
        lease = log.acquire("w2", lease_ms=LEASE_MS)
        run = take_over(log, lease, Program(OLD), old.settings.worker, old.keeper.bench)
        assert run.program.digest == Program(NEW).digest
