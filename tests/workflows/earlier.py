"""The workflows of builds that did not decide before sending, in a module for the sandbox."""

from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority

with workflow.unsafe.imports_passed_through():
    from activities.sending import SendingActivities, SendMessage
    from domain.statuses.enrollment_state import EnrollmentState
    from workflows.enrollment import EnrollmentWorkflow
    from workflows.limits import PERSON_PRIORITY, SEND, SEND_QUEUE
    from workflows.messages import EnrollmentResult, StartEnrollment, StartMessage
    from workflows.one_off import BLOCKED_WAIT


@workflow.defn(name="Enrollment")
class EarlierEnrollmentWorkflow(EnrollmentWorkflow):
    """Sends what is due; the send activity finds out whether it may."""

    @workflow.init
    def __init__(self, start: StartEnrollment) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: StartEnrollment) -> EnrollmentResult:
        return await super().run(start)

    def _decides_first(self) -> bool:
        return False

    async def _ask(self, *, is_asked: bool) -> EnrollmentState | None:
        state = await super()._ask(is_asked=is_asked)
        return state and replace(state, needs=None)  # it knew no needs


@workflow.defn(name="OneOffMessage")
class EarlierOneOffWorkflow:
    """Sends, waits as the row says, and sends again."""

    @workflow.run
    async def run(self, start: StartMessage) -> str:
        while True:
            state = await workflow.execute_activity_method(
                SendingActivities.send_message,
                SendMessage(start.message_id),
                task_queue=SEND_QUEUE,
                **SEND,
                priority=Priority(
                    priority_key=PERSON_PRIORITY, fairness_key=start.sender_id or None
                ),
                summary="one-off text",
            )
            if state.doing == "ended":
                return state.status
            wait = BLOCKED_WAIT if state.due_at is None else state.due_at - workflow.now()
            if wait > timedelta(0):
                await workflow.sleep(wait, summary=f"until sent: {state.doing}")
