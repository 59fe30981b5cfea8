"""The client on the dev server: starts, signals, queries, the sweep, the rates of senders."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue, TaskQueueConfig
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import (
    Client,
    ScheduleActionStartWorkflow,
    WorkflowExecutionStatus,
    WorkflowHandle,
)
from temporalio.service import RPCError

from domain.statuses.enrollment_state import EnrollmentState, NewEnrollment
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus
from services.platform.outbox import Outbox
from standalone.ports import free_port
from standalone.temporal import TemporalServer
from tests.workflows.plays import Play, Stage, ends, event_name, eventually
from tests.worlds import small_world
from workflows.client import (
    DATA_CONVERTER,
    ENROLLED_BY_ATTRIBUTE,
    SEQUENCE_ATTRIBUTE,
    SWEEP_SCHEDULE,
    EnrollmentClient,
    LiveState,
    TemporalUnavailableError,
    connect_to_temporal,
    enrollment_workflow_id,
    message_workflow_id,
)
from workflows.limits import SEND_QUEUE

A_DAY = timedelta(days=1)
STOPPED = EnrollmentStatus.FINISHED_STOPPED


def of(play: Play) -> UUID:
    """Return the enrollment of a play."""
    return UUID(play.handle.id.removeprefix("enrollment/"))


async def test_start_sets_id_attributes_and_summary(stage: Stage) -> None:
    new = NewEnrollment(uuid4(), uuid4(), uuid4(), await stage.first_state(A_DAY))
    await stage.temporal.start_enrollment(new)
    handle = stage.client.get_workflow_handle(f"enrollment/{new.enrollment_id}")
    stage.watch(handle)
    description = await handle.describe()
    assert description.workflow_type == "Enrollment"
    attributes = description.typed_search_attributes
    assert attributes[SEQUENCE_ATTRIBUTE] == str(new.sequence_id)
    assert attributes[ENROLLED_BY_ATTRIBUTE] == str(new.enrolled_by)
    assert await description.static_summary() == "3 steps"
    link = f"[enrollment](http://segue.test/enrollments/{new.enrollment_id})"
    assert await description.static_details() == link
    query = f"{SEQUENCE_ATTRIBUTE.name} = '{new.sequence_id}'"

    async def listed() -> bool:
        return [one.id async for one in stage.client.list_workflows(query)] == [handle.id]

    await eventually(listed)


async def test_current_details_show_the_progress(stage: Stage) -> None:
    async def details() -> str:
        metadata = await play.handle.query("__temporal_workflow_metadata")
        return str(metadata["currentDetails"] if isinstance(metadata, dict) else metadata)

    stage.script.then(stage.script.state(EnrollmentPhase.HELD, 1, held_reason="outcome_unknown"))
    async with stage.workers():
        play = await stage.play_as_enrolled(after=timedelta(seconds=2))
        await play.until(EnrollmentPhase.WAITING)
        waiting = await details()
        assert "**waiting**, step 0 of 3 sent" in waiting
        assert "next event: 20" in waiting
        await play.until(EnrollmentPhase.HELD)
        assert "**held**, step 1 of 3 sent" in await details()
        assert "held: outcome_unknown" in await details()
        assert f"[enrollment](http://segue.test/enrollments/{of(play)})" in await details()
        await play.signal("mark_finished", STOPPED)
        await play.ends_as(STOPPED)
        assert "**finished stopped**, step 1 of 3 sent" in await details()


async def test_second_start_keeps_the_open_run(stage: Stage) -> None:
    new = NewEnrollment(uuid4(), uuid4(), uuid4(), await stage.first_state(A_DAY))
    handle = stage.client.get_workflow_handle(enrollment_workflow_id(new.enrollment_id))
    stage.watch(handle)
    await stage.temporal.start_enrollment(new)
    first = (await handle.describe()).run_id
    await stage.temporal.start_enrollment(new)
    assert (await handle.describe()).run_id == first
    await handle.terminate()
    assert not await stage.temporal.is_open(new.enrollment_id)
    await stage.temporal.start_enrollment(new)
    assert (await handle.describe()).run_id != first
    assert await stage.temporal.is_open(new.enrollment_id)


async def test_restarted_run_takes_its_position_from_the_row(stage: Stage) -> None:
    """Rule: a run takes its position from the row; a blocked one waits, a due one acts."""
    script = stage.script
    held = EnrollmentState(
        EnrollmentPhase.HELD, "active", step=2, step_count=3, held_reason="outcome_unknown"
    )
    new = NewEnrollment(uuid4(), uuid4(), uuid4(), held)
    await stage.temporal.start_enrollment(new)
    handle = stage.client.get_workflow_handle(enrollment_workflow_id(new.enrollment_id))
    stage.watch(handle)
    script.then(ends(EnrollmentStatus.OPTED_OUT))
    async with stage.workers():
        asked = await stage.temporal.progress([new.enrollment_id], deadline=timedelta(seconds=10))
        assert asked == {new.enrollment_id: LiveState("held", 2)}
        await stage.temporal.signal_enrollment(new.enrollment_id, "reconsider", None)
        await handle.result()


async def test_signal_to_closed_or_unknown_enrollment_is_ignored(stage: Stage) -> None:
    play = await stage.play()
    await play.handle.terminate()
    for enrollment_id in (of(play), uuid4()):
        await stage.temporal.signal_enrollment(enrollment_id, "opted_out", "opted_out")
        assert not await stage.temporal.is_open(enrollment_id)


async def test_live_states_share_one_deadline(stage: Stage) -> None:
    """Rule: a worker that is down costs the live column, not the page."""
    plays = [await stage.play(after=A_DAY) for _ in range(20)]
    ids = [of(play) for play in plays]
    unknown = uuid4()
    began = time.monotonic()
    asked = await stage.temporal.progress([*ids, unknown], deadline=timedelta(seconds=1))
    assert time.monotonic() - began < 1.5
    assert {asked[one].unavailable for one in ids} == {"timeout"}
    assert asked[unknown] == LiveState(unavailable="not_running")
    async with stage.workers(sends=False):
        asked = await stage.temporal.progress(ids, deadline=timedelta(seconds=10))
    assert {(asked[one].state, asked[one].unavailable) for one in ids} == {("waiting", None)}
    assert all(asked[one].next_due_at for one in ids)


async def test_unreachable_temporal_is_unavailable(temporal_server: TemporalServer) -> None:
    """Temporal is away at a lazy client's first call, or its namespace is missing."""
    away = await connect_to_temporal(f"127.0.0.1:{free_port()}", "default", lazy=True)
    nameless = await Client.connect(
        temporal_server.address, namespace="missing", data_converter=DATA_CONVERTER
    )
    for client in (away, nameless):
        temporal = EnrollmentClient(client, page_base_url="http://segue.test")
        new = NewEnrollment(uuid4(), uuid4(), uuid4(), EnrollmentState("waiting", "active"))
        for call in (
            temporal.start_enrollment(new),
            temporal.start_message(uuid4(), uuid4()),
            temporal.signal_enrollment(uuid4(), "reconsider", None),
            temporal.pace_senders({uuid4(): 1}),
            temporal.is_open(uuid4()),
            temporal.ensure_sweep(),
            temporal.worker_polls(),
        ):
            with pytest.raises(TemporalUnavailableError):
                await call
        one = uuid4()
        asked = await temporal.progress([one], deadline=timedelta(seconds=1))
        assert asked[one].unavailable in {"timeout", "not_running"}
    assert not await EnrollmentClient(away, page_base_url="http://segue.test").ready()


async def test_answering_temporal_is_ready(stage: Stage) -> None:
    assert await stage.temporal.ready()


async def test_worker_is_missed_after_its_last_poll(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await eventually(stage.temporal.worker_polls)

    monkeypatch.setattr("workflows.client.POLL_TIME", timedelta())

    assert not await stage.temporal.worker_polls()  # as if the last poll was long ago


@pytest.fixture
async def swept(stage: Stage) -> AsyncIterator[Stage]:
    """Return a stage whose Schedule is deleted afterwards."""
    yield stage
    for ending in (
        stage.client.get_schedule_handle(SWEEP_SCHEDULE).delete(),
        stage.client.get_workflow_handle("sweep").terminate(),
    ):
        try:
            await ending
        except RPCError:
            continue


async def test_sweep_is_scheduled_once_and_runs(swept: Stage) -> None:
    every = timedelta(seconds=1)
    await swept.temporal.ensure_sweep(every=every)
    await swept.temporal.ensure_sweep(every=every)
    async with swept.workers(sends=False):
        await eventually(lambda: _called(swept, "sweep"))
    schedules = [one.id async for one in await swept.client.list_schedules()]
    assert schedules.count(SWEEP_SCHEDULE) == 1


async def test_existing_sweep_schedule_is_updated_and_stays_paused(
    swept: Stage,
) -> None:
    """A deploy may change the Schedule, but an operator paused it for a reason."""
    await swept.temporal.ensure_sweep(every=timedelta(hours=1))
    handle = swept.client.get_schedule_handle(SWEEP_SCHEDULE)
    await handle.pause(note="while I look")
    await swept.temporal.ensure_sweep(every=timedelta(minutes=30))
    schedule = (await handle.describe()).schedule
    assert [one.every for one in schedule.spec.intervals] == [timedelta(minutes=30)]
    assert schedule.policy.catchup_window == timedelta(minutes=30)
    assert (schedule.state.paused, schedule.state.note) == (True, "while I look")
    assert isinstance(schedule.action, ScheduleActionStartWorkflow)
    assert schedule.action.priority.priority_key == 1


async def _scheduled(handle: WorkflowHandle[Any, Any]) -> bool:
    history = await handle.fetch_history()
    return "activity_task_scheduled" in [event_name(event) for event in history.events]


async def _called(stage: Stage, name: str) -> bool:
    return name in stage.script.called


async def send_queue(stage: Stage) -> TaskQueueConfig:
    """Ask the server for the configuration of the send queue."""
    described = await stage.client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=stage.client.namespace,
            task_queue=TaskQueue(name=SEND_QUEUE),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
            report_config=True,
        )
    )
    return described.config


async def test_sender_rate_sets_its_weight_on_the_server(stage: Stage) -> None:
    slow, fast, huge = uuid4(), uuid4(), uuid4()
    await stage.temporal.pace_senders({slow: 0.00001, fast: 2.5})
    await stage.temporal.pace_senders({fast: 4, huge: 5_000})
    config = await send_queue(stage)
    weights = config.fairness_weight_overrides
    assert weights[str(slow)] == pytest.approx(0.001)
    assert weights[str(fast)] == pytest.approx(4)
    assert weights[str(huge)] == pytest.approx(1000)
    limit = config.fairness_keys_rate_limit_default.rate_limit
    assert limit.requests_per_second == 1


async def test_sender_of_the_default_rate_has_no_weight(stage: Stage) -> None:
    """The server keeps at most 1,000 weights."""
    fast, usual = uuid4(), uuid4()
    await stage.temporal.pace_senders({fast: 2.3, usual: 1})
    weights = (await send_queue(stage)).fairness_weight_overrides
    assert (str(fast) in weights, str(usual) in weights) == (True, False)
    others = {UUID(key): rate for key, rate in weights.items()}
    assert await stage.temporal.mispaced({**others, fast: 2.3, usual: 1}) == []
    assert await stage.temporal.mispaced({**others, fast: 1, usual: 1}) == [fast]
    assert set(await stage.temporal.mispaced({usual: 3})) == {usual, *others}
    await stage.temporal.pace_senders({fast: 1})
    assert str(fast) not in (await send_queue(stage)).fairness_weight_overrides


async def test_senders_beyond_the_weight_limit_are_parked(stage: Stage, database_url: str) -> None:
    """The first 1,000 get their weight, the others are parked; the default rate needs none."""
    async with small_world(database_url) as world:
        outbox = Outbox(world.database, stage.temporal)
        await world.run(
            "INSERT INTO senders (id, name, phone, segments_per_second)"
            " SELECT gen_random_uuid(), 'S', '+1646' || n, CASE WHEN n % 2 = 0 THEN 3 ELSE 1 END"
            " FROM generate_series(5550001, 5552010) n"
        )
        await outbox.pace_all()
        await outbox.drain()
        weights = (await send_queue(stage)).fairness_weight_overrides
        assert (len(weights), set(weights.values())) == (1000, {3.0})
        parked = await world.rows("SELECT * FROM outbox")
        assert [(one.kind, one.parked_reason) for one in parked] == [("pace_sender", "refused")] * 5
        # A sender that needs no weight any more makes room for another.
        await world.run(
            "UPDATE senders SET segments_per_second = 1 WHERE id::text = :id",
            id=next(iter(weights)),
        )
        await outbox.pace_all()
        await outbox.drain()
        assert len(await world.rows("SELECT * FROM outbox")) == 4
        await world.run("DELETE FROM senders WHERE phone LIKE '+1646555%'")
        await outbox.pace_all()
        await outbox.drain()
        assert not (await send_queue(stage)).fairness_weight_overrides


async def test_start_sets_priority_and_fairness(
    stage: Stage,
) -> None:
    new = NewEnrollment(uuid4(), uuid4(), uuid4(), await stage.first_state(A_DAY))
    message_id = uuid4()
    await stage.temporal.start_enrollment(new)
    await stage.temporal.start_message(message_id, uuid4())
    priorities = []
    for workflow_id in (
        enrollment_workflow_id(new.enrollment_id),
        message_workflow_id(message_id),
    ):
        handle = stage.client.get_workflow_handle(workflow_id)
        stage.watch(handle)
        described = (await handle.describe()).raw_description.workflow_execution_info.priority
        priorities.append((described.priority_key, described.fairness_key))
    assert priorities == [(3, str(new.sequence_id)), (1, "")]


async def test_one_off_starts_before_waiting_enrollments(stage: Stage) -> None:
    stage.script.then(ends("sent"))
    plays = [await stage.play(after=A_DAY) for _ in range(60)]
    message_id = uuid4()
    await stage.temporal.start_message(message_id, uuid4())
    one_off = stage.client.get_workflow_handle(message_workflow_id(message_id))
    stage.watch(one_off)
    async with stage.workers():
        for play in plays:
            await play.until_event("workflow_task_completed")
        await one_off.result()
    own = await _first_task_at(one_off)
    earlier = [await _first_task_at(play.handle) < own for play in plays]
    assert sum(earlier) < 15, "the tasks that pollers took at once"


async def _first_task_at(handle: WorkflowHandle[Any, Any]) -> datetime:
    history = await handle.fetch_history()
    [first, *_] = [one for one in history.events if event_name(one) == "workflow_task_started"]
    return first.event_time.ToDatetime(UTC)


async def test_senders_take_turns_and_one_off_goes_first(stage: Stage) -> None:
    """Rules: senders take turns; a one-off goes ahead of a saturated sender's steps."""
    first, second = uuid4(), uuid4()
    for sender_id in (first, second):
        await stage.temporal.pace_senders({sender_id: 20})
    order: list[str] = []
    kinds: list[str] = []

    async def record() -> EnrollmentState:
        order.append(activity.info().priority.fairness_key or "")
        kinds.append(activity.info().activity_type)
        await asyncio.sleep(0.01)
        return EnrollmentState("ended", EnrollmentStatus.FAILED)

    stage.script.then(*[record] * 31)
    async with stage.workers(sends=False):
        plays = [await stage.play(sender_id=first) for _ in range(20)]
        plays += [await stage.play(sender_id=second) for _ in range(10)]
        for play in plays:
            await play.until_event("activity_task_scheduled")
        message_id = uuid4()
        await stage.temporal.start_message(message_id, first)
        one_off = stage.client.get_workflow_handle(message_workflow_id(message_id))
        stage.watch(one_off)
        await eventually(lambda: _scheduled(one_off))
        began = time.monotonic()
        async with stage.send_worker(slots=1):
            await one_off.result()
            assert time.monotonic() - began < 10
            for play in plays:
                await play.handle.result()
    # By the order of the calls: on a busy machine the workflow's end is noticed late.
    assert kinds.index("send_message") < 5
    turns = [sender for sender in order[:20] if sender == str(second)]
    assert 6 <= len(turns) <= 10, order
    assert (await one_off.describe()).status == WorkflowExecutionStatus.COMPLETED
