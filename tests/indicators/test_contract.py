"""What every indicator of the catalogue promises, whatever it computes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indicators import Plan, facts
from indicators.catalogue import CATALOGUE
from indicators.series import walk
from tests.indicators.subjects import (
    ROWS_A_DAY,
    built,
    categories,
    columns,
    cut,
    plan,
    run,
    same_bits,
)

ROWS = 400
BAD_ROW = 100
RECOVERY_ROWS_MAX = 240

every_category = pytest.mark.parametrize("category", categories())
few = settings(max_examples=12, deadline=None, derandomize=True)


@every_category
@few
@given(cuts=st.lists(st.integers(0, ROWS), max_size=8))
def test_any_cut_gives_the_same_bits(category: str, cuts: list[int]) -> None:
    subject, bars = plan(category), columns()
    whole = run(subject, bars)
    state, pieces = subject.new_state(1), []
    edges = [0, *sorted(cuts), ROWS]
    for start, stop in itertools.pairwise(edges):
        slots = np.zeros(stop - start, np.int64)
        pieces.append(subject.run(state, slots, cut(bars, start, stop)))
    for name, column in whole.items():
        assert same_bits(np.concatenate([piece[name] for piece in pieces]), column), name


@every_category
@few
@given(order=st.randoms(use_true_random=False))
def test_instruments_never_meet(category: str, order: object) -> None:
    subject, markets = plan(category), [columns(m) for m in ("walk", "coarse", "cheap")]
    turns = np.repeat(np.arange(3), ROWS)
    order.shuffle(turns)  # type: ignore[attr-defined]
    mixed = {name: np.empty(3 * ROWS) for name in markets[0]}
    for k, market in enumerate(markets):
        for name in mixed:
            mixed[name][turns == k] = market[name]
    together = run(subject, mixed, turns)
    for k, market in enumerate(markets):
        for name, column in run(subject, market).items():
            assert same_bits(together[name][turns == k], column), name


@every_category
@few
@given(now=st.integers(1, ROWS - 1))
def test_the_future_is_not_seen(category: str, now: int) -> None:
    subject, bars, other = plan(category), columns(), columns("cheap")
    changed = {k: np.concatenate([bars[k][:now], other[k][now:]]) for k in bars}
    before, after = run(subject, bars), run(subject, changed)
    for name in before:
        assert same_bits(before[name][:now], after[name][:now]), name


@every_category
@few
@given(seed=st.integers(0, 1_000))
def test_a_forming_row_leaves_no_trace_and_equals_its_final_row(category: str, seed: int) -> None:
    subject, bars, other = plan(category), columns(), columns("coarse")
    random = np.random.default_rng(seed)
    peeks = random.integers(0, 4, ROWS)
    rows = np.repeat(np.arange(ROWS), peeks + 1)
    final = np.append(np.diff(rows) > 0, True)
    last_peek = np.append(final[1:], False) & ~final
    stray = ~final & ~last_peek
    mixed = {k: np.where(stray, other[k][rows], bars[k][rows]) for k in bars}
    state, whole = subject.new_state(1), run(subject, bars)
    got = subject.run(state, np.zeros(len(rows), np.int64), mixed, final)
    for name, column in whole.items():
        assert same_bits(got[name][final], column), f"{name}: a forming row left a trace"
        assert same_bits(got[name][last_peek], column[rows[last_peek]]), f"{name}: forming"


@every_category
@few
@given(row=st.integers(0, ROWS))
def test_saving_and_loading_at_any_row_changes_nothing(category: str, row: int) -> None:
    subject, bars = plan(category), columns()
    slots = np.zeros(ROWS, np.int64)
    state = subject.new_state(2)
    subject.run(state, slots[:row], cut(bars, 0, row))
    blob = subject.save(state, 0)
    fresh = subject.new_state(3)
    subject.load(fresh, 2, blob)
    again = subject.run(fresh, slots[row:] + 2, cut(bars, row, ROWS))
    assert len(blob) == len(subject.save(subject.new_state(1), 0))
    for name, column in run(subject, bars).items():
        assert same_bits(again[name], column[row:]), name


@pytest.mark.parametrize("name", CATALOGUE)
def test_building_twice_gives_one_graph(name: str) -> None:
    first, second = built(CATALOGUE[name]), built(CATALOGUE[name])
    assert all(one is other for one, other in zip(first.series, second.series, strict=True))


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_output_arrives_and_no_later_than_stated(name: str) -> None:
    made = built(CATALOGUE[name])
    outputs = run(Plan(dict(zip(made.fields, made.series, strict=True))), columns("walk", 1_500))
    for field, series in zip(made.fields, made.series, strict=True):
        known = np.flatnonzero(~np.isnan(outputs[field]))
        assert len(known), f"{field} never has a value"
        always = len(known) == 1_500 - known[0]
        stated = facts.first_row(series)
        if any(each.name == "session_before" for each in walk([series])):
            assert stated <= known[0] == ROWS_A_DAY, f"{field}: row {known[0]}, stated {stated}"
        elif any(each.name == "recent_mean" for each in walk([series])):
            assert stated <= known[0], f"{field}: row {known[0]}, stated {stated}"  # as data say
        elif always:
            assert stated - 1 <= known[0] <= stated, f"{field}: row {known[0]}, stated {stated}"


@every_category
def test_a_missing_bar_is_forgotten(category: str) -> None:
    subject, bars = plan(category), columns()
    broken = {name: column.copy() for name, column in bars.items()}
    for column in broken.values():
        column[BAD_ROW] = np.nan
    whole, holed = run(subject, bars), run(subject, broken)
    for name, column in whole.items():
        later = slice(BAD_ROW + RECOVERY_ROWS_MAX, None)
        lost = np.isnan(holed[name][later]) & ~np.isnan(column[later])
        assert lost.mean() < 0.5, f"{name} does not recover"
