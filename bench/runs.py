"""One measured run of Segue, and of the bare engine."""

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert
from temporalio.client import Client

from bench.bare import QUEUE, Bare
from bench.counting import Cost, cost
from domain.statuses.access import Role
from domain.statuses.sequences import SequenceKind
from services.factory import Services
from services.sequences.sequences import SequenceDraft, StepDraft
from storage.tables.access import User
from storage.tables.contacts import Contact
from storage.tables.messaging import Sender
from workflows.client import enrollment_workflow_id

DELAY_SECONDS = 1
REPLY_WINDOW_SECONDS = 1
STEPS = 3
_STARTS_AT_ONCE = 20
_POLL_SECONDS = 0.1
_GIVE_UP_SECONDS = 600


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


async def found_world(services: Services) -> World:
    """Create a user, a sender that is never the bottleneck, and an active sequence."""
    user_id, sender_id = uuid4(), uuid4()
    async with services.database.transaction() as tx:
        user = {"id": user_id, "email": "bench@example.com", "name": "Bench", "role": Role.ADMIN}
        await tx.execute(insert(User), [user])
        sender = {
            "id": sender_id,
            "name": "Bench",
            "phone": "+16285550100",
            "segments_per_second": 1000,
        }
        await tx.execute(insert(Sender), [sender])
    steps = [
        StepDraft("Hi {{first_name|there}}, a word?", delay_seconds=0),
        StepDraft("Still interested?", delay_seconds=DELAY_SECONDS),
        StepDraft("Last try.", delay_seconds=DELAY_SECONDS),
    ]
    draft = SequenceDraft(
        name="Bench",
        sender_id=sender_id,
        kind=SequenceKind.ONGOING,
        steps=steps,
        reply_window_seconds=REPLY_WINDOW_SECONDS,
        send_window=None,
    )
    sequence = await services.sequences.create(draft, user_id)
    await services.sequences.activate(sequence.id)
    await services.outbox.drain()
    return World(user_id, sequence.id)


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
            sender="+16285550100",
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
    """Create contacts and return their ids."""
    first = int(time.time() * 1000) % 7_000_000 + 2_000_000
    rows: list[dict[str, Any]] = [
        {
            "id": uuid4(),
            "first_name": "Ann",
            "last_name": "Lee",
            "phone": f"+1212{first + index:07d}",
            "time_zone": "America/New_York",
        }
        for index in range(count)
    ]
    async with services.database.transaction() as tx:
        await tx.execute(insert(Contact), rows)
    return [row["id"] for row in rows]


async def _completed(client: Client, workflow_type: str) -> int:
    query = f"WorkflowType='{workflow_type}' AND ExecutionStatus='Completed'"
    return (await client.count_workflows(query, rpc_timeout=timedelta(seconds=10))).count


async def _until_completed(client: Client, workflow_type: str, count: int) -> None:
    async with asyncio.timeout(_GIVE_UP_SECONDS):
        while await _completed(client, workflow_type) < count:  # noqa: ASYNC110 - another process
            await asyncio.sleep(_POLL_SECONDS)
