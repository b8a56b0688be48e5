"""Versions of users' scripts: deployed while workers run, refused on record, taken back."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from streams.keys import Keys
from tests.conftest import Server
from tests.workers.fleet import Fleet, fleet, wait_until
from tests.workers.scripted import (
    CONFIG,
    COUNTER,
    FRAGILE,
    HEAVY,
    KEY,
    RISING,
    audit,
    await_status,
    closes,
    publish,
    put,
    said,
    shards_of,
    ticks,
)
from workers.scripting.deployment import Deployment


@pytest.fixture
def running(server: Server, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(server, tmp_path, CONFIG) as started:
        yield started


def test_what_is_not_signed_or_not_allowed_is_refused_on_record(running: Fleet) -> None:
    running.start("one")
    path = running.folder / "counter.py"
    path.write_text(COUNTER)
    for tenant, why in (("nobody", "not in scripts.tenants"), ("small", "symbols")):
        more = ["--symbols", "*"] if tenant == "small" else []
        done = running.run("script", "put", "counter", str(path), "--tenant", tenant, *more)
        assert done.returncode == 1
        assert why in done.stderr
    rising = running.folder / "rising.py"
    rising.write_text(RISING)
    done = running.run("script", "put", "rising", str(rising), "--tenant", "small")
    assert "may not use signals up, mean" in done.stderr
    forged = Deployment(
        fleet="fleet", name="forged", revision=1, tenant="desk", plan="core",
        symbols=("*",), signals=("*",), source=COUNTER,
    ).sealed(b"another key than the fleet's")  # fmt: skip
    with running.server.client() as client:
        client.xadd("ticks:{0}", {"deploy": "script", "payload": forged})
        client.hset(Keys().scripts, "forged", forged.decode())
        client.hincrby(Keys().script_revisions, "forged", 1)
    allowed = put(running, "own", COUNTER, tenant="small")
    await_status(running, allowed)
    running.push(ticks(0, 5))
    running.await_caught_up()
    assert said(running, allowed, "n", "AAA")
    assert not said(running, allowed, "n", "BBB")
    assert {entry["source"].partition("@")[0] for entry in running.ledger("signals")} == {"own"}
    # What was forged can neither stop a list nor keep its name.
    assert "own@" in running.run("script", "list").stdout
    assert "forged" not in running.run("script", "list").stdout
    put(running, "forged", COUNTER)
    refused = [entry["reason"] for entry in audit(running) if entry["decision"] == "refused"]
    assert sum("not signed with the fleet's key" in reason for reason in refused) == 2
    assert any("nobody" in reason for reason in refused)
    assert any("small" in reason for reason in refused)
    assert any(
        entry["decision"] == "accepted" and entry["script"] == "own" for entry in audit(running)
    )


def test_a_version_that_fails_at_once_is_taken_back_and_the_one_before_goes_on(
    running: Fleet,
) -> None:
    running.start("one")
    good = put(running, "counter", COUNTER)
    await_status(running, good)
    running.push(ticks(0, 30))
    running.await_caught_up()
    bad = put(running, "counter", FRAGILE)
    await_status(running, bad)
    running.await_caught_up()
    running.push(ticks(30, 2))
    running.await_caught_up()
    running.push(ticks(32, 4))
    running.await_caught_up()
    await_status(running, good)
    values = [int(value["value"]) for value in said(running, good, "n", "AAA")]
    assert values[:29] == list(range(1, 30))
    assert values[29:] == list(range(values[29], values[29] + len(values[29:])))
    assert len(values) >= 31
    assert not said(running, bad, "n", "AAA")
    assert "taken back" in str(shards_of(running, "counter"))
    listed = running.run("script", "list").stdout
    assert f"{bad} " in listed
    assert f"2 speaks as {good.partition('@')[2]}" in listed
    running.assert_no_holes()


def test_after_the_key_was_changed_scripts_rest_until_they_are_put_again(
    server: Server, tmp_path: Path
) -> None:
    scripts = {**CONFIG["scripts"], "key": "another key than before"}
    with fleet(server, tmp_path, CONFIG) as before:
        before.start("one")
        counter, rising = put(before, "counter", COUNTER), put(before, "rising", RISING)
        for source in (counter, rising):
            await_status(before, source)
        before.push(ticks(0, 6))
        before.await_caught_up()
        assert before.stop("one") == 0
    with fleet(server, tmp_path, {**CONFIG, "scripts": scripts}) as after:
        assert "script counter: it is not signed with the fleet's key" in after.run("doctor").stdout
        after.start("two")
        after.push(ticks(6, 6))
        after.await_caught_up()
        told = "it is not signed with the fleet's key: put it again if that was changed"
        wait_until(lambda: told in before.run("script", "log", "counter").stdout, "its log says so")
        assert '"event": "script refused"' in after.log("two")
        assert len(said(after, counter, "n", "AAA")) == 5  # and nothing since the key is another
        assert closes(after, "AAA") == 11
        assert put(after, "counter", COUNTER) == counter
        await_speaking(after, "counter", revision=2)
        after.push(ticks(12, 3))
        after.await_caught_up()
        # Its old state is gone: it saw all that is retained, and goes on from there.
        assert [one["value"] for one in said(after, counter, "n", "AAA")][5:] == [12, 13, 14]
        after.assert_no_holes()


def await_speaking(running: Fleet, name: str, revision: int) -> None:
    def holds() -> bool:
        told = [(one["status"], one["revision"]) for one in shards_of(running, name)]
        return told.count(("speaks", revision)) == running.shards

    wait_until(holds, f"revision {revision} of {name} speaks")


def test_the_doctor_names_scripts_that_are_not_trusted_not_allowed_or_nowhere(
    running: Fleet,
) -> None:
    def said() -> str:
        return running.run("doctor", "--json").stdout

    assert "scripts: 0 were deployed" in said()
    counter = publish(running, "counter", COUNTER)
    assert "script counter is on no shard" in said()
    running.start("one")
    await_status(running, counter)
    assert "scripts: 1 were deployed" in said()
    beyond = Deployment(
        fleet="fleet", name="beyond", revision=1, tenant="small", plan="core", symbols=("*",)
    )
    with running.server.client() as client:
        client.hset(Keys().scripts, "forged", beyond.sealed(b"another key").decode())
        client.hset(Keys().scripts, "beyond", beyond.sealed(KEY.encode()).decode())
        fields = {f"counter/{n}": {"status": "quarantined", "reason": "slow"} for n in range(2)}
        running.kill("one")
        client.hset(
            Keys().script_status,
            mapping={name: orjson.dumps(told) for name, told in fields.items()},
        )
    for words in (
        "script forged: it is not signed with the fleet's key",
        "script beyond: tenant 'small' may not use symbols *",
        "script counter is in quarantine on shard 1: slow",
    ):
        assert words in said()
    running.path.write_text(running.path.read_text().replace(f"key: {KEY}", "key: null"))
    assert "there is no scripts.key, and 3 scripts were deployed" in said()


def test_an_author_is_told_why_a_version_was_refused_while_it_warmed_up(running: Fleet) -> None:
    running.start("one")
    running.push(ticks(0, 5))
    running.await_caught_up()
    put(running, "fragile", FRAGILE)
    told = "refused: shard 0, version"
    wait_until(lambda: told in running.run("script", "log", "fragile").stdout, "the log says so")
    assert "line 8: ZeroDivisionError" in running.run("script", "log", "fragile").stdout
    put(running, "heavy", HEAVY, tenant="brief")
    told = "warming up took more than 1 ms of CPU (limit warm_up_ms_max)"
    wait_until(lambda: told in running.run("script", "log", "heavy").stdout, "the log says so")
    for command in (["list"], ["show", "fragile"]):
        assert "fleet script log" in running.run("script", *command).stdout
    assert running.run("script", "log", "nonesuch").returncode == 1


def test_a_new_version_keeps_the_state_and_an_old_one_can_be_put_back(running: Fleet) -> None:
    running.start("one")
    first = put(running, "counter", COUNTER)
    await_status(running, first)
    running.push(ticks(0, 5))
    running.await_caught_up()
    second = put(running, "counter", COUNTER.replace("+= 1", "+= 10"))
    await_status(running, second)
    running.push(ticks(5, 5))
    running.await_caught_up()
    done = running.run("script", "rollback", "counter")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(first)
    await_status(running, first)
    running.push(ticks(10, 3))
    running.await_caught_up()
    assert [v["value"] for v in said(running, first, "n", "AAA")] == [1, 2, 3, 4, 55, 56, 57]
    assert [v["value"] for v in said(running, second, "n", "AAA")] == [14, 24, 34, 44, 54]
    assert running.run("script", "rm", "counter").returncode == 0
    wait_until(lambda: running.run("script", "list").stdout == "", "it is off the list")
    assert running.run("script", "show", "counter").returncode == 1
    running.assert_no_holes()
