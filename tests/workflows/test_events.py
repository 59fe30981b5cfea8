"""The EventDelivery workflow: rounds, waits, wakes and the end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle
from temporalio.worker import Worker

from activities.events import EventActivities
from activities.failures import PlainFailures
from services.event_webhooks.endpoints import EventEndpoints
from services.platform.outbox import Outbox
from tests.kits.event_endpoints import QUICK, deliveries, receiver
from tests.workflows.histories import personal
from tests.workflows.plays import PATIENCE, Play, Stage, eventually
from tests.worlds import World, small_world
from workflows.client import events_workflow_id
from workflows.events import EventDeliveryWorkflow
from workflows.limits import ENROLLMENT_QUEUE, EVENT_QUEUE
from workflows.messages import StartEventDelivery


async def woken(stage: Stage, endpoint_id: UUID) -> WorkflowHandle[Any, Any]:
    """Wake the deliveries to an endpoint, as the outbox does; return their workflow."""
    await stage.temporal.wake_events(endpoint_id)
    handle = stage.client.get_workflow_handle(events_workflow_id(endpoint_id))
    stage.watch(handle)
    return handle


async def test_workflow_waits_for_the_next_try_and_ends_when_nothing_is_left(fast: Stage) -> None:
    fast.script.rounds.extend([timedelta(seconds=5), timedelta(hours=3)])
    handle = await fast.client.start_workflow(
        EventDeliveryWorkflow.run,
        StartEventDelivery(str(uuid4())),
        id=f"events/{uuid4()}",
        task_queue=ENROLLMENT_QUEUE,
        execution_timeout=timedelta(days=30),
    )
    async with fast.workers(sends=False), fast.event_worker():
        await handle.result()
    moments = [at for _, at in fast.script.calls]
    waits = [late - early for early, late in pairwise(moments)]
    assert len(waits) == 2
    assert timedelta(seconds=4) < waits[0] < timedelta(minutes=1)
    assert timedelta(hours=2.9) < waits[1] < timedelta(hours=3.1)


async def test_wake_ends_the_wait(stage: Stage) -> None:
    stage.script.rounds.append(timedelta(hours=3))
    endpoint_id = uuid4()
    handle = await woken(stage, endpoint_id)
    async with stage.workers(sends=False), stage.event_worker():
        await Play(handle, stage.script).until_event("timer_started")
        await woken(stage, endpoint_id)
        async with asyncio.timeout(PATIENCE):
            await handle.result()
    assert stage.script.called == ["deliver_events"] * 2


async def test_wake_during_a_round_starts_another(stage: Stage) -> None:
    """An event written after the round read its rows does not wait for the next wake."""
    endpoint_id = uuid4()
    handle = await woken(stage, endpoint_id)
    async with stage.workers(sends=False):
        await Play(handle, stage.script).until_event("activity_task_scheduled")
        await woken(stage, endpoint_id)
        async with stage.event_worker(), asyncio.timeout(PATIENCE):
            await handle.result()
    assert stage.script.called == ["deliver_events"] * 2


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with small_world(database_url) as made:
        yield made


async def test_every_event_arrives_once_with_concurrent_wakes(stage: Stage, world: World) -> None:
    """With real rows, a receiver that refuses every fifth, and wakes at any moment of a round."""
    outbox = Outbox(world.database, stage.temporal)
    manage = EventEndpoints(world.database, QUICK)
    answers = 0

    async def answer(_: Any) -> int:
        nonlocal answers
        answers += 1
        return 500 if answers % 5 == 1 else 200

    async with receiver(answer) as there:
        made = await manage.create({"url": there.url}, world.user_id)
        endpoint_id = made.details.id
        handle = stage.client.get_workflow_handle(events_workflow_id(endpoint_id))
        stage.watch(handle)
        events = EventActivities(deliveries(world.database))
        delivering = Worker(
            stage.client,
            task_queue=EVENT_QUEUE,
            activities=[events.deliver_events],
            interceptors=[PlainFailures()],
        )
        sent = []
        async with stage.workers(sends=False), delivering:
            for turn in range(25):
                sent.append(str((await manage.test(endpoint_id)).event_id))
                await outbox.drain()
                await asyncio.sleep(0.013 * (turn % 7))

            async def is_done() -> bool:
                description = await handle.describe()
                return description.status == WorkflowExecutionStatus.COMPLETED

            await eventually(is_done)
        assert [one.event_id for one in there.acknowledged] == sent
        assert all(one.is_signed_with(made.secret) for one in there.seen)
        assert personal(await handle.fetch_history()) == set()
