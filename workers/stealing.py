"""What idle workers ask of those that are behind, between two placements.

Placement follows the measured cost, which is a mean and slow; stealing follows the backlog, which
is now. Both keep their hands off a shard that moved a moment ago (`held`), so that they cannot
play ping-pong with it, alone or together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

type Floats = NDArray[np.float64]
type Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class StealPolicy:
    """When a worker may ask, and of whom.

    A shard's work is its backlog and the `horizon_s` to come: a handover takes its arrivals
    along, not its backlog alone. With a horizon of 10 s and a gain of 1 s the small neighbours of
    a shard that grew hot were not worth a handover: simulated, it lagged for 145 s, now for 25 s.
    """

    behind_s: float = 2.0  # backlog from which a worker gives
    room_s: float = 0.5  # backlog up to which a worker takes
    gain_s: float = 0.25  # what a handover must take off the higher of the two works
    horizon_s: float = 30.0
    window_s: float = 30.0  # in which a shard moves once


DEFAULT_POLICY = StealPolicy()


@dataclass(frozen=True, slots=True)
class Steal:
    """The taker asks the giver for the shard."""

    shard: str
    giver: str
    taker: str


@dataclass(slots=True)
class _Books:
    """Arrays by shard (`work_s`, `owner`, `free`) and by worker (`total_s`, `behind`)."""

    work_s: Floats
    owner: Indices
    free: NDArray[np.bool_]
    total_s: Floats
    behind: NDArray[np.bool_]


def held(moved_s: Mapping[str, float], now_s: float, window_s: float) -> frozenset[str]:
    """Shards that moved within the window; neither placement nor stealing moves them again."""
    return frozenset(shard for shard, at_s in moved_s.items() if now_s - at_s < window_s)


def steal(
    owners: Mapping[str, str],
    backlog_s: Mapping[str, float],
    workers: Sequence[str],
    *,
    cost: Mapping[str, float] | None = None,
    moved_s: Mapping[str, float] | None = None,
    now_s: float = 0.0,
    policy: StealPolicy = DEFAULT_POLICY,
) -> tuple[Steal, ...]:
    """Handovers that the whole fleet should ask for now: one at most for each idle worker.

    The conductor works it out, and each worker acts on its own lines. The idlest takes first, from
    the worker that is most behind, the shard that lowers the higher of their two works the most;
    a hot shard that is alone stays where it is. A worker with a shard of unknown backlog takes
    nothing, and such a shard is not given.
    """
    names = sorted(set(workers))
    index = {name: at for at, name in enumerate(names)}
    shards = sorted(shard for shard, owner in owners.items() if owner in index)
    if not shards:
        return ()
    owner = np.array([index[owners[shard]] for shard in shards], np.int64)
    backlog = np.array([backlog_s.get(shard, np.nan) for shard in shards])
    rate = np.array([(cost or {}).get(shard, 0.0) for shard in shards])
    kept = held(moved_s or {}, now_s, policy.window_s)
    work_s = np.nan_to_num(backlog) + policy.horizon_s * np.nan_to_num(rate)
    worker_backlog_s = _sums(owner, np.nan_to_num(backlog), len(names))
    books = _Books(
        work_s=work_s,
        owner=owner,
        free=~np.isnan(backlog) & np.array([shard not in kept for shard in shards]),
        total_s=_sums(owner, work_s, len(names)),
        behind=worker_backlog_s >= policy.behind_s,
    )
    idle = worker_backlog_s <= policy.room_s
    idle[owner[np.isnan(backlog)]] = False
    asked = _matches(books, np.flatnonzero(idle), policy.gain_s)
    return tuple(Steal(shards[at], names[giver], names[taker]) for at, giver, taker in asked)


def _sums(owner: Indices, values: Floats, workers: int) -> Floats:
    return np.bincount(owner, values, workers).astype(np.float64)


def _matches(books: _Books, idle: Indices, gain_s: float) -> list[tuple[int, int, int]]:
    """Find (shard, giver, taker) indices, the books kept as if each had been done.

    A giver with nothing for the idlest has nothing for a busier one, so it drops out.
    """
    found: list[tuple[int, int, int]] = []
    for taker in idle[np.argsort(books.total_s[idle], kind="stable")].tolist():
        while books.behind.any():
            giver = int(np.argmax(np.where(books.behind, books.total_s, -np.inf)))
            shard = _best(books, giver, taker, gain_s)
            if shard is not None:
                _hand_over(books, shard, taker)
                found.append((shard, giver, taker))
                break
            books.behind[giver] = False
    return found


def _best(books: _Books, giver: int, taker: int, gain_s: float) -> int | None:
    """Shard of the giver that lowers the higher of the two works most, by the gain at least."""
    own = np.flatnonzero((books.owner == giver) & books.free)
    if not len(own):
        return None
    work_s = books.work_s[own]
    higher_s = np.maximum(books.total_s[taker] + work_s, books.total_s[giver] - work_s)
    best = int(np.argmin(higher_s))
    return int(own[best]) if books.total_s[giver] - higher_s[best] >= gain_s else None


def _hand_over(books: _Books, shard: int, taker: int) -> None:
    books.total_s[books.owner[shard]] -= books.work_s[shard]
    books.total_s[taker] += books.work_s[shard]
    books.owner[shard], books.free[shard] = taker, False
