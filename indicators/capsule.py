"""State as bytes: versioned, checksummed, bound to the plan that made it."""

import struct
import zlib
from collections.abc import Buffer

from indicators.errors import CapsuleError

MAGIC = b"SFLT"
VERSION = 1
_HEADER = struct.Struct("<4sH32sQ")
"""Magic, version, digest of the plan, bytes of payload."""
_CHECKSUM = struct.Struct("<I")
"""Of header and payload, after both."""
LEAST = _HEADER.size + _CHECKSUM.size


def seal(digest: str, payload: Buffer) -> bytes:
    """The payload with what `unseal` checks. Cost: one copy, one pass for the checksum."""
    size = memoryview(payload).nbytes
    header = _HEADER.pack(MAGIC, VERSION, bytes.fromhex(digest), size)
    checksum = zlib.crc32(payload, zlib.crc32(header))
    return b"".join((header, payload, _CHECKSUM.pack(checksum)))


def unseal(digest: str, blob: bytes) -> memoryview:
    """The payload of a capsule, not copied; CapsuleError if it is damaged or another plan's."""
    if len(blob) < LEAST:
        raise CapsuleError(f"a capsule has {LEAST} bytes at least, this has {len(blob)}")
    magic, version, key, size = _HEADER.unpack_from(blob)
    if magic != MAGIC:
        raise CapsuleError(f"this is no capsule: it starts with {magic!r}, not {MAGIC!r}")
    if version != VERSION:
        raise CapsuleError(f"the capsule has version {version}, this engine reads {VERSION}")
    (checksum,) = _CHECKSUM.unpack(blob[-_CHECKSUM.size :])
    if len(blob) != LEAST + size or checksum != zlib.crc32(memoryview(blob)[: -_CHECKSUM.size]):
        raise CapsuleError(
            f"the capsule is damaged: {len(blob)} of {LEAST + size} bytes, or changed"
        )
    if key.hex() != digest:
        raise CapsuleError(f"the capsule is of plan {key.hex()[:12]}, wanted {digest[:12]}")
    return memoryview(blob)[_HEADER.size : -_CHECKSUM.size]
