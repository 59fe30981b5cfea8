"""The enrollment's workflow: what it waits for, what wakes it, how it ends.

The rules: docs/design.md, "Data flow".
"""

import asyncio
from datetime import timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus, Need
from domain.statuses.messaging import MessageStatus
from tests.workflows import histories
from tests.workflows.earlier import EarlierEnrollmentWorkflow, EarlierOneOffWorkflow
from tests.workflows.plays import (
    PATIENCE,
    SENDER,
    STEPS,
    Gate,
    Play,
    Stage,
    ends,
    event_name,
    fails,
)
from workflows.client import SEQUENCE_ATTRIBUTE, message_workflow_id
from workflows.limits import ENROLLMENT_QUEUE
from workflows.messages import StartMessage
from workflows.one_off import OneOffMessageWorkflow

NO_RESPONSE = EnrollmentStatus.FINISHED_NO_RESPONSE
RESPONDED = EnrollmentStatus.FINISHED_RESPONDED
STOPPED = EnrollmentStatus.FINISHED_STOPPED
OPTED_OUT = EnrollmentStatus.OPTED_OUT
A_DAY = timedelta(days=1)
A_WEEK = timedelta(days=7)
FINAL_SIGNALS = [
    ("reply_received", RESPONDED),
    ("opted_out", OPTED_OUT),
    ("mark_finished", STOPPED),
    ("delivery_reported", EnrollmentStatus.FAILED),
]


def reconciling(delay: timedelta) -> ApplicationError:
    """Build the error that asks to repeat the reconciliation after a delay."""
    return ApplicationError("needs reconciliation", type="outcome_unknown", next_retry_delay=delay)


async def names(play: Play) -> list[str]:
    return [event_name(event) for event in await play.events()]


async def test_steps_wait_their_delays_then_the_reply_window_passes(fast: Stage) -> None:
    script = fast.script
    script.then(
        script.waits(1, timedelta(days=2)),
        script.waits(2, A_WEEK),
        script.awaits_reply(A_WEEK),
        ends(NO_RESPONSE),
    )
    async with fast.workers():
        play = await fast.play()
        await play.ends_as(NO_RESPONSE)
    assert script.called == ["send_step"] * 3 + ["close_enrollment locally"]
    began = script.calls[0][1]
    days = [(at - began) / A_DAY for _, at in script.calls]
    assert days == pytest.approx([0, 2, 9, 16], abs=0.001)


async def test_enrollment_of_an_earlier_build_decides_from_its_next_step(stage: Stage) -> None:
    """Replay of its history, where it sent without a decision, keeps that."""
    script = stage.script
    script.then(script.waits(1, timedelta(seconds=2)), script.waits(2, timedelta(seconds=2)))
    async with stage.workers(workflows=[EarlierEnrollmentWorkflow]):
        play = await stage.play()
        await play.until(EnrollmentPhase.WAITING, step=1)
    assert script.called == ["send_step"]
    script.decides(script.sends(1))
    async with stage.workers():
        await play.until(EnrollmentPhase.WAITING, step=2)
    script.decides(script.state(EnrollmentPhase.PAUSED, 2))
    async with stage.workers():  # a new worker, which replays the history
        await play.until(EnrollmentPhase.PAUSED)
        await play.signal("mark_finished", STOPPED)
        await play.ends_as(STOPPED)
    decided = "decide_step locally"
    assert script.called == ["send_step", decided, "send_step", decided]


@pytest.mark.parametrize("need", list(Need))
async def test_need_ignored_by_an_earlier_build_is_decided_again(stage: Stage, need: Need) -> None:
    """In a rolling deploy a send of this build answers a workflow that knows no needs."""
    script = stage.script
    told = script.state(EnrollmentPhase.SENDING, after=timedelta(seconds=2), needs=need)
    async with stage.workers(workflows=[EarlierEnrollmentWorkflow]):
        script.then(told)
        play = await stage.play()
        await play.until_event("timer_started")
    script.decides(script.asks(Need.RECONCILE))
    script.then(script.waits(1, A_DAY))
    async with stage.workers():
        await play.until(EnrollmentPhase.WAITING, step=1)
        await play.signal("mark_finished", STOPPED)
        await play.ends_as(STOPPED)
    assert script.called == ["send_step", "decide_step locally", "resolve_step"]


async def test_one_off_of_an_earlier_build_decides_from_its_next_try(
    stage: Stage,
) -> None:
    """Even if a send of this build answered it with a need."""
    script = stage.script
    message_id = str(uuid4())
    script.then(
        script.state(EnrollmentPhase.SENDING, after=timedelta(seconds=2), needs=Need.RECONCILE)
    )
    async with stage.workers(workflows=[EarlierOneOffWorkflow]):
        handle = await stage.client.start_workflow(
            OneOffMessageWorkflow.run,
            StartMessage(message_id, str(SENDER)),
            id=message_workflow_id(message_id),
            task_queue=ENROLLMENT_QUEUE,
        )
        stage.watch(handle)
        await Play(cast("Any", handle), script).until_event("timer_started")
    script.decides(script.asks(Need.RECONCILE))
    script.then(script.sends(0), ends(MessageStatus.QUEUED))
    async with stage.workers(), asyncio.timeout(PATIENCE):
        assert await handle.result() == MessageStatus.QUEUED
    asked = ["decide_message locally", "resolve_message", "send_message"]
    assert script.called == ["send_message", *asked]


@pytest.mark.parametrize("need", [Need.RECONCILE, Need.LOOK_UP])
async def test_reconciliation_and_look_up_stay_out_of_the_send_queue(
    stage: Stage, need: Need
) -> None:
    """Rule: only sends go through the send queue."""
    script = stage.script
    script.decides(script.asks(need))
    script.then(*fails(reconciling(timedelta(milliseconds=10)), times=3), ends(NO_RESPONSE))
    async with stage.workers(sends=False):
        await (await stage.play()).ends_as(NO_RESPONSE)
    assert script.called == ["decide_step locally", *["resolve_step"] * 4]


async def test_send_that_is_blocked_is_decided_again(stage: Stage) -> None:
    """Between decision and send: an unknown outcome, a later due time, a pause."""
    script = stage.script
    script.decides(script.sends(0), script.sends(0), script.sends(0))
    script.then(script.asks(Need.RECONCILE), script.waits(0, timedelta(milliseconds=50)))
    script.then(script.state(EnrollmentPhase.PAUSED, 0), ends(NO_RESPONSE))
    async with stage.workers():
        play = await stage.play()
        await play.until(EnrollmentPhase.PAUSED)
        await play.signal("reconsider")
        await play.ends_as(NO_RESPONSE)
    decided = ["decide_step locally", "send_step"]
    assert script.called == [*decided, "resolve_step", *decided, *decided]


async def test_first_step_waits_for_its_due_time(fast: Stage) -> None:
    fast.script.then(ends(EnrollmentStatus.OMITTED_OPTED_OUT))
    began = await fast.script.clock()
    async with fast.workers():
        play = await fast.play(after=A_DAY)
        await play.ends_as(EnrollmentStatus.OMITTED_OPTED_OUT)
    assert fast.script.calls[0][1] - began >= A_DAY


async def test_extended_reply_window_delays_the_close(fast: Stage) -> None:
    """Rule: closing answers with the later end of the window, if it was extended."""
    script = fast.script
    script.then(
        script.awaits_reply(A_DAY),
        script.awaits_reply(A_WEEK),
        ends(NO_RESPONSE),
    )
    async with fast.workers():
        await (await fast.play()).ends_as(NO_RESPONSE)
    assert script.called == ["send_step", "close_enrollment locally", "close_enrollment locally"]
    assert script.calls[2][1] - script.calls[1][1] >= A_WEEK


@pytest.mark.parametrize("doing", [EnrollmentPhase.WAITING, EnrollmentPhase.AWAITING_REPLY])
async def test_row_with_a_clock_behind_is_asked_with_a_backoff(
    fast: Stage, doing: EnrollmentPhase
) -> None:
    """Temporal's clock may be ahead of the database's: due by one is not due by the other."""
    script = fast.script
    due_at = await script.clock() + A_DAY

    async def state() -> EnrollmentState:
        if await script.clock() < due_at + timedelta(seconds=4):
            return EnrollmentState(doing, EnrollmentStatus.ACTIVE, due_at, 1, STEPS, str(SENDER))
        return await ends(NO_RESPONSE)()

    if doing is EnrollmentPhase.WAITING:
        script.decides(*[state] * 60)
    else:
        script.then(*[state] * 60)
    async with fast.workers():
        assert (await (await fast.play()).handle.result()).status == NO_RESPONSE
    assert 4 <= len(script.called) <= 8


async def test_reconciliation_is_repeated_when_the_activity_says(fast: Stage) -> None:
    script = fast.script
    script.then(script.asks(Need.RECONCILE), *fails(reconciling(timedelta(minutes=2))))
    script.then(ends(EnrollmentStatus.FAILED))
    async with fast.workers():
        await (await fast.play()).ends_as(EnrollmentStatus.FAILED)
    assert script.called == ["send_step", "resolve_step", "resolve_step"]
    assert script.calls[2][1] - script.calls[1][1] >= timedelta(minutes=2)


async def test_erased_row_ends_the_workflow(fast: Stage) -> None:
    """Even before the signal arrives; no other activity runs."""
    script = fast.script
    script.decides(script.sends(0), ends("gone"))
    script.then(script.waits(1, A_DAY))
    async with fast.workers():
        play = await fast.play()
        result = await play.handle.result()
    assert result.status == "gone"
    assert script.called == ["decide_step locally", "send_step", "decide_step locally"]


@pytest.mark.parametrize(("signal", "status"), FINAL_SIGNALS)
async def test_final_signal_ends_a_waiting_workflow(
    stage: Stage, signal: str, status: EnrollmentStatus
) -> None:
    stage.script.then(stage.script.waits(1, A_DAY))
    async with stage.workers():
        play = await stage.play()
        waiting = await play.until(EnrollmentPhase.WAITING, step=1)
        assert waiting.next_due_at is not None
        await play.signal(signal, status)
        await play.ends_as(status)
        assert await play.progress() == type(waiting)(status, 1, STEPS, None)
    assert (await names(play)).count("timer_canceled") == 1


@pytest.mark.parametrize(
    ("doing", "reason"), [(EnrollmentPhase.PAUSED, None), (EnrollmentPhase.HELD, "outcome_unknown")]
)
async def test_blocked_workflow_has_no_timer_and_continues_on_reconsider(
    stage: Stage, doing: EnrollmentPhase, reason: str | None
) -> None:
    script = stage.script
    script.decides(script.state(doing, 1, held_reason=reason), script.sends(1))
    script.then(script.waits(2, A_DAY))
    async with stage.workers(sends=False):
        play = await stage.play()
        await play.until(doing)
        assert "activity_task_scheduled" not in await names(play), "it takes no turn of its sender"
    async with stage.workers():
        blocked = await play.until(doing)
        assert (blocked.next_due_at, blocked.held_reason) == (None, reason)
        assert "timer_started" not in await names(play)
        await play.signal("reconsider")
        await play.until(EnrollmentPhase.WAITING, step=2)
        await play.signal("opted_out", OPTED_OUT)
        await play.ends_as(OPTED_OUT)


async def test_final_signal_ends_a_blocked_workflow(stage: Stage) -> None:
    stage.script.then(stage.script.state(EnrollmentPhase.HELD, 1, held_reason="sender_on_hold"))
    async with stage.workers():
        play = await stage.play()
        await play.until(EnrollmentPhase.HELD)
        await play.signal("mark_finished", STOPPED)
        await play.ends_as(STOPPED)


async def test_final_signal_cancels_a_queued_send(stage: Stage) -> None:
    async with stage.workers(sends=False):
        play = await stage.play()
        await play.until("sending")
        await play.until_event("activity_task_scheduled")
        await play.signal("opted_out", OPTED_OUT)
        await play.ends_as(OPTED_OUT)
    assert "activity_task_canceled" in await names(play)
    async with stage.workers():
        await asyncio.sleep(0.3)
    assert stage.script.calls == []


async def test_send_under_way_is_awaited_before_the_end(stage: Stage) -> None:
    gate = Gate(stage.script.waits(1, A_DAY))
    stage.script.then(gate)
    async with stage.workers():
        play = await stage.play()
        await gate.wait_reached()
        assert (await play.progress()).state == "sending"
        await play.signal("mark_finished", STOPPED)
        await play.until_event("activity_task_cancel_requested")
        assert (await play.progress()).state == STOPPED
        assert "workflow_execution_completed" not in await names(play)
        gate.opened.set()
        await play.ends_as(STOPPED)
    assert "activity_task_completed" in await names(play)


async def test_send_failing_after_the_end_does_not_fail_the_workflow(stage: Stage) -> None:
    """The try under way when a user finished it fails: there is no other try."""
    gate = Gate(fails(reconciling(timedelta(minutes=2)))[0])
    stage.script.then(gate)
    async with stage.workers():
        play = await stage.play()
        await gate.wait_reached()
        await play.signal("mark_finished", STOPPED)
        await play.until_event("activity_task_cancel_requested")
        gate.opened.set()
        await play.ends_as(STOPPED)
    assert stage.script.called == ["send_step"]


async def test_final_signal_ends_a_workflow_between_tries_of_a_send(stage: Stage) -> None:
    stage.script.then(*fails(reconciling(timedelta(minutes=2))))
    async with stage.workers():
        play = await stage.play()
        await play.until_called(1)
        await asyncio.sleep(0.2)
        await play.signal("reply_received", RESPONDED)
        await play.ends_as(RESPONDED)
    assert stage.script.called == ["send_step"]


async def test_final_signal_before_the_first_task_sends_nothing(stage: Stage) -> None:
    play = await stage.play()
    await play.signal("opted_out", EnrollmentStatus.OMITTED_OPTED_OUT)
    async with stage.workers():
        await play.ends_as(EnrollmentStatus.OMITTED_OPTED_OUT)
    assert "activity_task_scheduled" not in await names(play)


async def test_first_of_two_final_signals_wins(stage: Stage) -> None:
    play = await stage.play(after=A_DAY)
    await play.signal("reply_received", RESPONDED)
    await play.signal("opted_out", OPTED_OUT)
    async with stage.workers():
        await play.ends_as(RESPONDED)


@pytest.mark.parametrize("signal", [name for name, _ in FINAL_SIGNALS] + ["reconsider"])
async def test_signal_without_final_status_asks_the_row(stage: Stage, signal: str) -> None:
    script = stage.script
    script.decides(script.sends(0), script.waits(1, A_DAY), script.waits(1, A_DAY))
    script.then(script.waits(1, A_DAY))
    async with stage.workers():
        play = await stage.play()
        await play.until(EnrollmentPhase.WAITING, step=1)
        await play.signal(signal)
        await play.until_called(3)
        await play.until(EnrollmentPhase.WAITING)
        await play.signal("mark_finished", EnrollmentStatus.ACTIVE)
        await play.until_called(4)
    decided = "decide_step locally"
    assert script.called == [decided, "send_step", decided, decided]


async def test_signal_during_a_send_asks_the_row_again(stage: Stage) -> None:
    """Rule: `reconsider` is counted, so one that arrives during an activity is not lost."""
    script = stage.script
    gate = Gate(script.state(EnrollmentPhase.PAUSED, 0))
    script.then(gate, script.waits(1, A_DAY))
    async with stage.workers():
        play = await stage.play()
        await gate.wait_reached()
        await play.signal("reconsider")
        await play.signal("reconsider")
        await play.until_event("workflow_execution_signaled", 2)
        gate.opened.set()
        await play.until(EnrollmentPhase.WAITING, step=1)
        await asyncio.sleep(0.1)
    assert script.called == ["send_step"] * 2
    assert not script.overrun


async def test_report_while_awaiting_reply_can_repeat_the_step(stage: Stage) -> None:
    """Rule: a transient failure in a later report repeats the same step."""
    script = stage.script
    script.then(
        script.awaits_reply(A_WEEK),
        script.waits(2, timedelta()),
        script.awaits_reply(A_WEEK),
    )
    async with stage.workers():
        play = await stage.play()
        await play.until(EnrollmentPhase.AWAITING_REPLY)
        await play.signal("delivery_reported")
        await play.until_called(3)
        await play.until(EnrollmentPhase.AWAITING_REPLY)
    assert script.called == ["send_step", "close_enrollment locally", "send_step"]


async def test_failing_close_falls_back_to_a_regular_activity(stage: Stage) -> None:
    script = stage.script
    script.then(script.awaits_reply(timedelta()), *fails(times=5), ends(NO_RESPONSE))
    async with stage.workers():
        play = await stage.play()
        await play.ends_as(NO_RESPONSE)
    assert script.called == [
        "send_step",
        *["close_enrollment locally"] * 3,
        *["close_enrollment"] * 3,
    ]


async def test_hanging_close_is_bounded_and_does_not_grow_the_history(stage: Stage) -> None:
    """Rule: 2 s, 3 tries, 8 s in all, then one regular activity however long it takes."""

    script = stage.script
    never = Gate(ends(NO_RESPONSE))
    script.then(script.awaits_reply(timedelta()), *[never] * 3, *fails(times=2), ends(NO_RESPONSE))
    async with stage.workers():
        play = await stage.play()
        await play.until_called(5)
        await play.until_called(6)
        before = len(await play.events())
        await play.ends_as(NO_RESPONSE)
    closing = [at for name, at in script.calls if name.startswith("close")]
    assert (closing[3] - closing[0]).total_seconds() < 9
    assert len(await play.events()) - before <= 6


async def test_final_signal_ends_a_workflow_between_tries_of_its_close(stage: Stage) -> None:
    script = stage.script
    script.then(script.awaits_reply(timedelta()), *fails(times=3), *fails(reconciling(A_DAY)))
    async with stage.workers():
        play = await stage.play()
        await play.until_called(5)
        await asyncio.sleep(0.1)
        await play.signal("reply_received", RESPONDED)
        await play.ends_as(RESPONDED)


@pytest.fixture
def always_suggested(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the server suggest to continue as new after every event."""
    monkeypatch.setattr(workflow.Info, "is_continue_as_new_suggested", lambda _: True)


async def test_continue_as_new_keeps_the_state(stage: Stage, always_suggested: None) -> None:
    script = stage.script
    script.then(
        script.waits(1, timedelta(milliseconds=300)),
        script.state(EnrollmentPhase.HELD, 1, held_reason="outcome_unknown"),
    )
    async with stage.workers():
        play = await stage.play_as_enrolled()
        first_run = (await play.handle.describe()).run_id
        await play.until_called(2)
        await asyncio.sleep(0.2)  # a query of a run that is closing takes seconds
        held = await play.until(EnrollmentPhase.HELD)
        assert (held.step, held.held_reason) == (1, "outcome_unknown")
        latest = await play.handle.describe()
        assert latest.run_id != first_run
        assert latest.typed_search_attributes[SEQUENCE_ATTRIBUTE]
        await play.signal("opted_out", OPTED_OUT)
        await play.ends_as(OPTED_OUT)
    assert script.called == ["send_step"] * 2


async def test_continue_as_new_loses_no_signal(stage: Stage, always_suggested: None) -> None:
    """One that arrives during an activity is handled, by whichever run."""
    script = stage.script
    gate = Gate(script.state(EnrollmentPhase.PAUSED, 0))
    last = Gate(script.waits(1, A_DAY))
    script.then(gate, script.waits(1, timedelta()), last)
    async with stage.workers():
        play = await stage.play()
        await gate.wait_reached()
        await play.signal("reconsider")
        await play.until_event("workflow_execution_signaled")
        gate.opened.set()
        await last.wait_reached()
        await play.signal("mark_finished", STOPPED)
        last.opened.set()
        await play.ends_as(STOPPED)
    assert script.called == ["send_step"] * 3


async def test_one_off_waits_for_a_sender_on_hold(fast: Stage, always_suggested: None) -> None:
    """It asks every minute; the history of each run stays short."""
    script = fast.script
    script.decides(*[script.state(EnrollmentPhase.HELD, held_reason="sender_on_hold")] * 5)
    script.decides(script.sends(0))
    script.then(ends(MessageStatus.QUEUED))
    message_id = str(uuid4())
    handle = await fast.client.start_workflow(
        OneOffMessageWorkflow.run,
        StartMessage(message_id, str(SENDER)),
        id=message_workflow_id(message_id),
        task_queue=ENROLLMENT_QUEUE,
        execution_timeout=A_WEEK,
    )
    async with fast.workers(), asyncio.timeout(PATIENCE):
        assert await handle.result() == MessageStatus.QUEUED
        latest = fast.client.get_workflow_handle(handle.id)
        last_run = await latest.fetch_history()
    assert len(histories.without_patches(last_run.events)) == 12
    assert script.called.count("send_message") == 1
    assert script.calls[-1][1] - script.calls[0][1] >= timedelta(minutes=5)


async def test_workflow_canceled_by_an_operator_is_closed(
    stage: Stage,
) -> None:
    """The row stays active; the sweep restarts the workflow from the row."""
    script = stage.script
    script.then(script.awaits_reply(A_DAY))
    async with stage.workers():
        play = await stage.play()
        await play.until(EnrollmentPhase.AWAITING_REPLY)
        await play.handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await play.handle.result()
        assert (await play.handle.describe()).status == WorkflowExecutionStatus.CANCELED
