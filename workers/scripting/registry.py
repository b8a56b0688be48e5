"""Deployments, their history, the audit, and what scripts tell their authors, in Redis."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import time

import orjson

from streams.connection import Link, translation
from streams.keys import Keys
from workers.errors import FleetError
from workers.scripting.deployment import Deployment, Trust, opened

AUDIT_MAX = 10_000
HISTORY_MAX = 1_000
LOG_MAX = 1_000
VERSIONS_MAX = 100
MS_PER_S = 1_000

type Entry = tuple[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Line:
    """Something for a script's author."""

    script: str
    symbol: str
    ts: int
    text: str


class Registry:
    """The scripts of one fleet as the server holds them. All methods raise Unavailable."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._client, self._keys = link.client, keys

    def next_revision(self, script: str) -> int:
        """A number that no earlier deployment of the script has."""
        with translation():
            return int(self._client.hincrby(self._keys.script_revisions, script, 1))

    def publish(self, deployment: Deployment, sealed: bytes, *, action: str, by: str) -> None:
        """Make this the newest deployment of its script, and keep its version with the newest."""
        keys, name = self._keys, deployment.name
        said = {"action": action, "by": by, "revision": deployment.revision}
        if not deployment.removed:
            said["digest"] = deployment.digest
        with translation(), self._client.pipeline(transaction=False) as pipe:
            if not deployment.removed:
                pipe.hset(keys.script_versions(name), deployment.digest, sealed)
            pipe.xadd(keys.script_history(name), said, maxlen=HISTORY_MAX)
            pipe.hset(keys.scripts, name, sealed)
            pipe.execute()
        self._forget_oldest(name)

    def _forget_oldest(self, script: str) -> None:
        key = self._keys.script_versions(script)
        with translation():
            kept = {digest.decode() for digest in self._client.hkeys(key)}
        if len(kept) <= VERSIONS_MAX:
            return
        used = [entry["digest"] for _, entry in self.history(script) if "digest" in entry]
        newest = list(dict.fromkeys(reversed(used)))[:VERSIONS_MAX]
        with translation():
            self._client.hdel(key, *kept.difference(newest))

    def heads(self) -> dict[str, bytes]:
        """The newest deployment of each script, sealed."""
        with translation():
            found = self._client.hgetall(self._keys.scripts)
        return {name.decode(): sealed for name, sealed in sorted(found.items())}

    def head(self, script: str) -> bytes | None:
        """The newest deployment of one script, sealed."""
        with translation():
            sealed: bytes | None = self._client.hget(self._keys.scripts, script)
        return sealed

    def revisions(self) -> dict[str, int]:
        """The newest revision of each script."""
        with translation():
            found = self._client.hgetall(self._keys.script_revisions)
        return {name.decode(): int(revision) for name, revision in found.items()}

    def version(self, trust: Trust, script: str, digest: str) -> Deployment:
        """A version that is kept. Raises: FleetError if there is none, Untrusted."""
        with translation():
            sealed = self._client.hget(self._keys.script_versions(script), digest)
        if sealed is None:
            raise FleetError(f"script {script} has no version {digest}")
        return opened(trust, sealed)

    def history(self, script: str) -> list[Entry]:
        """What was done with a script, oldest first."""
        return self._entries(self._keys.script_history(script))

    def lines(self, script: str, count: int) -> list[Entry]:
        """The newest lines of a script's log, oldest first."""
        return self._entries(self._keys.script_log(script), count)

    def audit(self, decision: str, reason: str, about: Mapping[str, str], *, by: str) -> None:
        """Put a decision on record."""
        said = {"decision": decision, "reason": reason, "by": by, **about}
        with translation():
            self._client.xadd(self._keys.audit, said, maxlen=AUDIT_MAX)

    def tell(self, lines: Iterable[Line]) -> None:
        """Keep lines for the authors."""
        with translation(), self._client.pipeline(transaction=False) as pipe:
            for line in lines:
                said = {"symbol": line.symbol, "ts": line.ts, "text": line.text}
                pipe.xadd(self._keys.script_log(line.script), said, maxlen=LOG_MAX)
            pipe.execute()

    def report(self, status: Mapping[str, Mapping[str, object]]) -> None:
        """Say how scripts fare: by `script/shard`."""
        packed = {field: orjson.dumps({**said, "at": time()}) for field, said in status.items()}
        with translation():
            self._client.hset(self._keys.script_status, mapping=packed)

    def status(self, script: str) -> dict[str, dict[str, object]]:
        """How a script fares, by shard."""
        with translation():
            found = self._client.hgetall(self._keys.script_status)
        told = {field.decode(): orjson.loads(said) for field, said in found.items()}
        return {
            field.removeprefix(f"{script}/"): said
            for field, said in sorted(told.items())
            if field.startswith(f"{script}/")
        }

    def _entries(self, key: str, count: int | None = None) -> list[Entry]:
        with translation():
            found = self._client.xrevrange(key, count=count)
        return [
            (entry.decode(), {name.decode(): value.decode() for name, value in fields.items()})
            for entry, fields in reversed(found)
        ]
