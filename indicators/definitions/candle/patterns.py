"""How a candle pattern is filed: its rule becomes the indicator `cdl_<name>`."""

import inspect
from collections.abc import Callable
from typing import Any

from indicators.bounds import Number
from indicators.catalogue import indicator
from indicators.definitions.candle.shapes import Bars
from indicators.operators import after, choose
from indicators.series import CLOSE, HIGH, LOW, OPEN, Series

type Rule = Callable[..., Series]

PATTERNS: dict[str, Callable[..., Series]] = {}
"""What builds each candle pattern, by pandas-ta's short name for it."""
HUNDRED, PERCENT = 100.0, 0.01
UNIT = "scalar where the pattern stands for a rise, its negative for a fall, else 0"


def pattern(name: str, *, lookback: int) -> Callable[[Rule], Rule]:
    """File a rule over `Bars` as `cdl_<name>`.

    The rule gives 100 for a rise, -100 for a fall (as TA-Lib, some give 80 or 200) and 0 for
    nothing; its other parameters become the indicator's. On an instrument's first `lookback`
    rows the answer is 0.
    """

    def file(rule: Rule) -> Rule:
        def build(
            open: Series = OPEN,  # noqa: A002  (the field's own name)
            high: Series = HIGH,
            low: Series = LOW,
            close: Series = CLOSE,
            scalar: Number = 100,
            **given: Any,
        ) -> Series:
            begun = after(1.0, lookback) == 1.0
            found = choose(begun, rule(Bars(open, high, low, close), **given), 0.0)
            return found if scalar == HUNDRED else PERCENT * scalar * found

        own = list(inspect.signature(build).parameters.values())[:-1]
        given = [
            each.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for each in list(inspect.signature(rule).parameters.values())[1:]
        ]
        build.__signature__ = inspect.Signature(own + given)  # type: ignore[attr-defined]
        build.__annotations__ |= {each.name: each.annotation for each in given}
        build.__name__ = build.__qualname__ = f"cdl_{name}"
        build.__module__ = rule.__module__
        source = f"TA-Lib, CDL{name.upper()}, with its default candle settings"
        build.__doc__ = f"{inspect.cleandoc(rule.__doc__ or '')}\n\nUnit: {UNIT}\nSource: {source}"
        add(name, indicator(columns=f"CDL_{name.upper()}")(build))
        return rule

    return file


def add(name: str, build: Callable[..., Series]) -> None:
    """Let `cdl_pattern` know a pattern."""
    if name in PATTERNS:
        raise TypeError(f"candle pattern {name} is defined twice")
    PATTERNS[name] = build
