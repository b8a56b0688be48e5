"""Users' scripts on real workers: contained, taken over, trimmed behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Server
from tests.workers.fleet import Fleet, fleet, wait_until
from tests.workers.scripted import (
    CONFIG,
    COUNTER,
    FRAGILE,
    LOOP,
    NOON_NS,
    RISING,
    SECOND_NS,
    SYMBOLS,
    alive,
    audit,
    await_status,
    closes,
    descendants,
    publish,
    put,
    said,
    shard,
    shards_of,
    ticks,
)


@pytest.fixture
def running(server: Server, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(server, tmp_path, CONFIG) as started:
        yield started


def test_twenty_scripts_deployed_while_a_worker_runs_go_on_across_kill_9(running: Fleet) -> None:
    worker = running.start("one")
    running.push(ticks(0, 6))
    running.await_caught_up()
    counters = [publish(running, f"counter{number}", COUNTER) for number in range(19)]
    rising = put(running, "rising", RISING)
    for source in (*counters, rising):
        await_status(running, source)
    running.push(ticks(6, 6))
    running.await_caught_up()
    running.start("two")
    started = descendants(worker.pid)
    assert len(started) == 1 + 2 * len(counters)  # a zygote, and a jail a script and shard
    running.kill("one")
    wait_until(lambda: not alive(started), "no process of a jail is left")
    wait_until(lambda: set(running.owners()) == {"two"}, "the other has taken over")
    running.push(ticks(12, 6))
    running.await_caught_up()
    running.assert_no_holes()
    for symbol in SYMBOLS:
        for source in counters:
            values = said(running, source, "n", symbol)
            # It warmed up on five bars before it spoke, and lost none afterwards.
            assert [value["value"] for value in values] == list(range(6, 18)), (source, symbol)
            assert all(isinstance(value["e"], float) for value in values)
        assert len(said(running, rising, "mean", symbol)) >= 10
        assert said(running, rising, "up", symbol)
    started = descendants(running.workers["two"].pid)
    assert running.stop("two") == 0
    wait_until(lambda: not alive(started), "no process of a jail is left")


def test_a_script_that_loops_is_quarantined_and_the_plan_goes_on(running: Fleet) -> None:
    running.start("one")
    source = put(running, "loop", LOOP, tenant="hasty")
    counter = put(running, "counter", COUNTER)
    await_status(running, source)
    await_status(running, counter)
    running.push(ticks(0, 5))
    running.await_caught_up()
    second = 5

    def is_quarantined() -> bool:
        nonlocal second
        running.push(ticks(second, 2, price=200.0))
        second += 2
        running.await_caught_up()
        return "quarantined" in [each["status"] for each in shards_of(running, "loop")]

    wait_until(is_quarantined, "it is quarantined")  # it pauses for seconds between its strikes
    running.kill("one")
    running.start("two")
    running.push(ticks(second, 5, price=200.0))
    running.await_caught_up()
    running.assert_no_holes()
    for symbol in SYMBOLS:
        assert closes(running, symbol) == second + 4
        values = said(running, counter, "n", symbol)
        assert [value["value"] for value in values] == list(range(1, second + 5))
        assert said(running, source, "calm", symbol)[:4] == [100.0, 101.0, 102.0, 103.0]
    assert '"Diverged' not in running.log("two")
    told = running.run("script", "log", "loop").stdout
    assert "cut: deadline" in told
    assert "batch_ms_max" in told
    assert "quarantine: 3 strikes" in told
    shown = running.run("script", "show", "loop").stdout
    assert "quarantined" in shown


def test_other_shards_publish_while_a_script_spins(running: Fleet) -> None:
    stuck = SYMBOLS[0]
    other = next(each for each in SYMBOLS if shard(each) != shard(stuck))
    running.start("one")
    source = put(running, "loop", LOOP, "--symbols", stuck)
    await_status(running, source)
    running.push([*ticks(0, 5), (stuck, 200.0, NOON_NS + 5 * SECOND_NS)])
    running.await_caught_up()
    before = closes(running, stuck)
    running.push([(stuck, 200.0, NOON_NS + second * SECOND_NS) for second in (6, 7)])
    on_time = 0
    for second in range(5, 15):  # one by one, while the machine lets it
        running.push([(other, 200.0, NOON_NS + second * SECOND_NS)])
        wait_until(lambda last=second: closes(running, other) == last, "its bar is published")
        on_time += closes(running, stuck) == before
    assert on_time
    running.await_caught_up()
    assert closes(running, stuck) == before + 2
    assert "cut: deadline" in running.run("script", "log", "loop").stdout
    running.assert_no_holes()


def test_a_worker_without_the_key_runs_no_script(server: Server, tmp_path: Path) -> None:
    config = {**CONFIG, "scripts": {**CONFIG["scripts"], "key": None}}
    with fleet(server, tmp_path, CONFIG) as deployer:
        put(deployer, "counter", COUNTER)
    with fleet(server, tmp_path, config) as running:
        running.start("one")
        running.push(ticks(0, 5))
        running.await_caught_up()
        wait_until(lambda: len(audit(running)) >= 2, "the refusal is on record")
        assert not running.ledger("signals")
        assert "no scripts.key" in audit(running)[-1]["reason"]


def test_decisions_are_trimmed_behind_the_snapshot_and_the_next_owner_agrees(
    server: Server, tmp_path: Path
) -> None:
    worker = {**CONFIG["worker"], "snapshot_s": 0.2}
    config = {**CONFIG, "shards": 1, "worker": worker, "retention": {"ticks_s": 0.5}}
    with fleet(server, tmp_path, config) as running:
        running.start("one")
        good = publish(running, "counter", COUNTER)
        await_status(running, good, shards=1)
        running.push(ticks(0, 30))
        second, rounds = 30, 4
        for number in range(rounds):  # each of them costs a decision: it is taken back
            bad = publish(running, "counter", FRAGILE + f"    # {number}\n")
            await_status(running, bad, shards=1)
            running.push(ticks(second, 2))
            second += 2
            await_status(running, good, shards=1)
        with server.client() as client:

            def decisions() -> int:
                running.push(ticks(second - 1, 1))  # news, for a snapshot
                return int(client.xlen("scripts:{0}"))

            wait_until(lambda: decisions() == 1, "the older decisions are gone")
            assert client.xinfo_stream("scripts:{0}")["entries-added"] == rounds
            assert client.xlen("ticks:{0}") < rounds * 200
        assert running.run("script", "log", "counter").stdout.count("rollback: ") == rounds
        running.await_caught_up()
        running.kill("one")
        running.start("two")
        running.push(ticks(second, 5))
        running.await_caught_up()
        wait_until(lambda: closes(running, "AAA") == second + 4, "all bars are closed")
        running.assert_no_holes()
        values = [int(value["value"]) for value in said(running, good, "n", "AAA")]
        # A batch in which a version failed is nobody's: its bars are not counted.
        assert values[-5:] == list(range(values[-5], values[-5] + 5))
        assert "Diverged" not in running.log("two")
