"""Which worker should do what: worked out by one of them, from what all of them tell. Pure.

Were each to read what all tell, a fleet of 500 workers and 4,096 shards would move two gigabytes a
second to say nothing new.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import orjson

from workers.load import ShardLoad, backlogs_s, costs
from workers.membership import View
from workers.placement import place
from workers.stealing import Steal, StealPolicy, held, steal

MS_PER_S = 1_000


@dataclass(frozen=True, slots=True)
class Part:
    """What one worker is to do."""

    wanted: tuple[str, ...] = ()  # shards that should be here
    free: tuple[str, ...] = ()  # those of them that no one else says to hold
    give: Mapping[str, str] = field(default_factory=dict)  # shards that belong elsewhere: to whom
    stolen: Mapping[str, str] = field(default_factory=dict)  # the same, of those that idle ones ask

    def told(self) -> bytes:
        """The part as JSON."""
        return orjson.dumps(asdict(self))

    @classmethod
    def heard(cls, told: bytes) -> "Part":
        """What `told` gave."""
        about = orjson.loads(told)
        return cls(tuple(about["wanted"]), tuple(about["free"]), about["give"], about["stolen"])


class Conductor:
    """Works out the part of every worker; what was stolen stands until the next measurement."""

    def __init__(self, shards: Sequence[str], policy: StealPolicy) -> None:
        self._shards, self._policy = shards, policy
        self._steals: tuple[Steal, ...] = ()

    def parts(
        self, view: View, loads: Mapping[str, ShardLoad], *, measured: bool
    ) -> dict[str, Part]:
        """The part of each live worker, by name: those that stay get what the others give up."""
        names = sorted(peer.name for peer in view.peers if not peer.leaving)
        if not names:
            return {}
        owners, given = view.owners, view.given
        moved_s = {
            shard: load.moved_ms / MS_PER_S for shard, load in loads.items() if load.moved_ms
        }
        now_s = view.now_ms / MS_PER_S
        if measured:
            waiting = {s: work for s, work in backlogs_s(loads).items() if s not in given}
            self._steals = steal(
                owners,
                waiting,
                names,
                cost={s: load.cost for s, load in loads.items() if load.cost is not None},
                moved_s=moved_s,
                now_s=now_s,
                policy=self._policy,
            )
        # What is about to move counts as moved: the placement neither undoes nor repeats it.
        taken = {
            one.shard: one.taker
            for one in self._steals
            if one.taker in names and owners.get(one.shard) == one.giver
        }
        kept = held(moved_s, now_s, self._policy.window_s) | given.keys() | taken.keys()
        placed = place(
            self._shards, names, cost=costs(loads), current={**owners, **taken}, held=kept
        )
        return _divided(view, owners, placed, taken)


def _divided(
    view: View, owners: Mapping[str, str], placed: Mapping[str, str], taken: Mapping[str, str]
) -> dict[str, Part]:
    wanted: dict[str, list[str]] = {peer.name: [] for peer in view.peers}
    for shard, owner in placed.items():
        wanted[owner].append(shard)
    parts = {}
    for peer in view.peers:
        mine = wanted[peer.name]
        # A shard that we know nothing of is a source that only its worker is set to.
        due = {shard: placed.get(shard, peer.name) for shard in peer.shards}
        away = {shard: owner for shard, owner in due.items() if owner != peer.name}
        parts[peer.name] = Part(
            wanted=tuple(mine),
            free=tuple(shard for shard in mine if owners.get(shard, peer.name) == peer.name),
            give={shard: owner for shard, owner in away.items() if shard not in taken},
            stolen={shard: owner for shard, owner in away.items() if shard in taken},
        )
    return parts
