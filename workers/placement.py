"""Who owns which shard: rendezvous hashing with bounded load, and what an idle worker may steal.

Everything here is a pure function of what all workers can read, so that every worker computes
the same answer without a coordinator. Where two of them read at different moments, the lease's
fencing token decides.

Load is the sum of the costs of a worker's shards. A shard's cost is measured: the busy seconds
that a second of its arrivals takes. It does not saturate when the worker does.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil, fsum, isfinite

import numpy as np
from numpy.typing import NDArray

type Hashes = NDArray[np.uint64]
type Indices = NDArray[np.int64]
type Mask = NDArray[np.bool_]

HOMELESS = -1
# Weights are whole numbers, so that sums are exact and the same in any order on any processor.
MEAN_WEIGHT = 1 << 20
# What holding a shard costs even when nothing arrives, as a share of the mean cost: without it
# all idle shards may end on one worker.
IDLE_SHARE = 0.05
# Far above what one instrument can cost; keeps a broken measurement from overflowing the mean.
COST_MAX = 1e9


@dataclass(frozen=True, slots=True)
class Balance:
    """How far a worker's load may be from the mean, as factors of that mean.

    The gap between `fill` (where placing stops) and `capacity` (where taking away begins) is
    the hysteresis: a worker that was just relieved must grow by all of it to be relieved again.
    """

    floor: float = 0.8  # a worker below it asks for more
    fill: float = 1.1  # a worker is given shards up to here
    capacity: float = 1.25  # a worker above it gives shards away
    margin: float = 0.05  # the least by which relief must lower a load


DEFAULT_BALANCE = Balance()


@dataclass(frozen=True, slots=True)
class _Limits:
    """`Balance` in weights, for the mean load of the workers that hold no hot shard."""

    floor: int
    fill: int
    capacity: int
    margin: int
    dust: int  # not worth asking for: below half the mean shard, and below the margin


@dataclass(slots=True)
class _Board:
    """One placement in the making: arrays by shard (`weight`, `owner`, `fixed`) and by worker."""

    weight: Indices
    owner: Indices
    fixed: Mask
    shard_hash: Hashes
    worker_hash: Hashes
    load: Indices
    count: Indices
    alone: Mask  # workers that a single hot shard fills

    def put(self, shard: int, worker: int) -> None:
        """Move the shard, and its weight with it."""
        before = self.owner[shard]
        if before != HOMELESS:
            self.load[before] -= self.weight[shard]
            self.count[before] -= 1
        self.owner[shard] = worker
        if worker != HOMELESS:
            self.load[worker] += self.weight[shard]
            self.count[worker] += 1


def place(
    shards: Sequence[str],
    workers: Sequence[str],
    *,
    cost: Mapping[str, float] | None = None,
    current: Mapping[str, str] | None = None,
    held: Collection[str] = (),
    balance: Balance = DEFAULT_BALANCE,
) -> dict[str, str]:
    """Owner of every shard, the same for the same inputs in any order, on any machine.

    A shard stays with its `current` owner while that one lives and its load is within bounds; a
    `held` one (it moved a moment ago) stays whatever the load. Placing what was placed moves
    nothing. A shard whose cost is above a worker's capacity is alone on its worker; it is left
    out of the mean. Of the others, no worker holds more than
    `max(capacity * mean, (1 + margin) * mean + its lightest shard)`, held ones apart.
    A joining worker asks for at most `ceil(shards / workers)`. A cost that is missing, negative
    or not finite counts as the mean of the others.

    Cost: 0.1 s for 4,096 shards on 500 workers from nothing, 10 ms when little changes.

    Raises ValueError where there is no worker.
    """
    shard_names, worker_names = sorted(set(shards)), sorted(set(workers))
    if not worker_names:
        raise ValueError(f"no live worker to place {len(shard_names)} shards on")
    if not shard_names:
        return {}
    weight = weights(shard_names, cost or {})
    board = _board(shard_names, worker_names, weight, current or {}, held)
    hot = _hot(weight, len(worker_names), balance.capacity)
    _seat_hot(board, hot)
    limits = _limits(board, hot, balance)
    _seat_homeless(board, limits)
    _settle(board, limits)
    return {
        name: worker_names[worker] for name, worker in zip(shard_names, board.owner, strict=True)
    }


def weights(shards: Sequence[str], cost: Mapping[str, float]) -> Indices:
    """Weight of each shard, int64 (shards,): its cost, and a little for being held at all.

    The mean cost is `MEAN_WEIGHT`.
    """
    known = {name: min(cost[name], COST_MAX) for name in shards if _is_known(cost.get(name))}
    mean = fsum(known.values()) / len(known) if known else 0.0
    if mean == 0.0:
        return np.full(len(shards), MEAN_WEIGHT, np.int64)
    factor = [known.get(name, mean) / mean + IDLE_SHARE for name in shards]
    weight: Indices = np.rint(np.array(factor) * MEAN_WEIGHT).astype(np.int64)
    return weight


def _is_known(cost: float | None) -> bool:
    return cost is not None and isfinite(cost) and cost >= 0


def _board(
    shards: list[str],
    workers: list[str],
    weight: Indices,
    current: Mapping[str, str],
    held: Collection[str],
) -> _Board:
    index = {name: at for at, name in enumerate(workers)}
    owner = np.array([index.get(current.get(name, ""), HOMELESS) for name in shards], np.int64)
    placed = owner != HOMELESS
    load = np.zeros(len(workers), np.int64)
    np.add.at(load, owner[placed], weight[placed])
    return _Board(
        weight=weight,
        owner=owner,
        fixed=placed & np.array([name in held for name in shards]),
        shard_hash=_hashes(shards, b"shard"),
        worker_hash=_hashes(workers, b"worker"),
        load=load,
        count=np.bincount(owner[placed], minlength=len(workers)).astype(np.int64),
        alone=np.zeros(len(workers), np.bool_),
    )


def _hashes(names: Iterable[str], person: bytes) -> Hashes:
    digests = (blake2b(name.encode(), digest_size=8, person=person).digest() for name in names)
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def _affinity(board: _Board, shard: int) -> Hashes:
    """How much the shard wants each worker, uint64 (workers,).

    Source: Thaler and Ravishankar (1998), rendezvous hashing; the finaliser of splitmix64
    """
    mixed: Hashes = board.worker_hash ^ board.shard_hash[shard]
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _hot(weight: Indices, workers: int, capacity: float) -> Indices:
    """Shards that are each more than a worker's capacity, heaviest first."""
    order = np.argsort(-weight, kind="stable")
    rest, hot = int(weight.sum()), 0
    while hot < min(len(order), workers - 1):
        heaviest = int(weight[order[hot]])
        if heaviest * (workers - hot) <= capacity * rest:
            break
        rest, hot = rest - heaviest, hot + 1
    return order[:hot]


def _seat_hot(board: _Board, hot: Indices) -> None:
    """Give every hot shard a worker of its own, and take that worker's other shards away."""
    crowded = []
    for shard in hot:
        worker = board.owner[shard]
        if worker == HOMELESS or board.alone[worker]:
            crowded.append(shard)
        else:
            board.alone[worker] = True
    for shard in crowded:
        if not board.fixed[shard]:
            worker = _least_loaded(board, shard)
            board.put(shard, worker)
            board.alone[worker] = True
    board.fixed[hot] = True
    for shard in np.flatnonzero(~board.fixed & (board.owner != HOMELESS)):
        if board.alone[board.owner[shard]]:
            board.put(shard, HOMELESS)


def _limits(board: _Board, hot: Indices, balance: Balance) -> _Limits:
    mild = np.delete(board.weight, hot)
    mean = int(mild.sum()) / int(np.sum(~board.alone))
    margin = int(balance.margin * mean)
    return _Limits(
        floor=int(balance.floor * mean),
        fill=int(balance.fill * mean),
        capacity=int(balance.capacity * mean),
        margin=margin,
        dust=min(margin, int(mild.sum()) // (2 * max(1, len(mild)))),
    )


def _seat_homeless(board: _Board, limits: _Limits) -> None:
    """Places what has no owner, heaviest first: the worker it wants most that has room.

    Source: Mirrokni, Thorup, Zadimoghaddam (2018), Consistent hashing with bounded loads
    """
    homeless = np.flatnonzero(board.owner == HOMELESS)
    for shard in homeless[np.argsort(-board.weight[homeless], kind="stable")]:
        board.put(shard, _wanted(board, shard, limits))


def _wanted(board: _Board, shard: int, limits: _Limits) -> int:
    fits = ~board.alone & (board.load + board.weight[shard] <= limits.fill)
    if not fits.any():
        return _least_loaded(board, shard)
    return _favourite(board, shard, fits)


def _least_loaded(board: _Board, shard: int) -> int:
    open_to = ~board.alone
    return _favourite(board, shard, open_to & (board.load == board.load[open_to].min()))


def _favourite(board: _Board, shard: int, among: Mask) -> int:
    return int(np.argmax(np.where(among, _affinity(board, shard), np.uint64(0))))


def _settle(board: _Board, limits: _Limits) -> None:
    """Fill workers below the floor and relieve those above capacity until no move helps.

    Every move takes from a higher load to one that stays lower than that, so the sum of the
    squared loads falls: it ends, and where it ended it ends again.
    """
    while _fill(board, limits) or _relieve(board, limits):
        pass


def _fill(board: _Board, limits: _Limits) -> bool:
    """Whether a worker below the floor was given a shard of the most loaded that can spare one."""
    share = ceil(len(board.weight) / len(board.load))
    poor = np.flatnonzero(~board.alone & (board.load < limits.floor) & (board.count < share))
    moved = False
    for taker in poor[np.argsort(board.load[poor], kind="stable")]:
        while board.count[taker] < share and board.load[taker] < limits.floor:
            shard = _spare(board, taker, limits)
            if shard is None:
                break
            board.put(shard, taker)
            moved = True
    return moved


def _spare(board: _Board, taker: int, limits: _Limits) -> int | None:
    """Heaviest shard, of the most loaded worker that may give one to the taker.

    The giver stays above the floor or above the taker, so it had more than the taker will have.
    """
    giver_load = board.load[board.owner]
    taken = board.load[taker] + board.weight
    kept = giver_load - board.weight
    fits = (
        ~board.fixed
        & (board.weight >= limits.dust)
        & (taken <= limits.fill)
        & (kept >= np.minimum(taken, limits.floor))
    )
    if not fits.any():
        return None
    fits &= giver_load == giver_load[fits].max()
    return int(np.argmax(np.where(fits, board.weight, -1)))


def _relieve(board: _Board, limits: _Limits) -> bool:
    """Whether a worker above capacity could give a shard away."""
    rich = np.flatnonzero(~board.alone & (board.load > limits.capacity))
    moved = False
    for giver in rich[np.argsort(-board.load[rich], kind="stable")]:
        while board.load[giver] > limits.fill:
            shard = _burden(board, giver, limits)
            if shard is None:
                break
            board.put(shard, _wanted(board, shard, limits))
            moved = True
    return moved


def _burden(board: _Board, giver: int, limits: _Limits) -> int | None:
    """Lightest shard that cures the giver's excess, or else its heaviest, if it may go."""
    own = np.flatnonzero((board.owner == giver) & ~board.fixed)
    lowest = board.load[~board.alone].min()
    own = own[lowest + board.weight[own] + limits.margin < board.load[giver]]
    if not len(own):
        return None
    own = own[np.argsort(board.weight[own], kind="stable")]
    cure = int(np.searchsorted(board.weight[own], board.load[giver] - limits.fill))
    return int(own[min(cure, len(own) - 1)])
