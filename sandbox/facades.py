"""What an import gives a script: the named functions of a module, never the module."""

import bisect
import collections
import functools
import heapq
import itertools
import math
import random
import statistics
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Final, NoReturn

import numpy as np

from sandbox.names import MODULES

SOURCES: Final[dict[str, ModuleType]] = {
    "bisect": bisect,
    "collections": collections,
    "functools": functools,
    "heapq": heapq,
    "itertools": itertools,
    "math": math,
    "numpy": np,
    "statistics": statistics,
}


class Facade:
    """A read-only bundle of functions; says what is missing by its full name."""

    def __init__(self, name: str, members: Mapping[str, Any]) -> None:
        self.__dict__.update(members, _name=name)

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"scripts have no {self._name}.{name}")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{self._name} cannot be changed")

    def __repr__(self) -> str:
        return f"<{self._name}>"


class SeededRandom:
    """Random numbers that are the same on every run: `seeded` is put out at each bar.

    The next number is then the first of the seed that `moment` names. Nothing has to be saved
    for a script to go on elsewhere with the same numbers.
    """

    def __init__(self, moment: Callable[[], str]) -> None:
        self.generator = random.Random(0)  # noqa: S311  # repeatable on purpose
        self.moment = moment
        self.seeded = False

    def method(self, name: str) -> Callable[..., Any]:
        """One function of the facade."""

        def call(*arguments: Any) -> Any:
            if not self.seeded:
                self.generator.seed(self.moment())
                self.seeded = True
            return getattr(self.generator, name)(*arguments)

        return call


def facades(seeded: SeededRandom) -> dict[str, Facade]:
    """Every module a script may import, by name."""
    made = {
        name: Facade(name, {member: getattr(SOURCES[name], member) for member in MODULES[name]})
        for name in SOURCES
    }
    members = {member: seeded.method(member) for member in MODULES["random"]}
    made["random"] = Facade("random", members)
    return made


def warm_up() -> None:
    """Call what loads code lazily, while files can still be read."""
    x = np.arange(8.0)
    np.polyfit(x, x, 1), np.corrcoef(x, x), np.cov(x), np.median(x), np.percentile(x, 50)
    np.unique(x), np.isin(x, x), np.gradient(x), np.interp(x, x, x), np.quantile(x, 0.5)
    np.nanmedian(x), np.nanpercentile(x, 50), np.outer(x, x) @ x, np.convolve(x, x), repr(x)
    np.linspace(0, 1, 3), np.digitize(x, x), np.trapezoid(x), np.histogram(x), x.std(), x.var()
    statistics.linear_regression(x.tolist(), x.tolist()), statistics.quantiles(x.tolist())
