"""What a shard keeps of its scripts: their deployments, their state, and how they fare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from indicators import IndicatorError, Plan
from sandbox.errors import SandboxError
from sandbox.graph import Declared, declared
from sandbox.limits import Limits
from sandbox.script import Bars
from streams.records import ZERO, EntryId
from workers.scripting import waiting
from workers.scripting.access import allows
from workers.scripting.deployment import Deployment, Trust, Untrusted, opened

SPEAKS, CUT, QUARANTINED = "speaks", "cut", "quarantined"
LENGTH_BYTES: Final = 8

type Floats = NDArray[np.float64]
type Feed = tuple[str, int]  # timeframe, flat bars: what a script's state is about


@lru_cache(maxsize=256)
def _declared(graph: bytes, limits: Limits) -> tuple[Declared, Plan]:
    made = declared(orjson.loads(graph), limits)
    return made, made.plan()


@dataclass(slots=True)
class ScriptState:
    """One script on one shard. `bars` counts the rows it has spoken about as this version."""

    deployment: Deployment
    sealed: bytes
    feed: Feed | None = None
    bars: int = 0
    status: str = SPEAKS
    reason: str = ""
    strikes: int = 0
    cpu_ns: int = 0
    struck_ms: int = 0
    cells: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    levels: dict[str, Floats] = field(default_factory=dict)
    capsules: dict[int, bytes] = field(default_factory=dict)  # imperative: as last collected
    waiting: list[Bars] = field(default_factory=list)  # imperative: bars it has yet to see
    anew: bool = False  # more of them came than are kept: it has begun as if it had seen nothing
    previous: "ScriptState | None" = None  # the version before, kept until this one is proven
    covered: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))

    program: tuple[Declared, Plan] | None = None  # what a declarative one computes

    @classmethod
    def new(cls, deployment: Deployment, sealed: bytes) -> Self:
        """A script that has seen nothing."""
        state = cls(deployment, sealed)
        if deployment.graph is not None:
            limits = Limits(**deployment.limits)
            state.program = _declared(orjson.dumps(deployment.graph), limits)
        state.reset(None)
        return state

    @property
    def name(self) -> str:
        """Name of the script."""
        return self.deployment.name

    def reset(self, feed: Feed | None) -> None:
        """Forget all bars: from now on they are those of `feed`."""
        self.feed, self.capsules, self.waiting = feed, {}, []
        if self.program is not None:
            made, plan = self.program
            self.cells = plan.new_state(0)
            self.levels = {name: np.zeros(0) for name in made.outputs}

    def wait(self, bars: Bars) -> bool:
        """Keep bars for later; False where older ones had to go: it begins anew behind them."""
        lost = waiting.queue(self.waiting, bars)
        if lost:
            self.capsules, self.anew = {}, True
        return not lost

    def grow(self, slots: int) -> None:
        """Room for so many instruments in a declarative script's state."""
        if self.program is None or len(self.cells) >= slots:
            return
        more = max(slots, 2 * len(self.cells)) - len(self.cells)
        self.cells = np.concatenate((self.cells, np.zeros((more, self.cells.shape[1]))))
        self.levels = {
            name: np.concatenate((level, np.zeros(more))) for name, level in self.levels.items()
        }

    def covers(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Which slots the script may see, `(slots,)`."""
        fresh = [allows(name, self.deployment.symbols) for name in names[self.covered.size :]]
        if fresh:
            self.covered = np.concatenate((self.covered, np.array(fresh, np.bool_)))
        return self.covered

    def save(self) -> bytes:
        """All of it; `load` verifies the signature again."""
        about = {
            "feed": self.feed, "bars": self.bars, "status": self.status, "reason": self.reason,
            "strikes": self.strikes, "struck_ms": self.struck_ms, "cpu_ns": self.cpu_ns,
            "rows": len(self.cells),
            "capsules": {str(slot): blob.decode() for slot, blob in self.capsules.items()},
            "anew": self.anew,
        }  # fmt: skip
        bars = []
        if self.waiting:
            about["waiting"], cells = waiting.save(waiting.joint(self.waiting))
            bars.append(cells)
        previous = b"" if self.previous is None else self.previous.save()
        levels = [self.levels[name].tobytes() for name in self.levels]
        head = (orjson.dumps(about), self.sealed, previous, self.cells.tobytes())
        return pack([*head, *levels, *bars])

    @classmethod
    def load(cls, blob: bytes, trust: Trust) -> Self:
        """What `save` wrote. Raises: Untrusted, and ValueError or KeyError for other bytes."""
        head, sealed, previous, cells, *more = unpack(blob)
        about: dict[str, Any] = orjson.loads(head)
        state = cls.new(opened(trust, sealed), sealed)
        state.feed = None if about["feed"] is None else (about["feed"][0], about["feed"][1])
        state.bars, state.status, state.reason = about["bars"], about["status"], about["reason"]
        state.strikes, state.struck_ms = about["strikes"], about["struck_ms"]
        state.cpu_ns = about["cpu_ns"]
        state.capsules = {int(slot): text.encode() for slot, text in about["capsules"].items()}
        state.anew = about.get("anew", False)  # a release before this one knew no suspension
        if "waiting" in about:
            state.waiting = [waiting.load(about["waiting"], more.pop())]
        width = state.cells.shape[1]
        state.cells = np.frombuffer(cells).reshape(about["rows"], width).copy()
        state.levels = {
            name: np.frombuffer(level).copy()
            for name, level in zip(state.levels, more, strict=True)
        }
        state.previous = cls.load(previous, trust) if previous else None
        return state


@dataclass(slots=True)
class Scripts:
    """Every script of a shard, in the order of their names; part of the shard's state."""

    of: dict[str, ScriptState] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=dict)  # newest that was obeyed, by script
    decided: EntryId = ZERO  # newest decision that is in force
    refused: dict[str, str] = field(default_factory=dict)  # left out since it was loaded, and why

    def put(self, script: ScriptState) -> None:
        """Enter a script, in the place of one of its name."""
        self.of = dict(sorted({**self.of, script.name: script}.items()))

    def drop(self, name: str) -> None:
        """Take a script out."""
        self.of.pop(name, None)

    def hear(self, plan: str) -> bool:
        """Whether there is a script that speaks about this plan's bars."""
        return any(
            script.deployment.plan == plan and script.status == SPEAKS
            for script in self.of.values()
        )

    def save(self) -> bytes:
        """All of it."""
        about = {
            "revisions": self.revisions,
            "decided": str(self.decided),
            "names": list(self.of),
        }
        return pack([orjson.dumps(about), *(script.save() for script in self.of.values())])

    @classmethod
    def load(cls, blob: bytes, trust: Trust) -> Self:
        """What `save` wrote, without scripts that another key signed or nobody here can read.

        Raises: Untrusted where there are scripts and no key, ValueError, KeyError.
        """
        head, *saved = unpack(blob)
        about: Mapping[str, Any] = orjson.loads(head)
        scripts = cls({}, dict(about["revisions"]), EntryId.parse(about["decided"]))
        for name, one in zip(about["names"], saved, strict=True):
            try:
                scripts.put(ScriptState.load(one, trust))
            except Untrusted as error:
                if trust.key is None:
                    raise
                scripts.refused[name] = str(error)
            except (IndicatorError, SandboxError) as error:  # a later release may have put it
                scripts.refused[name] = str(error)
        return scripts


def proven(script: ScriptState) -> ScriptState:
    """The script without the version that it replaced."""
    return replace(script, previous=None)


def pack(sections: Sequence[bytes]) -> bytes:
    """Sections in one piece, each behind its length."""
    return b"".join(
        part for section in sections for part in (len(section).to_bytes(LENGTH_BYTES), section)
    )


def unpack(blob: bytes) -> list[bytes]:
    """The sections that `pack` joined; ValueError if they are cut off."""
    sections, at = [], 0
    while at < len(blob):
        start = at + LENGTH_BYTES
        at = start + int.from_bytes(blob[at:start])
        if at > len(blob):
            raise ValueError("a section is cut off")
        sections.append(blob[start:at])
    return sections
