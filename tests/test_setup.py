"""`python -m manage set-up` on the Temporal dev server."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from unittest.mock import AsyncMock
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from domain.statuses.enrollment_state import EnrollmentState, NewEnrollment
from manage import main, set_up
from services.factory import Services
from settings import Settings
from standalone.ports import free_port
from standalone.temporal import SEARCH_ATTRIBUTES, TemporalServer
from tests.workflows.plays import eventually
from worker import _prepare
from workflows.client import (
    DATA_CONVERTER,
    EnrollmentClient,
    TemporalRefusedError,
    TemporalUnavailableError,
)

KEYWORD = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
OURS = dict.fromkeys(SEARCH_ATTRIBUTES, KEYWORD)


def new_settings(address: str, namespace: str = "") -> Settings:
    """Build settings for a new namespace."""
    return Settings(
        database_url="postgresql://nobody@127.0.0.1:1/none",
        temporal_address=address,
        temporal_namespace=namespace or f"set-up-{uuid4().hex[:8]}",
    )


async def client_of(settings: Settings) -> Client:
    return await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        data_converter=DATA_CONVERTER,
    )


async def register(settings: Settings, *, days: int) -> Client:
    client = await client_of(settings)
    request = RegisterNamespaceRequest(namespace=client.namespace)
    request.workflow_execution_retention_period.FromTimedelta(timedelta(days=days))
    await client.workflow_service.register_namespace(request)
    return client


async def add(client: Client, name: str, kind: IndexedValueType.ValueType) -> None:
    request = AddSearchAttributesRequest(namespace=client.namespace, search_attributes={name: kind})

    async def added() -> bool:
        try:
            await client.operator_service.add_search_attributes(request)
        except RPCError:  # not all of the server knows a new namespace at once
            return False
        return True

    await eventually(added)


async def state(
    client: Client,
) -> tuple[timedelta, dict[str, IndexedValueType.ValueType]]:
    """Read the retention and our search attributes of a namespace."""
    described = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=client.namespace)
    )
    listed = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    retention = described.config.workflow_execution_retention_ttl.ToTimedelta()
    custom = {
        name: kind for name, kind in listed.custom_attributes.items() if name.startswith("Segue")
    }
    return retention, custom


async def test_set_up_creates_what_is_missing_once(
    temporal_server: TemporalServer, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = new_settings(temporal_server.address)

    await set_up(settings)

    client = await client_of(settings)
    assert await state(client) == (timedelta(days=30), OURS)
    said = capsys.readouterr().out
    assert f"created the namespace {settings.temporal_namespace}" in said
    assert [name for name in OURS if f"added the search attribute {name}" in said] == list(OURS)

    await set_up(settings)

    assert await state(client) == (timedelta(days=30), OURS)
    where = f"{settings.temporal_address} is set up, namespace {settings.temporal_namespace}"
    assert capsys.readouterr().out == f"Temporal at {where}\n"


async def test_existing_namespace_and_attributes_are_kept(temporal_server: TemporalServer) -> None:
    settings = new_settings(temporal_server.address)
    client = await register(settings, days=90)
    await add(client, "SegueSequence", KEYWORD)

    await set_up(settings)

    assert await state(client) == (timedelta(days=90), OURS)


async def test_concurrent_set_ups_succeed(temporal_server: TemporalServer) -> None:
    settings = new_settings(temporal_server.address)

    await asyncio.gather(set_up(settings), set_up(settings))

    assert await state(await client_of(settings)) == (timedelta(days=30), OURS)


async def test_attribute_of_another_type_is_refused(temporal_server: TemporalServer) -> None:
    settings = new_settings(temporal_server.address)
    client = await register(settings, days=1)
    await add(client, "SegueSequence", IndexedValueType.INDEXED_VALUE_TYPE_INT)

    with pytest.raises(TemporalRefusedError, match="SegueSequence exists, but is no Keyword"):
        await set_up(settings)


async def test_worker_without_set_up_adds_the_attributes(
    temporal_server: TemporalServer,
) -> None:
    settings = new_settings(temporal_server.address)
    client = await register(settings, days=1)
    temporal = EnrollmentClient(client, page_base_url="http://segue.test")
    services = cast("Services", SimpleNamespace(temporal=temporal, outbox=AsyncMock()))

    await _prepare(client, services)

    assert (await state(client))[1] == OURS
    waiting = EnrollmentState(doing="waiting", status="active", step_count=1)
    new = NewEnrollment(uuid4(), uuid4(), uuid4(), waiting)

    async def started() -> bool:
        try:
            await temporal.start_enrollment(new)
        except TemporalUnavailableError:  # not all of the server knows a new attribute at once
            return False
        return True

    await eventually(started)


async def test_worker_continues_if_attributes_are_refused(
    temporal_server: TemporalServer, caplog: pytest.LogCaptureFixture
) -> None:
    settings = new_settings(temporal_server.address)
    client = await register(settings, days=1)
    await add(client, "SegueSequence", IndexedValueType.INDEXED_VALUE_TYPE_INT)
    services = cast("Services", AsyncMock())

    await _prepare(client, services)

    assert "SegueSequence exists, but is no Keyword" in caplog.text


def test_refusal_is_printed_in_one_line(
    temporal_server: TemporalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = new_settings(temporal_server.address, "n" * 2000)
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    monkeypatch.setenv("TEMPORAL_ADDRESS", settings.temporal_address)
    monkeypatch.setenv("TEMPORAL_NAMESPACE", settings.temporal_namespace)

    with pytest.raises(SystemExit, match=r"^Temporal refused: INVALID_ARGUMENT, .+$"):
        main(["set-up"])


@pytest.fixture
def late_server(tmp_path: Path) -> Iterator[TemporalServer]:
    """Return a server that is not started."""
    server = TemporalServer(None, free_port(), None, log=tmp_path / "temporal.log")
    yield server
    server.stop()


async def test_set_up_waits_for_temporal_and_says_so(
    late_server: TemporalServer, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = new_settings(late_server.address)
    said: list[str] = []

    async def waits() -> bool:
        said.append(capsys.readouterr().err)
        return f"waiting for Temporal at {late_server.address}" in "".join(said)

    setting_up = asyncio.create_task(set_up(settings))
    await eventually(waits)
    late_server.start()
    await asyncio.wait_for(setting_up, 60)

    assert await state(await client_of(settings)) == (timedelta(days=30), OURS)
