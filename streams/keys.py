"""Every key and channel of the fleet, built in one place."""

import re
from functools import lru_cache
from zlib import crc32

DEFAULT_NAME = "fleet"
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
OWN_SOURCE = re.compile(r"ticks:\{(\d+)\}")
TAG = re.compile(r"[^{]*\{([^}]+)\}")


def shard_of(symbol: str | bytes, shards: int) -> int:
    """Number of the shard that an instrument lives in, for ever."""
    return crc32(symbol.encode() if isinstance(symbol, str) else symbol) % shards


class Keys:
    """Keys of one fleet; a shard is named by its number ("7") or by its foreign source key.

    All keys of a shard share the hash slot of its source stream. Raises ValueError for a name or
    a source key from which no such key can be built.
    """

    def __init__(self, name: str = DEFAULT_NAME) -> None:
        if not NAME.fullmatch(name):
            raise ValueError(f"fleet name {name!r}: wanted 1 to 64 of A-Z a-z 0-9 . _ -")
        self.name = name
        self.group = name
        self._prefix = "" if name == DEFAULT_NAME else f"{name}:"

    def ticks(self, shard: str | int) -> str:
        """Source stream of a shard: shared by all fleets, so never prefixed."""
        return f"ticks:{{{shard}}}" if is_numbered(shard) else str(shard)

    def signals(self, shard: str | int) -> str:
        """Stream of signals."""
        return self._of("signals", shard)

    def values(self, shard: str | int) -> str:
        """Stream of indicator values."""
        return self._of("values", shard)

    def deadletter(self, shard: str | int) -> str:
        """Stream of entries that can never be read."""
        return self._of("deadletter", shard)

    def shard(self, shard: str | int) -> str:
        """Hash of fence, owner, cursor and counts."""
        return self._of("shard", shard)

    def snapshot(self, shard: str | int) -> str:
        """Hash of the newest state capsule and its chunks."""
        return self._of("snapshot", shard)

    def script_decisions(self, shard: str | int) -> str:
        """Stream of what was decided about scripts, each with the entry behind which it holds."""
        return self._of("scripts", shard)

    @property
    def scripts(self) -> str:
        """Hash of the newest signed deployment of each script."""
        return f"{self.name}:scripts"

    @property
    def script_revisions(self) -> str:
        """Hash of how often each script was deployed, removed or rolled back."""
        return f"{self.name}:scripts:revisions"

    @property
    def script_status(self) -> str:
        """Hash of how each script fares on each shard."""
        return f"{self.name}:scripts:status"

    def script_versions(self, script: str) -> str:
        """Hash of all versions of a script by their digest."""
        return f"{self.name}:script:{script}:versions"

    def script_history(self, script: str) -> str:
        """Stream of what was done with a script, oldest first."""
        return f"{self.name}:script:{script}:history"

    def script_log(self, script: str) -> str:
        """Stream of what a script printed and where it failed."""
        return f"{self.name}:script:{script}:log"

    @property
    def audit(self) -> str:
        """Stream of every decision about who may deploy what."""
        return f"{self.name}:audit"

    def shed(self, shard: str | int) -> str:
        """Stream of shedding decisions, each with the log entry behind which it holds."""
        return self._of("shed", shard)

    @property
    def workers(self) -> str:
        """Sorted set of live workers by heartbeat."""
        return f"{self.name}:workers"

    @property
    def loads(self) -> str:
        """Hash of what each worker says of itself."""
        return f"{self.name}:loads"

    @property
    def conductor(self) -> str:
        """Name of the worker that works out who does what, for as long as it says so."""
        return f"{self.name}:conductor"

    @property
    def parts(self) -> str:
        """Hash of what each worker is to do, and in the field `*` what the fleet needs."""
        return f"{self.name}:parts"

    @property
    def topology(self) -> str:
        """Hash of shard count and schema version."""
        return f"{self.name}:topology"

    @property
    def pressure(self) -> str:
        """Hash of the pressure on each shard, and on the fleet in the field `fleet`."""
        return f"{self.name}:pressure"

    @property
    def pressure_log(self) -> str:
        """Stream of the changes of pressure."""
        return f"{self.name}:pressure:log"

    @property
    def ledger(self) -> str:
        """Stream of what was shed, tier by tier, with exact counts."""
        return f"{self.name}:ledger"

    @property
    def decisions(self) -> str:
        """Stream of how many workers were required, and why."""
        return f"{self.name}:decisions"

    def wake(self, worker: str) -> str:
        """Channel on which a worker hears what is for it: a shard that is free, another part."""
        return f"{self.name}:wake:{worker}"

    def _of(self, kind: str, shard: str | int) -> str:
        return f"{self._prefix}{kind}:{_tagged(str(shard))}"


def is_numbered(shard: str | int) -> bool:
    """Whether a shard is one of `ticks:{n}` and not a foreign source stream."""
    return isinstance(shard, int) or (shard.isascii() and shard.isdigit())


@lru_cache
def shard_name(source: str) -> str:
    """Name of the shard that a source stream is: "7" for `ticks:{7}`, else the key itself."""
    own = OWN_SOURCE.fullmatch(source)
    return own[1] if own else source


@lru_cache
def _tagged(shard: str) -> str:
    """The shard with braces so placed that the server hashes the same bytes as in its source."""
    if shard.startswith("{") or not shard:
        raise ValueError(f"source key {shard!r}: a key that starts with a hash tag is not taken")
    if "}" not in shard:
        return f"{{{shard}}}"
    if TAG.match(shard):
        return shard
    raise ValueError(f"source key {shard!r}: a closing brace without a hash tag is not taken")
