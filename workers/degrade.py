"""What shedding does to a batch: pure, and the same for any cut of the log.

The bars themselves are always built in full, so that final bars, and forming rows after the tier
has ended, are bit for bit those of a run without load. What is saved is all that follows from
a row: indicators, rules, entries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from indicators.bars import BarRows
from streams.records import ZERO, EntryId
from workers.program import Feed, PlanProgram
from workers.rules import FINAL
from workers.shedding import (
    Priority,
    Shed,
    Tier,
    computes_every_forming_row,
    computes_forming_rows,
    runs_plan,
    runs_script,
    takes_ticks,
)
from workers.symbols import matching

CONFLATE_NS = 1_000_000_000  # tier 1: one forming row of an instrument in so much event time
NEVER = -1
NOTHING = Shed()

type Ints = NDArray[np.int64]
type Bools = NDArray[np.bool_]


@dataclass(slots=True)
class ShedState:
    """What a shard gives up now; part of its state, and saved with it."""

    tier: Tier = Tier.NOTHING
    low: tuple[str, ...] = ()  # patterns of the symbols whose ticks tier 4 drops
    shed: Shed = field(default_factory=Shed)  # given up since the tier began
    decided: EntryId = ZERO  # newest decision that is in force
    formed: dict[str, Ints] = field(default_factory=dict)  # by feed: the newest stretch, (slots,)
    dropped: Bools = field(
        default_factory=lambda: np.zeros(0, np.bool_)
    )  # ever by tier 4, (slots,)
    _is_low: Bools = field(default_factory=lambda: np.zeros(0, np.bool_))

    def enter(self, tier: Tier, low: Sequence[str]) -> None:
        """Give up what this tier does from the next entry on, and count anew."""
        self.tier, self.low, self.shed = tier, tuple(low), Shed()
        self.formed, self._is_low = {}, np.zeros(0, np.bool_)

    def refuses(self, slots: Ints, names: Sequence[str]) -> Bools | None:
        """Which rows are not applied, (rows,); None for none of them, as below tier 4."""
        if takes_ticks(self.tier, Priority.LOW) or not names:
            return None
        known = self._is_low.size
        if known < len(names):
            self._is_low = np.concatenate((self._is_low, matching(names[known:], self.low)))
        refused = (slots >= 0) & self._is_low[slots]
        if refused.any():
            self._mark(slots[refused], len(names))
        return refused

    def _mark(self, slots: Ints, size: int) -> None:
        grown = np.zeros(size, np.bool_)
        grown[: self.dropped.size] = self.dropped
        grown[slots] = True
        self.dropped = grown

    def thin(self, feed: Feed, rows: BarRows, ts: Ints) -> BarRows:
        """The rows that are computed: final ones always. `ts` is (ticks,), of the batch."""
        if computes_every_forming_row(self.tier) or rows.final.all():
            return rows
        keep = rows.final.copy()
        if computes_forming_rows(self.tier):
            forming = np.flatnonzero(~keep)
            stretch = ts[rows.row[forming]] // CONFLATE_NS
            keep[forming] = self._first_in_stretch(feed, rows.slot[forming], stretch)
        skipped = int(np.count_nonzero(~keep))
        self.shed += Shed(forming=skipped)
        return rows if not skipped else rows.take(np.flatnonzero(keep))

    def _first_in_stretch(self, feed: Feed, slots: Ints, stretch: Ints) -> Bools:
        """Which rows are in another stretch of time than the one before of their instrument."""
        name = "/".join(map(str, feed))
        formed = self.formed.get(name, np.zeros(0, np.int64))
        if formed.size <= slots.max():
            grown = np.full(2 * int(slots.max()) + 2, NEVER)
            grown[: formed.size] = formed
            formed = self.formed[name] = grown
        order = np.argsort(slots, kind="stable")
        slot, now = slots[order], stretch[order]
        starts = np.concatenate(([True], slot[1:] != slot[:-1]))
        before = np.concatenate(([NEVER], now[:-1]))
        before[starts] = formed[slot[starts]]
        ends = np.concatenate((starts[1:], [True]))
        formed[slot[ends]] = now[ends]
        first = np.empty(slots.size, np.bool_)
        first[order] = now != before
        return first

    def suspends(self, plan: PlanProgram, rows: int) -> bool:
        """Whether the plan is silent now; `rows` of its bars are then counted as shed.

        Its state goes on all the same: that is cheap beside what follows from a row, and when
        it speaks again it is exact.
        """
        silent = not runs_plan(self.tier, plan.priority)
        if silent:
            self.shed += Shed(plans=rows)
        return silent

    def suspends_script(self, plan: PlanProgram, bars: int) -> bool:
        """Whether a script of this plan is silent now; `bars` are then counted as shed."""
        silent = not runs_script(self.tier, plan.priority)
        if silent:
            self.shed += Shed(scripts=bars)
        return silent

    def mark(self, plan: PlanProgram, slot: int, status: int) -> str | None:
        """The tier that a signal or values entry was affected by, if one was."""
        if self.has_lost(slot):
            return str(int(Tier.TICKS))
        forms = plan.feed.forming_ns is not None
        return str(int(self.tier)) if self.tier and forms and status != FINAL else None

    def mark_said(self, slot: int, *, anew: bool) -> str | None:
        """The same of a script's signal; `anew` where a suspension cost it its state."""
        if self.has_lost(slot):
            return str(int(Tier.TICKS))
        return str(int(Tier.PLANS)) if anew else None

    def has_lost(self, slot: int) -> bool:
        """Whether an instrument has ever lost ticks to tier 4."""
        return slot < self.dropped.size and bool(self.dropped[slot])

    def save(self) -> bytes:
        """All of it as JSON."""
        return orjson.dumps(
            {
                "tier": int(self.tier),
                "low": self.low,
                "shed": [self.shed.forming, self.shed.scripts, self.shed.plans, self.shed.ticks],
                "decided": str(self.decided),
                "formed": {name: formed.tolist() for name, formed in self.formed.items()},
                "dropped": np.flatnonzero(self.dropped).tolist(),
            }
        )

    @classmethod
    def load(cls, blob: bytes) -> Self:
        """What `save` wrote; raises ValueError or KeyError for anything else."""
        told: Mapping[str, Any] = orjson.loads(blob)
        state = cls(
            tier=Tier(told["tier"]),
            low=tuple(told["low"]),
            shed=Shed(*told["shed"]),
            decided=EntryId.parse(told["decided"]),
            formed={name: np.array(formed, np.int64) for name, formed in told["formed"].items()},
        )
        if told["dropped"]:
            state._mark(np.array(told["dropped"]), max(told["dropped"]) + 1)
        return state


def since(before: Shed, after: Shed) -> Shed:
    """What was given up between two counts of one tier."""
    if after is before:
        return NOTHING
    return replace(
        after,
        forming=after.forming - before.forming,
        scripts=after.scripts - before.scripts,
        plans=after.plans - before.plans,
        ticks=after.ticks - before.ticks,
    )
