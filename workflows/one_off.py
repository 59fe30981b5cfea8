"""One text that a person wrote, outside any step."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority

with workflow.unsafe.imports_passed_through():
    from activities.sending import SendingActivities, SendMessage
    from domain.ports import Standing
    from workflows.limits import PERSON_PRIORITY, SEND, SEND_QUEUE
    from workflows.messages import StartMessage

BLOCKED_WAIT = timedelta(minutes=1)
"""How long to wait before asking again whether a sender is off hold."""


@workflow.defn(name="OneOffMessage")
class OneOffMessageWorkflow:
    """Has one text sent, ahead of the steps of its sender.

    Id: ``message/<uuid>``. Started by the outbox. No signals. Ends when the text was accepted,
    refused or suppressed. History: 5 + 6 a try, 11 events when nothing is in the way; it goes on
    as a new run when the server suggests it, after hours of a sender on hold.
    """

    @workflow.run
    async def run(self, start: StartMessage) -> str:
        """Try until the row says that the text is settled; answers its status code."""
        while True:
            standing: Standing = await workflow.execute_activity_method(
                SendingActivities.send_message,
                SendMessage(start.message_id),
                task_queue=SEND_QUEUE,
                start_to_close_timeout=SEND.start_to_close,
                retry_policy=SEND.retry,
                priority=Priority(
                    priority_key=PERSON_PRIORITY, fairness_key=start.sender_id or None
                ),
                summary="one-off text",
            )
            if standing.doing == "ended":
                return standing.status
            wait = BLOCKED_WAIT if standing.due_at is None else standing.due_at - workflow.now()
            if wait > timedelta(0):
                await workflow.sleep(wait, summary=f"until sent: {standing.doing}")
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(start)
