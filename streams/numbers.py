"""Numbers out of bytes, in compiled code and in Python: the same accepted texts, the same bits.

The compiled readers say "not sure" for a rare rest (more than 19 digits, signs, extreme exponents,
ties); the caller then asks the Python reader, which is the definition.
"""

import math
import re
from decimal import Context, Decimal

import numpy as np

from streams.compiled import njit
from streams.errors import Malformed

NUMBER = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
NUMBER_BYTES_MAX = 64

DIGITS_MAX = 19  # what fits 64 bits
EXACT_MANTISSA = np.uint64(1 << 53)
EXACT_POWER = 22
POWERS_OF_TEN = np.array([float(10**power) for power in range(EXACT_POWER + 1)])
POWER_MAX = 64  # decimal exponents that the table of fives covers on either side of 0

TIME_DIGITS = {10: 9, 13: 6, 16: 3, 19: 0}  # digits before the point: zeros that make it ns
FIRST_NS = 10**18  # 2001-09-09
LAST_NS = 2**63 - 1  # 2262-04-11
NOT_SURE_NS = -1
EXACT = Context(prec=2 * NUMBER_BYTES_MAX)  # no digit of an accepted text is rounded

EXACT_FROM, EXACT_TO = -27, 55  # powers whose fives the table holds in full
TIE_FROM, TIE_TO = -4, 23  # powers at which a number can be half way between two doubles

ZERO_CHAR, NINE_CHAR, POINT, MINUS, PLUS = 48, 57, 46, 45, 43


def _five(power: int) -> int:
    """The 128 leading bits of 5**power; rounded up where a tie may hang on it."""
    if power >= 0:
        exact = int(5**power)
        shift = 128 - exact.bit_length()
        return exact << shift if shift >= 0 else exact >> -shift
    divisor = int(5**-power)
    quotient = (1 << (divisor.bit_length() + 2 * 128)) // divisor
    leading = quotient >> (quotient.bit_length() - 128)
    return leading + 1 if power >= EXACT_FROM else leading


_FIVES = [_five(power) for power in range(-POWER_MAX, POWER_MAX + 1)]
FIVES_HIGH = np.array([five >> 64 for five in _FIVES], np.uint64)
FIVES_LOW = np.array([five & (2**64 - 1) for five in _FIVES], np.uint64)

_ONE = np.uint64(1)
_THREE = np.uint64(3)
_32 = np.uint64(32)
_LOW_HALF = np.uint64(0xFFFFFFFF)
_LOW_NINE = np.uint64(0x1FF)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_63 = np.uint64(63)


@njit(cache=True, nogil=True, inline="always")
def _multiply(a, b):  # type: ignore[no-untyped-def]
    """Both halves (high, low) of the 128-bit product."""
    a_low, a_high = a & _LOW_HALF, a >> _32
    b_low, b_high = b & _LOW_HALF, b >> _32
    low = a_low * b_low
    middle = a_high * b_low + (low >> _32)
    other = a_low * b_high + (middle & _LOW_HALF)
    high = a_high * b_high + (middle >> _32) + (other >> _32)
    return high, (other << _32) | (low & _LOW_HALF)


@njit(cache=True, nogil=True)
def _scale(mantissa, power):  # type: ignore[no-untyped-def]
    """The double nearest to mantissa * 10**power, or NaN when 128 bits cannot tell.

    Source: Lemire (2021), Number Parsing at a Gigabyte per Second, algorithm 1
    """
    shift = np.uint64(0)
    while not (mantissa << shift) >> _63:
        shift += _ONE
    w = mantissa << shift
    high, low = _multiply(w, FIVES_HIGH[power + POWER_MAX])
    if high & _LOW_NINE == _LOW_NINE:
        carry, _ = _multiply(w, FIVES_LOW[power + POWER_MAX])
        low = low + carry
        if low < carry:
            high += _ONE
    if low == _ALL and not EXACT_FROM <= power <= EXACT_TO:
        return math.nan
    upper = high >> _63
    dropped = upper + np.uint64(9)
    bits = high >> dropped  # 54 bits: one more than a double keeps
    may_tie = low <= _ONE and TIE_FROM <= power <= TIE_TO
    if may_tie and bits & _THREE == _ONE and bits << dropped == high:
        bits -= _ONE  # half way: to the even one
    binary = ((217706 * power) >> 16) + 64 + np.int64(upper) - np.int64(shift)
    rounded = (bits + (bits & _ONE)) >> _ONE
    return math.ldexp(np.float64(np.int64(rounded)), binary - 53)


@njit(cache=True, nogil=True)
def read_float(data, start, stop):  # type: ignore[no-untyped-def]
    """The unsigned number in data[start:stop] as float() gives it; NaN when not sure."""
    mantissa = np.uint64(0)
    digits = power = 0
    seen = point = False
    at = start
    while at < stop:
        char = np.int64(data[at])
        if ZERO_CHAR <= char <= NINE_CHAR:
            mantissa = mantissa * np.uint64(10) + np.uint64(char - ZERO_CHAR)
            digits += mantissa != 0
            power -= point
            seen = True
        elif char == POINT and not point:
            point = True
        else:
            break
        at += 1
    if not seen or digits > DIGITS_MAX or stop - start > NUMBER_BYTES_MAX:
        return math.nan
    if at < stop:
        exponent = _read_exponent(data, at, stop)
        if exponent == POWER_MAX * 2:
            return math.nan
        power += exponent
    if mantissa == 0:
        return 0.0
    if mantissa < EXACT_MANTISSA and -EXACT_POWER <= power <= EXACT_POWER:
        whole = np.float64(np.int64(mantissa))
        return whole / POWERS_OF_TEN[-power] if power < 0 else whole * POWERS_OF_TEN[power]
    if power < -POWER_MAX or power > POWER_MAX:
        return math.nan
    return _scale(mantissa, power)


@njit(cache=True, nogil=True)
def _read_exponent(data, at, stop):  # type: ignore[no-untyped-def]
    """The exponent that starts with the e at data[at]; 2 * POWER_MAX when not sure."""
    not_sure = POWER_MAX * 2
    if data[at] | 32 != 101:
        return not_sure
    at += 1
    negative = False
    if at < stop and (data[at] == MINUS or data[at] == PLUS):
        negative = data[at] == MINUS
        at += 1
    if at == stop or stop - at > 2:
        return not_sure
    exponent = np.int64(0)
    while at < stop:
        char = np.int64(data[at])
        if char < ZERO_CHAR or char > NINE_CHAR:
            return not_sure
        exponent = exponent * 10 + char - ZERO_CHAR
        at += 1
    return -exponent if negative else exponent


@njit(cache=True, nogil=True)
def read_time(data, start, stop):  # type: ignore[no-untyped-def]
    """The time in data[start:stop] as ns since the epoch; NOT_SURE_NS when not sure."""
    if start == stop or data[start] == ZERO_CHAR or stop - start > NUMBER_BYTES_MAX:
        return NOT_SURE_NS
    value = np.uint64(0)
    at = start
    while at < stop and ZERO_CHAR <= data[at] <= NINE_CHAR and at - start < DIGITS_MAX:
        value = value * np.uint64(10) + np.uint64(data[at] - ZERO_CHAR)
        at += 1
    digits = at - start
    if digits != 10 and digits != 13 and digits != 16 and digits != 19:
        return NOT_SURE_NS
    if at < stop and data[at] == POINT:
        at += 1
        while at < stop and ZERO_CHAR <= data[at] <= NINE_CHAR:
            if digits < DIGITS_MAX:
                value = value * np.uint64(10) + np.uint64(data[at] - ZERO_CHAR)
                digits += 1
            at += 1
    if at != stop:
        return NOT_SURE_NS
    while digits < DIGITS_MAX:
        value *= np.uint64(10)
        digits += 1
    return np.int64(value) if value <= np.uint64(LAST_NS) else NOT_SURE_NS


def number(text: bytes, field: str, wanted: str) -> float:
    """The number that `text` spells; raises Malformed naming the field when it spells none."""
    if len(text) > NUMBER_BYTES_MAX or not NUMBER.fullmatch(text):
        raise Malformed(f"{field}: got {shown(text)}, wanted {wanted}")
    return float(text)


def time_ns(text: bytes, field: str) -> int:
    """The time that `text` spells in s, ms, us or ns, told apart by magnitude, in ns.

    Digits beyond the nanosecond are cut off. Raises Malformed naming the field.
    """
    wanted = "s, ms, us or ns since the epoch, 2001 to 2262"
    if len(text) > NUMBER_BYTES_MAX or not NUMBER.fullmatch(text):
        raise Malformed(f"{field}: got {shown(text)}, wanted {wanted}")
    value = Decimal(text.decode())
    zeros = TIME_DIGITS.get(value.adjusted() + 1)
    if zeros is not None and value > 0:
        ns = int(value.scaleb(zeros, EXACT))
        if ns <= LAST_NS:
            return ns
    raise Malformed(f"{field}: got {shown(text)}, wanted {wanted}")


SHOWN_BYTES_MAX = 48


def shown(value: object) -> str:
    """A value as a reason may quote it: printable ASCII, quoted, at most 48 bytes of it."""
    if isinstance(value, bytes):
        cut = value[:SHOWN_BYTES_MAX].decode("utf-8", "backslashreplace")
        more = len(value) > SHOWN_BYTES_MAX
    else:
        whole = value if isinstance(value, str) else repr(value)
        cut, more = whole[:SHOWN_BYTES_MAX], len(whole) > SHOWN_BYTES_MAX
    plain = cut.encode("unicode_escape").decode("ascii")
    return f"'{plain}{'...' if more else ''}'"
