"""The compiled bars against a builder in plain Python, over made-up streams of every shape."""

import itertools
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indicators.bars import BarRows, BarSpec, BarState, update
from tests.indicators.bar_model import Model

SLOTS = 4
START_NS = 1_763_823_000 * 10**9
TENTH_NS = 10**8

SPECS = [
    BarSpec.parse("1s"),
    BarSpec.parse("5s", anchor_ns=1_300_000_000),
    BarSpec.parse("1s", flat_bars_max=3),
    BarSpec.parse("3t"),
    BarSpec.parse("1t"),
    BarSpec.parse("10v"),
    BarSpec.parse("1v"),
]
FORMING = [None, 0, 250_000_000]
SIZES = st.sampled_from([0.0, 0.1, 0.25, 1.0, 3.0, 9.9, 10.0, 35.5, 64.0])


@st.composite
def streams(draw: st.DrawFn) -> list[tuple[int, int, float, float]]:
    """Ticks of four instruments that mostly move on in time, with clock rows between them."""
    rows, now = [], START_NS
    for _ in range(draw(st.integers(1, 60))):
        now += TENTH_NS * draw(st.sampled_from([0, 0, 0, 1, 2, 5, 9, 10, 11, 60]))
        behind = TENTH_NS * draw(st.sampled_from([0, 0, 0, 0, 3, 12]))
        slot = draw(st.integers(-1, SLOTS - 1))
        price = draw(st.integers(90, 110)) / 4
        rows.append((slot, now - behind, price, draw(SIZES)))
    return rows


def columns(rows: list[tuple[int, int, float, float]]) -> list[np.ndarray]:
    types = (np.int64, np.int64, np.float64, np.float64)
    return [np.array(c, t) for c, t in zip(zip(*rows, strict=True), types, strict=True)]


def as_rows(bars: BarRows, first_row: int = 0) -> list[tuple[object, ...]]:
    names = ("slot", "ts", "open", "high", "low", "close", "volume", "ticks", "final", "partial")
    table = [(bars.row + first_row).tolist(), *(getattr(bars, name).tolist() for name in names)]
    return list(zip(*table, strict=True))


def pieces(length: int, cuts: list[int]) -> Iterator[slice]:
    edges = sorted({0, length, *(cut % (length + 1) for cut in cuts)})
    yield from itertools.starmap(slice, itertools.pairwise(edges))


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: f"{s.name}+{s.flat_bars_max}")
@pytest.mark.parametrize("forming_ns", FORMING)
@settings(max_examples=30, deadline=None)
@given(rows=streams())
def test_any_stream_gives_the_bars_of_the_plain_python_builder(spec, forming_ns, rows):
    model = Model(spec, forming_ns)
    for row in rows:
        model.feed(*row)
    bars = update(spec, BarState(spec, SLOTS), *columns(rows), forming_ns=forming_ns)
    assert as_rows(bars) == model.rows
    assert bars.late.tolist() == model.late


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: f"{s.name}+{s.flat_bars_max}")
@settings(max_examples=20, deadline=None)
@given(
    rows=streams(),
    cuts=st.lists(st.integers(0, 60), max_size=6),
    forming_ns=st.sampled_from(FORMING),
)
def test_any_cut_into_batches_saved_and_loaded_at_each_cut_gives_the_same_rows(
    spec, rows, cuts, forming_ns
):
    whole = update(spec, BarState(spec, SLOTS), *columns(rows), forming_ns=forming_ns)
    state, got, late = BarState(spec, SLOTS), [], []
    for piece in pieces(len(rows), cuts):
        state = BarState.load(spec, state.save())
        part = update(spec, state, *columns(rows[piece]), forming_ns=forming_ns)
        got += as_rows(part, first_row=piece.start)
        late += part.late.tolist()
    assert got == as_rows(whole)
    assert late == whole.late.tolist()


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: f"{s.name}+{s.flat_bars_max}")
@settings(max_examples=30, deadline=None)
@given(rows=streams())
def test_an_instrument_never_sees_its_neighbours(spec, rows):
    together = update(spec, BarState(spec, SLOTS), *columns(rows), forming_ns=0)
    for slot in range(SLOTS):
        # the others' ticks stay as rows of an instrument of their own, so row numbers agree
        alone = [(s if s in (slot, -1) else SLOTS, *rest) for s, *rest in rows]
        bars = update(spec, BarState(spec, SLOTS + 1), *columns(alone), forming_ns=0)
        mine = [row for row in as_rows(bars) if row[1] == slot]
        assert mine == [row for row in as_rows(together) if row[1] == slot]


@settings(max_examples=100, deadline=None)
@given(sizes=st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=200))
def test_volume_bars_lose_and_add_no_volume(sizes):
    spec = BarSpec.parse("100v")
    rows = [(0, START_NS + i, 10.0, size) for i, size in enumerate(sizes)]
    state = BarState(spec, 1)
    bars = update(spec, state, *columns(rows))
    closed = sum(map(Fraction, bars.volume.tolist()))
    volume, rest = state.cells.bars[0, -2:].tolist()
    went_in = sum(map(Fraction, sizes))
    assert abs(closed + Fraction(volume) + Fraction(rest) - went_in) <= went_in * Fraction(2) ** -90


@settings(max_examples=100, deadline=None)
@given(sizes=st.lists(st.integers(0, 5_000), min_size=1, max_size=200))
def test_volume_bars_of_whole_lots_are_exactly_full(sizes):
    spec = BarSpec.parse("100v")
    rows = [(0, START_NS + i, 10.0, float(size)) for i, size in enumerate(sizes)]
    bars = update(spec, BarState(spec, 1), *columns(rows), forming_ns=0)
    assert set(bars.volume[bars.final].tolist()) <= {100.0}
    assert bars.final.sum() == sum(sizes) // 100
