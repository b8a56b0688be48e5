"""What helm's typed client sends as Protocol Buffers: its releases, and options for deletion."""

import base64
from collections.abc import Iterator

from tests.helm.chart import Json

MAGIC = b"k8s\x00"
VARINT, BYTES = 0, 2
LABELS, ANNOTATIONS = 11, 12  # fields of an object's metadata


def decoded(body: bytes) -> Json:
    """The document in Kubernetes' envelope: a Secret, or DeleteOptions."""
    assert body.startswith(MAGIC)
    envelope = dict(_fields(body.removeprefix(MAGIC)))
    about = {number: _text(value) for number, value in _fields(envelope[1])}
    document = {"apiVersion": about[1], "kind": about[2]}
    content = list(_fields(envelope.get(2, b"")))
    if about[2] == "DeleteOptions":
        policies = [_text(value) for number, value in content if number == 4]
        return document | {"propagationPolicy": (policies or ["Background"])[0]}
    assert about[2] == "Secret", about
    data = dict(_entry(value) for number, value in content if number == 2)
    return document | {
        "metadata": _metadata(dict(content)[1]),
        "type": _text(dict(content)[3]),
        "data": {_text(key): base64.b64encode(value).decode() for key, value in data.items()},
    }


def _metadata(message: bytes) -> Json:
    found: Json = {"labels": {}}
    for number, value in _fields(message):
        if number == 1:
            found["name"] = _text(value)
        elif number == LABELS:
            key, label = _entry(value)
            found["labels"][_text(key)] = _text(label)
        else:
            assert number != ANNOTATIONS
    return found


def _entry(message: bytes) -> tuple[bytes, bytes]:
    entry = dict(_fields(message))
    return entry[1], entry.get(2, b"")


def _text(value: bytes) -> str:
    return value.decode()


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of each field that has a length; numbers of their own are left out."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        size, at = _varint(message, at)
        if tag & 7 == BYTES:
            yield tag >> 3, message[at : at + size]
            at += size
        else:
            assert tag & 7 == VARINT, "Kubernetes has no fixed numbers in what is read here"


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while message[at] & 0x80:
        value |= (message[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | message[at] << shift, at + 1
