import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.errors import Malformed
from streams.numbers import (
    NOT_SURE_NS,
    NUMBER,
    NUMBER_BYTES_MAX,
    number,
    read_float,
    read_time,
    time_ns,
)
from streams.symbols import padded

DIGITS = st.text("0123456789", max_size=22)
NUMBERS = st.one_of(
    st.floats(min_value=0, allow_infinity=False, allow_nan=False).map(repr),
    st.floats(min_value=1e-9, max_value=1e9).map(repr),
    st.floats(min_value=1e-30, max_value=1e30).map(repr),
    st.builds("{}.{}".format, DIGITS, DIGITS),
    st.builds("{}e{}".format, DIGITS, st.integers(-70, 70)),
    st.builds("{}e{}".format, st.integers(2**52, 2**57), st.integers(-6, 24)),  # many ties
    st.builds("{}.{}E+{}".format, DIGITS, DIGITS, st.integers(0, 40)),
    st.text("0123456789.eE+-_ xnif", max_size=12),
)


def compiled(text: str) -> float:
    data = text.encode()
    return float(read_float(padded(data), 0, len(data)))


@settings(max_examples=3000, deadline=None)
@given(NUMBERS)
@example("9007199254740993")  # a tie: half way between two doubles
@example("9007199254740993.0")
@example("46579312993548235e-1")
@example("1.7976931348623157e308")
@example("18446744073709551615")
@example("99999999999999999999")
@example("0.000000000000000000000000000000000000000000000000000000000000000000001")
def test_a_number_read_by_the_kernel_is_bit_for_bit_what_float_gives(text: str) -> None:
    value = compiled(text)
    if not math.isnan(value):
        assert NUMBER.fullmatch(text.encode())
        assert np.float64(value).tobytes() == np.float64(float(text)).tobytes()


@settings(max_examples=1000, deadline=None)
@given(st.floats(min_value=1e-12, max_value=1e15))
def test_the_kernel_reads_every_number_that_a_program_prints(price: float) -> None:
    assert compiled(repr(price)) == price


@pytest.mark.parametrize(
    "text", ["", ".", "e5", "1e", "1e+", "1..2", "1_0", " 1", "1 ", "0x1", "-"]
)
def test_what_is_no_number_is_refused_by_both_readers(text: str) -> None:
    assert math.isnan(compiled(text))
    with pytest.raises(Malformed, match=r"^price: got .*, wanted a number"):
        number(text.encode(), "price", "a number")


@settings(max_examples=1500, deadline=None)
@given(
    st.one_of(
        st.integers(0, 10**20).map(str),
        st.builds("{}.{}".format, st.integers(10**9, 10**10 - 1), DIGITS),
        st.builds("{}.{}".format, st.integers(10**12, 10**13 - 1), DIGITS),
        st.builds("{}.{}".format, st.integers(10**15, 10**16 - 1), DIGITS),
        st.builds("{}.{}".format, st.integers(10**18, 10**19 - 1), DIGITS),
        st.text("0123456789.e", max_size=25),
    )
)
@example("1763823000.9999999999999999999999")  # must be cut, not rounded
@example("9223372036854775807")
@example("9223372036854775808")
def test_a_time_read_by_the_kernel_is_the_time_that_python_reads(text: str) -> None:
    data = text.encode()
    ns = int(read_time(padded(data), 0, len(data)))
    if ns != NOT_SURE_NS:
        assert ns == time_ns(data, "ts")


@pytest.mark.parametrize(
    "text",
    [
        "1763823000",
        "1763823000.0",
        "1763823000000",
        "1763823000000000",
        "1763823000000000000",
        "1.763823e9",
        "+1763823000",
    ],
)
def test_a_time_in_any_unit_is_the_same_moment(text: str) -> None:
    assert time_ns(text.encode(), "ts") == 1763823000 * 10**9


@pytest.mark.parametrize(
    "text",
    ["0", "-1763823000", "999999999", "10000000000", "9223372036854775808", "nan", "now", "1e9999"],
)
def test_a_time_before_2001_or_after_2262_or_none_at_all_is_refused(text: str) -> None:
    with pytest.raises(Malformed, match=r"^ts: got .*, wanted s, ms, us or ns"):
        time_ns(text.encode(), "ts")


def test_a_text_of_many_digits_is_refused_by_both_readers() -> None:
    text = "0" * NUMBER_BYTES_MAX + "1"
    assert math.isnan(compiled(text))
    with pytest.raises(Malformed):
        number(text.encode(), "price", "a number")
