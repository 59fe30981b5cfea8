"""Fixtures: a time-skipping server for each test, or the shared dev server."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from standalone.temporal import TemporalServer
from tests.kits.traces import KeptTraces
from tests.workflows.plays import Script, Stage
from workflows.client import DATA_CONVERTER

TIME_SKIPPING_SERVER = Path(sys.executable).with_name("temporal-test-server")


@pytest.fixture
async def skipping() -> AsyncIterator[WorkflowEnvironment]:
    """Start a server whose clock jumps to the next timer while a result is awaited."""
    async with await WorkflowEnvironment.start_time_skipping(
        data_converter=DATA_CONVERTER, test_server_existing_path=str(TIME_SKIPPING_SERVER)
    ) as environment:
        yield environment


@pytest.fixture
def fast(skipping: WorkflowEnvironment) -> Stage:
    """Return a stage where days take moments."""
    return Stage(skipping.client, Script(clock=skipping.get_current_time))


@pytest.fixture
async def stage(temporal_server: TemporalServer, temporal_namespace: str) -> AsyncIterator[Stage]:
    """Return a stage on the dev server, where a second takes a second."""
    client = await Client.connect(
        temporal_server.address,
        namespace=temporal_namespace,
        data_converter=DATA_CONVERTER,
        identity="segue",
    )
    stage = Stage(client, Script())
    yield stage
    await stage.clear()


@pytest.fixture
def traces() -> KeptTraces:
    return KeptTraces()


@pytest.fixture
async def traced_stage(
    temporal_server: TemporalServer, temporal_namespace: str, traces: KeptTraces
) -> AsyncIterator[Stage]:
    """Return a stage whose client writes traces into the headers of all it asks for."""
    client = await Client.connect(
        temporal_server.address,
        namespace=temporal_namespace,
        data_converter=DATA_CONVERTER,
        identity="segue",
        interceptors=traces.traces.interceptors(),
    )
    stage = Stage(client, Script())
    yield stage
    await stage.clear()
