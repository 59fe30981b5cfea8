"""Traces whose spans stay in this process."""

from dataclasses import dataclass, field

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

from observability.tracing import PlainSpans, Traces


@dataclass
class KeptTraces:
    """Traces, and the spans that they would have exported."""

    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    traces: Traces = field(init=False)

    def __post_init__(self) -> None:
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(PlainSpans(self.exporter)))
        self.traces = Traces(provider)

    @property
    def tracer(self) -> Tracer:
        """Begin spans as a caller of ours does."""
        return self.traces.provider.get_tracer("test")

    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans() if span.name == name]
