"""Who conducts, what a heartbeat costs, and whether each worker gets its part."""

from itertools import pairwise

import orjson

from streams.connection import Link, connect
from streams.keys import Keys
from tests.conftest import Server
from tests.workers.fleet import wait_until
from workers.conductor import Conductor, Part
from workers.load import ShardLoad
from workers.membership import SHARED, Membership
from workers.stealing import StealPolicy

ALIVE_MS = 60_000
SHARDS = [str(number) for number in range(24)]


def joined(link: Link, names: list[str], *, alive_ms: int = ALIVE_MS) -> dict[str, Membership]:
    """Members that hold nothing yet; the first of them conducts."""
    members = {name: Membership(link, Keys(), name, alive_ms=alive_ms) for name in names}
    for member in members.values():
        member.beat((), {}, {})
    return members


def conducted(member: Membership) -> dict[str, Part]:
    """One turn of the conductor."""
    view = member.view()
    parts = Conductor(SHARDS, StealPolicy()).parts(view, view.loads, measured=True)
    member.direct({name: part.told() for name, part in parts.items()}, view.now_ms)
    return parts


def test_one_worker_conducts_and_all_hear_their_part(server: Server) -> None:
    with connect(server.url) as link:
        members = joined(link, ["one", "two", "three"])
        assert [member.beat((), {}, {}).conducts for member in members.values()] == [True, 0, 0]
        parts = conducted(members["one"])
        assert sorted(shard for part in parts.values() for shard in part.free) == sorted(SHARDS)
        for name, member in members.items():
            part = Part.heard(member.beat((), {}, {}).part or b"")
            assert part == parts[name]
            assert len(part.wanted) == 8
        held = {name: part.wanted for name, part in parts.items()}
        # A fourth one comes: what it gets, the others are told to give it, and to no one else.
        members |= joined(link, ["four"])
        for name, shards in held.items():
            members[name].beat(shards, {}, {})
        parts = conducted(members["one"])
        given = {shard: to for part in parts.values() for shard, to in part.give.items()}
        assert set(given.values()) == {"four"}
        assert set(given) == set(parts["four"].wanted)
        assert parts["four"].free == ()  # they are still with their owners


def test_another_conducts_when_the_conductor_leaves_or_falls_silent(server: Server) -> None:
    with connect(server.url) as link:
        members = joined(link, ["one", "two", "three"])
        members["one"].leave()
        assert members["two"].beat((), {}, {}).conducts
        assert not members["one"].beat((), {}, {}).conducts
        short = joined(link, ["four"], alive_ms=50)
        members["two"].leave()
        assert short["four"].beat((), {}, {}).conducts
        wait_until(lambda: members["three"].beat((), {}, {}).conducts, "the silent one is replaced")
        assert not short["four"].beat((), {}, {}).conducts


def test_the_shards_of_workers_that_leave_go_to_those_that_stay(server: Server) -> None:
    with connect(server.url) as link:
        members = joined(link, ["one", "two", "three", "four"])
        assert members["one"].resign()  # it conducted
        assert members["two"].resign()
        assert not members["one"].beat(tuple(SHARDS[:12]), {}, {}).conducts
        members["two"].beat(tuple(SHARDS[12:18]), {}, {})
        assert members["three"].beat(tuple(SHARDS[18:]), {}, {}).conducts
        parts = conducted(members["three"])
        assert set(parts["one"].give) == set(SHARDS[:12])
        assert set(parts["two"].give) == set(SHARDS[12:18])
        assert {*parts["one"].give.values(), *parts["two"].give.values()} == {"three", "four"}
        assert parts["one"].wanted == parts["two"].wanted == ()
        # A shard on its way to one that leaves is still with its owner.
        members["one"].beat(("0",), {}, {})
        members["three"].beat(("1",), {}, {"1": "one"})
        assert members["three"].view().owners == {**members["four"].view().owners, "1": "three"}
        members["four"].leave()
        assert members["three"].resign() is False


def test_only_those_whose_part_has_changed_are_woken(server: Server) -> None:
    with connect(server.url) as link, link.client.pubsub() as heard:
        members = joined(link, ["one", "two", "three"])
        heard.subscribe(*(Keys().wake(name) for name in members))
        for _ in members:
            assert heard.get_message(timeout=60)["type"] == "subscribe"
        members["one"].direct({"one": b"a", "two": b"b", "three": b"c"}, 1)
        members["one"].direct({"one": b"z", "two": b"b", "three": b"d"}, 2)
        members["two"].leave()
        told = [heard.get_message(timeout=60)["channel"].decode() for _ in range(4)]
        two, three, one = (Keys().wake(name) for name in ("two", "three", "one"))
        assert set(told[:2]) == {two, three}
        assert told[2:] == [three, one]  # its part; the conductor hears that one has left


def test_what_the_server_lost_is_told_again(server: Server) -> None:
    with connect(server.url) as link:
        members = joined(link, ["one", "two"])
        conducted(members["one"])
        link.client.delete(Keys().loads, Keys().parts)

        def is_back() -> bool:
            members["two"].beat(("3",), {}, {})
            conducted(members["one"])
            return len(members["two"].beat(("3",), {}, {}).part or b"") > 0

        wait_until(is_back, "the part is there again")
        assert members["one"].view().owners["3"] == "two"


def moved(link: Link) -> int:
    """Bytes that ever went to the server and came from it."""
    told = link.client.info("stats")
    return int(told["total_net_input_bytes"] + told["total_net_output_bytes"])


def test_a_heartbeat_costs_the_same_in_a_fleet_of_any_size(server: Server) -> None:
    loads = {shard: ShardLoad(arrival=1e3, backlog=5.0, rate=1e6, hot="AAA") for shard in SHARDS}
    costs = []
    with connect(server.url) as link:
        members = joined(link, ["one", "two"])
        for more in (2, 200):
            others = joined(link, [f"more-{number}" for number in range(more)])
            for member in others.values():
                member.beat(tuple(SHARDS), loads, {})
            conducted(members["one"])
            seen = [moved(link)]
            for _ in range(10):
                members["two"].beat(("1",), {"1": loads["1"]}, {})
                seen.append(moved(link))
            # The least of them: where time passed meanwhile, it was told again what it knew.
            costs.append(min(later - before for before, later in pairwise(seen)))
    assert costs[1] < 1.2 * costs[0]


def test_the_conductor_tells_the_others_what_is_for_all(server: Server) -> None:
    with connect(server.url) as link:
        members = joined(link, ["one", "two"])
        shared = orjson.dumps({"at_ms": 1, "required": {"reason": "why"}})
        members["one"].direct({SHARED: shared}, 1)
        assert members["two"].beat((), {}, {}).shared == shared
