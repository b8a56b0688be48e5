"""The API server: HTTP over the store, as far as every supported helm and kubectl ask."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from tests.helm.chart import Json
from tests.helm.cluster import kinds, protobuf
from tests.helm.cluster.kinds import Kind
from tests.helm.cluster.merge import Shape, merged, strategically_merged
from tests.helm.cluster.store import Name, RefusedError, Store

PATH = re.compile(
    r"(?P<root>/api/v1|/apis/[^/]+/[^/]+)(/namespaces/(?P<namespace>[^/]+)(?=/))?"
    r"/(?P<plural>[^/]+)(/(?P<name>[^/]+))?(/(?P<sub>[^/]+))?"
)
REQUIREMENT = re.compile(r"(!?)([\w./-]+)\s*(?:(=|==|!=)\s*([\w.-]*)|(in|notin)\s*\(([^)]*)\))?")
WATCH_S = 0.5  # between looks whether the server ends
PROTOBUF = "application/vnd.kubernetes.protobuf"
APPLY = "application/apply-patch+yaml"
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@dataclass(frozen=True)
class Request:
    """One request: what it is about, and what it brings."""

    method: str
    kind: Kind
    namespace: str
    name: str
    sub: str
    query: dict[str, str]
    body: Any
    content_type: str

    @property
    def object(self) -> Name:
        return Name(self.kind, self.namespace, self.name)

    @property
    def manager(self) -> str:
        return self.query.get("fieldManager", "unknown")

    def picks(self, document: Json) -> bool:
        """Whether the request's selectors pick an object."""
        metadata = document["metadata"]
        if self.namespace not in {"", metadata.get("namespace")}:
            return False
        for field in filter(None, self.query.get("fieldSelector", "").split(",")):
            key, _, value = field.partition("=")
            assert key in {"metadata.name", "metadata.namespace"}, key
            if metadata[key.removeprefix("metadata.")] != value.removeprefix("="):
                return False
        return _labelled(self.query.get("labelSelector", ""), metadata.get("labels", {}))


def _labelled(selector: str, labels: dict[str, str]) -> bool:
    for negated, key, operator, value, among, values in REQUIREMENT.findall(selector):
        if among:
            listed = {one.strip() for one in values.split(",")}
            holds = (labels.get(key) in listed) == (among == "in")
        elif operator:
            holds = (labels.get(key) == value) == (operator != "!=")
        else:
            holds = (key in labels) == (not negated)
        if not holds:
            return False
    return True


class Api:
    """An API server on a loopback port; `logs` tells what a pod has printed."""

    def __init__(self, store: Store, served: tuple[Kind, ...], logs: Callable[[Name], str]) -> None:
        self.store, self.served, self.logs = store, served, logs
        self.stopping = Event()
        handler = type("Handler", (_Handler,), {"api": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def parse(self, method: str, path: str, content_type: str, body: bytes) -> Request:
        """Raises: RefusedError (404) for a kind that is not served."""
        url = urlsplit(path)
        match = PATH.fullmatch(url.path)
        part = (
            {key: unquote(value or "") for key, value in match.groupdict().items()} if match else {}
        )
        for kind in self.served:
            if match and (kind.root, kind.plural) == (part["root"], part["plural"]):
                query = {key: values[-1] for key, values in parse_qs(url.query).items()}
                given = _read(body, content_type)
                return Request(
                    *(method, kind, part["namespace"], part["name"], part["sub"]),
                    *(query, given, content_type),
                )
        raise RefusedError(404, "NotFound", "the server could not find the requested resource")

    def answer(self, request: Request) -> Json:
        if request.sub == "scale":
            return self._scale(request)
        do = {
            "GET": self._get,
            "POST": self._create,
            "PUT": self._replace,
            "PATCH": self._patch,
            "DELETE": self._delete,
        }
        return do[request.method](request)

    def _get(self, request: Request) -> Json:
        if request.name:
            return self.store.get(request.object)
        with self.store.changed:
            found = [doc for doc in self.store.every(request.kind.name) if request.picks(doc)]
            return {
                "apiVersion": request.kind.api_version,
                "kind": f"{request.kind.name}List",
                "metadata": {"resourceVersion": str(self.store.version)},
                "items": found,
            }

    def _create(self, request: Request) -> Json:
        name = request.object._replace(name=request.body["metadata"]["name"])
        return self.store.create(name, request.body, request.manager)

    def _replace(self, request: Request) -> Json:
        return self.store.replace(request.object, request.body, request.manager)

    def _patch(self, request: Request) -> Json:
        if request.content_type == APPLY:
            force = request.query.get("force") == "true"
            return self.store.apply(request.object, request.body, request.manager, force=force)
        with self.store.changed:
            live = self.store.get(request.object)
            if request.content_type == "application/merge-patch+json":
                result = merged(live, request.body)
            else:
                assert request.content_type == "application/strategic-merge-patch+json"
                result = strategically_merged(Shape.of(live), live, request.body)
            return self.store.replace(request.object, _whole(result), request.manager)

    def _delete(self, request: Request) -> Json:
        policy = (request.body or {}).get("propagationPolicy", "Background")
        return delete(self.store, request.object, orphans=policy == "Orphan")

    def _scale(self, request: Request) -> Json:
        with self.store.changed:
            live = self.store.get(request.object)
            if request.method != "GET":
                live["spec"]["replicas"] = request.body["spec"]["replicas"]
                live = self.store.replace(request.object, live, request.manager)
        return {
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": live["metadata"],
            "spec": {"replicas": live["spec"]["replicas"]},
        }

    def watch(self, request: Request) -> Iterator[Json]:
        """Every event that the request asked for, until the server ends or its time is up."""
        query, store = request.query, self.store
        with store.changed:
            at = int(query.get("resourceVersion") or 0)
            listed = [] if at else [d for d in store.every(request.kind.name) if request.picks(d)]
            at = at or store.version
        yield from ({"type": "ADDED", "object": document} for document in listed)
        if query.get("sendInitialEvents") == "true":
            done = {
                "resourceVersion": str(at),
                "annotations": {"k8s.io/initial-events-end": "true"},
            }
            mark = {"apiVersion": request.kind.api_version, "kind": request.kind.name}
            yield {"type": "BOOKMARK", "object": {**mark, "metadata": done}}
        while not self.stopping.is_set():
            with store.changed:
                if store.version == at:
                    store.changed.wait(WATCH_S)
                events, at = store.events[at:], store.version
            for event in events:
                if event.name.kind == request.kind and request.picks(event.document):
                    yield {"type": event.type, "object": event.document}


def delete(store: Store, name: Name, *, orphans: bool = False) -> Json:
    """Remove an object and what belongs to it; a pod goes when its process has ended."""
    if name.kind.name == "Pod":
        return store.mark_deleted(name)
    gone = store.remove(name)
    for dependent in store.dependents(gone["metadata"]["uid"]):
        if not orphans:
            delete(store, dependent)
    return gone


def _whole(document: Json) -> Json:
    """An object that a patch took something required from, with the default in its place."""
    if document["kind"] in {"Deployment", "StatefulSet"}:
        document["spec"].setdefault("replicas", 1)
    return document


def _read(body: bytes, content_type: str) -> Any:
    if not body:
        return None
    if content_type == APPLY and not body.startswith(b"{"):
        return yaml.safe_load(body)
    if content_type == PROTOBUF:
        return protobuf.decoded(body)
    return json.loads(body)


class _Handler(BaseHTTPRequestHandler):
    api: Api
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args: object) -> None:
        """Requests are not news."""

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        about = kinds.answer(self.api.served, path)
        if about is not None:
            self._send(200, about, DISCOVERY if path in {"/api", "/apis"} else "application/json")
            return
        try:
            content_type = self.headers.get("Content-Type", "").partition(";")[0]
            request = self.api.parse(self.command, self.path, content_type, body)
            if request.sub == "log":
                self._send_text(self.api.logs(request.object))
            elif request.query.get("watch") in {"true", "1"}:
                self._stream(self.api.watch(request))
            else:
                self._send(201 if self.command == "POST" else 200, self.api.answer(request))
        except RefusedError as refused:
            status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
            status |= {"message": str(refused), "reason": refused.reason, "code": refused.code}
            self._send(refused.code, status)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815 - the base class's names

    def _send(self, code: int, document: Json, content_type: str = "application/json") -> None:
        self._send_bytes(code, json.dumps(document).encode(), content_type)

    def _send_text(self, text: str) -> None:
        self._send_bytes(200, text.encode(), "text/plain")

    def _send_bytes(self, code: int, data: bytes, content_type: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, events: Iterator[Json]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for event in events:
                data = json.dumps(event).encode() + b"\n"
                self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True  # whoever watched has what it waited for
