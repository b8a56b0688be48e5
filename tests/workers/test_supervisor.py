"""`fleet up` when things go wrong: workers that cannot start, ports that are taken, two of it."""

import signal
import socket
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread

import pytest
from structlog.testing import capture_logs

from streams.connection import connect
from tests.conftest import Server, free_port
from tests.workers.fleet import WAIT_S_MAX, Fleet, fleet, wait_until
from workers.backoff import Backoff
from workers.settings import Settings
from workers.supervisor import RESTART_S_MAX, Supervisor

CONFIG = {"shards": 4, "worker": {"lease_ms": 1_000}}
STUBBORN = 4  # deaths


def test_a_worker_that_dies_at_start_is_started_again_later_each_time(server: Server) -> None:
    stop = Event()
    with connect(server.url) as link, capture_logs() as logs:
        supervisor = Supervisor(
            Settings(), link, lambda _: [sys.executable, "-c", "exit(3)"], least=1, most=1
        )
        thread = Thread(target=supervisor.run, args=(stop,))
        thread.start()
        try:
            wait_until(
                lambda: sum(log["event"] == "worker died" for log in logs) >= STUBBORN, "it dies"
            )
        finally:
            stop.set()
            thread.join()
    died = [log for log in logs if log["event"] == "worker died"]
    assert {log["status"] for log in died} == {3}
    assert len({log["worker"] for log in died}) == 1
    pauses_s = [log["retry_s"] for log in died]
    assert all(later > before / 2 for before, later in pairwise(pauses_s))
    assert pauses_s[STUBBORN - 1] > pauses_s[0]


def test_the_pause_before_a_restart_grows_to_a_minute_and_no_longer() -> None:
    backoff = Backoff(longest_s=RESTART_S_MAX)
    pauses_s = [backoff.next_s() for _ in range(20)]
    assert RESTART_S_MAX / 2 <= pauses_s[-1] <= RESTART_S_MAX


def test_a_worker_whose_port_is_taken_says_so_and_ends(server: Server, tmp_path: Path) -> None:
    with socket.socket() as taken, fleet(server, tmp_path, CONFIG) as running:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = running.run("worker", env={"FLEET_HTTP__PORT": str(port)})
    assert done.returncode == 1
    assert f"{port}: Address already in use" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.timeout(150)
def test_two_supervisors_of_one_fleet_with_one_port_share_its_shards(
    server: Server, tmp_path: Path
) -> None:
    config = {**CONFIG, "http": {"port": free_port()}}
    with fleet(server, tmp_path, config) as running:
        ups = [up(running, name) for name in ("first", "second")]
        try:
            wait_until(lambda: sorted(running.owners().values()) == [2, 2], "two shards each")
            for each in ups:
                each.send_signal(signal.SIGTERM)
            assert [each.wait(WAIT_S_MAX) for each in ups] == [0, 0]
            assert set(running.owners()) == {""}
        finally:
            for each in ups:
                each.kill()  # its workers go with it
                each.wait()


def up(running: Fleet, name: str) -> subprocess.Popen[bytes]:
    with (running.folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [*running.command("up"), "--min", "1", "--max", "1"], stdout=log, stderr=log
        )
