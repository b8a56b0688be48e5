"""What one worker works out for all: placement and stealing together leave a fleet at rest."""

from collections.abc import Mapping
from dataclasses import replace
from random import Random

import pytest

from workers.conductor import Conductor, Part
from workers.load import ShardLoad
from workers.membership import Peer, View
from workers.stealing import StealPolicy

NOW_MS = 1_000_000
RATE = 1_000.0
IDLE = ShardLoad(arrival=0.0, backlog=0.0, rate=RATE)


def seen(owners: Mapping[str, str], loads: Mapping[str, ShardLoad], workers: list[str]) -> View:
    """The view of a fleet that says so of itself."""
    held = {name: tuple(s for s, owner in owners.items() if owner == name) for name in workers}
    return View(
        NOW_MS, [Peer(name, 0, held[name], {s: loads[s] for s in held[name]}) for name in workers]
    )


def moves(parts: Mapping[str, Part]) -> dict[str, str]:
    """Who is to get which shard from another."""
    return {
        shard: to for part in parts.values() for shard, to in {**part.give, **part.stolen}.items()
    }


@pytest.mark.parametrize("seed", range(50))
def test_what_was_moved_as_told_is_not_followed_by_another_move(seed: int) -> None:
    random = Random(seed)
    workers = [f"w{number}" for number in range(random.randint(2, 5))]
    owners = {str(number): random.choice(workers) for number in range(24)}
    loads = {
        shard: ShardLoad(
            arrival=random.choice([0.0, 0.0, 20.0, 300.0]),
            backlog=random.choice([0.0, 0.0, 500.0, 9_000.0]),
            rate=RATE,
        )
        for shard in owners
    }
    conductor = Conductor(list(owners), StealPolicy())
    view = seen(owners, loads, workers)
    done = moves(conductor.parts(view, loads, measured=True))
    loads |= {shard: replace(loads[shard], moved_ms=NOW_MS) for shard in done}
    view = seen({**owners, **done}, loads, workers)
    assert moves(conductor.parts(view, loads, measured=False)) == {}


def test_a_shard_without_work_is_not_stolen() -> None:
    behind = ShardLoad(arrival=500.0, backlog=10_000.0, rate=RATE)
    loads = {"hot": behind, **dict.fromkeys(("1", "2", "3", "4", "5", "6", "7"), IDLE)}
    owners = dict.fromkeys(loads, "a") | {"6": "b", "7": "b"}
    parts = Conductor(list(loads), StealPolicy()).parts(
        seen(owners, loads, ["a", "b"]), loads, measured=True
    )
    assert parts["a"].stolen == {}


def test_a_source_that_the_conductor_is_not_set_to_stays_where_it_is() -> None:
    loads = dict.fromkeys(("0", "trades-A"), IDLE)
    view = seen({"0": "a", "trades-A": "a"}, loads, ["a", "b"])
    parts = Conductor(["0"], StealPolicy()).parts(view, loads, measured=True)
    assert moves(parts) == {}
