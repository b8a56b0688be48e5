"""Streams that are not ours by name, and fleets that share the same ticks."""

from pathlib import Path
from typing import Any

import orjson

from tests.conftest import Server
from tests.workers.fleet import fleet, wait_until

SOURCE = "trades-COINBASE-BTC-USD"
T0_S = 1_763_812_800
PLANS = {"core": {"timeframe": "1s", "values": {"c": "close", "v": "volume"}}}


def config(**more: Any) -> dict[str, Any]:
    return {"shards": 1, "worker": {"lease_ms": 1_000}, "plans": PLANS, **more}


def test_a_feed_handler_s_stream_is_a_shard_of_its_own(server: Server, tmp_path: Path) -> None:
    with fleet(server, tmp_path, config(sources=[SOURCE])) as running, server.client() as client:
        for at in range(5):
            trade = {"exchange": "COINBASE", "symbol": "BTC-USD", "side": "buy", "amount": "0.5"}
            trade |= {"price": str(100 + at), "id": str(at), "type": "None"}
            times = {"timestamp": f"{T0_S + at}.25", "receipt_timestamp": f"{T0_S + at}.5"}
            client.xadd(SOURCE, trade | times)
        running.start("one")
        key = f"values:{{{SOURCE}}}"
        wait_until(lambda: client.xlen(key) >= 4, "its bars are published")
        values = [orjson.loads(fields["data"]) for _, fields in client.xrange(key)]
        assert values[:4] == [{"c": 100.0 + at, "v": 0.5} for at in range(4)]


def test_two_fleets_read_the_same_ticks_and_write_keys_of_their_own(
    server: Server, tmp_path: Path
) -> None:
    rows = [("AAA", 100.0 + at, (T0_S + at) * 10**9) for at in range(10)]
    (tmp_path / "staging").mkdir()
    with (
        fleet(server, tmp_path, config()) as production,
        fleet(server, tmp_path / "staging", config(name="staging")) as staging,
        server.client() as client,
    ):
        production.push(rows)
        production.start("one")
        staging.start("two")
        for key in ("values:{0}", "staging:values:{0}"):
            wait_until(lambda k=key: client.xlen(k) >= 9, f"{key} is published")
        ours, theirs = (client.xrange(key) for key in ("values:{0}", "staging:values:{0}"))
        assert [fields for _, fields in ours] == [fields for _, fields in theirs]
        groups = {group["name"] for group in client.xinfo_groups("ticks:{0}")}
        assert groups == {"fleet", "staging"}
