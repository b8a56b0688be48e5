"""The one settings model: `fleet.yaml` and the environment, read once at the top."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from indicators.bars import BarSpec
from indicators.errors import IndicatorError
from sandbox.limits import Limits

NS_PER = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}
KEY_BYTES_MIN = 16
ENVIRONMENT_PREFIX = "FLEET_"
FILE_VALUES = "file_values"  # how the file's keys reach the lowest source
# What Kubernetes injects for a service called `fleet`; not ours, so not a mistake.
FOREIGN_ENVIRONMENT = re.compile(r"FLEET(_.*)?_(SERVICE_|PORT_|PORT$|TCP)")


class SettingsError(Exception):
    """The configuration cannot be used: fix every named key, then start again."""


def duration_ns(text: str) -> int:
    """Nanoseconds of a duration such as `250ms`, `5s` or `1h`."""
    match = re.fullmatch(r"(\d+)(ms|s|m|h|d)", text)
    if match is None or int(match[1]) == 0:
        raise ValueError(f"{text!r} is not a duration; wanted a number and ms, s, m, h or d")
    return int(match[1]) * NS_PER[match[2]]


def _timeframe(text: str) -> str:
    try:
        return BarSpec.parse(text).name
    except IndicatorError as error:
        raise ValueError(str(error)) from error


def _emit(text: str) -> str:
    if text not in {"final", "forming"}:
        duration_ns(text)
    return text


def _duration(text: str) -> str:
    duration_ns(text)
    return text


def _collector(text: str) -> str:
    url = urlsplit(text)
    if url.scheme not in {"http", "https"} or not url.hostname or url.query or url.fragment:
        raise ValueError("wanted http://host:port or https://host:port")
    if url.username is not None or url.password is not None:
        raise ValueError("no credentials in the address: they belong into telemetry.headers")
    return text


def _limits(given: dict[str, int]) -> dict[str, int]:
    known = [field.name for field in fields(Limits)]
    for name in given:
        if name not in known:
            raise ValueError(f"{name}: no such limit; known are {', '.join(known)}")
    Limits(**given)
    return given


LimitValues = Annotated[dict[str, int], AfterValidator(_limits)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")]
Duration = Annotated[str, AfterValidator(_duration)]


class Section(BaseModel):
    """A part of the settings: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RedisSettings(Section):
    """The server: any Redis >= 7.0 or Valkey, or the bundled one."""

    url: str = "redis://127.0.0.1:6379/0"
    username: str | None = None
    password: SecretStr | None = None
    ca_file: Path | None = None
    embedded: bool = False
    folder: Path = Path(".fleet/redis")


class RuleSettings(Section):
    """A signal: its condition, what it carries, how often it may fire."""

    when: str
    value: str | dict[Name, str] | None = None
    every: Literal["change", "bar"] = "change"
    cooldown: Duration | None = None
    valid_for: Duration | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, given: object) -> object:
        return {"when": given} if isinstance(given, str) else given


class PlanSettings(Section):
    """One plan: a timeframe, the symbols it covers, its values and its signals."""

    timeframe: Annotated[str, AfterValidator(_timeframe)] = "1m"
    symbols: tuple[str, ...] = ("*",)
    emit: Annotated[str, AfterValidator(_emit)] = "final"
    flat: int = Field(0, ge=0, le=10_000)  # bars at most that a gap without trades gives
    priority: Literal["low", "normal", "high"] = "normal"  # low ones are suspended under overload
    values: dict[Name, str] | list[str] = {}
    signals: dict[Name, RuleSettings] = {}


class WorkerSettings(Section):
    """How one worker behaves."""

    lease_ms: int = Field(3_000, ge=300, le=600_000)
    grace_ms: int = Field(2_000, ge=0, le=3_600_000)
    snapshot_s: float = Field(10.0, gt=0, le=3_600)
    drain_s: float = Field(20.0, gt=0, le=3_600)
    read_entries_max: int = Field(4_000, ge=1_000, le=50_000)
    symbols_max: int = Field(100_000, ge=1, le=10_000_000)
    dedupe_window: int = Field(16_384, ge=1, le=10_000_000)


class TenantSettings(Section):
    """What one tenant's scripts may do: patterns, where nothing is allowed that is not named."""

    symbols: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    limits: LimitValues = {}


class ScriptSettings(Section):
    """Users' scripts: without a key none runs; key and tenants are the same for all workers."""

    key: SecretStr | None = None
    key_file: Path | None = None
    tenants: dict[Name, TenantSettings] = {}
    landlock_required: bool = True
    processes_max: int = Field(512, ge=1)  # of imperative scripts on one worker
    idle_s: float = Field(600.0, gt=0)  # without a bar, after which a script's process ends
    poll_s: float = Field(1.0, gt=0, le=3_600)  # how often a worker looks for new deployments

    def signing_key(self) -> bytes | None:
        """The key that deployments are signed with. Raises: SettingsError."""
        if self.key is not None and self.key_file is not None:
            raise SettingsError("scripts: key and key_file are both given: keep one of them")
        given = None if self.key is None else self.key.get_secret_value().encode()
        if self.key_file is not None:
            try:
                given = self.key_file.read_bytes().strip()
            except OSError as error:
                raise SettingsError(
                    f"scripts.key_file: {self.key_file}: {error.strerror}"
                ) from error
        if given is not None and len(given) < KEY_BYTES_MIN:
            raise SettingsError(f"scripts.key: wanted {KEY_BYTES_MIN} bytes or more")
        return given


class BalanceSettings(Section):
    """How the workers share the shards; a worker steals when it has room and another is behind."""

    measure_s: float = Field(1.0, gt=0, le=60)  # how often a worker measures its shards
    behind_s: float = Field(2.0, gt=0)  # busy seconds of backlog from which a worker gives
    room_s: float = Field(0.5, ge=0)  # and up to which one takes
    window_s: float = Field(30.0, ge=0)  # in which a shard changes hands willingly at most once


class ScalingSettings(Section):
    """What the fleet is sized for, and how fast `fleet up` follows (as an autoscaler would)."""

    utilisation: float = Field(0.75, gt=0, le=1)  # share of a second that a worker should be busy
    drain_s: float = Field(120.0, gt=0)  # in which a backlog should be gone
    half_life_s: float = Field(10.0, gt=0)  # of what was measured of arrivals
    age_s_max: float = Field(30.0, gt=0)  # older measurements are unknown
    up_window_s: float = Field(0.0, ge=0)
    up_period_s: float = Field(30.0, gt=0)
    down_window_s: float = Field(300.0, ge=0)
    down_period_s: float = Field(60.0, gt=0)


class PressureSettings(Section):
    """The lags in seconds at which pressure levels 1, 2 and 3 begin, and how calm ends them."""

    lag_s: tuple[float, float, float] = (1.0, 5.0, 30.0)
    calm_s: float = Field(5.0, ge=0)

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not 0 < self.lag_s[0] < self.lag_s[1] < self.lag_s[2]:
            raise ValueError(f"lag_s: wanted three rising numbers above 0, saw {self.lag_s}")
        return self


class SheddingSettings(Section):
    """What an overloaded shard may give up to keep its lag within `lag_s`.

    Tier 1 conflates forming values, 2 suspends them, 3 suspends plans of low priority and the
    scripts of plans below high priority, 4 drops the ticks of `low_symbols`; `tier_max` 0 sheds
    nothing, ever.
    """

    tier_max: int = Field(3, ge=0, le=4)
    lag_s: float = Field(5.0, gt=0)
    enter_s: float = Field(2.0, ge=0)
    dwell_s: float = Field(5.0, ge=0)
    calm_s: float = Field(30.0, ge=0)
    low_symbols: tuple[str, ...] = ()


class RetentionSettings(Section):
    """How long streams are kept; ticks are never trimmed before they are processed.

    Outputs are also bounded by `entries_max` of each stream of each shard.
    """

    ticks_s: float = Field(86_400, gt=0)
    signals_s: float = Field(7 * 86_400, gt=0)
    values_s: float = Field(86_400, gt=0)
    deadletters_s: float = Field(7 * 86_400, gt=0)
    entries_max: int = Field(1_000_000, ge=1)


class HttpSettings(Section):
    """Where /metrics, /healthz, /readyz and /scale are served; port 0 takes a free one."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = Field(9464, ge=0, le=65_535)


class LogSettings(Section):
    """What is logged, to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class TelemetrySettings(Section):
    """Traces for an OpenTelemetry collector, by OTLP over HTTP; without its address there are none.

    The path `/v1/traces` follows the address. `share` is of the batches, `per_s_max` bounds them.
    """

    endpoint: Annotated[str, AfterValidator(_collector)] | None = None
    headers: dict[str, SecretStr] = {}
    ca_file: Path | None = None
    share: float = Field(0.01, gt=0, le=1)
    per_s_max: int = Field(20, ge=1, le=1_000)
    timeout_s: float = Field(5.0, gt=0, le=60)


class Settings(BaseSettings):
    """Everything a process of the fleet is told."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
    )

    redis: RedisSettings = RedisSettings()
    name: str = Field("fleet", pattern=r"^[A-Za-z0-9_-]{1,32}$")
    shards: int = Field(16, ge=1, le=16_384)
    sources: tuple[str, ...] = ()
    plans: dict[Name, PlanSettings] = {}
    worker: WorkerSettings = WorkerSettings()
    scripts: ScriptSettings = ScriptSettings()
    balance: BalanceSettings = BalanceSettings()
    scaling: ScalingSettings = ScalingSettings()
    pressure: PressureSettings = PressureSettings()
    shedding: SheddingSettings = SheddingSettings()
    retention: RetentionSettings = RetentionSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @property
    def shard_names(self) -> tuple[str, ...]:
        """Every shard: the numbered ones, then the foreign streams, each a shard of its own."""
        return (*map(str, range(self.shards)), *self.sources)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the names are pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The command line wins over the environment, the environment over the file."""
        assert isinstance(init_settings, InitSettingsSource)
        given = dict(init_settings.init_kwargs)
        file_values = given.pop(FILE_VALUES, {})
        return (
            InitSettingsSource(settings_cls, given),
            env_settings,
            InitSettingsSource(settings_cls, file_values),
        )


def load_settings(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Settings of the file (if any), under the environment, under nested `overrides`.

    Raises: SettingsError, naming every unknown or bad key at once.
    """
    given = _read(path) if path is not None else {}
    problems = [f"{name}: unknown environment variable" for name in _unknown_environment()]
    try:
        settings = Settings(**{**(overrides or {}), FILE_VALUES: given})
    except ValidationError as error:
        problems += list(_explain(error))
    if problems:
        where = str(path) if path is not None else "the settings"
        raise SettingsError(f"{len(problems)} problem(s) in {where}:\n  " + "\n  ".join(problems))
    return settings


def _read(path: Path) -> dict[str, Any]:
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not YAML: {error}") from error
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise SettingsError(f"{path}: wanted keys at the top, saw a {type(given).__name__}")
    return given


def _unknown_environment() -> Iterator[str]:
    known = {ENVIRONMENT_PREFIX + name.upper() for name in Settings.model_fields}
    for name in sorted(os.environ):
        ours = name.startswith(ENVIRONMENT_PREFIX) and not FOREIGN_ENVIRONMENT.match(name)
        if ours and name.upper().split("__")[0] not in known:
            yield name


def _explain(error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            yield f"{key}: unknown key"
        else:
            yield f"{key}: {problem['msg'].removeprefix('Value error, ')}"
