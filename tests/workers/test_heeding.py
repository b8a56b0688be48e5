"""A producer that is far quicker than the fleet, and listens, is held back before work is shed."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from streams.producer import FrameProducer
from tests.conftest import Server
from tests.workers.fleet import fleet, ticks_of, wait_until

NAMES = [f"SYM{number}" for number in range(40)]
VALUES = ["ema(length=9)", "rsi(length=14)", "bbands(length=20)", "macd()", "atr(length=14)"]
CONFIG: dict[str, Any] = {
    "shards": 1,
    "worker": {"lease_ms": 2_000},
    "plans": {
        f"plan{n}": {"timeframe": "1s", "emit": "forming", "values": VALUES} for n in range(4)
    },
}
PUSH_S = 5.0
# Far above the second that a producer may be ahead, so that a worker which waits for a processor
# is not taken for one that its producer has overrun; and what no worker can keep if it is.
PATIENT: dict[str, Any] = {"shedding": {"lag_s": 20.0, "enter_s": 0.3}}
STRICT: dict[str, Any] = {"shedding": {"lag_s": 1.0, "enter_s": 0.3}}


@pytest.mark.timeout(150)
def test_a_producer_at_full_speed_sees_no_shedding_if_it_heeds_and_does_if_not(
    server: Server, tmp_path: Path
) -> None:
    second = 0

    async def produce(heeds: str | None, seconds: float) -> int:
        nonlocal second
        rows, ends = 0, time.monotonic() + seconds
        async with FrameProducer(server.url, shards=1, heeds=heeds) as producer:
            while time.monotonic() < ends and not client.exists("shed:{0}"):
                await producer.send_columns(ticks_of(NAMES, second, 500))
                second, rows = second + 500, rows + 500 * len(NAMES)
        return rows

    with fleet(server, tmp_path, {**CONFIG, **PATIENT}) as running, server.client() as client:
        running.start("one")
        wait_until(lambda: client.exists("fleet:pressure") > 0, "the fleet tells how it is")
        heeding = asyncio.run(produce("fleet", PUSH_S))
        assert not client.exists("shed:{0}")
        running.await_caught_up()
        assert not client.exists("shed:{0}")
        assert heeding >= 500 * len(NAMES)
        running.stop("one")
    with fleet(server, tmp_path, {**CONFIG, **STRICT}) as running, server.client() as client:
        running.start("two")
        wait_until(lambda: "two" in running.owners(), "it has its owner")
        asyncio.run(produce(None, 6 * PUSH_S))
        wait_until(lambda: client.exists("shed:{0}") > 0, "what does not listen is shed")
