"""One measured run of Segue, and of the bare engine."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import count as count_from
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

import psycopg
from httpx import AsyncClient
from sqlalchemy import insert
from temporalio.client import Client

from bench.bare import QUEUE, Bare
from bench.counting import Cost, cost
from domain.sequences.steps import StepDraft
from domain.statuses.access import Role, TokenScope
from domain.statuses.sequences import SequenceKind
from services.factory import Services
from services.sequences.sequences import SequenceDraft
from storage.tables.access import User
from storage.tables.contacts import Contact
from workflows.client import TemporalUnavailableError, enrollment_workflow_id

OUR_PHONE = "+16285550100"
DELAY_SECONDS = 1
REPLY_WINDOW_SECONDS = 1
STEPS = 3
_STARTS_AT_ONCE = 20
_POLL_SECONDS = 0.1
_GIVE_UP_SECONDS = 600
_MOST_AT_ONCE = 10_000
_ENOUGH_ROWS = 100
_LINES = count_from(2_000_000)
_OUR_NUMBERS = count_from(int(OUR_PHONE))


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        count: Workflows started and completed.
        seconds: From the first start to the last completion.
    """

    count: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Completions per second."""
        return self.count / self.seconds


@dataclass(frozen=True)
class World:
    """The user and the sequence of a measurement."""

    user_id: UUID
    sequence_id: UUID


async def found_world(
    services: Services, *, first_delay_seconds: int = 0, delay_seconds: int = DELAY_SECONDS
) -> World:
    """Create a user, a sender that is never the bottleneck, and an active sequence."""
    user_id = uuid4()
    async with services.database.transaction() as tx:
        user = {"id": user_id, "email": "bench@example.com", "name": "Bench", "role": Role.ADMIN}
        await tx.execute(insert(User), [user])
    sender_id = await add_sender(services, texts_per_second=1000)
    delays = (first_delay_seconds, delay_seconds, delay_seconds)
    return World(user_id, await add_sequence(services, user_id, sender_id, delays))


async def add_sender(services: Services, *, texts_per_second: int) -> UUID:
    """Create a sender with a number of its own; the first has ``OUR_PHONE``."""
    sender = await services.senders.create(
        {
            "name": "Bench",
            "phone": f"+{next(_OUR_NUMBERS)}",
            "segments_per_second": Decimal(texts_per_second),
        }
    )
    await services.outbox.drain()
    return sender.id


async def add_sequence(
    services: Services, user_id: UUID, sender_id: UUID, delays: Sequence[int]
) -> UUID:
    """Create an active sequence with a text after each delay, in seconds."""
    texts = ("Hi {{first_name|there}}, a word?", "Still interested?", "Last try.")
    draft = SequenceDraft(
        name="Bench",
        sender_id=sender_id,
        kind=SequenceKind.ONGOING,
        steps=[
            StepDraft(text, delay_seconds=delay) for text, delay in zip(texts, delays, strict=False)
        ],
        reply_window_seconds=REPLY_WINDOW_SECONDS,
        send_window=None,
    )
    sequence = await services.sequences.create(draft, user_id)
    await services.sequences.activate(sequence.id)
    await services.outbox.drain()
    return sequence.id


async def run_ours(services: Services, client: Client, world: World, count: int) -> Run:
    """Enroll contacts and wait until every workflow has completed."""
    contacts = await add_contacts(services, count)
    before = await _completed(client, "Enrollment")
    begun = time.perf_counter()
    await services.enrolling.enroll(world.sequence_id, world.user_id, contact_ids=contacts)
    await services.outbox.drain()
    await _until_completed(client, "Enrollment", before + count)
    return Run(count, time.perf_counter() - begun)


async def run_bare(client: Client, count: int) -> Run:
    """Start bare workflows and wait until every one has completed."""
    before = await _completed(client, "Bare")
    slots = asyncio.Semaphore(_STARTS_AT_ONCE)

    async def start(index: int) -> None:
        bare = Bare(
            to=f"+1415{5_000_000 + index}",
            sender=OUR_PHONE,
            delay_seconds=DELAY_SECONDS,
            reply_window_seconds=REPLY_WINDOW_SECONDS,
            steps=STEPS,
        )
        async with slots:
            await client.start_workflow("Bare", bare, id=f"bare/{uuid4()}", task_queue=QUEUE)

    begun = time.perf_counter()
    await asyncio.gather(*(start(index) for index in range(count)))
    await _until_completed(client, "Bare", before + count)
    return Run(count, time.perf_counter() - begun)


async def cost_of_one(services: Services, client: Client, world: World) -> Cost:
    """Count the events and actions of one enrollment without a reply."""
    contacts = await add_contacts(services, 1)
    enrollment = await services.enrolling.enroll(
        world.sequence_id, world.user_id, contact_ids=contacts
    )
    await services.outbox.drain()
    workflow_id = enrollment_workflow_id(enrollment.enrolled[0].id)
    handle = client.get_workflow_handle(workflow_id)
    async with asyncio.timeout(60):
        await handle.result()
    return cost((await handle.fetch_history()).events)


async def add_contacts(services: Services, count: int) -> list[UUID]:
    """Create contacts with numbers that no other has, and return their ids."""
    rows: list[dict[str, Any]] = [
        {
            "id": uuid4(),
            "first_name": "Ann",
            "last_name": "Lee",
            "phone": f"+1212{number}",
            "time_zone": "America/New_York",
        }
        for number in islice(_LINES, count)
    ]
    async with services.database.transaction() as tx:
        await tx.execute(insert(Contact), rows)
    return [row["id"] for row in rows]


@asynccontextmanager
async def admin(services: Services, address: str, user_id: UUID) -> AsyncIterator[AsyncClient]:
    """Give a client of the API at an address, with a user's token."""
    token = await services.tokens.create(
        user_id, name="bench", scopes=list(TokenScope), expires_at=None
    )
    headers = {"Authorization": f"Bearer {token.token}"}
    async with AsyncClient(base_url=address, headers=headers, timeout=_GIVE_UP_SECONDS) as api:
        yield api


async def enroll(services: Services, api: AsyncClient, sequence_id: UUID, count: int) -> None:
    """Enroll so many new contacts by requests to the API, of ten thousand at most."""
    for start in range(0, count, _MOST_AT_ONCE):
        contacts = await add_contacts(services, min(_MOST_AT_ONCE, count - start))
        answer = await api.post(
            f"/api/sequences/{sequence_id}/enrollments",
            json={"contact_ids": [str(one) for one in contacts]},
        )
        answer.raise_for_status()


async def is_told(services: Services, connection: psycopg.Connection) -> bool:
    """Return whether nothing waits to be told to Temporal, nor there for a worker."""
    waiting = "SELECT 1 FROM outbox WHERE parked_at IS NULL LIMIT 1"
    if connection.execute(waiting).fetchone():
        return False
    with suppress(TemporalUnavailableError):
        return not any(one.tasks for one in await services.temporal.backlogs())
    return False


async def until_told(services: Services, connection: psycopg.Connection) -> None:
    """Wait until nothing waits to be told to Temporal, nor there for a worker."""
    while not await is_told(services, connection):  # noqa: ASYNC110 - other processes
        await asyncio.sleep(_POLL_SECONDS)


async def history_of_any(client: Client, connection: psycopg.Connection) -> Cost:
    """Count the events, actions and bytes of one active enrollment's workflow so far."""
    found = connection.execute("SELECT id FROM enrollments WHERE status = 'active' LIMIT 1")
    [(enrollment_id,)] = found.fetchall()
    handle = client.get_workflow_handle(enrollment_workflow_id(enrollment_id))
    return cost((await handle.fetch_history()).events)


def bytes_of_rows(connection: psycopg.Connection) -> dict[str, int]:
    """Return the bytes that one row takes on disk, with its part of the indexes, by table."""
    connection.execute("VACUUM ANALYZE")
    found = connection.execute(
        "SELECT relname, pg_total_relation_size(oid) / reltuples FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND reltuples >= %s"
        " ORDER BY 1",
        [_ENOUGH_ROWS],
    )
    return {name: round(size) for name, size in found}


async def _completed(client: Client, workflow_type: str) -> int:
    query = f"WorkflowType='{workflow_type}' AND ExecutionStatus='Completed'"
    return (await client.count_workflows(query, rpc_timeout=timedelta(seconds=10))).count


async def _until_completed(client: Client, workflow_type: str, count: int) -> None:
    async with asyncio.timeout(_GIVE_UP_SECONDS):
        while await _completed(client, workflow_type) < count:  # noqa: ASYNC110 - another process
            await asyncio.sleep(_POLL_SECONDS)
