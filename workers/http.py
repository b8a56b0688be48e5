"""The HTTP face of one worker: /metrics, /healthz, /readyz and /scale, on a thread of its own."""

from collections.abc import Callable, Iterable, Mapping
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOL_SOCKET, socket
from socketserver import ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import orjson
from prometheus_client import CollectorRegistry, make_wsgi_app

from workers.errors import FleetError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

REQUEST_S_MAX = 10.0


class Answer(NamedTuple):
    """What a health question is answered with: the code decides, the body explains."""

    ok: bool
    body: Mapping[str, object]


Check = Callable[[], Answer]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_S_MAX

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Requests are not news."""


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket(AF_INET6 if ":" in host else AF_INET) as probe:
        probe.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError):
            return False
    return True


class HttpServer:
    """Serves `checks` by path (`/healthz`, ...) beside /metrics until it is stopped.

    Raises: FleetError where the port cannot be had.
    """

    def __init__(
        self, host: str, port: int, registry: CollectorRegistry, checks: Mapping[str, Check]
    ) -> None:
        self._checks = checks
        self._metrics = make_wsgi_app(registry, disable_compression=True)
        try:
            self._server = make_server(
                host, port, self._answer, server_class=_Server, handler_class=_Handler
            )
        except OSError as error:
            raise FleetError(
                f"http.port: cannot serve on {host}:{port}: {error.strerror or error};"
                " name another, or 0 for any that is free"
            ) from error
        self.port: int = self._server.server_port
        self._thread = Thread(target=self._server.serve_forever, name="http", daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if path == "/metrics":
            return self._metrics(environ, start_response)  # type: ignore[no-any-return]
        check = self._checks.get(path)
        body: Mapping[str, object]
        if check is None:
            code, body = "404 Not Found", {"error": f"no {path} here"}
        else:
            ok, body = check()
            code = "200 OK" if ok else "503 Service Unavailable"
        start_response(code, [("Content-Type", "application/json")])
        return [orjson.dumps(body)]
