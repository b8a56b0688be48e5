"""A deployment in the middle of a read: what follows it runs under the new plans."""

from pathlib import Path

from tests.conftest import Server
from tests.workers.fleet import fleet

NOON_NS = 1_763_812_800_000_000_000
SECOND_NS = 1_000_000_000
OLD = {"timeframe": "1s", "values": {"c": "close"}}
NEW = {"timeframe": "1s", "values": {"doubled": "close * 2"}}
CONFIG = {"shards": 1, "worker": {"lease_ms": 1_000}}


def ticks(first: int, count: int) -> list[tuple[str, float, int]]:
    return [("AAA", 100.0 + at, NOON_NS + at * SECOND_NS) for at in range(first, first + count)]


def test_what_follows_a_deployment_in_one_read_runs_under_the_new_plans(
    server: Server, tmp_path: Path
) -> None:
    with fleet(server, tmp_path, {**CONFIG, "plans": {"old": OLD}}) as running:
        running.start("one")
        running.push(ticks(0, 1))
        running.await_caught_up()
        running.stop("one")
        running.push(ticks(1, 9))
        (tmp_path / "new").mkdir()
        with fleet(server, tmp_path / "new", {**CONFIG, "plans": {"new": NEW}}) as changed:
            with server.client() as client:  # the deployment, then more, before anyone reads
                payload = '{"new":{"timeframe":"1s","values":{"doubled":"close * 2"}}}'
                client.xadd("ticks:{0}", {"deploy": "plans", "payload": payload})
            changed.push(ticks(10, 10))
            changed.start("two")
            changed.await_caught_up()
            values = changed.published("values")
    sources = [value["source"].partition("@")[0] for value in values]
    assert sources == ["old"] * 9 + ["new"] * 10
    assert values[-1]["data"] == {"doubled": 2 * (100.0 + 18)}
