"""The `fleet` command as people meet it: odd names, wrong words, closed doors."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import pytest

from tests.conftest import Server, free_port
from tests.workers.fleet import FLEET, NOON_NS, SECOND_NS, Fleet, fleet, wait_until

SHARDS = 1
CONFIG = {"shards": SHARDS, "plans": {"core": {"timeframe": "1s", "values": {"x": "close"}}}}
TICKS = f"symbol,ts,price,size\nA,{NOON_NS},1,1\nA,{NOON_NS + SECOND_NS},2,1\n"
ODD = "[/b][red]:btc:"  # closes, colours and pictures to who prints for terminals
BAD_PLANS = """
plans:
  core:
    values: {fine: close, misspelt: rsi(lenght=3)}
    signals: {cut: close >, dear: {when: close > 1, value: {what: nobody(1)}}}
  more: {values: [close, nothing(2)]}
"""


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FLEET, *words],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def said(done: subprocess.CompletedProcess[str], code: int) -> str:
    """Its one line of complaint, with that exit code."""
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("fleet: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.fixture
def running(server: Server, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(server, tmp_path, CONFIG) as running:
        yield running


@pytest.fixture
def ticks(tmp_path: Path) -> str:
    path = tmp_path / "ticks.csv"
    path.write_text(TICKS)
    return str(path)


def test_what_producers_call_an_instrument_is_shown_as_it_is(running: Fleet) -> None:
    running.start("one")
    running.push([(ODD, 1.0, NOON_NS), (ODD, 2.0, NOON_NS + SECOND_NS)])
    running.await_caught_up()

    def shown(*words: str) -> str:
        return running.run(*words, env={**os.environ, "COLUMNS": "200"}).stdout

    wait_until(lambda: f" {ODD} 100%" in shown("status"), "it is the hottest")
    assert f" {ODD} 100%" in shown("top", "--count", "1")
    assert f" {ODD} " in running.run("tail", "values", "--from", "start", "--count", "1").stdout


def test_what_is_wrong_with_an_entry_is_shown_as_it_is(running: Fleet) -> None:
    with running.server.client() as client:
        client.xadd("ticks:{0}", {"symbol": "A", "price": ODD})
    assert f"got '{ODD}'" in running.run("doctor", "--stream", "ticks:{0}").stdout


def test_no_number_of_the_status_is_cut(running: Fleet) -> None:
    unset = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    for width in ({}, {"COLUMNS": "80"}):
        shown = running.run("status", env={**unset, **width}).stdout
        assert "…" not in shown
        assert shown.splitlines()[1].split() == [
            *("shard", "owner", "lag", "behind", "entries", "values", "signals", "dead"),
            *("busy", "pressure", "hottest"),
        ]


def test_top_without_a_terminal_prints_every_look(running: Fleet) -> None:
    done = running.run("top", "--count", "2", "--every", "0.1")
    assert done.stdout.count("fleet fleet") == 2


@pytest.mark.parametrize("command", ["status", "tail"])
def test_a_server_that_is_away_is_said_in_one_line(command: str) -> None:
    away = f"redis://127.0.0.1:{free_port()}/0"
    assert "connecting to 127.0.0.1" in said(run(command, "--redis", away), code=1)


@pytest.mark.parametrize("url", ["http://x", "redis://x:6379/0?socket_timeout=soon"])
def test_a_url_that_is_none_is_bad_configuration(url: str) -> None:
    assert "redis.url: " in said(run("tail", "--redis", url), code=2)


def test_a_port_that_is_taken_is_named(running: Fleet) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = running.run("worker", env={**os.environ, "FLEET_HTTP__PORT": port})
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"fleet: http.port: cannot serve on 127.0.0.1:{port}" in done.stderr


def test_every_expression_that_cannot_be_read_is_named_at_once(
    server: Server, ticks: str, tmp_path: Path
) -> None:
    config = tmp_path / "bad.yaml"
    config.write_text(BAD_PLANS)
    bad = [
        "plans.core.values.misspelt: ",
        "plans.core.signals.cut.when: ",
        "plans.core.signals.dear.value.what: ",
        "plans.more.values.1: ",
    ]
    refused = run("replay", ticks, "--config", str(config))
    examined = run("doctor", "--config", str(config), "--redis", server.url)
    assert (refused.returncode, examined.returncode) == (2, 1)
    for shown in (refused.stderr, examined.stdout):
        assert [line.strip() for line in shown.splitlines() if "plans." in line] == [
            next(line.strip() for line in shown.splitlines() if key in line) for key in bad
        ]


def test_a_replay_that_fails_leaves_the_rows_of_the_one_before(ticks: str, tmp_path: Path) -> None:
    out = tmp_path / "out" / "rows.jsonl"
    assert "No such file or directory" in said(run("replay", ticks, "--out", str(out)), code=1)
    out.parent.mkdir()
    assert run("replay", ticks, "--out", str(out)).returncode == 0
    whole = out.read_bytes()
    (tmp_path / "bad.csv").write_text(TICKS + "A,soon,1,1\n")
    assert "bad.csv, line 4" in said(
        run("replay", str(tmp_path / "bad.csv"), "--out", str(out)), code=1
    )
    assert list(out.parent.iterdir()) == [out]
    assert out.read_bytes() == whole


def test_a_feed_that_fails_says_how_far_it_came(running: Fleet, ticks: str, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text(TICKS + "A,soon,1,1\n")
    done = running.run("feed", ticks, str(tmp_path / "bad.csv"))
    assert "bad.csv, line 4, ts" in said(done, code=1)
    assert "(2 ticks before it were pushed)" in done.stderr
    with running.server.client() as client:
        assert client.xlen(f"ticks:{{{crc32(b'A') % SHARDS}}}") == 2


def test_a_terminal_of_few_letters_is_no_reason_to_fail() -> None:
    done = run("indicators", COLUMNS="80", PYTHONIOENCODING="ascii")  # which cuts with an ellipsis
    assert done.returncode == 0, done.stderr
    assert "rsi(" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_said_in_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*FLEET, "indicators", "rsi", "--json"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert "fleet: [Errno 28] No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_the_demo_with_its_summary() -> None:
    words = [*FLEET, "demo", "--seconds", "3600", "--rate", "100", "--symbols", "2"]
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    ) as demo:  # fmt: skip
        assert demo.stdout is not None
        first = next(line for line in demo.stdout if "lag" in line)
        os.killpg(demo.pid, signal.SIGINT)
        rest = demo.stdout.read()
        assert demo.wait(timeout=60) == 0, first + rest
    assert "What to try next" in rest
    assert "Traceback" not in rest
