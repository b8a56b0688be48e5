"""Traces to an OpenTelemetry collector. Imported only where they are asked for."""

import logging
from collections.abc import Sequence
from threading import Thread
from time import monotonic
from typing import Final

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Status, StatusCode, Tracer, set_span_in_context

from workers.settings import TelemetrySettings
from workers.tracing import Sampler, Span

PATH: Final = "/v1/traces"
QUEUE_SPANS: Final = 2_048  # of what waits: when it is full the oldest go
SEND_SPANS: Final = 512
SEND_EVERY_MS: Final = 2_000
PREFIX: Final = "signalfleet."

logger = structlog.get_logger()


class OtelTraces:
    """Sends spans from a thread of its own; a collector that is away costs the spans alone."""

    def __init__(self, settings: TelemetrySettings, *, fleet: str, worker: str) -> None:
        assert settings.endpoint is not None
        # What fails is told once, by us, and not every two seconds.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._sampler = Sampler(settings.share, settings.per_s_max)
        self._exporter = _Delivery(
            OTLPSpanExporter(
                endpoint=settings.endpoint.rstrip("/") + PATH,
                certificate_file=str(settings.ca_file) if settings.ca_file else None,
                headers={
                    name: value.get_secret_value() for name, value in settings.headers.items()
                },
                timeout=settings.timeout_s,
            )
        )
        self._processor = BatchSpanProcessor(
            self._exporter,
            max_queue_size=QUEUE_SPANS,
            max_export_batch_size=SEND_SPANS,
            schedule_delay_millis=SEND_EVERY_MS,
        )
        provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource.create(
                {
                    "service.name": "signalfleet",
                    "service.namespace": fleet,
                    "service.instance.id": worker,
                }
            ),
            shutdown_on_exit=False,  # unbounded; `close` is not
        )
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer("signalfleet")

    def takes(self) -> bool:
        """Whether the next batch is to be told; asked by one thread."""
        return self._sampler.takes(monotonic())

    def tell(self, span: Span) -> None:
        """Put the spans of a trace into the queue."""
        _tell(self._tracer, span, Context())

    def close(self, within_s: float) -> None:
        """Deliver what waits, and let go after `within_s` whatever the collector does."""
        ending = Thread(target=self._processor.shutdown, name="traces", daemon=True)
        ending.start()
        ending.join(within_s)
        self._exporter.shutdown()  # interrupts a delivery that is being tried again


def _tell(tracer: Tracer, span: Span, around: Context) -> None:
    """The span and all that is in it, each in the `around` of its parent."""
    told = tracer.start_span(
        span.name,
        context=around,
        attributes={PREFIX + name: value for name, value in span.attributes.items()},
        start_time=span.start_ns,
    )
    inside = set_span_in_context(told, Context())
    for child in span.children:
        _tell(tracer, child, inside)
    if span.failed:
        told.set_status(Status(StatusCode.ERROR, span.failed))
    told.end(span.end_ns)


class _Delivery(SpanExporter):
    """The exporter, which says once when the collector is away, and once when it is back."""

    def __init__(self, exporter: OTLPSpanExporter) -> None:
        self._exporter, self._is_away, self._is_shut = exporter, False, False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        is_away = result is not SpanExportResult.SUCCESS
        if is_away and not self._is_away:
            logger.warning("traces not delivered", spans=len(spans))
        elif self._is_away and not is_away:
            logger.info("traces delivered again")
        self._is_away = is_away
        return result

    def shutdown(self) -> None:
        if not self._is_shut:
            self._is_shut = True
            self._exporter.shutdown()  # type: ignore[no-untyped-call]
