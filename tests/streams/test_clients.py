"""The asyncio clients against the real server, and against a connection that dies."""

import asyncio
from collections.abc import Coroutine

import pytest

from streams.errors import Unavailable
from streams.keys import shard_of
from streams.producer import FrameProducer, TickProducer
from streams.reader import Gap, Position, SignalReader, ValuesReader
from streams.records import ZERO, Commit, EntryId
from streams.signals import Signal, Values
from streams.symbols import SymbolTable
from tests.conftest import Server
from tests.streams.conftest import Maker
from tests.streams.proxy import Proxy, When

T0 = 1763823000 * 10**9
TICKS = 250


def run[T](work: Coroutine[None, None, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 60))


async def push(producer: TickProducer, symbol: str = "A") -> None:
    async with producer:
        for number in range(1, TICKS + 1):
            await producer.send(symbol, number, size=0.5, ts=T0 + number, trade=str(number))
            if number % 100 == 0:
                await producer.flush()


def prices(log_maker: Maker, server: Server) -> list[float]:
    log = log_maker(server.url)
    log.open(SymbolTable())
    return [float(price) for batch in log.read(ZERO) for price in batch.price]


@pytest.mark.parametrize("kind", [TickProducer, FrameProducer])
def test_what_a_producer_sends_is_what_a_worker_reads(
    any_server: Server, open_log: Maker, kind: type[TickProducer]
) -> None:
    run(push(kind(any_server.url, shards=1)))
    log = open_log(any_server.url)
    log.open(SymbolTable())
    (batch,) = log.read(ZERO)
    assert batch.price.tolist() == list(range(1, TICKS + 1))
    assert batch.ts.tolist() == [T0 + number for number in range(1, TICKS + 1)]
    assert set(batch.size.tolist()) == {0.5}
    assert len(set(batch.key.tolist())) == TICKS
    assert batch.rejects == ()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", [TickProducer, FrameProducer])
def test_a_reply_lost_at_any_call_neither_loses_nor_repeats_a_tick(
    server: Server, open_log: Maker, kind: type[TickProducer], when: When
) -> None:
    fatal = 0
    while True:
        fatal += 1
        with server.client() as client:
            client.flushall()
        proxy = Proxy(server.port, fatal, when)
        try:
            run(push(kind(proxy.url, shards=1)))
        finally:
            proxy.close()
        assert prices(open_log, server) == list(range(1, TICKS + 1))
        if not proxy.fired:
            break
    assert fatal > 3


def test_two_producers_in_one_stream_keep_the_order_of_each(
    server: Server, open_log: Maker
) -> None:
    async def both() -> None:
        names = ("A", "B", "C")
        await asyncio.gather(*(push(TickProducer(server.url, shards=1), name) for name in names))

    run(both())
    log = open_log(server.url)
    log.open(SymbolTable())
    (batch,) = log.read(ZERO)
    assert batch.rows == 3 * TICKS
    for slot in range(3):
        assert batch.price[batch.slot == slot].tolist() == list(range(1, TICKS + 1))


def test_a_producer_whose_clock_is_behind_still_adds(server: Server, open_log: Maker) -> None:
    with server.client() as client:
        client.xadd("ticks:{0}", {"symbol": "Z", "price": "9"}, id="9000000000000-5")
    run(push(TickProducer(server.url, shards=1)))
    assert prices(open_log, server) == [9.0, *range(1, TICKS + 1)]


def test_ticks_go_to_the_shard_of_their_symbol(server: Server) -> None:
    run(push(TickProducer(server.url, shards=16), "BTC-USD"))
    with server.client() as client:
        assert client.keys() == [f"ticks:{{{shard_of('BTC-USD', 16)}}}"]


def test_a_producer_without_a_server_says_so_in_time() -> None:
    with pytest.raises(Unavailable):
        run(push(TickProducer("redis://127.0.0.1:1/0", shards=1, retry_s=0.1)))


def signal(number: int) -> Signal:
    entry = EntryId(number, 0)
    return Signal(str(number), "A", "x", "1m", T0, "final", number, "s@1", entry, T0, T0)


def publish(log_maker: Maker, server: Server, count: int) -> None:
    log = log_maker(server.url)
    with server.client() as client:
        new = EntryId.parse(client.xadd("ticks:{0}", {"symbol": "A", "price": "1"}))
    lease = log.acquire("w", lease_ms=60_000)
    signals = [signal(number).encode(lease.seq + number) for number in range(1, count + 1)]
    values = [
        Values("A", "1m", T0, "final", "s@1", {"x": 1.0}).encode(lease.seq_values + number)
        for number in range(1, count + 1)
    ]
    log.commit(
        Commit(
            "0", lease.fence, lease.cursor, new, 1, signals, values,
            seq=lease.seq, seq_values=lease.seq_values,
        )
    )  # fmt: skip


def test_a_reader_goes_on_where_another_stopped(any_server: Server, open_log: Maker) -> None:
    publish(open_log, any_server, 3)

    async def read(positions: dict[str, Position] | None) -> SignalReader:
        async with SignalReader(any_server.url, [0], positions=positions) as reader:
            got = await reader.read(block_ms=50)
            assert [one.item.seq for one in got if isinstance(one.item, Signal)] == wanted
            assert len(got) == len(wanted)
            return reader

    wanted = [1, 2, 3]
    first = run(read(None))
    wanted = []
    run(read(first.positions))
    publish(open_log, any_server, 2)
    wanted = [4, 5]
    run(read(first.positions))


def test_a_hole_in_the_stream_is_told(any_server: Server, open_log: Maker) -> None:
    publish(open_log, any_server, 5)
    with any_server.client() as client:
        names = [name for name, _ in client.xrange("signals:{0}")]
        client.xdel("signals:{0}", names[1], names[2])

    async def read() -> list[object]:
        async with SignalReader(any_server.url, ["0"]) as reader:
            return [one.item for one in await reader.read()]

    items = run(read())
    assert [getattr(item, "seq", item) for item in items] == [1, Gap(2, 4), 4, 5]


def test_a_reader_from_now_on_sees_the_next_one_only(any_server: Server, open_log: Maker) -> None:
    publish(open_log, any_server, 2)

    async def read() -> list[int]:
        async with ValuesReader(any_server.url, [0]) as reader:
            await reader.skip_to_end()
            publish(open_log, any_server, 1)
            async for received in reader:
                assert isinstance(received.item, Values)
                return [received.item.seq]
        return []

    assert run(read()) == [3]
