"""Traces lead from a request to its text, and hold nothing personal."""

import asyncio
import json
import time
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

import httpx
import pytest
from opentelemetry.trace import NoOpTracerProvider, StatusCode
from pydantic import SecretStr
from temporalio.worker import Replayer

from api.app import create_app
from domain.messaging.ports import (
    Accepted,
    Attachment,
    ListedMessage,
    ListedText,
    ListPage,
    SendRequest,
    SendResult,
)
from domain.platform.rules import SendingRules
from domain.statuses.access import Role
from domain.statuses.contacts import LineType
from domain.statuses.messaging import MessageStatus
from observability.tracing import KEPT, Traces
from services.factory import ServiceConfig, Services
from settings import ApiSettings, Settings
from standalone.ports import free_port
from standalone.temporal import TemporalServer
from storage.platform import traces as stored
from storage.platform.database import Database
from tests.api.conftest import whole_token
from tests.kits.traces import KeptTraces
from tests.workflows import histories
from tests.workflows.plays import BODY, NAME, PHONE, eventually
from tests.worlds import World
from worker import WORKFLOWS, build_workers
from workflows.client import DATA_CONVERTER, EnrollmentClient, connect_to_temporal

REQUEST = "POST /api/sequences/{sequence_id}/enrollments"


class OneTextGateway:
    """A gateway that accepts every text, after one error with a number and a text in it."""

    def __init__(self) -> None:
        self.failed = False

    async def create(self, call: SendRequest) -> SendResult:
        if not self.failed:
            self.failed = True
            raise RuntimeError(f"{call.to}: {call.body}")
        return Accepted(f"SM{call.attempt_id.hex}", MessageStatus.QUEUED)

    async def list_outbound(self, to: str, since: datetime) -> Sequence[ListedMessage]:
        return []

    async def list_inbound(
        self, since: datetime, until: datetime, page: str | None = None, *, to: str | None = None
    ) -> ListPage[ListedText]:
        raise NotImplementedError

    async def pictures(self, sid: str) -> Sequence[str]:
        raise NotImplementedError

    async def attachment(self, url: str) -> Attachment | None:
        raise NotImplementedError

    async def message(self, sid: str) -> ListedMessage | None:
        raise NotImplementedError

    async def line_type(self, phone: str) -> LineType:
        return LineType.MOBILE


@pytest.fixture
def recorded() -> KeptTraces:
    return KeptTraces()


async def test_one_trace_leads_from_request_to_text(
    recorded: KeptTraces,
    database_url: str,
    temporal_server: TemporalServer,
    temporal_namespace: str,
) -> None:
    """From the request to the workflow to the call; no span holds anything personal."""
    traces = recorded.traces
    client = await connect_to_temporal(
        temporal_server.address, temporal_namespace, interceptors=traces.interceptors()
    )
    database = Database(database_url, around=traces.transaction)
    world = World(database)
    await world.found()
    services = Services(
        database,
        EnrollmentClient(client, page_base_url="http://segue.test"),
        OneTextGateway(),
        ServiceConfig(SendingRules()),
    )
    settings = ApiSettings(
        database_url=database_url,
        twilio_account_sid="AC" + "0" * 32,
        twilio_auth_token=SecretStr("token"),
        public_base_url="https://segue.test",
        session_secret=SecretStr("known to everybody, so of tests alone"),
    )
    app = create_app(settings, services=services, traces=traces)
    admin = await services.users.create(email="admin@example.com", role=Role.ADMIN)
    token = await whole_token(services, admin.id)
    sequence = await world.active()
    [contact] = await world.contacts(1, phone=PHONE, first_name=NAME)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://segue.test",
        headers={"Authorization": f"Bearer {token}", "baggage": f"phone={PHONE}"},
    ) as http:
        listed = await http.get("/api/contacts", params={"search": NAME})
        await http.get(f"/no/such/{NAME}")
        enrolled = await http.post(
            f"/api/sequences/{sequence.id}/enrollments", json={"contact_ids": [str(contact)]}
        )
    assert (listed.status_code, enrolled.status_code) == (200, 200)
    enrollment = enrolled.json()["enrolled"][0]["id"]

    await services.outbox.drain()
    workers = build_workers(
        client, services, drain=Settings.model_fields["drain"].default, traces=traces
    )
    running = [asyncio.create_task(worker.run()) for worker in workers]

    async def failed_once() -> bool:
        return bool(recorded.named("RunActivity:send_step"))

    await eventually(failed_once)
    # Refused, so that nothing has to be reconciled, which would take minutes.
    await world.run("UPDATE attempts SET outcome = 'refused' WHERE outcome = 'open'")

    async def sent() -> bool:
        return bool(await world.rows("SELECT 1 FROM attempts WHERE outcome = 'accepted'"))

    await eventually(sent)
    await services.finishing.mark_finished([UUID(enrollment)], admin.id)
    await services.outbox.drain()
    handle = client.get_workflow_handle(f"enrollment/{enrollment}")
    await handle.result()
    await asyncio.gather(*(worker.shutdown() for worker in workers))
    await asyncio.gather(*running)
    await database.close()

    [request] = recorded.named(REQUEST)
    [called] = [
        span
        for span in recorded.named("provider create")
        if (span.attributes or {}).get("segue.outcome") == "accepted"
    ]
    trace_id = request.context.trace_id
    assert called.context.trace_id == trace_id
    chain = {span.name for span in recorded.spans() if span.context.trace_id == trace_id}
    assert chain >= {
        *(REQUEST, "transaction", "StartWorkflow:Enrollment", "RunWorkflow:Enrollment"),
        *("StartActivity:send_step", "RunActivity:send_step", "provider create"),
    }
    [begun] = recorded.named("StartWorkflow:Enrollment")
    assert begun.parent is not None
    assert begun.parent.trace_id == trace_id
    assert (request.attributes or {})["http.route"] == "/api/sequences/{sequence_id}/enrollments"

    history = await handle.fetch_history()
    assert histories.personal(history) == set()
    everything = "".join(span.to_json() for span in recorded.spans())
    words = (PHONE, PHONE[1:], NAME, BODY, token, "baggage", "search")
    assert [word for word in words if word in everything] == []
    assert {name for span in recorded.spans() for name in span.attributes or {}} <= KEPT


def test_error_message_is_not_exported(recorded: KeptTraces) -> None:
    with pytest.raises(LookupError), recorded.tracer.start_as_current_span("broken"):
        raise LookupError(f"{NAME} {PHONE}")

    [span] = recorded.named("broken")
    assert span.status.status_code is StatusCode.ERROR
    assert not span.status.description
    assert not span.events


async def test_recorded_histories_replay_with_traces(recorded: KeptTraces) -> None:
    replayer = Replayer(
        workflows=WORKFLOWS,
        data_converter=DATA_CONVERTER,
        interceptors=recorded.traces.interceptors(),
    )
    assert await histories.replay_all(replayer) == {}


async def test_switched_off_traces_record_nothing() -> None:
    traces = Traces.to(None, service="segue-api")

    assert isinstance(traces.provider, NoOpTracerProvider)
    assert not traces.interceptors()
    assert stored.current() is None
    with traces.span("x", attempt_id=str(uuid4())) as span:
        assert not span.is_recording()
    await traces.aclose()


def test_stored_trace_is_resumed(recorded: KeptTraces) -> None:
    with recorded.tracer.start_as_current_span("request") as span:
        written = stored.current()
    with stored.resumed(written), recorded.traces.span("later"):
        pass

    assert written is not None
    assert f"{span.get_span_context().trace_id:032x}" in written
    assert stored.current() is None


async def test_unreachable_collector_does_not_delay_the_exit() -> None:
    traces = Traces.to(f"http://127.0.0.1:{free_port()}", service="segue-api")
    with traces.provider.get_tracer("test").start_as_current_span("request"):
        pass
    began = time.monotonic()
    await traces.aclose()

    assert time.monotonic() - began < 10


def test_span_is_exported_as_json(recorded: KeptTraces) -> None:
    with recorded.tracer.start_as_current_span("request"):
        pass

    assert json.loads(recorded.spans()[0].to_json())["name"] == "request"
