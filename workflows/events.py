"""The workflow that delivers events to one endpoint."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.events import DeliverEvents, EventActivities
    from domain.event_webhooks.events import EventsRound
    from workflows.limits import DELIVER, EVENT_QUEUE
    from workflows.messages import StartEventDelivery

LONGEST_WAIT = timedelta(hours=6)
"""More than any wait between two tries."""


@workflow.defn(name="EventDelivery")
class EventDeliveryWorkflow:
    """Delivers the events that wait for one endpoint, and ends when none is left.

    Id: ``events/<endpoint id>``. Started by the outbox together with the signal ``events_waiting``,
    which wakes an open one. If the signal arrives while it completes, the server refuses the
    completion and the workflow runs another round. History: 6 events a round, 4 more if it waits
    for the next; it continues as new when the server suggests it.
    """

    def __init__(self) -> None:
        self._woken = 0

    @workflow.run
    async def run(self, start: StartEventDelivery) -> None:
        """Deliver round after round until no event is left."""
        while True:
            seen = self._woken
            done: EventsRound = await workflow.execute_activity_method(
                EventActivities.deliver_events,
                DeliverEvents(start.endpoint_id),
                task_queue=EVENT_QUEUE,
                **DELIVER,
                summary="deliver",
            )
            if self._woken == seen:
                if done.next_at is None:
                    return
                await self._wait(done, seen)
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(start)

    @workflow.signal(name="events_waiting")
    def events_waiting(self) -> None:
        """Run another round: events were written for this endpoint."""
        self._woken += 1

    async def _wait(self, done: EventsRound, seen: int) -> None:
        """Wait until a delivery is due or an event was written."""
        if done.next_at is None or done.next_at <= workflow.now():
            return
        try:
            await workflow.wait_condition(
                lambda: self._woken != seen,
                timeout=min(done.next_at - workflow.now(), LONGEST_WAIT),
                timeout_summary="until the next try",
            )
        except TimeoutError:
            return
