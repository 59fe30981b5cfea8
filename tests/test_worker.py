"""The worker as a process: it waits for its servers, and stops without losing a text."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import cast

import httpx
import psycopg
import pytest
from psycopg import sql
from temporalio.client import Client
from temporalio.service import RPCError

from domain.messaging.ports import Gateway
from domain.platform.rules import SendingRules
from domain.statuses.jobs import JobKind, JobState
from services.enrollments.enrolling import Enrolling
from services.factory import ServiceConfig, Services
from services.platform.outbox import Outbox
from standalone.ports import free_port, says_ok
from standalone.postgres import EmbeddedPostgres
from standalone.temporal import TemporalServer
from storage.enrollments.list_filter import ListFilter
from tests.kits.programs import ACCOUNT, TOKEN, Process, Start
from tests.workflows.histories import personal
from tests.workflows.plays import NAME, eventually
from tests.worlds import ZONE, World, ongoing, small_world
from workflows.client import (
    DATA_CONVERTER,
    SWEEP_SCHEDULE,
    EnrollmentClient,
    enrollment_workflow_id,
)

SLOW = "+12125557300"
"""For this number the simulator answers after 3 s."""
MANY = 1_000
AT_ONCE = 15
"""Seconds, on a busy machine."""


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with small_world(database_url) as world:
        yield world


@pytest.fixture
async def temporal(
    temporal_server: TemporalServer, temporal_namespace: str
) -> AsyncIterator[Client]:
    """Connect to the shared server; delete the namespace's sweep afterwards."""
    client = await Client.connect(
        temporal_server.address, namespace=temporal_namespace, data_converter=DATA_CONVERTER
    )
    yield client
    with contextlib.suppress(RPCError):
        await client.get_schedule_handle(SWEEP_SCHEDULE).delete()
    with contextlib.suppress(RPCError):
        await client.get_workflow_handle("sweep").terminate()


def nowhere() -> str:
    return f"127.0.0.1:{free_port()}"


def test_missing_secret_is_named(start: Start) -> None:
    worker = start("worker", TWILIO_AUTH_TOKEN=None, DATABASE_URL="postgresql://u@127.0.0.1/x")
    said = worker.completes(1)
    assert said.startswith("TWILIO_AUTH_TOKEN is not set")
    assert len(said.splitlines()) == 1


async def test_worker_waits_for_temporal_until_stopped(
    start: Start, temporal_server: TemporalServer
) -> None:
    database = f"postgresql://u@{nowhere()}/x"
    address = nowhere()
    alone = start("worker", DATABASE_URL=database, TEMPORAL_ADDRESS=address)
    early = start(
        "worker",
        DATABASE_URL=database,
        TEMPORAL_ADDRESS=temporal_server.address,
        TEMPORAL_NAMESPACE="not-yet",
    )
    await alone.says(f"waiting for Temporal at {address}, namespace default")
    await early.says(f"waiting for Temporal at {temporal_server.address}, namespace not-yet")
    assert await alone.stops() < AT_ONCE
    assert await early.stops() < AT_ONCE


async def is_scheduled(temporal: Client) -> bool:
    """Return whether the sweep is scheduled."""
    schedules = [schedule.id async for schedule in await temporal.list_schedules()]
    return SWEEP_SCHEDULE in schedules


async def test_worker_waits_for_postgresql(
    start: Start,
    temporal: Client,
    temporal_server: TemporalServer,
    postgres_server: EmbeddedPostgres,
    database_template: str,
) -> None:
    """Rule: the worker waits and says so, then schedules the sweep."""
    worker = start(
        "worker",
        TEMPORAL_ADDRESS=temporal_server.address,
        TEMPORAL_NAMESPACE=temporal.namespace,
        DATABASE_URL=postgres_server.url("comes_later"),
    )
    await worker.says("waiting for PostgreSQL")
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        name, template = sql.Identifier("comes_later"), sql.Identifier(database_template)
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, template))
        await worker.says("working")
        await eventually(lambda: is_scheduled(temporal))
        assert await worker.stops() < AT_ONCE
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


async def test_too_many_connections_stop_the_worker(
    start: Start, database_url: str, temporal_server: TemporalServer
) -> None:
    worker = start(
        "worker",
        DATABASE_URL=database_url,
        TEMPORAL_ADDRESS=temporal_server.address,
        SENDS_AT_ONCE="900",
    )
    assert await worker.ends() == 1
    assert "SENDS_AT_ONCE, DECISIONS_AT_ONCE and OTHER_CONNECTIONS want 920" in worker.output()
    assert "max_connections" in worker.output()


async def test_text_under_way_at_sigterm_is_sent_once_and_recorded(
    start: Start, world: World, database_url: str, temporal: Client, temporal_server: TemporalServer
) -> None:
    """Rule: workers drain on SIGTERM; no text is sent twice or lost by a deploy."""
    port = free_port()
    simulator = f"http://127.0.0.1:{port}"
    start(
        *("simulator", "--port", str(port), "--account-sid", ACCOUNT, "--auth-token", TOKEN),
        *("--inbound-url", "http://127.0.0.1:9/webhooks/twilio/inbound"),
    )
    worker = start(
        "worker",
        DATABASE_URL=database_url,
        TEMPORAL_ADDRESS=temporal_server.address,
        TEMPORAL_NAMESPACE=temporal.namespace,
        TWILIO_API_BASE_URL=simulator,
        TWILIO_LOOKUPS_BASE_URL=simulator,
    )
    sequence = await world.active(steps=[ongoing("Hi {{first_name|there}}", 0), ongoing("Bye")])
    contacts = await world.contacts(1, phone=SLOW, first_name=NAME)
    enrolling = Enrolling(world.database, workspace_zone=ZONE)
    await enrolling.enroll(sequence.id, world.user_id, contact_ids=contacts)
    await worker.says("working")
    await eventually(lambda: asyncio.to_thread(says_ok, port, "/"))
    client = EnrollmentClient(temporal, page_base_url="http://segue.test")
    await Outbox(world.database, client).drain()
    await eventually(lambda: world.rows("SELECT id FROM attempts"))
    await asyncio.sleep(0.5)
    assert await worker.stops() < 30
    assert "draining" in worker.output()
    attempts = await world.rows("SELECT outcome, provider_sid FROM attempts")
    assert [attempt.outcome for attempt in attempts] == ["accepted"]
    async with httpx.AsyncClient(auth=(ACCOUNT, TOKEN)) as http:
        listed = await http.get(f"{simulator}/2010-04-01/Accounts/{ACCOUNT}/Messages.json")
    assert [text["sid"] for text in listed.json()["messages"]] == [attempts[0].provider_sid]
    [row] = await world.rows("SELECT id, activity, step FROM enrollments")
    assert (row.activity, row.step) == ("waiting", 1)
    assert await client.is_open(row.id)
    handle = temporal.get_workflow_handle(enrollment_workflow_id(row.id))
    assert personal(await handle.fetch_history()) == set()
    await handle.terminate()


@pytest.mark.timeout(180)
async def test_job_completes_although_its_worker_is_killed_twice(
    start: Start, world: World, database_url: str, temporal: Client, temporal_server: TemporalServer
) -> None:
    """Each row is handled exactly once, and the results are complete."""
    client = EnrollmentClient(temporal, page_base_url="http://segue.test")
    gateway = cast("Gateway", object())  # nothing is sent
    services = Services(world.database, client, gateway, ServiceConfig(SendingRules()))
    sequence = await world.active()
    contacts = await world.contacts(MANY)
    await services.enrolling.enroll(sequence.id, world.user_id, contact_ids=contacts)
    await world.run("DELETE FROM outbox")  # no workflow of theirs is needed here
    job = await services.jobs.start_bulk_action(
        sequence.id, JobKind.PAUSE, ListFilter(), world.user_id
    )
    assert job.total == MANY

    def work() -> Process:
        return start(
            "worker",
            DATABASE_URL=database_url,
            TEMPORAL_ADDRESS=temporal_server.address,
            TEMPORAL_NAMESPACE=temporal.namespace,
            TWILIO_API_BASE_URL="http://127.0.0.1:9",
        )

    async def done() -> int:
        return (await services.jobs.get(job.id)).done

    for enough in (1, MANY // 3):
        worker = work()
        while await done() < enough:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)
        worker.kill()
        assert await done() < MANY

    worker = work()
    async with asyncio.timeout(90):
        while (await services.jobs.get(job.id)).state is not JobState.DONE:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    assert (await services.jobs.get(job.id)).counts == {"paused": MANY}
    rows = await world.rows("SELECT code FROM job_rows WHERE job_id = :id", id=job.id)
    assert [row.code for row in rows] == ["paused"] * MANY
    for query in (
        "SELECT enrollment_id AS id FROM enrollment_events WHERE kind = 'paused'",
        "SELECT subject_id AS id FROM audit_log WHERE action = 'enrollment.pause'",
    ):
        paused = [row.id for row in await world.rows(query)]
        assert len(paused) == len(set(paused)) == MANY
    assert await worker.stops() < AT_ONCE
