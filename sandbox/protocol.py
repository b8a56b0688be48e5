"""The worker's reading of what a jail says: all of it is hostile until it has passed here.

Pure functions over bytes. Whatever they refuse is a protocol violation, because the code in
the jail that writes replies is ours: only a taken-over jail says anything else.
"""

import math
import re
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import orjson

from sandbox.errors import JailFailed
from sandbox.limits import Limits
from sandbox.report import Finding, Report
from sandbox.results import Failure, Results, Signal
from sandbox.rules import RULES
from sandbox.vetting import FINDINGS_MAX, SEEN_CHARS_MAX
from sandbox.wire import (
    CELL_BYTES,
    ERRORS_MAX,
    FIELDS_MAX,
    NAME_CHARS_MAX,
    REPLY_BYTES,
    TEXT_CHARS_MAX,
    Reply,
    Request,
    Status,
)

LIMIT_NAMES: Final = frozenset(Limits.__dataclass_fields__)
TRACEBACK_LINES_MAX: Final = 10
_TRACE: Final = re.compile(rb'File "<script>", line (\d{1,6}) in (\w{1,64})')
_UNWANTED: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
Json = Any


def violation(what: str) -> JailFailed:
    """The error for a jail that does not keep the protocol."""
    return JailFailed("protocol", f"the script's process broke the protocol: {what}")


def read_reply(raw: bytes, request: Request, outbound_bytes: int) -> Reply:
    """The reply to `request`; every field is checked against what may be asked for."""
    if len(raw) != REPLY_BYTES:
        raise violation("a reply of the wrong size")
    reply = Reply.unpack(raw)
    if (reply.op, reply.sequence) != (request.op, request.sequence):
        raise violation("a reply to another request")
    if reply.status not in (Status.DONE, Status.REFUSED):
        raise violation("a reply of unknown status")
    if reply.rows not in (0, request.rows):
        raise violation("a reply with another number of rows")
    if reply.rows * CELL_BYTES + reply.length > outbound_bytes:
        raise violation("a reply longer than its memory")
    return reply


def read_json(blob: bytes) -> Json:
    """The JSON of a reply."""
    try:
        return orjson.loads(blob)
    except (orjson.JSONDecodeError, RecursionError):
        raise violation("a reply that is no JSON") from None


def clean(text: str, length_max: int = TEXT_CHARS_MAX) -> str:
    """Text that cannot move a cursor, hide or reorder: safe to print and to log."""
    return _UNWANTED.sub("?", text[:length_max])


def read_traceback(complaints: bytes) -> tuple[str, ...]:
    """The script's lines in a faulthandler dump, newest first."""
    found = _TRACE.findall(complaints)[:TRACEBACK_LINES_MAX]
    return tuple(f"line {int(line)} in {name.decode('ascii')}" for line, name in found)


# --- the shapes of answers


def read_results(numbers: bytes, blob: bytes, rows: int, limits: Limits) -> Results:
    """What one batch gave."""
    column = np.frombuffer(numbers, np.float64).copy()
    if len(column) != rows or np.isinf(column).any():
        raise violation("a column of numbers that is not one finite number or NaN a row")
    if len(blob) > limits.output_bytes_max:
        raise violation("more output than output_bytes_max")
    events = _dict(read_json(blob) if blob else {})
    said_max = limits.signals_per_bar_max + limits.outputs_max
    unknown = set(events) - _PARTS
    if unknown:
        raise violation("an unknown part in the results")
    return Results(
        numbers=column,
        signals=tuple(_list(events.get("signals"), _signal(rows), rows * said_max)),
        outputs=tuple(_list(events.get("outputs"), _output(rows, limits), rows)),
        errors=tuple(_list(events.get("errors"), _failure(rows), ERRORS_MAX)),
        errors_total=_whole(events.get("errors_total", 0), rows),
        log=tuple(_list(events.get("log"), _line(rows), limits.log_lines_max)),
        log_dropped=_whole(events.get("log_dropped", 0), 2**53),
        signals_cut=_whole(events.get("signals_cut", 0), 2**53),
        limits=tuple(_list(events.get("limits"), _limit, len(LIMIT_NAMES))),
    )


_PARTS: Final = frozenset(
    ["signals", "signals_cut", "outputs", "errors", "errors_total", "log", "log_dropped", "limits"]
)


def read_report(content: Json, digest: str) -> Report:
    """A vetting report; the digest is ours, not the jail's."""
    report = _dict(content)
    style = report.get("style")
    if style not in ("imperative", "declarative", "unknown"):
        raise violation("a report of unknown style")
    findings = tuple(_list(report.get("findings"), _finding, FINDINGS_MAX))
    return Report(digest, style, findings)


def read_refusal(content: Json) -> tuple[int, str]:
    """Line and text of what went wrong in the jail."""
    refusal = _dict(content)
    return _whole(refusal.get("line", 0), 10**6), _text(refusal.get("error", ""))


def read_capsules(content: Json, slots: list[int], limits: Limits) -> dict[int, bytes]:
    """Saved state of exactly the slots that were asked for."""
    saved: dict[int, bytes] = {}
    for slot, capsule in _list(content, _pair, len(slots)):
        if type(slot) is not int or not isinstance(capsule, str):
            raise violation("saved state of the wrong shape")
        blob = capsule.encode("utf-8", "replace")
        if len(blob) > limits.state_bytes_max:
            raise violation("more state than state_bytes_max")
        saved[slot] = blob
    if list(saved) != slots:
        raise violation("saved state of other instruments")
    return saved


def _dict(value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise violation("something else where an object belongs")
    return value


def _list[T](value: Json, read: Callable[[Json], T], length_max: int) -> list[T]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > length_max:
        raise violation("a list that is none, or too long")
    return [read(item) for item in value]


def _pair(value: Json) -> tuple[Json, Json]:
    first, second = _items(value, 2)
    return first, second


def _items(value: Json, count: int) -> Any:
    if not isinstance(value, list) or len(value) != count:
        raise violation("an item of the wrong shape")
    return tuple(value)


def _whole(value: Json, value_max: int) -> int:
    if type(value) is not int or not 0 <= value <= value_max:
        raise violation("a count out of range")
    return value


def _text(value: Json, length_max: int = TEXT_CHARS_MAX) -> str:
    if not isinstance(value, str):
        raise violation("something else where text belongs")
    return clean(value, length_max)


def _name(value: Json) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= NAME_CHARS_MAX:
        raise violation("a name of the wrong length")
    return clean(value)


def _number(value: Json) -> float | None:
    if value is None:
        return None
    if type(value) not in (int, float) or not math.isfinite(value):
        raise violation("something else where a number belongs")
    return float(value)


def _signal(rows: int) -> Callable[[Json], Signal]:
    def read(value: Json) -> Signal:
        row, name, number, fields = _items(value, 4)
        if not isinstance(fields, dict) or len(fields) > FIELDS_MAX:
            raise violation("signal fields of the wrong shape")
        kept = {_name(key): _field(item) for key, item in fields.items()}
        return Signal(_whole(row, rows - 1), _name(name), _number(number), kept)

    return read


def _field(value: Json) -> str | float | int | bool | None:
    if isinstance(value, str):
        return clean(value)
    if value is None or isinstance(value, bool | int):
        return value
    return _number(value)


def _output(rows: int, limits: Limits) -> Callable[[Json], tuple[int, dict[str, float | None]]]:
    def read(value: Json) -> tuple[int, dict[str, float | None]]:
        row, named = _items(value, 2)
        if not isinstance(named, dict) or len(named) > limits.outputs_max:
            raise violation("outputs of the wrong shape")
        return _whole(row, rows - 1), {_name(key): _number(item) for key, item in named.items()}

    return read


def _failure(rows: int) -> Callable[[Json], Failure]:
    def read(value: Json) -> Failure:
        row, line, text = _items(value, 3)
        return Failure(_whole(row, rows - 1), _whole(line, 10**6), _text(text))

    return read


def _line(rows: int) -> Callable[[Json], tuple[int, str]]:
    def read(value: Json) -> tuple[int, str]:
        row, text = _items(value, 2)
        return _whole(row, max(rows - 1, 0)), _text(text)

    return read


def _limit(value: Json) -> str:
    if not isinstance(value, str) or value not in LIMIT_NAMES:
        raise violation("a limit that there is not")
    return value


def _finding(value: Json) -> Finding:
    found = _dict(value)
    rule = found.get("rule")
    if not isinstance(rule, str) or rule not in RULES:
        raise violation("a finding of an unknown rule")
    line, column = _whole(found.get("line"), 10**6), _whole(found.get("column"), 10**6)
    seen = _text(found.get("seen"), SEEN_CHARS_MAX)
    return Finding(rule, RULES[rule].severity, line, column, seen, RULES[rule].instead)
