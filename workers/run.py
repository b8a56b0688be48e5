"""A shard in the hands of its owner: its log, its lease, its state, and what is under way."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import monotonic

from streams.log import ShardLog
from streams.records import Commit, Control, Decided, EntryId, Lease, Snapshot
from workers.program import Program
from workers.scripting.host import ScriptHost
from workers.shedding import Shedding
from workers.state import CAPSULE_VERSION, ShardState, packed


@dataclass(slots=True)
class ShardRun:
    """A shard in the hands of its owner."""

    log: ShardLog
    lease: Lease
    program: Program
    state: ShardState
    work: Iterator[object] | None = None  # the batches that its scripts are still at
    pending: Commit | None = None
    snapshot_at: float = field(default_factory=monotonic)
    snapshot_entries: int = 0
    trimmed_at: float = 0.0
    silence_s: float = 0.0
    clock_ns: int = 0
    control: Control | None = None  # a deployment to obey before the next read
    successor: str | None = None  # set when the shard is to be given up
    parting_at: float | None = None  # when its last snapshot was begun
    uploading: bool = False
    host: ScriptHost = field(default_factory=ScriptHost)
    shedding: Shedding | None = None  # what the lag was found to be, None before it was weighed
    weigh_at: float = 0.0
    said: Counter[str] = field(default_factory=Counter)  # signals of its replay, by source
    undone: list[EntryId] = field(default_factory=list)  # shedding decisions that were taken back

    @property
    def shard(self) -> str:
        """Name of the shard."""
        return self.lease.shard

    @property
    def reads(self) -> bool:
        """Whether it may take more of its log now."""
        return self.control is None and self.work is None

    @property
    def decided(self) -> Decided:
        """The newest decisions that a capsule made now would know."""
        return Decided(self.state.scripts.decided, self.state.shedding.decided)

    def probe(self) -> Commit:
        """A commit of nothing: it is refused if the server is not where this state is."""
        upto = self.state.upto
        return Commit(self.shard, self.lease.fence, prev=upto, new=upto, entries=0)

    def copied(self) -> Callable[[], Snapshot]:
        """The state as of the last committed entry; to call it is to pack it, on any thread."""
        state, program = self.state, self.program
        upto, entries, raw = state.upto, state.entries, state.copied(program)
        return lambda: Snapshot(upto, entries, program.digest, CAPSULE_VERSION, packed(raw))

    def capsule(self) -> Snapshot:
        """The same, for the next owner."""
        return self.copied()()
