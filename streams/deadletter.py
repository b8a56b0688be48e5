"""Entries that can never be read: where they go, and in what words."""

from collections.abc import Mapping

import orjson

from streams.records import Fields, Reject

VALUE_BYTES_MAX = 512
FIELDS_MAX = 32


def readable(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """The fields as text; bytes that are no UTF-8 are escaped, long values are cut."""
    return {_text(name): _text(fields[name]) for name in list(fields)[:FIELDS_MAX]}


def encode(reject: Reject) -> Fields:
    """The flat fields of a dead letter: reason, entry, fields, and row and rows for a frame."""
    flat: list[bytes | str] = ["reason", reject.reason, "entry", str(reject.entry)]
    flat += ["fields", orjson.dumps(reject.fields).decode()]
    if reject.row is not None:
        flat += ["row", str(reject.row)]
    if reject.row is not None or reject.rows > 1:
        flat += ["rows", str(reject.rows)]
    return flat


def _text(value: bytes) -> str:
    text = value[:VALUE_BYTES_MAX].decode("utf-8", "backslashreplace")
    return text if len(value) <= VALUE_BYTES_MAX else f"{text}... ({len(value)} bytes)"
