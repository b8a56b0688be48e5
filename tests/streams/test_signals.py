import dataclasses
import math

import numpy as np
import orjson
import pytest

from streams.errors import Malformed
from streams.records import EntryId, Fields
from streams.signals import Signal, Values, as_json, signal_id

SIGNAL = Signal(
    id="0" * 24,
    symbol="BTC-USD",
    name="oversold",
    timeframe="1m",
    ts=1763823060 * 10**9,
    status="final",
    value={"rsi": 28.1, "old": None},
    source="core@1a2b",
    entry=EntryId(1763823060001, 2),
    ts_event=1763823060 * 10**9,
    ts_publish=1763823060 * 10**9 + 5,
)


def read_back(fields: Fields) -> dict[bytes, bytes]:
    raw = [part.encode() if isinstance(part, str) else part for part in fields]
    return dict(zip(raw[::2], raw[1::2], strict=True))


def test_a_signal_reads_back_as_it_was_written() -> None:
    assert Signal.decode(read_back(SIGNAL.encode(5))) == dataclasses.replace(SIGNAL, seq=5)
    full = dataclasses.replace(SIGNAL, valid_until=7, degraded="late", value=0.1 + 0.2)
    assert Signal.decode(read_back(full.encode(6))) == dataclasses.replace(full, seq=6)


def test_the_fields_of_a_signal_are_in_the_order_of_the_contract() -> None:
    assert list(read_back(SIGNAL.encode(0))) == [
        b"id", b"seq", b"symbol", b"name", b"timeframe", b"ts", b"status", b"value", b"source",
        b"entry", b"ts_event", b"ts_publish",
    ]  # fmt: skip


def test_values_read_back_as_they_were_written_and_nan_is_null() -> None:
    values = Values("A", "1m", 9, "final", "core@1", {"RSI_14": 0.1 + 0.2, "x": math.nan})
    fields = read_back(values.encode(3))
    assert list(fields) == [b"symbol", b"timeframe", b"ts", b"status", b"source", b"seq", b"data"]
    assert fields[b"data"] == b'{"RSI_14":0.30000000000000004,"x":null}'
    assert Values.decode(fields).data == {"RSI_14": 0.1 + 0.2, "x": None}
    assert Values.decode(fields).seq == 3
    touched = dataclasses.replace(values, partial=True, degraded="4", data={})
    assert Values.decode(read_back(touched.encode(3))) == dataclasses.replace(touched, seq=3)


def test_numbers_are_the_shortest_decimals_that_read_back_equal() -> None:
    numbers = [1e-07, 0.1, 1.0, 123456789.123, 5e-324, 1.7976931348623157e308]
    assert orjson.loads(as_json(np.array(numbers))) == numbers
    assert as_json({"a": np.float64(0.1)}) == b'{"a":0.1}'


def test_an_id_hangs_on_each_of_its_parts_and_on_nothing_else() -> None:
    parts = {
        "source": "core@1",
        "name": "x",
        "symbol": "A",
        "timeframe": "1m",
        "ts": 60,
        "status": "final",
        "ordinal": 0,
    }
    first = signal_id(**parts)
    assert first == "f20397b071ae56e47220aaaf"  # on every run and machine
    changed = {
        signal_id(**(parts | {name: f"{value}0" if isinstance(value, str) else value + 1}))
        for name, value in parts.items()
    }
    assert len(changed | {first}) == len(parts) + 1
    assert signal_id(**(parts | {"name": "xA", "symbol": ""})) != first


@pytest.mark.parametrize("change", [{b"ts": b"x"}, {b"value": b"{"}, {b"entry": b"-"}])
def test_an_entry_that_is_no_signal_is_malformed(change: dict[bytes, bytes]) -> None:
    fields = read_back(SIGNAL.encode(0))
    with pytest.raises(Malformed, match="no signal"):
        Signal.decode(fields | change)
    del fields[b"symbol"]
    with pytest.raises(Malformed, match="symbol"):
        Signal.decode(fields)
