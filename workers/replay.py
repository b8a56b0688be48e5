"""The same rows and signals as the live fleet gives, from files and without a server."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sandbox.pool import JailPool
from streams.decode import Decoder
from streams.keys import shard_of
from streams.producer import pack_frame
from streams.records import EntryId, Fields
from streams.signals import Signal, Values
from workers.files import TickChunk, read_ticks
from workers.processor import advance
from workers.program import Program
from workers.scripting.decisions import apply, ruling
from workers.scripting.deployment import Deployment
from workers.scripting.host import ScriptHost
from workers.scripting.stage import Account
from workers.scripting.state import ScriptState
from workers.settings import Settings
from workers.state import ShardState
from workers.takeover import new_state

OPTIONAL = ("valid_until", "degraded", "partial")  # left out where there is nothing to say

type Item = Signal | Values
type OnBytes = Callable[[int, int], None]


@dataclass(frozen=True)
class Cast:
    """The scripts of a replay; `told` hears what they print, and which of them failed and why."""

    deployments: Sequence[Deployment] = ()
    pool: JailPool | None = None
    told: Callable[[Account], None] = lambda account: None  # noqa: ARG005  # nobody listens


NO_SCRIPTS = Cast()


def replay(
    paths: Sequence[Path],
    settings: Settings,
    on_bytes: OnBytes | None = None,
    cast: Cast = NO_SCRIPTS,
) -> Iterator[Item]:
    """What a fleet with these settings publishes for these ticks, file after file.

    The scripts of `cast` are there from the first tick on. One that fails is in quarantine from
    then on: a pause would end by the wall clock, and a file has none. Nor does it have one to
    close the bars that no later tick closes. `entry` and `ts_publish` are of a run, not of the
    data: here they are the number of the chunk, and 0. Raises: FileError, SettingsError.
    """
    program = Program(settings.plans)
    lanes: dict[int, _Lane] = {}
    try:
        for number, chunk in enumerate(read_ticks(paths, on_bytes), start=1):
            home = np.array([shard_of(symbol, settings.shards) for symbol in chunk.symbols])
            homes = home[chunk.symbol]
            for shard in np.unique(homes).tolist():
                if shard not in lanes:
                    lanes[shard] = _Lane(shard, program, settings, cast)
                rows = np.flatnonzero(homes == shard)
                yield from lanes[shard].advance(chunk, rows, EntryId(0, number))
    finally:
        for lane in lanes.values():
            lane.host.close()


class _Lane:
    """One shard of the replay: what a worker would hold of it."""

    def __init__(self, shard: int, program: Program, settings: Settings, cast: Cast) -> None:
        self._program, self._told = program, cast.told
        self._state: ShardState = new_state(program, settings.worker)
        for deployment in cast.deployments:
            self._state.scripts.put(ScriptState.new(deployment, sealed=b""))
        self.host = ScriptHost(cast.pool, replaying=True)
        self._decoder = Decoder(str(shard), self._state.symbols, shards=settings.shards)

    def advance(self, chunk: TickChunk, rows: Any, entry: EntryId) -> Iterator[Item]:
        for batch in self._decoder.frame(pack_frame(chunk, rows), entry):
            output = advance(self._program, self._state, batch, now_ns=0, host=self.host)
            for fault in output.scripts.faults:
                apply(self._state.scripts, ruling(fault.script, "quarantine", fault.reason, 0))
                self.host.drop(fault.script.name)
            self._told(output.scripts)
            yield from (Values.decode(_mapping(fields)) for fields in output.values)
            yield from (Signal.decode(_mapping(fields)) for fields in output.signals)


def _mapping(fields: Fields) -> Mapping[bytes, bytes]:
    words = [word if isinstance(word, bytes) else word.encode() for word in fields]
    return dict(zip(words[::2], words[1::2], strict=True))


def as_json(item: Item) -> dict[str, Any]:
    """The item as a JSON object: what `fleet tail --json` and `fleet replay` print a line of."""
    about = asdict(item)
    for name in OPTIONAL:
        if about.get(name) in (None, False):
            about.pop(name, None)
    if isinstance(item, Signal):
        about["entry"] = str(item.entry)
    return about
