"""The plays whose histories are recorded, one for each path through the workflows."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio.client import WorkflowHandle
from temporalio.exceptions import ApplicationError

from domain.jobs.ports import JobProgress
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus, Need
from domain.statuses.messaging import MessageStatus
from tests.workflows.plays import Gate, Play, Stage, ends, fails
from workflows.client import events_workflow_id, job_workflow_id, message_workflow_id
from workflows.limits import ENROLLMENT_QUEUE
from workflows.sweep import SweepWorkflow

RecordedPlay = Callable[[Stage], Awaitable[WorkflowHandle[Any, Any]]]
RECORDED: dict[str, RecordedPlay] = {}

SOON = timedelta(milliseconds=800)
"""Long enough to start a timer, even on a busy machine."""
LATER = timedelta(days=3)


def recorded(play: RecordedPlay) -> RecordedPlay:
    RECORDED[play.__name__] = play
    return play


@recorded
async def completes_without_reply(stage: Stage) -> WorkflowHandle[Any, Any]:
    script = stage.script
    script.then(
        script.waits(1, SOON),
        script.waits(2, SOON),
        script.awaits_reply(SOON),
        ends(EnrollmentStatus.FINISHED_NO_RESPONSE),
    )
    async with stage.workers():
        play = await stage.play_as_enrolled()
        await play.ends_as(EnrollmentStatus.FINISHED_NO_RESPONSE)
    return play.handle


@recorded
async def reply_while_waiting(stage: Stage) -> WorkflowHandle[Any, Any]:
    stage.script.then(stage.script.waits(1, LATER))
    async with stage.workers():
        play = await stage.play_as_enrolled(after=SOON)
        await play.until(EnrollmentPhase.WAITING, step=1)
        await play.signal("reply_received", EnrollmentStatus.FINISHED_RESPONDED)
        await play.ends_as(EnrollmentStatus.FINISHED_RESPONDED)
    return play.handle


@recorded
async def opted_out_while_awaiting_reply(stage: Stage) -> WorkflowHandle[Any, Any]:
    stage.script.then(stage.script.awaits_reply(LATER))
    async with stage.workers():
        play = await stage.play_as_enrolled()
        await play.until(EnrollmentPhase.AWAITING_REPLY)
        await play.signal("opted_out", EnrollmentStatus.OPTED_OUT)
        await play.ends_as(EnrollmentStatus.OPTED_OUT)
    return play.handle


@recorded
async def marked_finished_while_sending(stage: Stage) -> WorkflowHandle[Any, Any]:
    gate = Gate(ends(EnrollmentStatus.FINISHED_STOPPED))
    stage.script.then(gate)
    async with stage.workers():
        play = await stage.play_as_enrolled()
        await gate.wait_reached()
        await play.signal("mark_finished", EnrollmentStatus.FINISHED_STOPPED)
        await play.until_event("activity_task_cancel_requested")
        gate.opened.set()
        await play.ends_as(EnrollmentStatus.FINISHED_STOPPED)
    return play.handle


@recorded
async def opted_out_while_queued(stage: Stage) -> WorkflowHandle[Any, Any]:
    async with stage.workers(sends=False):
        play = await stage.play_as_enrolled()
        await play.until_event("activity_task_scheduled")
        await play.signal("opted_out", EnrollmentStatus.OMITTED_OPTED_OUT)
        await play.ends_as(EnrollmentStatus.OMITTED_OPTED_OUT)
    return play.handle


@recorded
async def fails_after_reconciliation(stage: Stage) -> WorkflowHandle[Any, Any]:
    soon = ApplicationError(
        "the attempt needs reconciliation", type="outcome_unknown", next_retry_delay=SOON
    )
    script = stage.script
    script.then(*fails(), script.asks(Need.RECONCILE), *fails(soon))
    script.then(ends(EnrollmentStatus.FAILED, step=0))
    async with stage.workers():
        play = await stage.play_as_enrolled()
        await play.ends_as(EnrollmentStatus.FAILED)
    assert script.called == ["send_step"] * 2 + ["resolve_step"] * 2
    return play.handle


@recorded
async def sent_again_after_reconciliation(stage: Stage) -> WorkflowHandle[Any, Any]:
    """What reconciliation resolved is sent at once, without another decision."""
    script = stage.script
    script.decides(script.asks(Need.LOOK_UP), script.asks(Need.RECONCILE))
    script.then(script.sends(0), script.waits(1, SOON), script.sends(1), script.waits(2, LATER))
    async with stage.workers():
        play = await stage.play_as_enrolled()
        await play.until(EnrollmentPhase.WAITING, step=2)
        await play.signal("reply_received", EnrollmentStatus.FINISHED_RESPONDED)
        await play.ends_as(EnrollmentStatus.FINISHED_RESPONDED)
    asked = ["decide_step locally", "resolve_step", "send_step"]
    assert script.called == asked * 2
    return play.handle


@recorded
async def decides_after_outage(stage: Stage) -> WorkflowHandle[Any, Any]:
    script = stage.script
    script.decides(*fails(times=4), script.sends(0))
    script.then(ends(EnrollmentStatus.FAILED))
    async with stage.workers():
        play = await stage.play_as_enrolled()
        await play.ends_as(EnrollmentStatus.FAILED)
    regular = ["decide_step"] * 2
    assert script.called == ["decide_step locally"] * 3 + regular + ["send_step"]
    return play.handle


@recorded
async def paused_until_resumed(stage: Stage) -> WorkflowHandle[Any, Any]:
    """A decision finds the pause: no send waits in the send queue."""
    script = stage.script
    script.decides(script.state(EnrollmentPhase.PAUSED, 0), script.waits(0, SOON), script.sends(0))
    script.then(script.waits(1, LATER))
    async with stage.workers():
        play = await stage.play_as_enrolled()
        await play.until(EnrollmentPhase.PAUSED)
        await play.signal("reconsider")
        await play.until(EnrollmentPhase.WAITING, step=1)
        await play.signal("mark_finished", EnrollmentStatus.FINISHED_STOPPED)
        await play.ends_as(EnrollmentStatus.FINISHED_STOPPED)
    assert script.called == ["decide_step locally"] * 3 + ["send_step"]
    return play.handle


@recorded
async def paused_and_resumed(stage: Stage) -> WorkflowHandle[Any, Any]:
    script = stage.script
    gate = Gate(script.state(EnrollmentPhase.PAUSED, 1))
    script.then(script.waits(1, SOON), gate, script.state(EnrollmentPhase.PAUSED, 1))
    script.then(script.waits(2, LATER))
    async with stage.workers():
        play = await stage.play_as_enrolled()
        await gate.wait_reached()
        await play.signal("reconsider")
        await play.until_event("workflow_execution_signaled")
        gate.opened.set()
        await play.until_called(3)
        await play.until(EnrollmentPhase.PAUSED)
        await play.signal("reconsider")
        await play.until(EnrollmentPhase.WAITING, step=2)
        await play.signal("mark_finished", EnrollmentStatus.FINISHED_STOPPED)
        await play.ends_as(EnrollmentStatus.FINISHED_STOPPED)
    return play.handle


@recorded
async def decided_before_due(stage: Stage) -> WorkflowHandle[Any, Any]:
    script = stage.script
    script.decides(script.sends(0), script.waits(1, SOON), script.sends(1))
    script.then(script.waits(1, LATER), script.waits(2, LATER))
    async with stage.workers():
        play = await stage.play_as_enrolled()
        await play.until(EnrollmentPhase.WAITING, step=1)
        await play.signal("reconsider")
        await play.until(EnrollmentPhase.WAITING, step=2)
        decided, sent = "decide_step locally", "send_step"
        assert script.called == [decided, sent, decided, decided, sent]
        await play.signal("mark_finished", EnrollmentStatus.FINISHED_STOPPED)
        await play.ends_as(EnrollmentStatus.FINISHED_STOPPED)
    return play.handle


@recorded
async def not_due_by_clock_of_row(stage: Stage) -> WorkflowHandle[Any, Any]:
    """The row repeats its state although that is due by the workflow's clock."""
    script = stage.script
    waits, said = script.waits(1, SOON), list[EnrollmentState]()

    async def first() -> EnrollmentState:
        said.append(await waits())
        return said[0]

    async def again() -> EnrollmentState:
        return said[0]

    script.decides(script.sends(0), again, script.sends(1))
    script.then(first, ends(EnrollmentStatus.FINISHED_NO_RESPONSE))
    async with stage.workers():
        play = await stage.play_as_enrolled()
        await play.ends_as(EnrollmentStatus.FINISHED_NO_RESPONSE)
    return play.handle


@recorded
async def held_and_released(stage: Stage) -> WorkflowHandle[Any, Any]:
    script = stage.script
    script.then(
        script.state(EnrollmentPhase.HELD, 0, held_reason="outcome_unknown"),
        script.awaits_reply(SOON),
        ends(EnrollmentStatus.FINISHED_NO_RESPONSE),
    )
    async with stage.workers():
        play = await stage.play_as_enrolled()
        await play.until(EnrollmentPhase.HELD)
        await play.signal("reconsider")
        await play.ends_as(EnrollmentStatus.FINISHED_NO_RESPONSE)
    return play.handle


@recorded
async def sent_again_after_late_report(stage: Stage) -> WorkflowHandle[Any, Any]:
    script = stage.script
    script.then(
        script.awaits_reply(LATER),
        script.waits(2, SOON),
        script.awaits_reply(SOON),
        ends(EnrollmentStatus.FINISHED_NO_RESPONSE),
    )
    async with stage.workers():
        play = await stage.play_as_enrolled()
        await play.until(EnrollmentPhase.AWAITING_REPLY)
        await play.signal("delivery_reported")
        await play.ends_as(EnrollmentStatus.FINISHED_NO_RESPONSE)
    return play.handle


@recorded
async def closes_after_outage(stage: Stage) -> WorkflowHandle[Any, Any]:
    script = stage.script
    script.then(script.awaits_reply(SOON), *fails(times=4))
    script.then(ends(EnrollmentStatus.FINISHED_NO_RESPONSE))
    async with stage.workers():
        play = await stage.play_as_enrolled()
        await play.ends_as(EnrollmentStatus.FINISHED_NO_RESPONSE)
    return play.handle


@recorded
async def one_off_text(stage: Stage) -> WorkflowHandle[Any, Any]:
    script = stage.script

    async def limited() -> EnrollmentState:
        now = await script.clock()
        return EnrollmentState(EnrollmentPhase.WAITING, MessageStatus.REFUSED, due_at=now + SOON)

    script.then(*fails(), limited, ends(MessageStatus.QUEUED))
    message_id, sender_id = uuid4(), uuid4()
    await stage.temporal.start_message(message_id, sender_id)
    handle = stage.client.get_workflow_handle(message_workflow_id(message_id))
    stage.watch(handle)
    async with stage.workers():
        assert await handle.result() == MessageStatus.QUEUED
    return handle


@recorded
async def one_off_text_decided(stage: Stage) -> WorkflowHandle[Any, Any]:
    """Not due; then an earlier attempt needs reconciliation; then it is sent."""
    script = stage.script
    script.decides(*fails(times=4), script.waits(0, SOON), script.asks(Need.RECONCILE))
    script.then(script.sends(0), ends(MessageStatus.QUEUED))
    message_id, sender_id = uuid4(), uuid4()
    await stage.temporal.start_message(message_id, sender_id)
    handle = stage.client.get_workflow_handle(message_workflow_id(message_id))
    stage.watch(handle)
    async with stage.workers():
        assert await handle.result() == MessageStatus.QUEUED
    assert script.called == [
        *["decide_message locally"] * 3,
        *["decide_message"] * 2,
        *["decide_message locally", "resolve_message", "send_message"],
    ]
    return handle


@recorded
async def job_in_chunks(stage: Stage) -> WorkflowHandle[Any, Any]:
    stage.script.chunks += [
        JobProgress("running", more=True, acted=50, done=50, total=60),
        RuntimeError("+4915112345678"),
        JobProgress("running", more=True, acted=0, done=50, total=60),
        JobProgress("done", more=False, acted=10, done=60, total=60),
    ]
    job_id = uuid4()
    await stage.temporal.start_job(job_id)
    handle = stage.client.get_workflow_handle(job_workflow_id(job_id))
    stage.watch(handle)
    async with stage.workers():
        assert await handle.result() == "done"
    return handle


@recorded
async def sweep(stage: Stage) -> WorkflowHandle[Any, Any]:
    handle = await stage.client.start_workflow(
        SweepWorkflow.run,
        id=f"sweep/{uuid4()}",
        task_queue=ENROLLMENT_QUEUE,
        execution_timeout=timedelta(minutes=10),
    )
    stage.watch(handle)
    async with stage.workers():
        assert (await handle.result()).delivered == 2
    return handle


@recorded
async def events_delivered_in_rounds(stage: Stage) -> WorkflowHandle[Any, Any]:
    script = stage.script
    script.rounds.extend([timedelta(0), SOON, LATER])
    endpoint_id = uuid4()
    await stage.temporal.wake_events(endpoint_id)
    handle = stage.client.get_workflow_handle(events_workflow_id(endpoint_id))
    stage.watch(handle)
    play = Play(handle, script)
    async with stage.workers(sends=False), stage.event_worker():
        await play.until_event("timer_started", 2)
        await stage.temporal.wake_events(endpoint_id)
        await handle.result()
    assert script.called == ["deliver_events"] * 4
    return handle


@dataclass(frozen=True)
class Recording:
    """A recorded history: its play and edition."""

    play: str
    edition: int

    @property
    def file_name(self) -> str:
        return f"{self.play}.{self.edition}.json"
