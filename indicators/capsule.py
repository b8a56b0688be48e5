"""State as bytes: versioned, checksummed, bound to the plan that made it."""

import struct
import zlib

from indicators.errors import CapsuleError

MAGIC = b"SFLT"
VERSION = 1
_HEADER = struct.Struct("<4sHxx32sQI")
"""Magic, version, digest of the plan, bytes of payload, checksum of digest and payload."""


def seal(digest: str, payload: bytes) -> bytes:
    """The payload with a header that `unseal` checks."""
    key = bytes.fromhex(digest)
    checksum = zlib.crc32(payload, zlib.crc32(key))
    return _HEADER.pack(MAGIC, VERSION, key, len(payload), checksum) + payload


def unseal(digest: str, blob: bytes) -> bytes:
    """The payload of a capsule; CapsuleError if it is damaged or another plan's."""
    if len(blob) < _HEADER.size:
        raise CapsuleError(f"a capsule has {_HEADER.size} bytes at least, this has {len(blob)}")
    magic, version, key, size, checksum = _HEADER.unpack_from(blob)
    if magic != MAGIC:
        raise CapsuleError(f"this is no capsule: it starts with {magic!r}, not {MAGIC!r}")
    if version != VERSION:
        raise CapsuleError(f"the capsule has version {version}, this engine reads {VERSION}")
    payload = blob[_HEADER.size :]
    if len(payload) != size or zlib.crc32(payload, zlib.crc32(key)) != checksum:
        raise CapsuleError(f"the capsule is damaged: {len(payload)} of {size} bytes, or changed")
    if key.hex() != digest:
        raise CapsuleError(f"the capsule is of plan {key.hex()[:12]}, wanted {digest[:12]}")
    return payload
