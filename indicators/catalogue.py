"""The catalogue: every indicator, read off the function that defines it.

An indicator is a plain function from series and parameters to a series, or to a NamedTuple of
series. `@indicator` reads its signature and docstring, files it, and returns it unchanged. So
indicators call indicators, and nothing about them is typed twice.
"""

import inspect
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints

from indicators.bounds import Bounds, Choice
from indicators.errors import ParameterError
from indicators.series import Series, as_series
from indicators.timeframes import on

type Columns = str | Sequence[str] | Callable[..., Sequence[str] | str] | None

REQUIRED = inspect.Parameter.empty
OFFSET_ROWS_MAX = 10_000


@dataclass(frozen=True)
class Input:
    """A parameter that is a series: its default field, or None where one must be given.

    An `optional` one may also be given as None.
    """

    name: str
    default: Series | None
    many: bool = False
    optional: bool = False

    @property
    def required(self) -> bool:
        """Whether the user must give it."""
        return self.default is None and not self.many and not self.optional


@dataclass(frozen=True)
class Option:
    """Any other parameter: its kind, its bounds or choices, its default."""

    name: str
    kind: type
    default: Any
    rule: Bounds | Choice | None = None
    optional: bool = False

    def check(self, value: Any) -> Any:
        """The value as the definition takes it, or ParameterError."""
        if value is None and self.optional:
            return None
        if self.kind is bool or self.kind is str:
            if type(value) is not self.kind:
                raise ParameterError(f"{self.name}={value!r} is not a {self.kind.__name__}")
        elif isinstance(value, bool) or not isinstance(value, int | float):
            raise ParameterError(f"{self.name}={value!r} is not a number")
        elif self.kind is int:
            if value != int(value):
                raise ParameterError(f"{self.name}={value!r} is not a whole number")
            value = int(value)
        if self.rule is not None:
            self.rule.check(self.name, value)
        return value


@dataclass(frozen=True)
class Built:
    """An indicator with its arguments: the series, by field and by column."""

    fields: tuple[str, ...]
    series: tuple[Series, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Indicator:
    """One entry of the catalogue."""

    name: str
    category: str
    function: Callable[..., Any]
    inputs: tuple[Input, ...]
    options: tuple[Option, ...]
    outputs: tuple[str, ...]
    summary: str
    unit: str
    source: str
    differs: str
    description: str
    naming: Columns
    average: bool

    def build(
        self, positional: Sequence[Any] = (), named: Mapping[str, Any] | None = None
    ) -> Built:
        """Check the arguments as a user gave them and build the series.

        Beside its own parameters every indicator takes `offset`, rows to look back, and `on`,
        the coarser timeframe whose bars it is of.
        """
        named = dict(named or {})
        timeframe = Option("on", str, None, optional=True)
        coarser = timeframe.check(named.pop("on", None))
        offset = Option("offset", int, 0, Bounds(0, OFFSET_ROWS_MAX)).check(named.pop("offset", 0))
        try:
            bound = inspect.signature(self.function).bind(*positional, **named)
        except TypeError as error:
            raise ParameterError(f"{self.name}: {error}; it takes {self.usage}") from None
        bound.apply_defaults()
        try:
            for each in self.inputs:
                bound.arguments[each.name] = self._series(each, bound.arguments[each.name])
            for option in self.options:
                bound.arguments[option.name] = option.check(bound.arguments[option.name])
            made = self.function(*bound.args, **bound.kwargs)
        except ParameterError as error:
            raise ParameterError(f"{self.name}: {error}") from None
        made = (made,) if isinstance(made, Series) else tuple(made)
        given = {field: s for field, s in zip(self.outputs, made, strict=True) if s is not None}
        series = tuple(given.values())
        if offset:
            series = tuple(CATALOGUE["lag"].function(each, offset) for each in series)
        columns = self.columns(bound.arguments)
        if coarser is not None:
            series = tuple(on(each, coarser) for each in series)
            columns = tuple(f"{each}_{coarser}" for each in columns)
        return Built(tuple(given), series, columns)

    @property
    def usage(self) -> str:
        """The call with its parameters and defaults, as a user may write it."""
        words = [
            f"{i.name}={i.default!r}" if i.default is not None or i.optional else i.name
            for i in self.inputs
        ]
        words += [
            o.name if o.default is REQUIRED else f"{o.name}={o.default!r}" for o in self.options
        ]
        return f"{self.name}({', '.join(words)})"

    def columns(self, arguments: Mapping[str, Any]) -> tuple[str, ...]:
        """The names that pandas-ta gives the outputs, in their order; none if it has no name."""
        naming = self.naming
        if naming is None:
            return ()
        if not isinstance(naming, str | Sequence):
            wanted = inspect.signature(naming).parameters
            naming = naming(**{name: arguments[name] for name in wanted})
        names = (naming,) if isinstance(naming, str) else tuple(naming)
        return tuple(name.format_map(arguments) for name in names)

    def _series(self, each: Input, value: Any) -> Any:
        if each.many:
            return tuple(as_series(one) for one in value)
        if value is None and each.optional:
            return None
        if each.default is not None and not isinstance(value, Series):
            raise ParameterError(
                f"{each.name}={value!r} is not a series; name the parameter that you mean: "
                f"{self.usage}"
            )
        return as_series(value)


CATALOGUE: dict[str, Indicator] = {}


def indicator[F: Callable[..., Any]](
    *, columns: Columns, name: str | None = None, average: bool = False
) -> Callable[[F], F]:
    """File a function as an indicator.

    `columns` are pandas-ta's column names: format strings over the parameters, one per output,
    or a function of some of the parameters, by name, that gives them; None where pandas-ta has
    no such thing. `average` makes it a choice of every `mamode`.
    TypeError where the signature or the docstring lacks something.
    """

    def file(function: F) -> F:
        entry = _read(function, name or function.__name__, columns, average)
        if entry.name in CATALOGUE:
            raise TypeError(f"indicator {entry.name} is defined twice")
        CATALOGUE[entry.name] = entry
        return function

    return file


def averages() -> tuple[str, ...]:
    """The names that `mamode` takes."""
    return tuple(sorted(name for name, entry in CATALOGUE.items() if entry.average))


def moving_average(mamode: str, x: Series, length: int) -> Series:
    """The average of `x` that `mamode` names."""
    return cast("Series", CATALOGUE[mamode].function(x, length=length))


def average_column(mamode: str, length: int) -> str:
    """The name that pandas-ta gives the average that `mamode` names."""
    entry = CATALOGUE[mamode]
    defaults = {option.name: option.default for option in entry.options}
    return entry.columns(defaults | {"length": length})[0]


Average = Annotated[str, Choice(averages)]
"""The name of a moving average."""


def _read(function: Callable[..., Any], name: str, naming: Columns, average: bool) -> Indicator:
    hints = get_type_hints(function, include_extras=True)
    inputs, options = [], []
    for parameter in inspect.signature(function).parameters.values():
        hint = hints.get(parameter.name)
        if hint in (Series, Series | None):
            default = None if parameter.default is REQUIRED else parameter.default
            many = parameter.kind is inspect.Parameter.VAR_POSITIONAL
            inputs.append(Input(parameter.name, default, many, hint is not Series))
        else:
            options.append(_option(name, parameter.name, hint, parameter.default))
    returned = hints.get("return")
    outputs = ("value",) if returned is Series else tuple(getattr(returned, "_fields", ()))
    if not outputs:
        raise TypeError(f"indicator {name} must return Series or a NamedTuple of them")
    text = inspect.cleandoc(function.__doc__ or "")
    entry = Indicator(
        name=name,
        category=_category(function.__module__),
        function=function,
        inputs=tuple(inputs),
        options=tuple(options),
        outputs=outputs,
        summary=text.partition("\n")[0],
        unit=_line(name, text, "Unit"),
        source=_line(name, text, "Source"),
        differs=_paragraph(text, "Differs"),
        description=text,
        naming=naming,
        average=average,
    )
    _check_naming(entry)
    return entry


def _option(owner: str, name: str, hint: Any, default: Any) -> Option:
    kind, rule = hint, None
    if get_origin(hint) is Annotated:
        kind, rule = get_args(hint)
    optional = type(None) in get_args(kind)
    if optional:
        (kind,) = (each for each in get_args(kind) if each is not type(None))
        if get_origin(kind) is Annotated:
            kind, rule = get_args(kind)
    if kind not in (int, float, bool, str):
        raise TypeError(f"indicator {owner}: parameter {name} needs a kind from indicators.bounds")
    if rule is None and kind is not bool:
        raise TypeError(f"indicator {owner}: parameter {name} needs bounds")
    return Option(name, kind, default, rule, optional)


def _category(module: str) -> str:
    """The first word of the definition's module: trend_stops.py holds trend indicators too."""
    parts = module.split(".")
    return parts[2].partition("_")[0] if len(parts) > 2 else ""


def _paragraph(text: str, label: str) -> str:
    """What follows a label, up to the next label or blank line; nothing where it is absent."""
    found = re.search(rf"^{label}: (.*?)(?=^[A-Z][a-z]+: |^$|\Z)", text, re.DOTALL | re.MULTILINE)
    return " ".join(found[1].split()) if found else ""


def _line(owner: str, text: str, label: str) -> str:
    for line in text.splitlines():
        if line.startswith(f"{label}: "):
            return line.removeprefix(f"{label}: ").strip()
    raise TypeError(f"indicator {owner}: the docstring has no line '{label}: ...'")


def _check_naming(entry: Indicator) -> None:
    if entry.naming is None or callable(entry.naming):
        return
    names = (entry.naming,) if isinstance(entry.naming, str) else tuple(entry.naming)
    if len(names) != len(entry.outputs):
        raise TypeError(
            f"indicator {entry.name}: {len(entry.outputs)} outputs, {len(names)} columns"
        )
    known = {option.name for option in entry.options}
    for name in names:
        for _, used, _, _ in string.Formatter().parse(name):
            if used and used.partition("[")[0] not in known:
                raise TypeError(f"indicator {entry.name}: column {name} uses an unknown parameter")
