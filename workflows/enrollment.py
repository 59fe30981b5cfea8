"""The workflow of one enrollment."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.common import Priority
from temporalio.exceptions import ActivityError
from temporalio.workflow import ActivityCancellationType

with workflow.unsafe.imports_passed_through():
    from activities.sending import CloseEnrollment, SendingActivities, SendStep
    from domain.statuses.enrollment_state import EnrollmentState
    from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus, Need
    from workflows.asking import ask_at_once
    from workflows.limits import (
        ASK,
        CLOCK_SKEW_BACKOFF,
        QUESTION_QUEUE,
        RESOLVE,
        SEND,
        SEND_QUEUE,
        STEP_PRIORITY,
        Limit,
    )
    from workflows.messages import Ended, EnrollmentResult, Progress, StartEnrollment

_Request = TypeVar("_Request")

NOT_BLOCKED = frozenset(
    {EnrollmentPhase.WAITING, EnrollmentPhase.SENDING, EnrollmentPhase.AWAITING_REPLY}
)


@workflow.defn(name="Enrollment")
class EnrollmentWorkflow:
    """Waits, asks the row what is next, does it, and ends when the row is final.

    Id: ``enrollment/<uuid>``. Started by the outbox, once per enrollment, and again by the sweep
    if it was lost; it takes its position from the row. Signals ``reply_received``, ``opted_out``,
    ``mark_finished``, ``delivery_reported`` (with the final status, if the row became final) and
    ``reconsider`` (something it waits for may have changed); query ``progress``. Ends with the
    row's final status. History: one timer, one local activity (the decision) and one activity (the
    send) per step; three steps, first at once, reply window, no reply: 42 events.
    """

    @workflow.init
    def __init__(self, start: StartEnrollment) -> None:
        self._id = start.enrollment_id
        self._page_url = start.page_url
        self._state = start.standing
        self._ended: str | None = None
        self._wakeups = 0
        self._handled_wakeups = 0
        self._acting = False
        self._was_early = False
        self._acts = 0
        self._decides = False

    @workflow.run
    async def run(self, start: StartEnrollment) -> EnrollmentResult:  # noqa: ARG002 - init has it
        """Wait for the next event, act on it, until the enrollment has ended."""
        while self._ended is None:
            self._show_state()
            await self._wait()
            if self._ended is not None:
                break
            await self._act()
            if workflow.info().is_continue_as_new_suggested() and self._may_begin_anew():
                workflow.continue_as_new(StartEnrollment(self._id, self._state, self._page_url))
        self._show_state()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return EnrollmentResult(status=self._ended)

    async def _wait(self) -> None:
        """Sleep until the next event is due, or a signal ends the enrollment or wakes it."""
        if self._state.needs is not None:
            return
        due_at = self._state.due_at
        timeout = None if due_at is None else due_at - workflow.now()
        if timeout is not None and timeout <= timedelta(0):
            if not (self._was_early and workflow.patched("clocks")):
                return
            timeout = CLOCK_SKEW_BACKOFF
        is_closing = self._state.doing == EnrollmentPhase.AWAITING_REPLY
        try:
            await workflow.wait_condition(
                lambda: not self._has_nothing_new(),
                timeout=timeout,
                timeout_summary="reply window" if is_closing else f"until {self._next_step()}",
            )
        except TimeoutError:
            return

    def _may_begin_anew(self) -> bool:
        """Tell whether a new run starts with all that this one knows.

        It may be run by a build that knows no needs.
        """
        return self._state.needs is None and self._has_nothing_new()

    def _has_nothing_new(self) -> bool:
        """Tell whether no signal has come since the row was last asked."""
        return self._ended is None and self._wakeups == self._handled_wakeups

    async def _act(self) -> None:
        """Do what the row needs, ask it what is next, or close it at the window's end."""
        is_asked = self._wakeups != self._handled_wakeups
        self._handled_wakeups = self._wakeups
        self._acting = True
        self._show_state()
        self._was_early = False
        state = await self._ask(is_asked=is_asked)
        self._acting = False
        if state is None:
            return
        if not self._decides:  # it started in a build that knew no needs, and waited
            state = replace(state, needs=None)
        self._was_early = self._was_early or state == self._state
        if state.needs in {Need.RECONCILE, Need.LOOK_UP}:  # the answer says no more than that
            state = replace(self._state, needs=state.needs)
        self._state = state
        if state.doing == "ended":
            self._ended = self._ended or state.status

    async def _ask(self, *, is_asked: bool) -> EnrollmentState | None:
        """Run the activity that fits; None if a signal ended the enrollment meanwhile."""
        state = self._state
        match state.needs:
            case Need.SEND:
                return await self._send()
            case Need.RECONCILE | Need.LOOK_UP:
                return await self._run(
                    SendingActivities.resolve_step,
                    SendStep(self._id),
                    RESOLVE,
                    f"{state.needs.replace('_', ' ')}: {self._next_step()}",
                    task_queue=QUESTION_QUEUE,
                )
            case None if state.doing == EnrollmentPhase.AWAITING_REPLY:
                closing = CloseEnrollment(self._id)
                return await self._ask_row(SendingActivities.close_enrollment, closing, "close")
            case None if self._decides_first():
                return await self._decide()
            case None:
                return await self._look_or_send(is_asked=is_asked)

    def _decides_first(self) -> bool:
        """Tell whether this run asks the row to decide before it sends; early builds did not.

        `patched` answers the same for one name as long as a run lasts, so a run that has acted
        before asks by a new name each time, until it does decide first.
        """
        self._acts += 1
        self._decides = (
            self._decides or workflow.patched("decide") or workflow.patched(f"decide-{self._acts}")
        )
        return self._decides

    async def _decide(self) -> EnrollmentState | None:
        """Ask the row what is next; None as for `_ask`."""
        state = await self._ask_row(SendingActivities.decide_step, SendStep(self._id), "decide")
        # A step that is due by our clock but not by the row's is asked about after a pause.
        self._was_early = state is not None and state.needs is None
        return state

    async def _look_or_send(self, *, is_asked: bool) -> EnrollmentState | None:
        """Look at the row if a signal came before the step is due, else send.

        Runs of builds that did not decide first do this.
        """
        state = self._state
        due_at = state.due_at if state.doing == EnrollmentPhase.WAITING else None
        is_early = is_asked and due_at is not None and due_at > workflow.now()
        if not (is_early and workflow.patched("look")):
            return await self._send()
        return await self._run(SendingActivities.look, SendStep(self._id), ASK, "look")

    async def _send(self) -> EnrollmentState | None:
        """Run the send activity; None as for `_ask`."""
        sender_id = self._state.sender_id
        return await self._run(
            SendingActivities.send_step,
            SendStep(self._id),
            SEND,
            self._next_step(),
            task_queue=SEND_QUEUE,
            priority=Priority(priority_key=STEP_PRIORITY, fairness_key=sender_id or None),
        )

    async def _ask_row(
        self,
        ask: Callable[[SendingActivities, _Request], Awaitable[EnrollmentState]],
        request: _Request,
        summary: str,
    ) -> EnrollmentState | None:
        """Ask the row at once, or patiently if the database is away; None as for `_ask`."""
        state = await ask_at_once(ask, request, summary)
        return state or await self._run(ask, request, ASK, summary)

    async def _run(
        self,
        activity: Callable[[SendingActivities, _Request], Awaitable[EnrollmentState]],
        request: _Request,
        limit: Limit,
        summary: str,
        *,
        task_queue: str | None = None,
        priority: Priority = Priority.default,
    ) -> EnrollmentState | None:
        """Run an activity; None if a signal ended the enrollment before there was an answer.

        Then cancel one that is queued or between two tries, and await one under way.
        """
        running = workflow.start_activity_method(
            activity,
            request,
            **limit,
            task_queue=task_queue,
            priority=priority,
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=summary,
        )
        await workflow.wait_condition(lambda: running.done() or self._ended is not None)
        if not running.done():
            running.cancel()
        try:
            return await running
        except ActivityError:
            # Canceled, or the try under way failed: no other try follows a cancellation.
            if self._ended is not None:
                return None
            raise

    def _next_step(self) -> str:
        """Return which step is next, in words."""
        return f"step {self._state.step + 1} of {self._state.step_count}"

    def _show_state(self) -> None:
        """Show operators the enrollment's state."""
        progress = self.progress()
        doing = progress.state.replace("_", " ")
        lines = [f"**{doing}**, step {progress.step} of {progress.step_count} sent"]
        if progress.next_due_at is not None:
            lines.append(f"next event: {progress.next_due_at:%Y-%m-%d %H:%M:%S} UTC")
        if progress.held_reason:
            lines.append(f"held: {progress.held_reason}")
        if self._page_url:
            lines.append(f"[enrollment]({self._page_url})")
        workflow.set_current_details("  \n".join(lines))

    def _on_signal(self, fact: Ended) -> None:
        """Remember the final status, or ask the row again."""
        if fact.status is not None and EnrollmentStatus(fact.status).is_final:
            self._ended = self._ended or fact.status
        else:
            self._wakeups += 1

    @workflow.signal(name="reply_received", description="The contact replied.")
    def reply_received(self, fact: Ended) -> None:
        """The contact replied."""
        self._on_signal(fact)

    @workflow.signal(name="opted_out", description="The contact's number was suppressed.")
    def opted_out(self, fact: Ended) -> None:
        """The contact's number was suppressed."""
        self._on_signal(fact)

    @workflow.signal(name="mark_finished", description="A user marked the enrollment finished.")
    def mark_finished(self, fact: Ended) -> None:
        """A user marked the enrollment finished."""
        self._on_signal(fact)

    @workflow.signal(name="delivery_reported", description="A late report changed what is next.")
    def delivery_reported(self, fact: Ended) -> None:
        """A late report changed what is next."""
        self._on_signal(fact)

    @workflow.signal(name="reconsider", description="Something it waits for may have changed.")
    def reconsider(self, fact: Ended) -> None:
        """Something it waits for may have changed: resumed, released, new settings."""
        self._on_signal(fact)

    @workflow.query(name="progress", description="What the enrollment is doing.")
    def progress(self) -> Progress:
        """Return what the enrollment is doing."""
        state = self._state
        doing = state.doing
        if self._ended is not None:
            doing = self._ended
        elif self._acting and doing in NOT_BLOCKED:
            doing = EnrollmentPhase.SENDING.value
        return Progress(
            state=doing,
            step=state.step,
            step_count=state.step_count,
            next_due_at=None if self._acting or self._ended is not None else state.due_at,
            held_reason=state.held_reason,
        )
