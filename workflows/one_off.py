"""The workflow of one one-off text."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority

with workflow.unsafe.imports_passed_through():
    from activities.sending import SendingActivities, SendMessage
    from domain.statuses.enrollment_state import EnrollmentState
    from domain.statuses.enrollments import Need
    from workflows.asking import ask_at_once
    from workflows.limits import (
        ASK,
        CLOCK_SKEW_BACKOFF,
        PERSON_PRIORITY,
        QUESTION_QUEUE,
        RESOLVE,
        SEND,
        SEND_QUEUE,
    )
    from workflows.messages import StartMessage

BLOCKED_WAIT = timedelta(minutes=1)
"""How long to wait before asking again whether a sender is off hold."""


@workflow.defn(name="OneOffMessage")
class OneOffMessageWorkflow:
    """Sends one text, ahead of the steps of its sender.

    Id: ``message/<uuid>``. Started by the outbox. No signals. Ends when the text was accepted,
    refused, suppressed or canceled; one that was scheduled sleeps until its time, for up to a year,
    and then finds its row as it is by then. History: 5 events, 1 per decision, 6 per send with a
    wait; 12 when nothing blocks it; it continues as new when the server suggests it, after hours of
    a sender on hold.
    """

    @workflow.run
    async def run(self, start: StartMessage) -> str:
        """Ask the row and act until the text is final; return its status code."""
        needs: Need | None = None
        acts, decides = 0, False
        while True:
            acts += 1
            # Earlier builds sent instead. `patched` answers the same for one name as long as the
            # run lasts, so one that has acted already is asked by another name each time.
            decides = decides or workflow.patched("decide") or workflow.patched(f"decide-{acts}")
            if not decides:
                needs = Need.SEND
            state = await self._ask(start, needs)
            if state.doing == "ended":
                return state.status
            is_decided = needs is None
            needs = state.needs if decides else None  # they knew no needs, and waited
            if needs is None:
                await self._wait(state, is_decided=is_decided)
                if workflow.info().is_continue_as_new_suggested():
                    workflow.continue_as_new(start)

    async def _wait(self, state: EnrollmentState, *, is_decided: bool) -> None:
        """Sleep until the text is due, or its sender may be off hold."""
        wait = BLOCKED_WAIT if state.due_at is None else state.due_at - workflow.now()
        if is_decided:  # it may be due by our clock, but not by the row's
            wait = max(wait, CLOCK_SKEW_BACKOFF)
        if wait > timedelta(0):
            await workflow.sleep(wait, summary=f"until sent: {state.doing}")

    async def _ask(self, start: StartMessage, needs: Need | None) -> EnrollmentState:
        """Send, reconcile an earlier attempt, or ask the row which of these comes next."""
        request = SendMessage(start.message_id)
        match needs:
            case None:
                state = await ask_at_once(SendingActivities.decide_message, request, "decide")
                if state is not None:
                    return state
                return await workflow.execute_activity_method(
                    SendingActivities.decide_message, request, **ASK, summary="decide"
                )
            case Need.SEND:
                return await workflow.execute_activity_method(
                    SendingActivities.send_message,
                    request,
                    task_queue=SEND_QUEUE,
                    **SEND,
                    priority=Priority(
                        priority_key=PERSON_PRIORITY, fairness_key=start.sender_id or None
                    ),
                    summary="one-off text",
                )
            case Need.RECONCILE | Need.LOOK_UP:
                return await workflow.execute_activity_method(
                    SendingActivities.resolve_message,
                    request,
                    task_queue=QUESTION_QUEUE,
                    **RESOLVE,
                    summary=needs.replace("_", " "),
                )
