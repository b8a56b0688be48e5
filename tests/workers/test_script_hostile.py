"""Scripts that would harm the shard they run on, on real workers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Server
from tests.workers.fleet import Fleet, fleet, wait_until
from tests.workers.scripted import (
    CONFIG,
    COUNTER,
    RISING,
    SYMBOLS,
    await_status,
    closes,
    publish,
    put,
    said,
    shards_of,
    ticks,
)


@pytest.fixture
def running(server: Server, tmp_path: Path) -> Iterator[Fleet]:
    # No snapshot but the first: what is taken over is a replay of all there is.
    worker = {**CONFIG["worker"], "snapshot_s": 3_600.0}
    with fleet(server, tmp_path, {**CONFIG, "worker": worker}) as started:
        yield started


FICKLE = """
def on_bar(bar, state):
    where = int(repr(on_bar)[-10:-4], 16)
    for n in range(1 + where % 13):
        signal("n", n)
"""


def test_a_survivor_with_too_little_room_for_scripts_takes_all_shards(
    server: Server, tmp_path: Path
) -> None:
    config = {**CONFIG, "scripts": {**CONFIG["scripts"], "processes_max": 2}}
    with fleet(server, tmp_path, config) as running:
        running.start("one")
        running.start("two")
        wait_until(lambda: running.owners() == {"one": 1, "two": 1}, "each has a shard")
        sources = [publish(running, name, COUNTER) for name in ("first", "second")]
        for source in sources:
            await_status(running, source)
        running.push(ticks(0, 6))
        running.await_caught_up()
        running.kill("one")
        wait_until(lambda: set(running.owners()) == {"two"}, "the other has taken over")
        running.push(ticks(6, 6))
        running.await_caught_up()
        running.assert_no_holes()
        assert [closes(running, symbol) for symbol in SYMBOLS] == [11] * len(SYMBOLS)
        told = "".join(running.run("script", "log", name).stdout for name in ("first", "second"))
        assert "scripts.processes_max" in told


def owners_of(running: Fleet) -> set[str]:
    return {one["worker"] for one in shards_of(running, "fickle")}


@pytest.mark.parametrize("retained", [True, False], ids=["retained", "trimmed"])
def test_a_script_that_is_not_the_same_on_every_run_does_not_keep_its_shard(
    running: Fleet, retained: bool
) -> None:
    running.start("0")
    fickle = publish(running, "fickle", FICKLE)
    sources = [publish(running, "counter", COUNTER), put(running, "rising", RISING)]
    for source in (fickle, *sources):
        await_status(running, source)
    second = 0
    for owner in range(20):  # where its function is may be the same by chance
        running.push(ticks(second, 6))
        second += 6
        running.await_caught_up()
        wait_until(lambda at=str(owner): owners_of(running) == {at}, "its owner has told of it")
        if "quarantined" in [one["status"] for one in shards_of(running, "fickle")]:
            break
        if not retained:
            with running.server.client() as client:
                for shard in range(running.shards):
                    client.xtrim(f"signals:{{{shard}}}", maxlen=1)
        running.kill(str(owner))
        running.start(str(owner + 1))
    assert "not the same on every run" in str(shards_of(running, "fickle"))
    told = running.run("script", "log", "fickle").stdout
    assert "not the same on every run" in told
    running.push(ticks(second, 6))
    running.await_caught_up()
    if retained:  # its neighbours never noticed
        running.assert_no_holes()
        for symbol in SYMBOLS:
            values = [value["value"] for value in said(running, sources[0], "n", symbol)]
            assert values == list(range(1, second + 6))
    assert said(running, sources[1], "mean", "AAA")
