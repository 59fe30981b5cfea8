"""Traces from a request through the outbox and the workflow to the provider's answer."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace import TracerProvider as RecordingProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import NoOpTracerProvider, Status, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue
from temporalio.contrib.opentelemetry import TracingInterceptor

KEPT = frozenset(
    {
        "error.type",
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "segue.attempt_id",
        "segue.outcome",
        "temporalActivityID",
        "temporalRunID",
        "temporalWorkflowID",
    }
)
"""The attributes that leave the process. Others, set by libraries, hold paths, query strings, hosts
and error messages, which may contain anything."""

_EXPORT_SECONDS = 5


class PlainSpans(SpanExporter):
    """Exports spans without what could be personal: other attributes, events, error messages."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export spans."""
        return self._exporter.export([_plain(span) for span in spans])

    def shutdown(self) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export everything now."""
        return self._exporter.force_flush(timeout_millis)


class Traces:
    """The traces of one process; without a provider they are off and cost nothing."""

    def __init__(self, provider: RecordingProvider | None = None) -> None:
        self._recording = provider
        self.provider: TracerProvider = provider or NoOpTracerProvider()
        self._tracer = self.provider.get_tracer("segue")

    @classmethod
    def to(cls, endpoint: str | None, *, service: str) -> "Traces":
        """Send traces to a collector by OTLP over HTTP; to None, nowhere."""
        if endpoint is None:
            return cls()
        provider = RecordingProvider(
            resource=Resource.create({"service.name": service}), shutdown_on_exit=False
        )
        exporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", timeout=_EXPORT_SECONDS)
        provider.add_span_processor(BatchSpanProcessor(PlainSpans(exporter)))
        return cls(provider)

    def interceptors(self) -> Sequence[TracingInterceptor]:
        """Make the interceptors that trace a Temporal client and its workers."""
        if self._recording is None:
            return ()
        interceptor = TracingInterceptor(self._recording.get_tracer("temporalio"))
        # No baggage: callers of the API may write anything into it, and histories keep headers.
        interceptor.text_map_propagator = TraceContextTextMapPropagator()
        return (interceptor,)

    @contextmanager
    def span(self, name: str, **attributes: AttributeValue) -> Iterator[trace.Span]:
        """Run the block in a span, if there is a parent span."""
        above = trace.get_current_span()
        if not above.is_recording():
            yield trace.INVALID_SPAN
            return
        named = {f"segue.{key}": value for key, value in attributes.items()}
        with self._tracer.start_as_current_span(name, attributes=named) as span:
            yield span

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block in the span of a database transaction."""
        with self.span("transaction"):
            yield

    async def aclose(self) -> None:
        """Send what is left, within the time of one export."""
        if self._recording is None:
            return
        # A hanging collector must not delay the exit: the SDK itself would wait 30 seconds.
        ending = threading.Thread(target=self._recording.shutdown, daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, _EXPORT_SECONDS)


def _plain(span: ReadableSpan) -> ReadableSpan:
    kept = {name: value for name, value in (span.attributes or {}).items() if name in KEPT}
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=kept,
        links=[trace.Link(link.context) for link in span.links],
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
