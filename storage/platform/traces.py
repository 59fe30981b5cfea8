"""The trace that an outbox entry is written in, so that what comes of it hangs under its cause.

Nothing here does anything unless a trace is on: ``observability.tracing`` decides that.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_FORMAT = TraceContextTextMapPropagator()
_FIELD = "traceparent"


def current() -> str | None:
    """The trace and span we are in, as W3C Trace Context writes them; None outside of any."""
    carrier: dict[str, str] = {}
    _FORMAT.inject(carrier)
    return carrier.get(_FIELD)


@contextmanager
def resumed(traceparent: str | None) -> Iterator[None]:
    """Be in that trace while the block runs; None changes nothing."""
    if traceparent is None:
        yield
        return
    token = context.attach(_FORMAT.extract({_FIELD: traceparent}))
    try:
        yield
    finally:
        context.detach(token)
