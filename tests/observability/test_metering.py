"""The metered ports count every answer once, labeled with codes only."""

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from prometheus_client import REGISTRY

from domain.event_webhooks.events import EventsRound
from domain.maintenance.ports import SweepReport
from domain.messaging.deadline import Deadline
from domain.messaging.ports import (
    Accepted,
    ListedMessage,
    NotCalled,
    OutcomeUnknown,
    Refused,
    SendingGateway,
    SendRequest,
    SendResult,
)
from domain.statuses.contacts import LineType
from domain.statuses.messaging import MessageStatus
from observability.metering import MeteredDeliverer, MeteredGateway, MeteredSweeper
from observability.tracing import Traces

PHONE = "+12125550187"


class ScriptedGateway:
    """A gateway that gives one answer to every call."""

    def __init__(self, answer: SendResult) -> None:
        self._answer = answer

    async def create(self, call: SendRequest) -> SendResult:
        return self._answer

    async def list_outbound(self, to: str, since: datetime) -> Sequence[ListedMessage]:
        return [ListedMessage("SM1", to, MessageStatus.SENT, since)]

    async def line_type(self, phone: str) -> LineType:
        return LineType.MOBILE


def call(due_at: datetime | None = None) -> SendRequest:
    deadline = Deadline.within(timedelta(0))
    return SendRequest(uuid4(), PHONE, PHONE, None, "Hi", (), 60, deadline, due_at)


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(
    ("answer", "outcome", "reason"),
    [
        (Accepted("SM1", MessageStatus.QUEUED), "accepted", ""),
        (NotCalled(), "not_called", ""),
        (OutcomeUnknown(), "unknown", ""),
        (Refused(503, None), "unknown", ""),
        (Refused(0, None), "unreachable", ""),
        (Refused(429, 20429), "throttled", "transient"),
        (Refused(400, 21610), "refused", "opted_out"),
        (Refused(400, 21614), "refused", "landline"),
        (Refused(401, 20003), "refused", "hold_sender"),
        (Refused(400, 21408), "refused", "hold_enrollment"),
        (Refused(400, 21211), "refused", "permanent"),
    ],
)
async def test_sends_are_counted_by_outcome(answer: SendResult, outcome: str, reason: str) -> None:
    before = value("segue_sends_total", outcome=outcome, reason=reason)
    calls = value("segue_provider_call_seconds_count")

    assert await MeteredGateway(ScriptedGateway(answer), Traces()).create(call()) is answer
    assert value("segue_sends_total", outcome=outcome, reason=reason) == before + 1
    made = value("segue_provider_call_seconds_count") - calls
    assert made == (0 if outcome == "not_called" else 1)


async def test_lag_is_measured_from_due_to_accepted() -> None:
    count, total = value("segue_send_lag_seconds_count"), value("segue_send_lag_seconds_sum")
    gateway = MeteredGateway(ScriptedGateway(Accepted("SM1", MessageStatus.QUEUED)), Traces())
    await gateway.create(call(datetime.now(UTC) - timedelta(seconds=40)))
    await gateway.create(call())

    assert value("segue_send_lag_seconds_count") == count + 1
    assert value("segue_send_lag_seconds_sum") - total == pytest.approx(40, abs=5)


async def test_other_gateway_calls_are_forwarded() -> None:
    gateway: SendingGateway = MeteredGateway(ScriptedGateway(NotCalled()), Traces())

    assert [one.sid for one in await gateway.list_outbound(PHONE, datetime.now(UTC))] == ["SM1"]
    assert await gateway.line_type(PHONE) is LineType.MOBILE


async def test_sweep_counts_its_findings_and_its_time() -> None:
    class Sweeping:
        async def sweep(self) -> SweepReport:
            return SweepReport(delivered=3, restarted=2, failures=["jobs: ValueError"])

    before = {
        kind: value("segue_sweep_findings_total", kind=kind)
        for kind in ("delivered", "restarted", "settled")
    }
    failed = value("segue_sweep_failures_total", part="jobs")
    report = await MeteredSweeper(Sweeping()).sweep()

    assert report.restarted == 2
    found = {
        kind: value("segue_sweep_findings_total", kind=kind) - was for kind, was in before.items()
    }
    assert found == {"delivered": 3, "restarted": 2, "settled": 0}
    assert value("segue_sweep_failures_total", part="jobs") == failed + 1
    finished = value("segue_sweep_finished_timestamp_seconds")
    assert finished == pytest.approx(datetime.now(UTC).timestamp(), abs=60)


async def test_deliveries_are_counted_by_result() -> None:
    class Delivering:
        async def deliver(self, endpoint_id: UUID) -> EventsRound:
            return EventsRound(delivered=4, failed=1)

    results = ("delivered", "failed")
    before = [value("segue_event_deliveries_total", result=result) for result in results]
    await MeteredDeliverer(Delivering()).deliver(uuid4())

    after = [value("segue_event_deliveries_total", result=result) for result in results]
    assert [now - was for now, was in zip(after, before, strict=True)] == [4, 1]


def test_counters_start_at_zero() -> None:
    """A counter that appears with its first event shows no increase to an alert."""
    fresh = (
        "import observability.metering, prometheus_client as p; print(p.generate_latest().decode())"
    )
    scraped = subprocess.run(
        [sys.executable, "-c", fresh], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for series in (
        'segue_sends_total{outcome="accepted",reason=""}',
        'segue_sends_total{outcome="unknown",reason=""}',
        'segue_sends_total{outcome="refused",reason="hold_sender"}',
        'segue_sends_total{outcome="throttled",reason="transient"}',
        'segue_webhook_seconds_count{kind="inbound",result="failed"}',
        'segue_sweep_findings_total{kind="restarted"}',
        'segue_event_deliveries_total{result="failed"}',
    ):
        assert f"{series} 0.0" in scraped
