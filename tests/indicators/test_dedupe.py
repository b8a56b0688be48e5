"""Repeated keys, against a deque in plain Python."""

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indicators.dedupe import SeenKeys, seen
from indicators.errors import IndicatorError

KEYS = st.lists(
    st.one_of(st.integers(0, 12), st.integers(2**64 - 6, 2**64 - 1)), min_size=1, max_size=120
)


def by_hand(keys: list[int], window: int) -> list[bool]:
    last: deque[int] = deque(maxlen=window)
    repeated = []
    for key in keys:
        repeated.append(key in last)
        if key and key not in last:
            last.append(key)
    return repeated


@settings(max_examples=200, deadline=None)
@given(keys=KEYS, window=st.integers(1, 9))
def test_a_row_repeats_when_its_key_is_among_the_last_different_ones(keys, window):
    got = seen(SeenKeys(window), np.array(keys, np.uint64))
    assert got.tolist() == by_hand(keys, window)


@settings(max_examples=100, deadline=None)
@given(keys=KEYS, window=st.integers(1, 9), cut=st.integers(0, 120))
def test_a_cut_with_a_save_and_a_load_changes_nothing(keys, window, cut):
    first = SeenKeys(window)
    before = seen(first, np.array(keys[:cut], np.uint64)).tolist()
    second = SeenKeys.load(window, first.save())
    after = seen(second, np.array(keys[cut:], np.uint64)).tolist()
    assert before + after == by_hand(keys, window)


def test_a_long_stream_in_a_full_table_is_told_right():
    random = np.random.default_rng(3)
    keys = random.integers(0, 3_000, 60_000).astype(np.uint64) << np.uint64(32)
    state, got = SeenKeys(1_000), []
    for piece in np.array_split(keys, 37):
        got += seen(state, piece).tolist()
    assert got == by_hand(keys.tolist(), 1_000)


def test_rows_without_a_key_never_repeat_and_push_nothing_out():
    assert seen(SeenKeys(1), np.array([7, 0, 0, 7], np.uint64)).tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("window", [0, -1, 2**40])
def test_a_window_out_of_bounds_is_refused(window):
    with pytest.raises(IndicatorError, match=f"dedupe window {window} is outside 1 to"):
        SeenKeys(window)


def test_a_capsule_that_is_not_whole_or_of_another_window_is_refused():
    state = SeenKeys(4)
    seen(state, np.array([1, 2, 3, 4, 5], np.uint64))
    blob = state.save()
    assert SeenKeys.load(4, blob).save() == blob
    refused = {
        "not a capsule of keys": b"SFBR" + blob[4:],
        "do not match their digest": blob[:-1] + b"\0",
        "version 2": blob[:4] + b"\2" + blob[5:],
    }
    for words, bad in refused.items():
        with pytest.raises(IndicatorError, match=words):
            SeenKeys.load(4, bad)
    with pytest.raises(IndicatorError, match="a window of 4, wanted 8"):
        SeenKeys.load(8, blob)
