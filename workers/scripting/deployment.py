"""What a deployer signs and a worker runs: one version of a script, with all that it may do."""

import hashlib
import hmac
from functools import cached_property
from typing import Any, Literal, NamedTuple

import orjson
from pydantic import Field, ValidationError

from sandbox.limits import Limits
from sandbox.script import Param, Script
from workers.errors import FleetError
from workers.settings import LimitValues, Name, Section

DIGEST_CHARS = 16
PURPOSE = b"signalfleet script\n"  # so that a signature is of nothing else


class Untrusted(FleetError):
    """A deployment that nobody with the key made. Refuse it, and say so in the audit stream."""


class Deployment(Section):
    """One version of a script: source, graph, and scope. `revision` orders all that was asked."""

    fleet: str
    name: Name
    revision: int
    removed: bool = False
    tenant: str = ""
    plan: str = ""
    symbols: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    source: str = ""
    params: dict[str, Param] = Field(default_factory=dict)
    limits: LimitValues = Field(default_factory=dict)
    style: Literal["declarative", "imperative"] = "imperative"
    graph: dict[str, Any] | None = None  # of a declarative one: built once, at deployment

    @cached_property
    def digest(self) -> str:
        """Name of this version by its content, 16 hex digits; the revision is no part of it."""
        content = self.model_dump(mode="json", exclude={"revision", "removed", "fleet"})
        packed = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(packed).hexdigest()[:DIGEST_CHARS]

    @property
    def source_name(self) -> str:
        """What its signals name as their source."""
        return f"{self.name}@{self.digest}"

    @property
    def script(self) -> Script:
        """The script as the sandbox runs it."""
        return Script(self.name, self.source, self.params, Limits(**self.limits))

    def sealed(self, key: bytes) -> bytes:
        """The deployment as bytes, signed."""
        body = self.model_dump_json().encode()
        return _signature(key, body) + b"\n" + body


class Trust(NamedTuple):
    """Whose signature counts, and for which fleet; without a key nobody's."""

    key: bytes | None
    fleet: str


NOBODY = Trust(None, "")


def opened(trust: Trust, sealed: bytes) -> Deployment:
    """The deployment that `sealed` holds; raises Untrusted unless our key signed it for us."""
    key, fleet = trust
    if key is None:
        raise Untrusted("this worker has no scripts.key, so it trusts no script")
    signature, _, body = sealed.partition(b"\n")
    if not hmac.compare_digest(signature, _signature(key, body)):
        raise Untrusted("it is not signed with the fleet's key: put it again if that was changed")
    try:
        deployment = Deployment.model_validate_json(body)
    except ValidationError as error:
        raise Untrusted(f"it is of another release: {error.error_count()} field(s)") from error
    if deployment.fleet != fleet:
        raise Untrusted(f"it was signed for the fleet {deployment.fleet!r}, this is {fleet!r}")
    return deployment


def _signature(key: bytes, body: bytes) -> bytes:
    return hmac.new(key, PURPOSE + body, hashlib.sha256).hexdigest().encode()
