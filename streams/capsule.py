"""A snapshot in its hash: a header, and the payload in chunks that no single command outgrows."""

from typing import Any
from zlib import crc32

from streams.errors import Malformed
from streams.records import EntryId, Snapshot

CHUNK_BYTES = 4 << 20
LOAD_TRIES = 5  # a new snapshot may take the place of the old one while that is read
HEADER = ("entry", "entries", "digest", "version", "bytes", "chunks", "prefix", "check")


def prefix(fence: int, snapshot: Snapshot) -> str:
    """How the fields of this snapshot's chunks begin."""
    return f"chunk:{fence}:{snapshot.entry}:"


def chunks(payload: bytes) -> list[bytes]:
    """The payload in pieces."""
    return [payload[at : at + CHUNK_BYTES] for at in range(0, len(payload), CHUNK_BYTES)]


def header(snapshot: Snapshot, pieces: int, start: str) -> list[str]:
    """The values of the header's fields, in the order of the function that seals it."""
    return [
        str(snapshot.entry),
        str(snapshot.entries),
        snapshot.digest,
        str(snapshot.version),
        str(len(snapshot.payload)),
        str(pieces),
        start,
        str(crc32(snapshot.payload)),
    ]


def load(client: Any, key: str) -> Snapshot | None:
    """The sealed snapshot, or None; raises Malformed when it does not match its header."""
    for _ in range(LOAD_TRIES):
        fields = client.hmget(key, HEADER)
        if fields[0] is None:
            return None
        entry, entries, digest, version, size, pieces, start, check = (
            (field or b"").decode() for field in fields
        )
        names = [f"{start}{number}" for number in range(int(pieces))]
        parts = [client.hget(key, name) for name in names]
        if None in parts:
            continue
        payload = b"".join(parts)
        if len(payload) != int(size) or crc32(payload) != int(check):
            raise Malformed(f"{key}: {len(payload)} bytes that do not match the header's {size}")
        return Snapshot(EntryId.parse(entry), int(entries), digest, int(version), payload)
    raise Malformed(f"{key}: chunks are missing")
