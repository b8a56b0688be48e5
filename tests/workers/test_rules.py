"""When a rule speaks, against a plain-Python model of the same words."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from workers.rules import CELLS, FINAL, FORMING, REVISED, SILENT, Firing, fire

MINUTE_NS = 60_000_000_000
ON_CHANGE = Firing()


def run(
    conditions: list[float], final: list[bool], firing: Firing = ON_CHANGE, slots: int = 1
) -> tuple[list[int], list[int]]:
    bars = np.cumsum([0, *final[:-1]]) + 1
    status, ordinal = fire(
        firing,
        np.zeros((slots, CELLS)),
        np.zeros(len(conditions), np.int64),
        bars * MINUTE_NS,
        np.array(conditions),
        np.array(final),
    )
    return status.tolist(), ordinal.tolist()


def test_a_rule_speaks_when_its_condition_turns_true_and_not_while_it_stays_so() -> None:
    status, _ = run([0, 1, 1, 0, 1, np.nan, 1], [True] * 7)
    assert status == [SILENT, FINAL, SILENT, SILENT, FINAL, SILENT, FINAL]


def test_every_bar_speaks_on_each_bar_that_holds() -> None:
    assert run([1, 1, 0, 1], [True] * 4, Firing(every_bar=True))[0] == [FINAL, FINAL, SILENT, FINAL]


def test_cooldown_counts_from_the_bar_that_spoke() -> None:
    conditions = [1, 0, 1, 0, 1, 0, 1]
    status, _ = run(conditions, [True] * 7, Firing(cooldown_ns=3 * MINUTE_NS))
    assert [place for place, said in enumerate(status) if said] == [0, 4]


def test_forming_rows_speak_on_change_and_are_numbered_within_their_bar() -> None:
    status, ordinal = run([1, 1, 0, 1, 1], [False, False, False, False, True])
    assert status == [FORMING, SILENT, SILENT, FORMING, FINAL]
    assert ordinal == [1, 0, 0, 2, 0]


def test_a_forming_signal_that_the_close_does_not_confirm_is_revised() -> None:
    assert run([1, 0, 0], [False, True, True])[0] == [FORMING, REVISED, SILENT]


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 1.0, float("nan")]), st.booleans()), max_size=40),
    st.integers(0, 40),
)
def test_any_cut_of_the_rows_says_the_same(rows: list[tuple[float, bool]], cut: int) -> None:
    condition = np.array([row[0] for row in rows])
    final = np.array([row[1] for row in rows], dtype=np.bool_)
    slots = np.arange(len(rows), dtype=np.int64) % 3
    ts = np.arange(1, len(rows) + 1) * MINUTE_NS
    whole = fire(Firing(), np.zeros((3, CELLS)), slots, ts, condition, final)
    memory = np.zeros((3, CELLS))
    parts = [
        fire(Firing(), memory, slots[part], ts[part], condition[part], final[part])
        for part in (slice(0, cut), slice(cut, None))
    ]
    for column in (0, 1):
        assert np.array_equal(whole[column], np.concatenate([part[column] for part in parts]))
