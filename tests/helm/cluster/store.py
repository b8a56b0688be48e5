"""The objects of a cluster, who wrote what in them, and what happened to them in order."""

import copy
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Condition, RLock
from typing import NamedTuple

from tests.helm import schemas
from tests.helm.chart import Json
from tests.helm.cluster.kinds import Kind
from tests.helm.cluster.merge import Place, Shape, applied, places, value_at, without

# What the server itself writes; no client owns it, and no schema of the chart's speaks of it.
SERVERS_METADATA = (
    *("namespace", "uid", "resourceVersion", "generation", "creationTimestamp"),
    *("deletionTimestamp", "deletionGracePeriodSeconds", "managedFields"),
)
FREE_IN_A_STATEFUL_SET = {"replicas", "template", "updateStrategy", "minReadySeconds"}


class Name(NamedTuple):
    """What an object is found by."""

    kind: Kind
    namespace: str
    name: str


class Event(NamedTuple):
    """What happened to an object, and how it was then."""

    version: int
    type: str
    name: Name
    document: Json


class RefusedError(Exception):
    """The server does not do it: the code and reason of its answer."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason = code, reason


@dataclass
class Record:
    """An object, and which writer (manager, how) owns which places of it."""

    document: Json
    owners: dict[tuple[str, str], set[Place]] = field(default_factory=dict)


class Store:
    """Holds `changed` while it works; who waits on it hears of every event."""

    def __init__(self) -> None:
        self.changed = Condition(RLock())
        self.events: list[Event] = []
        self._records: dict[Name, Record] = {}

    def find(self, name: Name) -> Json | None:
        with self.changed:
            record = self._records.get(name)
            return copy.deepcopy(record.document) if record else None

    def get(self, name: Name) -> Json:
        """Raises: RefusedError (404)."""
        found = self.find(name)
        if found is None:
            raise RefusedError(404, "NotFound", f'{name.kind.plural} "{name.name}" not found')
        return found

    def every(self, kind: str, namespace: str = "") -> list[Json]:
        with self.changed:
            return [
                copy.deepcopy(record.document)
                for name, record in self._records.items()
                if name.kind.name == kind and namespace in {"", name.namespace}
            ]

    @property
    def version(self) -> int:
        return len(self.events)

    def create(self, name: Name, document: Json, manager: str = "") -> Json:
        with self.changed:
            if name in self._records:
                raise RefusedError(
                    409, "AlreadyExists", f'{name.kind.plural} "{name.name}" already exists'
                )
            record = Record(_born(name, document))
            _check(record.document)
            self._records[name] = record
            _own(record, {}, (manager, "Update"))
            return self._happened("ADDED", name)

    def replace(self, name: Name, document: Json, manager: str = "") -> Json:
        """Put another document in the place of one; the server's own metadata stays."""
        with self.changed:
            before = self.get(name)
            _keep_metadata(before, document)
            if document == before:
                return before
            _check(document)
            _check_change(before, document)
            record = self._records[name]
            record.document = document
            if document.get("spec") != before.get("spec"):
                document["metadata"]["generation"] += 1
            _own(record, before, (manager, "Update"))
            return self._happened("MODIFIED", name)

    def apply(self, name: Name, wanted: Json, manager: str, *, force: bool) -> Json:
        """Server-side apply: what the manager no longer says and no one else owns, goes."""
        with self.changed:
            if name not in self._records:
                created = self.create(name, wanted, "")
                self._records[name].owners = {(manager, "Apply"): _owned(wanted)}
                return created
            record, shape = self._records[name], Shape.of(wanted)
            mine, new = (manager, "Apply"), _owned(wanted)
            live = copy.deepcopy(record.document)
            self._settle_conflicts(record, wanted, mine, new, force=force)
            others = set().union(*(o for who, o in record.owners.items() if who != mine))
            result = applied(shape, live, wanted)
            for place in record.owners.get(mine, set()) - new - others:
                result = without(result, place)
            owners = {**record.owners, mine: new}
            changed = self.replace(name, _defaulted(result), "")
            self._records[name].owners = owners
            return changed

    def _settle_conflicts(
        self, record: Record, wanted: Json, mine: tuple[str, str], new: set[Place], *, force: bool
    ) -> None:
        for owner, owned in record.owners.items():
            if owner == mine:
                continue
            differ = {
                place
                for place in owned & new
                if value_at(wanted, place) != value_at(record.document, place)
            }
            if differ and not force:
                listed = ", ".join(".".join(map(str, place)) for place in sorted(differ, key=str))
                raise RefusedError(
                    409, "Conflict", f'Apply failed: conflict with "{owner[0]}": {listed}'
                )
            owned -= differ

    def write_status(self, name: Name, status: Json) -> None:
        """What a controller has found out; an object that is gone has no status."""
        with self.changed:
            record = self._records.get(name)
            if record is not None and record.document.get("status") != status:
                record.document = {**record.document, "status": copy.deepcopy(status)}
                self._happened("MODIFIED", name)

    def mark_deleted(self, name: Name) -> Json:
        """Ask whoever runs it to end it."""
        with self.changed:
            document = self.get(name)
            if "deletionTimestamp" not in document["metadata"]:
                document["metadata"]["deletionTimestamp"] = _now()
                self._records[name].document = document
                self._happened("MODIFIED", name)
            return document

    def remove(self, name: Name) -> Json:
        with self.changed:
            document = self.get(name)
            del self._records[name]
            self._log("DELETED", name, document)
            return document

    def dependents(self, uid: str) -> Iterator[Name]:
        """Objects that belong to another."""
        with self.changed:
            found = [
                name
                for name, record in self._records.items()
                if any(
                    owner["uid"] == uid
                    for owner in record.document["metadata"].get("ownerReferences", [])
                )
            ]
        yield from found

    def _happened(self, type_: str, name: Name) -> Json:
        record = self._records[name]
        self._log(type_, name, record.document)
        return copy.deepcopy(record.document)

    def _log(self, type_: str, name: Name, document: Json) -> None:
        document["metadata"]["resourceVersion"] = str(self.version + 1)
        self.events.append(Event(self.version + 1, type_, name, copy.deepcopy(document)))
        self.changed.notify_all()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _born(name: Name, document: Json) -> Json:
    document = _defaulted(copy.deepcopy(document))
    server = {"uid": str(uuid.uuid4()), "creationTimestamp": _now(), "generation": 1}
    where = {"namespace": name.namespace} if name.namespace else {}
    document["metadata"] = {**document["metadata"], "name": name.name, **where, **server}
    return document


def _defaulted(document: Json) -> Json:
    """What the server fills in, as far as anyone here reads it."""
    if document["kind"] in {"Deployment", "StatefulSet"}:
        document["spec"].setdefault("replicas", 1)
    if document["kind"] == "Deployment":
        document["spec"].setdefault("progressDeadlineSeconds", 600)
    if document["kind"] == "Pod":
        document["status"] = {"phase": "Pending", "conditions": []}
    if document["kind"] == "Service":
        document["spec"].setdefault("clusterIP", "10.96.0.9")
    if document["kind"] == "Secret":
        document.setdefault("type", "Opaque")
    return document


def _keep_metadata(before: Json, document: Json) -> None:
    for key in SERVERS_METADATA:
        document["metadata"].pop(key, None)
        if key in before["metadata"]:
            document["metadata"][key] = before["metadata"][key]
    if "status" in before:
        document["status"] = before["status"]


def _own(record: Record, before: Json, who: tuple[str, str]) -> None:
    """Let a writer own what it has just changed."""
    if who[0]:
        now = _owned(record.document)
        changed = {at for at in now if value_at(record.document, at) != value_at(before, at)}
        for owned in record.owners.values():
            owned -= changed
        record.owners.setdefault(who, set()).update(changed)


def _owned(document: Json) -> set[Place]:
    identity = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}
    server = {("metadata", key) for key in SERVERS_METADATA}
    said = {key: value for key, value in document.items() if key != "status"}
    return set(places(Shape.of(document), said)) - identity - server


def _check(document: Json) -> None:
    """Raises: RefusedError (422) for what strict validation refuses."""
    metadata = {k: v for k, v in document["metadata"].items() if k not in SERVERS_METADATA}
    said = {key: value for key, value in document.items() if key != "status"}
    try:
        schemas.validate(json.dumps({**said, "metadata": metadata}, sort_keys=True))
    except schemas.INVALID as error:
        where = ".".join(str(part) for part in error.absolute_path)
        raise RefusedError(
            422, "Invalid", f"{document['kind']} is invalid: {where}: {error.message}"
        ) from error


def _check_change(before: Json, after: Json) -> None:
    """Raises: RefusedError (422) for a change of what can never change."""
    before_spec, after_spec = before.get("spec", {}), after.get("spec", {})
    fixed = {
        "Deployment": {"selector"},
        "StatefulSet": (before_spec.keys() | after_spec.keys()) - FREE_IN_A_STATEFUL_SET,
    }.get(after["kind"], set())
    for key in fixed:
        if before_spec.get(key) != after_spec.get(key):
            message = f"{after['kind']} is invalid: spec.{key}: is immutable"
            raise RefusedError(422, "Invalid", message)
