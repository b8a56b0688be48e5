"""A TCP proxy that lets one call die, before or after it took effect."""

import socket
import threading
from contextlib import suppress
from typing import Literal

CHUNK = 1 << 20
type When = Literal["before", "after"]


class Proxy:
    """Passes bytes on; the `fatal`-th write of the clients together is the last of its line."""

    def __init__(self, port: int, fatal: int, when: When) -> None:
        self._port, self._fatal, self._when = port, fatal, when
        self._calls, self.fired = 0, False
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._port))
            state = {"dying": False}
            for target, arguments in (
                (self._to_server, (client, server, state)),
                (self._to_client, (client, server, state)),
            ):
                self._threads.append(threading.Thread(target=target, args=arguments))
                self._threads[-1].start()

    def _to_server(self, client: socket.socket, server: socket.socket, state: dict) -> None:
        while data := _received(client):
            with self._lock:
                self._calls += 1
                fatal = self._calls == self._fatal
            if fatal:
                self.fired = True
                if self._when == "before":
                    break
                state["dying"] = True
            try:
                server.sendall(data)
            except OSError:
                break
        if not state["dying"]:
            _hang_up(client, server)

    def _to_client(self, client: socket.socket, server: socket.socket, state: dict) -> None:
        while data := _received(server):
            if state["dying"]:
                break
            try:
                client.sendall(data)
            except OSError:
                break
        _hang_up(client, server)

    def kill_after(self, calls: int) -> None:
        """Let the call that is so many from now die."""
        with self._lock:
            self._fatal = self._calls + calls

    def lead_to(self, port: int) -> None:
        """New connections go to another server."""
        self._port = port

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)


def _received(source: socket.socket) -> bytes:
    try:
        return source.recv(CHUNK)
    except OSError:
        return b""


def _hang_up(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):  # the other side may be gone
            each.shutdown(socket.SHUT_RDWR)
        each.close()
