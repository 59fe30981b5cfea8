"""Delivering events to one endpoint as an activity."""

from dataclasses import dataclass
from uuid import UUID

from temporalio import activity

from domain.event_webhooks.events import EventDeliverer, EventsRound


@dataclass(frozen=True)
class DeliverEvents:
    """Which endpoint's events to deliver."""

    endpoint_id: str


class EventActivities:
    """Delivers events."""

    def __init__(self, deliverer: EventDeliverer) -> None:
        self._deliverer = deliverer

    @activity.defn(name="deliver_events")
    async def deliver_events(self, request: DeliverEvents) -> EventsRound:
        """Deliver what is due for a few seconds; return when to come again.

        Idempotency: each try is claimed and recorded on its row; an event may be sent twice, under
        one id. Time limit: 30 seconds. No failure is final; refusals are counted on the rows.
        """
        return await self._deliverer.deliver(UUID(request.endpoint_id))
