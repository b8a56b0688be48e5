"""The processes of a shard's scripts: begun when they are needed, ended when they are not."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest

from sandbox.crew import Crew
from sandbox.pool import JailPool
from sandbox.results import Results
from sandbox.script import Bars
from streams.connection import connect
from streams.errors import Unavailable
from streams.keys import Keys
from tests.conftest import Server
from tests.sandbox.conftest import make_bars
from tests.streams.proxy import Proxy
from tests.workers.fleet import wait_until
from workers.errors import FleetError
from workers.metrics import Metrics
from workers.scripting.decisions import apply, resumes_ms, verdict
from workers.scripting.deployment import Deployment, Trust
from workers.scripting.host import ScriptHost
from workers.scripting.keeper import ScriptKeeper
from workers.scripting.registry import VERSIONS_MAX, Registry
from workers.scripting.state import CUT, SPEAKS, Scripts, ScriptState
from workers.settings import Settings

KEY = b"0123456789abcdef"
NAMES = ["AAA", "BBB"]
COUNT = "def on_bar(bar, state):\n    state['n'] = state.get('n', 0) + 1\n    return state['n']\n"
SPIN = "def on_bar(bar, state):\n    while bar.close > 0:\n        pass\n"


@pytest.fixture
def pool() -> Iterator[JailPool]:
    with JailPool(processes_max=2) as made:
        yield made


def a_script(name: str = "count", source: str = COUNT, **more: object) -> ScriptState:
    made = Deployment.model_validate(
        {
            "fleet": "fleet", "name": name, "revision": 1, "tenant": "desk", "plan": "core",
            "symbols": ("*",), "signals": ("*",), "source": source, **more,
        }
    )  # fmt: skip
    return ScriptState.new(made, made.sealed(KEY))


def held(*scripts: ScriptState) -> Scripts:
    return Scripts({script.name: script for script in scripts})


def bars(rows: int = 2) -> Bars:
    return make_bars(rows, 1)


def shown(host: ScriptHost, *scripts: ScriptState) -> dict[str, Results]:
    work = {script.name: (script, bars()) for script in scripts}
    return host.begin(work, NAMES).results()


def processes(pool: JailPool) -> int:
    return sum(runner.jail.alive for runner in pool.runners)


def counts(results: Results) -> Sequence[float]:
    assert results.outcome == "done", results
    return [float(number) for number in results.numbers]


def test_a_process_begins_with_the_first_tick_of_an_instrument_that_its_script_covers(
    pool: JailPool,
) -> None:
    host, scripts = ScriptHost(pool), held(a_script(symbols=("B*",)))
    host.expect(scripts, np.array([0, 0]), NAMES)
    assert not host.holds("count")
    host.expect(scripts, np.array([0, 1]), NAMES)
    wait_until(lambda: host.holds("count"), "the process is there before any bar")
    assert counts(shown(host, scripts.of["count"])["count"]) == [1, 2]
    assert processes(pool) == 1
    host.close()
    assert processes(pool) == 0


def test_a_process_that_was_idle_ends_and_its_script_goes_on_with_the_next_bar(
    pool: JailPool,
) -> None:
    host, script = ScriptHost(pool), a_script()
    scripts = held(script)
    assert counts(shown(host, script)["count"]) == [1, 2]
    assert host.idle(60.0) == []
    assert host.idle(-1.0) == ["count"]
    assert host.collect(scripts, host.idle(-1.0)) == {}
    host.rest("count")
    assert processes(pool) == 0
    host.expect(scripts, np.array([0]), NAMES)
    assert not host.holds("count")  # a tick alone wakes it no more: it may be a day until its bar
    assert counts(shown(host, script)["count"]) == [3, 4]
    host.close()


def test_beyond_the_ceiling_a_script_rests_unharmed_until_there_is_room(pool: JailPool) -> None:
    host = ScriptHost(pool)
    first, second, third = (a_script(name) for name in ("first", "second", "third"))
    scripts = held(first, second, third)
    results = shown(host, first, second)
    assert all(counts(result) == [1, 2] for result in results.values())
    assert not host.has_room()
    host.expect(scripts, np.array([0]), NAMES)
    refused = shown(host, third)["third"]
    assert refused.outcome == "full"
    assert "2 processes" in refused.message
    assert "scripts.processes_max" in refused.message
    for _ in range(3):  # as often as that would be quarantine if it were its own fault
        ruling = verdict(third, refused.outcome, refused.message, 1_000)
        apply(scripts, ruling)
        assert (third.status, third.strikes) == (CUT, 0)
        assert resumes_ms(third) <= 1_000
        third.status = SPEAKS
    assert not host.holds("third")
    host.drop("first")
    assert host.has_room()
    assert counts(shown(host, third)["third"]) == [1, 2]
    host.close()


def test_what_cannot_be_started_keeps_nobody_from_his_shard(pool: JailPool) -> None:
    host = ScriptHost(pool)
    scripts = held(*(a_script(name) for name in ("forged", "a", "b", "c")))
    scripts.of["forged"].capsules = {0: b"no JSON"}  # by a process that was taken over
    host.start(scripts, NAMES)
    assert [host.holds(name) for name in ("forged", "a", "b", "c")] == [False, True, True, False]
    results = shown(host, *scripts.of.values())
    assert [results[name].outcome for name in ("a", "b", "c")] == ["done", "done", "full"]
    host.drop("a")
    refused = shown(host, scripts.of["forged"])["forged"]
    assert refused.outcome == "crashed"
    assert "saved state cannot be read" in refused.message
    host.close()


def test_what_replays_is_not_held_up_by_the_ceiling(pool: JailPool) -> None:
    live, twin = ScriptHost(pool), ScriptHost(pool, replaying=True)
    shown(live, a_script("first"), a_script("second"))
    assert counts(shown(twin, a_script("third"))["third"]) == [1, 2]
    twin.close()
    live.close()


def test_a_shard_goes_on_while_the_script_of_another_one_spins(pool: JailPool) -> None:
    crew = Crew(at_once=1)
    slow, well = ScriptHost(pool, crew), ScriptHost(pool, crew)
    spinner = a_script("spin", SPIN, limits={"batch_ms_max": 60_000})
    stuck = slow.begin({"spin": (spinner, bars())}, NAMES)
    script = a_script()
    for expected in ([1, 2], [3, 4], [5, 6]):
        assert counts(shown(well, script)["count"]) == expected
        assert not stuck.done
    slow.close()  # the shard is lost: what it waited for is forgotten
    assert counts(shown(well, script)["count"]) == [7, 8]
    well.close()


def test_a_version_that_is_replaced_while_its_process_comes_leaves_none_behind(
    pool: JailPool,
) -> None:
    host, script = ScriptHost(pool), a_script()
    for _ in range(4):
        host.expect(held(script), np.array([0]), NAMES)
        host.drop(script.name)
    assert counts(shown(host, script)["count"]) == [1, 2]
    wait_until(lambda: processes(pool) == 1, "those that came too late have ended")
    host.close()


def test_a_zygote_that_died_costs_the_shard_and_not_the_truth(pool: JailPool) -> None:
    host, script = ScriptHost(pool), a_script()
    shown(host, script)
    os.kill(pool.nursery.process.pid, signal.SIGKILL)
    pool.nursery.process.wait()
    with pytest.raises(FleetError, match="process that starts scripts"):
        shown(host, script)
    host.close()
    again = ScriptHost(pool)
    assert counts(shown(again, script)["count"]) == [1, 2]
    again.close()


def test_the_newest_versions_of_a_script_are_kept(server: Server) -> None:
    with connect(server.url) as link:
        registry, trust = Registry(link, Keys()), Trust(KEY, "fleet")
        made = [a_script(source=f"# {n}").deployment for n in range(VERSIONS_MAX + 2)]
        for deployment in (*made, made[2]):  # the third is used again, and then the last one
            registry.publish(deployment, deployment.sealed(KEY), action="put", by="test")
        last = a_script(source="# last").deployment
        registry.publish(last, last.sealed(KEY), action="put", by="test")
        for gone in (made[0], made[1], made[3]):
            with pytest.raises(FleetError, match="has no version"):
                registry.version(trust, "count", gone.digest)
        for kept in (made[2], *made[4:], last):
            assert registry.version(trust, "count", kept.digest) == kept


def test_what_is_said_of_scripts_is_said_whichever_call_the_server_does_not_hear(
    server: Server,
) -> None:
    fatal, fired = 0, True
    while fired:
        fatal += 1
        with server.client() as client:
            client.flushall()
        proxy = Proxy(server.port, fatal, "before")
        try:
            say_through(proxy.url, server)
        finally:
            fired = proxy.fired
            proxy.close()
    assert fatal > 2


def say_through(url: str, server: Server) -> None:
    """Have a refusal put on record, and told to its author, over a line that may break once."""
    settings, stop = Settings(scripts={"poll_s": 0.02}), threading.Event()
    with suppress(Unavailable), connect(url) as link, ThreadPoolExecutor(1) as threads:
        keeper = ScriptKeeper(settings, "one", link, Keys(), Metrics(), threads, None)
        keeper.bench.refused("count", "its signature")
        following = threads.submit(keeper.run, stop)
        try:
            with server.client() as client:
                log, audit = Keys().script_log("count"), Keys().audit
                wait_until(lambda: bool(client.xlen(log) and client.xlen(audit)), "it is said")
                assert [client.xlen(key) for key in (log, audit)] == [1, 1]
        finally:
            stop.set()
            following.result(timeout=60)
