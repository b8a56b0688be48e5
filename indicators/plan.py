"""Plans: named series, compiled together, run over batches of bars of many instruments."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from indicators import facts
from indicators.capsule import seal, unseal
from indicators.catalogue import Built
from indicators.coarse import TIME, Section, layout, width
from indicators.errors import CapsuleError, ExpressionError, IndicatorError
from indicators.expression import parse
from indicators.program import Program, column_name
from indicators.series import Series, as_series, is_coarse, walk
from indicators.timeframes import row_seconds

type Numbers = NDArray[np.float64]
type Expression = str | Series | tuple[Series, ...]

LAYOUT_VERSION = 1
"""Raise when the same series would lay out their state differently."""
SERIES_MAX = 5_000
"""The whole catalogue with its defaults is 2,700."""
CELLS_MAX = 250_000
"""Numbers of state that one instrument may have: 2 MB."""


class Plan:
    """What is computed for each bar: an immutable set of named series.

    A plan holds no state. The caller owns it, an array with one row per instrument, all zero at
    first; growing it is adding zero rows.
    """

    def __init__(self, named: Mapping[str, Series], timeframe: str | None = None) -> None:
        order = list(walk(list(named.values())))
        coarser = [each for each in order if is_coarse(each)]
        count = len(order) + sum(len(list(walk(list(each.inputs)))) for each in coarser)
        if count > SERIES_MAX:
            raise IndicatorError(f"the plan has {count} series, {SERIES_MAX} are allowed")
        self.series = dict(named)
        self.outputs = tuple(self.series)
        self._program, self._sections = layout(list(self.series.values()))
        self._row_s = row_seconds(timeframe, [section.seconds for section in self._sections])
        self.fields = _fields_of(self._program, self._sections)
        self.width = width(self._program, self._sections)
        if self.width > CELLS_MAX:
            raise IndicatorError(
                f"the plan needs {self.width} numbers of state for each instrument, "
                f"{CELLS_MAX} are allowed"
            )

    @classmethod
    def parse(
        cls, expressions: Mapping[str, Expression] | Sequence[str], timeframe: str | None = None
    ) -> Self:
        """The plan of named expressions, or of a list, named by pandas-ta's columns.

        An expression is text, a series, or an indicator's tuple of series. With several outputs
        it gives `name.field` for each. `timeframe`, that of the bars, is needed where series
        are over coarser ones. Raises ExpressionError, IndicatorError.
        """
        named: dict[str, Series] = {}
        for name, series in _named(expressions):
            if name in named:
                raise ExpressionError(f"two outputs are named {name!r}")
            named[name] = series
        return cls(named, timeframe)

    @cached_property
    def digest(self) -> str:
        """Hex name of what is computed and how its state is laid out; the same everywhere."""
        hasher = hashlib.sha256(f"plan {LAYOUT_VERSION}".encode())
        for name, series in self.series.items():
            hasher.update(f"\n{len(name)} {name} ".encode() + series.digest)
        return hasher.hexdigest()

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.outputs)}

    @cached_property
    def warmup(self) -> int:
        """Rows of an instrument before every output has a value."""
        return max((facts.first_row(each, self._row_s) for each in self.series.values()), default=0)

    @cached_property
    def memory(self) -> float:
        """Rows after which the start no longer matters; infinite where it always does."""
        return max(
            (facts.memory_rows(each, self._row_s) for each in self.series.values()), default=0
        )

    def check_rows(self, timeframe: str) -> None:
        """IndicatorError where a series is over bars that those of `timeframe` cannot make."""
        row_seconds(timeframe, [section.seconds for section in self._sections])

    def new_state(self, slots: int) -> Numbers:
        """Zero state (slots, width) for that many instruments."""
        return np.zeros((slots, self.width))

    def run(
        self,
        state: Numbers,
        slots: NDArray[np.int64],
        columns: Mapping[str, Numbers],
        final: NDArray[np.bool_] | None = None,
    ) -> "Outputs":
        """One value per row and output, in the order of the rows; moves `state` along.

        `slots` and each column have shape (rows,). A row whose `final` is False is answered as
        if its bar had closed and leaves no trace. Raises IndicatorError where shapes or slots
        do not fit; the state is then unchanged.
        """
        from indicators.machine import execute  # the compiler loads when the first plan runs

        flags = self._checked(state, slots, final)
        given = self._given(columns, len(slots))
        results = np.empty((len(self.outputs), len(slots)))
        if self._sections:
            given = self._with_coarse(state, slots, given, flags)
        bad = execute(*self._program.arrays, state, slots, given, flags, results)
        if bad >= 0:
            raise IndicatorError(f"row {bad}: slot {slots[bad]}, but state has {len(state)} slots")
        return Outputs(self._places, results)

    def save(self, state: Numbers, slot: int) -> bytes:
        """One instrument's state as a capsule: its size depends on the plan alone."""
        return seal(self.digest, np.ascontiguousarray(state[slot], "<f8"))

    def load(self, state: Numbers, slot: int, blob: bytes) -> None:
        """Put a capsule into a slot. CapsuleError if damaged or another plan's."""
        loaded = self.load_all(blob)
        if len(loaded) != 1:
            raise CapsuleError(f"the capsule holds {len(loaded)} instruments, not one")
        state[slot] = loaded[0]

    def save_all(self, state: Numbers) -> bytes:
        """The state of every slot as one capsule."""
        return seal(self.digest, np.ascontiguousarray(state, "<f8"))

    def load_all(self, blob: bytes) -> Numbers:
        """A new state from such a capsule. CapsuleError if damaged or another plan's."""
        numbers = np.frombuffer(unseal(self.digest, blob), "<f8").astype(np.float64)
        if self.width == 0:
            return np.zeros((1, 0))
        if numbers.size % self.width:
            raise CapsuleError(f"{numbers.size} numbers are not rows of {self.width}")
        return numbers.reshape(-1, self.width)

    def _given(self, columns: Mapping[str, Numbers], rows: int) -> Numbers:
        given = np.empty((len(self.fields), rows))
        for k, name in enumerate(self.fields):
            try:
                given[k] = columns[name]
            except KeyError:
                raise IndicatorError(f"the plan needs a column {name!r}") from None
            except ValueError as error:
                raise IndicatorError(f"column {name!r}: {error}") from None
        return given

    def _with_coarse(
        self, state: Numbers, slots: NDArray[np.int64], given: Numbers, flags: NDArray[np.uint8]
    ) -> Numbers:
        """The columns of the plan's own program, (fields, rows)."""
        known = dict(zip(self.fields, given, strict=True))
        for section in self._sections:
            values = section.run(state, slots, known, flags)
            known |= zip(map(column_name, section.held), values, strict=True)
        return np.array([known[name] for name in self._program.fields])

    def _checked(
        self, state: Numbers, slots: NDArray[np.int64], final: NDArray[np.bool_] | None
    ) -> NDArray[np.uint8]:
        """Which rows are final, for the machine. IndicatorError where a shape does not fit."""
        if final is None:
            final = _all_final(len(slots))
        if slots.dtype != np.int64 or final.dtype != np.bool_ or final.shape != slots.shape:
            raise IndicatorError("slots are int64, final is bool, both of shape (rows,)")
        if state.shape[1:] != (self.width,) or state.dtype != np.float64:
            raise IndicatorError(
                f"state is {state.dtype} {state.shape}, wanted float64 (slots, {self.width})"
            )
        if not (state.flags.carray and slots.flags.c_contiguous):
            raise IndicatorError("state and slots must be contiguous, and state writable")
        return np.ascontiguousarray(final).view(np.uint8)


def _fields_of(program: Program, sections: tuple[Section, ...]) -> tuple[str, ...]:
    """The columns that a caller has to give."""
    if not sections:
        return program.fields
    made = {column_name(each) for section in sections for each in section.held}
    inner = (name for section in sections for name in section.fields)
    own = [name for name in program.fields if name not in made]
    return tuple(dict.fromkeys([*own, *inner, TIME]))


class Outputs(Mapping[str, Numbers]):
    """A plan's outputs by name, each (rows,); a column is looked up when it is asked for.

    A plan may have hundreds of outputs, and a batch a few rows.
    """

    def __init__(self, places: Mapping[str, int], columns: Numbers) -> None:
        self._names, self._columns = places, columns

    def __getitem__(self, name: str) -> Numbers:
        column: Numbers = self._columns[self._names[name]]
        return column

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@lru_cache(maxsize=64)
def _all_final(rows: int) -> NDArray[np.bool_]:
    return np.ones(rows, np.bool_)


def _named(expressions: Mapping[str, Any] | Sequence[str]) -> list[tuple[str, Series]]:
    if isinstance(expressions, Mapping):
        return [pair for name, each in expressions.items() for pair in _mapped(name, each)]
    if isinstance(expressions, str):
        raise ExpressionError("a list or a mapping of expressions is wanted, not one text")
    return [pair for text in expressions for pair in _listed(text)]


def _listed(text: str) -> list[tuple[str, Series]]:
    value, text = parse(text), text.strip()
    if not isinstance(value, Built):
        return [(text, value)]
    if value.columns:
        return list(zip(value.columns, value.series, strict=True))
    return _fields(text, value.fields, value.series)


def _mapped(name: str, expression: Expression) -> list[tuple[str, Series]]:
    value: Any = expression
    if isinstance(expression, str):
        try:
            value = parse(expression)
        except ExpressionError as error:
            raise ExpressionError(f"{name}: {error}") from None
    if isinstance(value, Built):
        fields, series = value.fields, value.series
    elif isinstance(value, tuple):
        fields, series = getattr(value, "_fields", ()), value
    else:
        fields, series = ("value",), (as_series(value),)
    return _fields(name, fields, series)


def _fields(name: str, fields: Sequence[str], series: Sequence[Series]) -> list[tuple[str, Series]]:
    if len(series) == 1:
        return [(name, series[0])]
    return [(f"{name}.{part}", each) for part, each in zip(fields, series, strict=True)]
