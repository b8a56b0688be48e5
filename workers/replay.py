"""The same rows and signals as the live fleet gives, from files and without a server."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from streams.decode import Decoder
from streams.keys import shard_of
from streams.producer import pack_frame
from streams.records import EntryId, Fields
from streams.signals import Signal, Values
from workers.files import TickChunk, read_ticks
from workers.processor import advance
from workers.program import Program
from workers.settings import Settings
from workers.state import ShardState
from workers.takeover import new_state

OPTIONAL = ("valid_until", "degraded", "partial")  # left out where there is nothing to say

type Item = Signal | Values
type OnBytes = Callable[[int, int], None]


def replay(
    paths: Sequence[Path], settings: Settings, on_bytes: OnBytes | None = None
) -> Iterator[Item]:
    """What a fleet with these settings publishes for these ticks, file after file.

    A bar that no later tick closes stays open: a file has no clock. `entry` and `ts_publish`
    are of a run, not of the data: here they are the number of the chunk, and 0.
    Raises: FileError, SettingsError.
    """
    program = Program(settings.plans)
    lanes: dict[int, _Lane] = {}
    for number, chunk in enumerate(read_ticks(paths, on_bytes), start=1):
        home = np.array([shard_of(symbol, settings.shards) for symbol in chunk.symbols])
        homes = home[chunk.symbol]
        for shard in np.unique(homes).tolist():
            if shard not in lanes:
                lanes[shard] = _Lane(shard, program, settings)
            rows = np.flatnonzero(homes == shard)
            yield from lanes[shard].advance(chunk, rows, EntryId(0, number))


class _Lane:
    """One shard of the replay: what a worker would hold of it."""

    def __init__(self, shard: int, program: Program, settings: Settings) -> None:
        self._program = program
        self._state: ShardState = new_state(program, settings.worker)
        self._decoder = Decoder(str(shard), self._state.symbols, shards=settings.shards)

    def advance(self, chunk: TickChunk, rows: Any, entry: EntryId) -> Iterator[Item]:
        for batch in self._decoder.frame(pack_frame(chunk, rows), entry):
            output = advance(self._program, self._state, batch, now_ns=0)
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
