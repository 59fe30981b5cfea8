"""Worker builds on the Temporal dev server, and a deploy in the middle of a sequence."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from prometheus_client import REGISTRY
from temporalio.client import Client

import worker
from domain.statuses.enrollment_state import EnrollmentState, NewEnrollment
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus
from manage import set_up
from services.factory import Services
from settings import Settings
from standalone.errors import PartError
from standalone.ports import free_port
from standalone.temporal import TemporalServer
from tests.fakes import FakeGateway
from tests.workflows.histories import patches
from tests.workflows.next_build import NextEnrollmentWorkflow
from tests.workflows.plays import event_name, eventually
from workflows.client import EnrollmentClient, connect_to_temporal
from workflows.enrollment import EnrollmentWorkflow
from workflows.set_up import current_build, make_current

WAITING = EnrollmentState(
    doing=EnrollmentPhase.WAITING,
    status=EnrollmentStatus.ACTIVE,
    step=1,
    step_count=2,
    sender_id="s",
)


NEXT = [NextEnrollmentWorkflow, *[one for one in worker.WORKFLOWS if one is not EnrollmentWorkflow]]


class Ledger:
    """Decides with one state for every enrollment."""

    def __init__(self) -> None:
        self.state = replace(WAITING, due_at=datetime.now(UTC) + timedelta(days=20))
        self.asked = 0

    async def decide_step(self, enrollment_id: UUID) -> EnrollmentState:
        self.asked += 1
        return self.state


@pytest.fixture
def settings(temporal_server: TemporalServer) -> Settings:
    return Settings(
        database_url="postgresql://nobody@127.0.0.1:1/none",
        temporal_address=temporal_server.address,
        temporal_namespace=f"versions-{uuid4().hex[:8]}",
    )


def of(settings: Settings, build_id: str) -> Settings:
    return settings.model_copy(update={"segue_build_id": build_id})


@asynccontextmanager
async def working(client: Client, ledger: Ledger, build_id: str) -> AsyncIterator[None]:
    """Run the workers of a build; drain them at the end."""
    services = cast(
        "Services",
        SimpleNamespace(
            sending=ledger, gateway=FakeGateway(), sweep=None, deliveries=None, jobs=None
        ),
    )
    drain = Settings.model_fields["drain"].default
    workers = worker.build_workers(client, services, drain=drain, build_id=build_id)
    running = [asyncio.create_task(one.run()) for one in workers]
    yield
    await asyncio.gather(*(one.shutdown() for one in workers))
    await asyncio.gather(*running)


async def start(client: Client) -> UUID:
    now = datetime.now(UTC)
    new = NewEnrollment(uuid4(), uuid4(), uuid4(), replace(WAITING, due_at=now, step=0))
    temporal = EnrollmentClient(client, page_base_url="http://segue.test")
    await temporal.start_enrollment(new)
    return new.enrollment_id


async def connected(settings: Settings) -> Client:
    return await connect_to_temporal(settings.temporal_address, settings.temporal_namespace)


async def test_open_workflow_continues_on_the_next_build(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The changes of the next build are patched."""
    ledger = Ledger()
    await set_up(of(settings, "v1"))
    client = await connected(settings)
    async with working(client, ledger, "v1"):
        enrollment = await start(client)
        handle = client.get_workflow_handle(f"enrollment/{enrollment}")

        async def asked() -> bool:
            return ledger.asked == 1

        await eventually(asked)

    await set_up(of(settings, "v2"))
    monkeypatch.setattr(worker, "WORKFLOWS", NEXT)
    ledger.state = replace(WAITING, doing="ended", status=EnrollmentStatus.FINISHED_NO_RESPONSE)
    async with working(client, ledger, "v2"):
        await handle.signal("reconsider", {"status": None})
        result: Any = await asyncio.wait_for(handle.result(), 40)

    assert result["status"] == EnrollmentStatus.FINISHED_NO_RESPONSE
    events = [event async for event in handle.fetch_history_events()]
    builds = [
        event.workflow_task_completed_event_attributes.deployment_version.build_id
        for event in events
        if event_name(event) == "workflow_task_completed"
    ]
    assert list(dict.fromkeys(builds)) == ["v1", "v2"]
    assert patches(events) == ["decide", "sleeps-before-step-2"]


async def test_set_up_changes_the_build_forth_and_back(settings: Settings) -> None:
    await set_up(settings)
    client = await connected(settings)
    assert await current_build(client) is None
    for build_id in ("v1", "v2", "v1", ""):
        await asyncio.gather(*(set_up(of(settings, build_id)) for _ in range(2)))
        assert await current_build(client) == build_id
        assert not await make_current(client, build_id), "it is current already"


@asynccontextmanager
async def watching(client: Client, build_id: str) -> AsyncIterator[None]:
    task = asyncio.create_task(worker._watch_version(client, build_id))
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def shown(build_id: str) -> float | None:
    return REGISTRY.get_sample_value("segue_worker_build_is_current", {"build": build_id})


async def test_first_build_becomes_current_and_a_later_one_warns(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    await set_up(settings)
    client = await connected(settings)

    async def first_is_current() -> bool:
        return await current_build(client) == "v1"

    async def warned() -> bool:
        return bool(caplog.messages)

    caplog.set_level(logging.WARNING, "worker")
    async with watching(client, "v1"):
        await eventually(first_is_current)
        await asyncio.sleep(0.1)
    assert not caplog.messages
    assert shown("v1") == 1
    for build_id, named in (("v2", "v2"), ("", "of no version")):
        caplog.clear()
        async with watching(client, build_id):
            await eventually(warned)
        assert f"build v1 is current, and this is {named}: it gets no work" in caplog.messages[0]
        assert shown(build_id) == 0
    assert await current_build(client) == "v1"


async def test_running_build_does_not_undo_a_return_to_unversioned_workers(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    for build_id in ("v1", ""):
        await set_up(of(settings, build_id))
    client = await connected(settings)

    async def warned() -> bool:
        return bool(caplog.messages)

    caplog.set_level(logging.WARNING, "worker")
    async with watching(client, "v1"):
        await eventually(warned)
    assert "build of no version is current, and this is v1: it gets no work" in caplog.messages[0]
    assert await current_build(client) == ""


async def test_standalone_changes_the_build_forth_and_back(tmp_path: Path) -> None:
    server = TemporalServer(None, free_port(), None, log=tmp_path / "temporal.log")
    server.start()
    try:
        client = await Client.connect(server.address)
        server.make_current("")
        assert await current_build(client) is None
        for build_id in ("v1", "v2", ""):
            server.make_current(build_id)
            assert await current_build(client) == build_id
    finally:
        server.stop()
    with pytest.raises(PartError, match="Temporal refused the build v3"):
        server.make_current("v3")
