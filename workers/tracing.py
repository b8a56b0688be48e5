"""Traces as plain values, and which batches are traced; no telemetry library is known here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from random import random
from typing import Final, Protocol

from workers.settings import SettingsError, TelemetrySettings

NEEDED: Final = ("opentelemetry.sdk.trace.export", "opentelemetry.exporter.otlp.proto.http")


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took time, in ns since the epoch; `failed` is the kind of its error."""

    name: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, str | int | float] = field(default_factory=dict)
    children: Sequence["Span"] = ()
    failed: str = ""


class Traces(Protocol):
    """Where spans go."""

    def takes(self) -> bool:
        """Whether the next batch is to be told; asked by one thread."""

    def tell(self, span: Span) -> None:
        """Hand over a whole trace; never waits, never raises for what becomes of it."""

    def close(self, within_s: float) -> None:
        """Deliver what waits, as far as the time allows."""


class Sampler:
    """A share of all, and never more than so many in a second."""

    def __init__(self, share: float, per_s_max: int) -> None:
        self._share, self._per_s_max = share, per_s_max
        self._second, self._taken = float("-inf"), 0

    def takes(self, now: float) -> bool:
        """Whether to take this one, at a moment of a steady clock."""
        if random() >= self._share:  # noqa: S311 - a sample, not a secret
            return False
        if now - self._second >= 1:
            self._second, self._taken = now, 0
        self._taken += 1
        return self._taken <= self._per_s_max


def require(settings: TelemetrySettings) -> None:
    """Nothing, if traces are off or can be made. Raises: SettingsError."""
    if settings.endpoint is None or all(_is_installed(name) for name in NEEDED):
        return
    raise SettingsError(
        "telemetry.endpoint: traces need OpenTelemetry; install signalfleet[otel], or leave it out"
    )


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def open_traces(settings: TelemetrySettings, *, fleet: str, worker: str) -> Traces | None:
    """Where this worker's spans go; None, and nothing imported, where no one asks for them.

    Raises: SettingsError.
    """
    if settings.endpoint is None:
        return None
    require(settings)
    traces: Traces = import_module("workers.otel").OtelTraces(settings, fleet=fleet, worker=worker)
    return traces
