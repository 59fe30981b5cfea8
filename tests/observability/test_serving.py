"""The metrics page on real servers, also while a part is unavailable."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import cast

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from domain.statuses.enrollments import HeldReason
from manage import show_held
from observability import serving
from observability.sdk import sdk_runtime
from observability.serving import MetricsAddressError, metrics_served
from services.maintenance.health import Health
from settings import Settings
from standalone.ports import free_port
from standalone.temporal import TemporalServer
from storage.platform.database import Database
from tests.kits.namespaces import make_namespace
from tests.worlds import World, small_world
from workflows.client import EnrollmentClient, TemporalUnavailableError, connect_to_temporal


class AwayTemporal:
    """A Temporal that does not answer."""

    async def backlogs(self) -> None:
        raise TemporalUnavailableError("UNAVAILABLE")


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with small_world(database_url) as world:
        yield world


@asynccontextmanager
async def page(health: Health) -> AsyncIterator[httpx.AsyncClient]:
    address = f"127.0.0.1:{free_port()}"
    async with (
        metrics_served(address, health),
        httpx.AsyncClient(base_url=f"http://{address}") as http,
    ):
        yield http


async def scraped(http: httpx.AsyncClient) -> dict[tuple[str, ...], float]:
    """Scrape the page: the value by name and label values."""
    answer = await http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def held(world: World, reason: HeldReason) -> None:
    sequence = await world.active()
    [contact] = await world.contacts(1)
    await world.run(
        """
        INSERT INTO enrollments (id, sequence_id, version_id, contact_id, enrolled_by, enrolled_at,
            status, activity, held_reason, position, step, step_count, pass)
        SELECT gen_random_uuid(), :sequence, v.id, :contact, :user, now(), 'active', 'held',
            :reason, 1, 0, 3, 1 FROM sequence_versions v WHERE v.sequence_id = :sequence
        """,
        sequence=sequence.id,
        contact=contact,
        user=world.user_id,
        reason=reason.value,
    )


async def test_page_shows_the_state_of_the_deployment(
    world: World, temporal_server: TemporalServer
) -> None:
    # A namespace of its own: tasks of other tests on the default one count for a while.
    await asyncio.to_thread(make_namespace, temporal_server.address, "vitals")
    client = await connect_to_temporal(temporal_server.address, "vitals")
    temporal = EnrollmentClient(client, page_base_url="http://segue.test")
    await held(world, HeldReason.OUTCOME_UNKNOWN)
    await held(world, HeldReason.OUTCOME_UNKNOWN)
    await held(world, HeldReason.DESTINATION_NOT_ALLOWED)
    await world.run("UPDATE senders SET held_at = now(), next_probe_at = now()")
    await world.run("DELETE FROM outbox")
    await world.run(
        "INSERT INTO outbox (kind, subject_id, created_at)"
        " VALUES ('pace_sender', gen_random_uuid(), now() - interval '90 s')"
    )
    await world.run(
        "INSERT INTO outbox (kind, subject_id, created_at, parked_at, parked_reason)"
        " VALUES ('pace_sender', gen_random_uuid(), now() - interval '1 h', now(), 'refused'),"
        " ('sing', gen_random_uuid(), now() - interval '1 h', now(), 'unknown_kind'),"
        " ('dance', gen_random_uuid(), now() - interval '1 h', now(), 'unknown_kind')"
    )
    await world.run(
        "INSERT INTO catch_up_lists (phone, fetched_until)"
        " VALUES ('+14155550100', now() - interval '5 min'), ('', now() - interval '40 min')"
    )
    async with page(Health(world.database, temporal)) as http:
        shown = await scraped(http)
        assert (await http.get("/healthz")).json() == {"status": "ok"}

    assert shown["segue_part_up", "database"] == shown["segue_part_up", "temporal"] == 1
    assert shown["segue_held_enrollments", "outcome_unknown"] == 2
    assert shown["segue_held_enrollments", "destination_not_allowed"] == 1
    assert shown["segue_held_enrollments", "sender_on_hold"] == 0
    assert shown["segue_senders_on_hold",] == 1
    assert shown["segue_outbox_entries",] == 1
    assert shown["segue_outbox_oldest_age_seconds",] == pytest.approx(90, abs=30)
    assert shown["segue_outbox_parked", "pace_sender"] == 1
    assert shown["segue_outbox_parked", "unknown"] == 2
    assert shown["segue_inbound_fetch_lag_seconds",] == pytest.approx(2400, abs=30)
    assert shown["segue_overdue_enrollments",] == 0
    assert shown["segue_task_queue_backlog", "segue-send", "activity"] == 0
    assert shown["segue_task_queue_backlog", "segue", "workflow"] == 0


async def test_held_enrollments_are_listed_for_operators(
    world: World, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await held(world, HeldReason.OUTCOME_UNKNOWN)
    await held(world, HeldReason.DESTINATION_NOT_ALLOWED)
    await world.run("UPDATE enrollments SET held_code = 21408 WHERE held_reason LIKE 'dest%'")
    ids = await world.rows("SELECT id FROM enrollments ORDER BY held_reason")
    settings = Settings(database_url=database_url)
    await show_held(settings, limit=10)
    lines = capsys.readouterr().out.splitlines()
    await show_held(settings, limit=1)

    assert lines == [
        f"{ids[0].id}  destination_not_allowed  step 1 of 'Welcome'  error 21408",
        f"{ids[1].id}  outcome_unknown  step 1 of 'Welcome'",
    ]
    assert capsys.readouterr().out.splitlines() == lines[:1]


async def test_unavailable_part_shows_no_stale_numbers(world: World) -> None:
    temporal = cast("EnrollmentClient", AwayTemporal())
    nowhere = Database("postgresql+psycopg://nobody@127.0.0.1:1/none")
    await held(world, HeldReason.OUTCOME_UNKNOWN)
    async with page(Health(world.database, temporal)) as http:
        assert (await scraped(http))["segue_held_enrollments", "outcome_unknown"] == 1
    async with page(Health(nowhere, temporal)) as http:
        shown = await scraped(http)
    await nowhere.close()

    assert shown["segue_part_up", "database"] == shown["segue_part_up", "temporal"] == 0
    assert not [name for name, *_ in shown if name == "segue_held_enrollments"]
    assert not [name for name, *_ in shown if name.startswith("segue_task_queue")]
    assert shown["segue_outbox_entries",] != shown["segue_outbox_entries",], "not a number"


async def test_scrapes_within_seconds_ask_the_database_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    health = Health(world.database, cast("EnrollmentClient", AwayTemporal()))
    async with page(health) as http:
        await scraped(http)
        await held(world, HeldReason.SENDER_ON_HOLD)
        assert (await scraped(http))["segue_held_enrollments", "sender_on_hold"] == 0
        monkeypatch.setattr(serving, "KEEP_SECONDS", 0)
        assert (await scraped(http))["segue_held_enrollments", "sender_on_hold"] == 1


async def test_a_wrong_address_is_named(world: World) -> None:
    health = Health(world.database, cast("EnrollmentClient", AwayTemporal()))
    async with page(health) as http:
        taken = str(http.base_url.netloc, "ascii")
        with pytest.raises(MetricsAddressError, match=f"^METRICS_ADDRESS is wrong: {taken} "):
            async with metrics_served(taken, health):
                pass
        with pytest.raises(MetricsAddressError, match=f"^SDK_METRICS_ADDRESS is wrong: {taken} "):
            sdk_runtime(taken)


async def test_without_an_address_nothing_is_served(world: World) -> None:
    async with metrics_served(None, Health(world.database, cast("EnrollmentClient", object()))):
        assert sdk_runtime(None) is None


async def test_sdk_serves_its_own_metrics(temporal_server: TemporalServer) -> None:
    address = f"127.0.0.1:{free_port()}"
    client = await connect_to_temporal(
        temporal_server.address, "default", runtime=sdk_runtime(address)
    )
    assert await client.service_client.check_health(timeout=timedelta(seconds=5))
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"http://{address}/metrics")).text

    assert re.search(r"^temporal_request\{", text, re.MULTILINE)
