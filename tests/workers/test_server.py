"""The embedded server, with real processes that are really killed."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from workers.server import EmbeddedServer, ServerError

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys, time
import workers.server
workers.server.HAS_DEATH_SIGNAL = {death_signal}
server = workers.server.EmbeddedServer(sys.argv[1])
server.start()
print(server.pid, server.port, server.owned, flush=True)
time.sleep(60)
"""


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)  # another process's death sends us nothing to await
    return condition()


def launcher(folder: Path, *, death_signal: bool = True) -> subprocess.Popen[str]:
    program = PROGRAM.format(death_signal=death_signal)
    return subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


@pytest.fixture
def client() -> Iterator[Callable[[EmbeddedServer], redis.Redis]]:
    clients = []

    def connect(server: EmbeddedServer) -> redis.Redis:
        clients.append(redis.Redis.from_url(server.url, decode_responses=True))
        return clients[-1]

    yield connect
    for each in clients:
        each.close()


def test_a_server_is_persistent_alone_on_loopback_and_never_evicts(tmp_path, client):
    with EmbeddedServer(tmp_path / "new" / "folder") as server:
        assert server.url == f"redis://127.0.0.1:{server.port}/0"
        assert server.owned
        options = client(server).config_get("*")
    wanted = {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "bind": "127.0.0.1",
        "protected-mode": "yes",
        "io-threads": "1",
        "maxmemory-policy": "noeviction",
        "dir": str(tmp_path / "new" / "folder"),
    }
    assert {name: options[name] for name in wanted} == wanted
    assert not is_alive(server.pid)


@pytest.mark.parametrize("death_signal", [True, False], ids=["death signal", "watcher"])
def test_the_server_is_gone_within_two_seconds_of_its_killed_parent(tmp_path, death_signal):
    with launcher(tmp_path, death_signal=death_signal) as parent:
        pid, _, owned = parent.stdout.readline().split()
        assert owned == "True"
        assert is_alive(int(pid))
        parent.kill()
        assert within(2.0, lambda: not is_alive(int(pid)))


def test_entries_outlive_a_killed_server_and_a_stopped_one(tmp_path, client):
    with EmbeddedServer(tmp_path) as server:
        port = server.port
        for n in range(100):
            client(server).xadd("ticks", {"n": n})
        # everysec: what was written in the last second before a kill may be lost, what is older not
        client(server).config_set("appendfsync", "always")
        client(server).xadd("ticks", {"n": 100})
        os.kill(server.pid, signal.SIGKILL)
        assert server.wait(60.0) == -signal.SIGKILL
        server.stop()
        server.start()
        assert server.port == port
        assert client(server).xlen("ticks") == 101
        client(server).xadd("ticks", {"n": 101})
    with EmbeddedServer(tmp_path) as server:
        entries = client(server).xrange("ticks")
    assert [int(fields["n"]) for _, fields in entries] == list(range(102))


def test_a_second_launcher_finds_the_first_server_and_leaves_it_running(tmp_path, client):
    with launcher(tmp_path) as parent:
        pid, port, _ = parent.stdout.readline().split()
        with EmbeddedServer(tmp_path) as second:
            assert (second.pid, second.port) == (int(pid), int(port))
            assert not second.owned
            assert client(second).ping()
        assert is_alive(int(pid))
        with pytest.raises(ServerError, match=f"is served on port {port} already, not 1"):
            EmbeddedServer(tmp_path, port=1).start()
        parent.kill()


def test_launchers_that_start_together_share_one_server(tmp_path):
    parents = [launcher(tmp_path) for _ in range(3)]
    said = [parent.stdout.readline().split() for parent in parents]
    for parent in parents:
        with parent:
            parent.kill()
    assert len({(pid, port) for pid, port, _ in said}) == 1
    assert sorted(owned for *_, owned in said) == ["False", "False", "True"]


def test_the_next_server_takes_over_the_folder_of_a_killed_parent(tmp_path):
    with launcher(tmp_path) as parent:
        pid = int(parent.stdout.readline().split()[0])
        parent.kill()
        parent.wait()
        with EmbeddedServer(tmp_path) as server:  # the old one may still answer for a moment
            assert server.owned
            assert server.pid != pid
            assert not is_alive(pid)


def test_ctrl_c_in_the_terminal_is_left_to_the_parent(tmp_path):
    with EmbeddedServer(tmp_path) as server:
        assert os.getpgid(server.pid) != os.getpgid(0)


def test_a_busy_port_is_named_with_the_last_lines_of_the_log(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ServerError, match=rf"instead of serving port {port}(?s:.*)in use"):
            EmbeddedServer(tmp_path, port=port).start()


def test_another_server_on_the_port_is_not_taken_for_ours(tmp_path):
    with (
        EmbeddedServer(tmp_path / "one") as one,
        pytest.raises(ServerError, match="Address already in use"),
    ):
        EmbeddedServer(tmp_path / "two", port=one.port).start()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file" / "below", Path("/proc/fleet")):
        with pytest.raises(ServerError, match=f"folder {folder} cannot hold a server's data: "):
            EmbeddedServer(folder).start()


def test_a_damaged_file_is_shown_by_the_log_in_the_error(tmp_path):
    with EmbeddedServer(tmp_path):
        pass
    next((tmp_path / "appendonlydir").glob("*.manifest")).write_text("nonsense\n")
    with pytest.raises(ServerError, match=r"ended with status(?s:.*)manifest"):
        EmbeddedServer(tmp_path).start()


@pytest.mark.skipif(sys.platform != "linux", reason="the death signal is Linux's")
def test_a_thread_that_would_take_the_server_down_with_it_is_refused(tmp_path):
    errors = []

    def start() -> None:
        try:
            EmbeddedServer(tmp_path).start()
        except ServerError as error:
            errors.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert errors == ["start the embedded server from the main thread: it dies with it"]
