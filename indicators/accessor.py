"""`df.fleet.rsi(length=14)`: the catalogue on a DataFrame, in pandas-ta's manner.

Importing this module registers the accessor. Rows are bars in order of time; their columns are
`open`, `high`, `low`, `close` and `volume`, in any case. A column `symbol` tells instruments apart.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import pandas as pd

from indicators.catalogue import CATALOGUE, Indicator, Input
from indicators.coarse import TIME
from indicators.errors import ParameterError
from indicators.frame import frame
from indicators.plan import Expression, Plan
from indicators.series import FIELD_NAMES, field, walk

BESIDE = ("symbol", "ts", TIME)  # what `frame` looks for beside the fields
DAY = "day"

type Calculation = Callable[..., pd.Series | pd.DataFrame]


@pd.api.extensions.register_dataframe_accessor("fleet")
class Fleet:
    """Every indicator of the catalogue as a method of the table."""

    def __init__(self, bars: pd.DataFrame, timeframe: str | None = None) -> None:
        self._bars, self._timeframe = bars, timeframe

    def at(self, timeframe: str) -> "Fleet":
        """The same, where it is known how long the bars are, so that calls can take `on`."""
        return Fleet(self._bars, timeframe)

    def __call__(self, expressions: Mapping[str, Expression] | Sequence[str]) -> pd.DataFrame:
        """What `indicators.frame` gives: one column for each expression's output."""
        return frame(_bars_of(self._bars, {}), expressions, self._timeframe)

    def __getattr__(self, name: str) -> Calculation:
        indicator = CATALOGUE.get(name)
        if indicator is None:
            near = get_close_matches(name, CATALOGUE)
            hint = f"; do you mean {', '.join(near)}?" if near else ""
            raise AttributeError(f"no indicator is called {name!r}{hint}")

        def calculate(
            *arguments: object,
            append: bool = False,
            prefix: str = "",
            suffix: str = "",
            **named: object,
        ) -> pd.Series | pd.DataFrame:
            if named.get("on") is not None and self._timeframe is None:
                raise ParameterError(f"on= needs to know the bars: df.fleet.at('1m').{name}(...)")
            values = _calculate(self._bars, indicator, arguments, named, self._timeframe)
            values.columns = pd.Index(
                ["_".join(filter(None, (prefix, str(name), suffix))) for name in values.columns]
            )
            if append:
                self._bars[values.columns] = values
            return values.iloc[:, 0] if len(indicator.outputs) == 1 else values

        calculate.__name__ = name
        calculate.__doc__ = f"{indicator.usage}\n\n{indicator.description}"
        return calculate

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *CATALOGUE]


def _calculate(
    bars: pd.DataFrame,
    indicator: Indicator,
    arguments: Sequence[object],
    named: dict[str, Any],
    timeframe: str | None,
) -> pd.DataFrame:
    """The indicator's columns; an input given as a name is that column of the table."""
    columns: dict[str, str] = {}
    for each in indicator.inputs:
        given = named.get(each.name)
        if each.required and given is None and not arguments and each.name in bars:
            given = each.name  # pandas-ta, too, takes `close` where a definition has no default
        if isinstance(given, str):
            stand_in = _stand_in(indicator, each, columns)
            columns[stand_in] = given
            named[each.name] = field(stand_in)
    built = indicator.build(arguments, named)
    names = built.columns or _plain_names(indicator.name, built.fields, named.get("on"))
    plan = Plan(dict(zip(names, built.series, strict=True)), timeframe)
    return frame(_bars_of(bars, columns), plan, timeframe)


def _stand_in(indicator: Indicator, each: Input, taken: Mapping[str, str]) -> str:
    """A field through which a column of any name comes in, and that no other input reads."""
    read = {name for one in indicator.inputs if one is not each for name in _read_by(one)}
    own = _read_by(each)
    choices: list[str] = [*own, *FIELD_NAMES] if len(own) == 1 else list(FIELD_NAMES)
    for name in choices:
        if name not in read and name not in taken and (name != DAY or name in own):
            return name
    raise ParameterError(f"{indicator.name}: no room for another column as {each.name}")


def _read_by(each: Input) -> list[str]:
    """The fields that an input reads by default."""
    if each.default is None:
        return []
    names = (series.name for series in walk([each.default]))
    return [name for name in names if name in FIELD_NAMES]


def _plain_names(name: str, fields: Sequence[str], on: str | None) -> tuple[str, ...]:
    """The columns of an indicator that pandas-ta does not have."""
    name = name if on is None else f"{name}_{on}"
    return (name,) if len(fields) == 1 else tuple(f"{name}.{each}" for each in fields)


def _bars_of(bars: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """The fields of the table, found in any case, and `columns` under the names of fields."""
    found = {str(name).lower(): name for name in reversed(list(bars))}
    found |= {name: name for name in bars if name in (*FIELD_NAMES, *BESIDE)}
    names = {name: found[name] for name in (*FIELD_NAMES, *BESIDE) if name in found}
    for stand_in, column in columns.items():
        if column not in bars:
            raise ParameterError(f"no column {column!r}, only {', '.join(map(str, bars))}")
        names[stand_in] = column
    return pd.DataFrame({name: bars[column] for name, column in names.items()}, index=bars.index)
