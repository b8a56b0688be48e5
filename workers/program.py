"""What a shard runs: plans compiled from settings, as data that travels in the shard's log."""

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from indicators import IndicatorError, Plan, Series
from indicators.bars import BarSpec
from workers.rules import Firing
from workers.settings import Name, PlanSettings, RuleSettings, SettingsError, duration_ns
from workers.shedding import Priority
from workers.symbols import matching

DIGEST_BYTES = 8
RULE_PREFIX = "?"  # no user name starts so: a rule's outputs never meet a plan's values

Plans = Mapping[str, PlanSettings]
_PLANS: TypeAdapter[dict[str, PlanSettings]] = TypeAdapter(dict[Name, PlanSettings])


class Feed(NamedTuple):
    """Rows that plans can share: one bar builder, one pace of forming rows."""

    timeframe: str
    flat: int
    forming_ns: int | None

    @property
    def spec(self) -> BarSpec:
        """The bars of this feed."""
        return _spec(self.timeframe, self.flat)


@lru_cache(maxsize=256)
def _spec(timeframe: str, flat: int) -> BarSpec:
    return BarSpec.parse(timeframe, flat_bars_max=flat)


@dataclass(frozen=True)
class Rule:
    """A signal of a plan: the output that decides, the outputs that it carries."""

    name: str
    firing: Firing
    when: str
    value: str | Mapping[str, str] | None
    valid_for_ns: int | None


@dataclass(frozen=True)
class PlanProgram:
    """One plan, ready to run."""

    name: str
    digest: str
    feed: Feed
    symbols: tuple[str, ...]
    plan: Plan
    values: tuple[str, ...]
    rules: tuple[Rule, ...]
    priority: Priority = Priority.NORMAL

    @property
    def source(self) -> str:
        """What its entries name as their source."""
        return f"{self.name}@{self.digest}"

    def covers(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Which of `names` this plan wants."""
        return matching(names, self.symbols)


@dataclass(frozen=True)
class Program:
    """Every plan of a shard; equal settings give an equal digest, on every machine.

    Their order counts: it is the order of the entries that one tick causes.
    """

    settings: Plans
    plans: tuple[PlanProgram, ...] = field(init=False)

    def __post_init__(self) -> None:
        compiled, problems = [], []
        for name, plan in self.settings.items():
            try:
                compiled.append(_compile(name, plan))
            except IndicatorError as error:
                found = list(_unreadable(plan)) or [str(error)]
                problems += [f"plans.{name}.{problem}" for problem in found]
        if problems:
            raise SettingsError(f"{len(problems)} problem(s):\n  " + "\n  ".join(problems))
        object.__setattr__(self, "plans", tuple(compiled))

    @cached_property
    def payload(self) -> bytes:
        """The settings of all plans as JSON: what a deployment entry and a snapshot hold."""
        return orjson.dumps({name: _settings(plan) for name, plan in self.settings.items()})

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits that differ when any plan does."""
        return _digest(self.payload)

    @cached_property
    def feeds(self) -> tuple[Feed, ...]:
        """The distinct row feeds, in order of first use."""
        return tuple(dict.fromkeys(plan.feed for plan in self.plans))

    def only(self, names: Collection[str]) -> "Program":
        """The program with these plans alone."""
        return Program({name: plan for name, plan in self.settings.items() if name in names})

    @classmethod
    @lru_cache(maxsize=64)
    def parse(cls, payload: bytes) -> "Program":
        """The program of a payload. Raises: SettingsError."""
        try:
            return cls(_PLANS.validate_json(payload))
        except ValidationError as error:
            raise SettingsError(f"not a plan deployment: {error}") from error


def _settings(plan: PlanSettings, without: Set[str] = frozenset()) -> dict[str, object]:
    return plan.model_dump(mode="json", exclude_defaults=True, exclude=set(without))


def _digest(payload: bytes) -> str:
    return blake2b(payload, digest_size=DIGEST_BYTES).hexdigest()


def _compile(name: str, settings: PlanSettings) -> PlanProgram:
    wanted: dict[str, str | Series] = dict(
        settings.values
        if isinstance(settings.values, dict)
        else Plan.parse(settings.values, settings.timeframe).series
    )
    rules = tuple(_rule(rule, given, wanted) for rule, given in settings.signals.items())
    plan = Plan.parse(wanted, settings.timeframe)
    for rule in rules:
        if rule.when not in plan.outputs:
            raise IndicatorError(f"signals.{rule.name}: wanted one condition, saw several outputs")
    return PlanProgram(
        name=name,
        # Its priority changes nothing that it says: it goes on with the state that it has.
        digest=_digest(orjson.dumps([name, _settings(settings, {"priority"})])),
        feed=Feed(settings.timeframe, settings.flat, _forming_ns(settings.emit)),
        symbols=settings.symbols,
        plan=plan,
        values=tuple(output for output in plan.outputs if not output.startswith(RULE_PREFIX)),
        rules=rules,
        priority=Priority[settings.priority.upper()],
    )


def _unreadable(plan: PlanSettings) -> Iterator[str]:
    """What is wrong with each expression by itself, under its key."""
    for key, text in _expressions(plan):
        try:
            Plan.parse([text], plan.timeframe)
        except IndicatorError as error:
            yield f"{key}: {error}"


def _expressions(plan: PlanSettings) -> Iterator[tuple[str, str]]:
    named = plan.values.items() if isinstance(plan.values, dict) else enumerate(plan.values)
    yield from ((f"values.{key}", text) for key, text in named)
    for name, rule in plan.signals.items():
        yield f"signals.{name}.when", rule.when
        if isinstance(rule.value, str):
            yield f"signals.{name}.value", rule.value
        elif rule.value is not None:
            yield from ((f"signals.{name}.value.{key}", text) for key, text in rule.value.items())


def _rule(name: str, given: RuleSettings, wanted: dict[str, str | Series]) -> Rule:
    """The rule, with the outputs it needs added to `wanted`."""
    when = f"{RULE_PREFIX}{name}"
    wanted[when] = given.when
    value: str | dict[str, str] | None = None
    if isinstance(given.value, str):
        value = f"{when}:value"
        wanted[value] = given.value
    elif given.value is not None:
        value = {key: f"{when}:{key}" for key in given.value}
        wanted.update({value[key]: text for key, text in given.value.items()})
    return Rule(
        name=name,
        firing=Firing(given.every == "bar", duration_ns(given.cooldown) if given.cooldown else 0),
        when=when,
        value=value,
        valid_for_ns=duration_ns(given.valid_for) if given.valid_for else None,
    )


def _forming_ns(emit: str) -> int | None:
    if emit == "final":
        return None
    return 0 if emit == "forming" else duration_ns(emit)
