"""The shape of a fleet, written once: a worker that disagrees with it refuses to start."""

from streams.connection import Link, translation
from streams.keys import Keys
from workers.errors import FleetError
from workers.settings import Settings

SCHEMA_VERSION = 1


def agree(link: Link, keys: Keys, settings: Settings) -> None:
    """Write the shape of a new fleet, or check it. Raises: FleetError naming both numbers."""
    ours = {"shards": settings.shards, "schema": SCHEMA_VERSION}
    with translation():
        for field, number in ours.items():
            link.client.hsetnx(keys.topology, field, str(number))
        theirs = link.client.hgetall(keys.topology)
    for field, number in ours.items():
        agreed = int(theirs[field.encode()])
        if agreed != number:
            raise FleetError(
                f"{keys.topology}: this fleet has {field} {agreed}, this worker is set to {number}"
            )
