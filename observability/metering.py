"""The ports, measured: each wraps the real one and counts its answers."""

import time
from dataclasses import fields
from datetime import UTC, datetime
from uuid import UUID

from domain.event_webhooks.events import EventDeliverer, EventsRound
from domain.maintenance.ports import Sweeper, SweepReport
from domain.messaging.ports import (
    Accepted,
    NotCalled,
    OutcomeUnknown,
    Refused,
    SendingGateway,
    SendRequest,
    SendResult,
)
from domain.platform.provider_errors import Effect, classify_answer
from observability import metrics
from observability.tracing import Traces

_FINDINGS = [one.name for one in fields(SweepReport) if one.name not in {"failures", "second_read"}]

# Present from the start: a counter that appears with its first event shows no increase.
for _done in ("accepted", "not_called", "unknown", "unreachable"):
    metrics.SENDS.labels(_done, "")
for _effect in set(Effect) - {Effect.UNKNOWN}:
    metrics.SENDS.labels("refused", _effect.value)
metrics.SENDS.labels("throttled", Effect.TRANSIENT.value)
for _finding in _FINDINGS:
    metrics.SWEEP_FINDINGS.labels(_finding)
for _result in ("delivered", "failed"):
    metrics.EVENT_DELIVERIES.labels(_result)


class MeteredGateway:
    """Counts sends by answer, and measures their duration and lag; does not measure questions."""

    def __init__(self, gateway: SendingGateway, traces: Traces) -> None:
        self._gateway = gateway
        self._traces = traces
        self.list_outbound = gateway.list_outbound
        self.line_type = gateway.line_type

    async def create(self, call: SendRequest) -> SendResult:
        """Hand one message to the provider."""
        began = time.perf_counter()
        with self._traces.span("provider create", attempt_id=str(call.attempt_id)) as span:
            answer = await self._gateway.create(call)
            outcome, reason = _outcome(answer)
            span.set_attribute("segue.outcome", outcome)
        metrics.SENDS.labels(outcome, reason).inc()
        if not isinstance(answer, NotCalled):
            metrics.PROVIDER_CALL.observe(time.perf_counter() - began)
        if isinstance(answer, Accepted) and call.due_at is not None:
            lag = datetime.now(UTC) - call.due_at
            metrics.SEND_LAG.observe(max(0.0, lag.total_seconds()))
        return answer


class MeteredSweeper:
    """Counts what sweeps find, and notes when one finished."""

    def __init__(self, sweeper: Sweeper) -> None:
        self._sweeper = sweeper

    async def sweep(self) -> SweepReport:
        """Run one sweep."""
        report = await self._sweeper.sweep()
        for finding in _FINDINGS:
            metrics.SWEEP_FINDINGS.labels(finding).inc(getattr(report, finding))
        metrics.SECOND_READINGS.inc(report.second_read)
        for failure in report.failures:
            metrics.SWEEP_FAILURES.labels(failure.partition(":")[0]).inc()
        metrics.SWEEP_FINISHED.set_to_current_time()
        return report


class MeteredDeliverer:
    """Counts deliveries to event endpoints."""

    def __init__(self, deliverer: EventDeliverer) -> None:
        self._deliverer = deliverer

    async def deliver(self, endpoint_id: UUID) -> EventsRound:
        """Deliver what is due to one endpoint."""
        done = await self._deliverer.deliver(endpoint_id)
        metrics.EVENT_DELIVERIES.labels("delivered").inc(done.delivered)
        metrics.EVENT_DELIVERIES.labels("failed").inc(done.failed)
        return done


def _outcome(answer: SendResult) -> tuple[str, str]:
    """Label an answer; throttling is separate from other transient refusals."""
    match answer:
        case Accepted():
            return "accepted", ""
        case NotCalled():
            return "not_called", ""
        case OutcomeUnknown():
            return "unknown", ""
        case Refused(http_status=0):
            return "unreachable", ""
        case Refused():
            effect = classify_answer(answer.http_status, answer.code).effect
            if effect is Effect.UNKNOWN:
                return "unknown", ""
            return ("throttled" if answer.http_status == 429 else "refused"), effect.value
