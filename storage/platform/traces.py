"""The trace of an outbox entry, which its delivery continues.

Does nothing unless ``observability.tracing`` has started a trace.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_FORMAT = TraceContextTextMapPropagator()
_FIELD = "traceparent"


def current() -> str | None:
    """Write the current trace and span as W3C Trace Context; None outside of any."""
    carrier: dict[str, str] = {}
    _FORMAT.inject(carrier)
    return carrier.get(_FIELD)


@contextmanager
def resumed(traceparent: str | None) -> Iterator[None]:
    """Continue a trace inside the block; None changes nothing."""
    if traceparent is None:
        yield
        return
    token = context.attach(_FORMAT.extract({_FIELD: traceparent}))
    try:
        yield
    finally:
        context.detach(token)
