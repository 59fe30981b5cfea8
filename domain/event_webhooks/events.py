"""Events for other programs: their types, their form on the wire, the ports."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class EventType(StrEnum):
    """What may have happened."""

    ENROLLMENT_CREATED = "enrollment.created"
    ENROLLMENT_FINISHED = "enrollment.finished"
    ENROLLMENT_HELD = "enrollment.held"
    ENROLLMENT_RELEASED = "enrollment.released"
    ENROLLMENT_PAUSED = "enrollment.paused"
    ENROLLMENT_RESUMED = "enrollment.resumed"
    ENROLLMENT_REPLIED_LATE = "enrollment.replied_late"
    MESSAGE_SENT = "message.sent"
    MESSAGE_DELIVERED = "message.delivered"
    MESSAGE_FAILED = "message.failed"
    MESSAGE_CANCELED = "message.canceled"
    MESSAGE_DOUBLED = "message.doubled"
    MESSAGE_RECEIVED = "message.received"
    MESSAGE_KIND_CHANGED = "message.kind_changed"
    CONTACT_CHANGED = "contact.changed"
    CONTACT_OPTED_OUT = "contact.opted_out"
    CONTACT_OPTED_IN = "contact.opted_in"
    JOB_FINISHED = "job.finished"
    TEST_PING = "test.ping"


class ContactChange(StrEnum):
    """What was done to a contact."""

    CREATED = "created"
    UPDATED = "updated"
    ERASED = "erased"


class DeliveryState(StrEnum):
    """Where an event stands on its way to one endpoint."""

    PENDING = "pending"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True)
class EventRules:
    """The timings of deliveries.

    Attributes:
        waits: After the first failure, the second and so on; the last one repeats. Each is varied
            by up to a fifth.
        retry_after_most: The longest wait that an endpoint may ask for by ``Retry-After``; the
            shortest is the first of ``waits``.
        give_up: How long after it was to be sent an undelivered event is given up.
        secrets_overlap: How long the secret before signs beside a new one.
        round_length: How long one round begins new deliveries.
        claim: When a try that was never recorded is repeated; longer than a try can take.
        pause: How long an endpoint rests after ``failures_in_a_row``.
        side_by_side: Deliveries to one endpoint at once, each of another subject.
        allow_local: Whether endpoints may be on this machine or a private network.
    """

    waits: tuple[timedelta, ...] = (
        timedelta(seconds=5),
        timedelta(seconds=30),
        timedelta(minutes=2),
        timedelta(minutes=10),
        timedelta(hours=1),
        timedelta(hours=3),
    )
    retry_after_most: timedelta = timedelta(hours=24)
    give_up: timedelta = timedelta(days=3)
    secrets_overlap: timedelta = timedelta(hours=24)
    round_length: timedelta = timedelta(seconds=8)
    claim: timedelta = timedelta(minutes=1)
    pause: timedelta = timedelta(seconds=5)
    failures_in_a_row: int = 8
    side_by_side: int = 8
    allow_local: bool = False

    def wait(self, tries: int) -> timedelta:
        """Compute the wait after so many failed tries, before it is varied."""
        return self.waits[min(tries, len(self.waits)) - 1]

    def asked(self, retry_after: timedelta) -> timedelta:
        """Bound the wait that an endpoint asked for."""
        return min(max(retry_after, self.waits[0]), self.retry_after_most)


@dataclass(frozen=True)
class EventsRound:
    """Counts of one round of deliveries to an endpoint.

    ``next_at`` is when there is something to do again, UTC; None if nothing waits.
    """

    delivered: int = 0
    failed: int = 0
    next_at: datetime | None = None


class EventDeliverer(Protocol):
    """The use case behind the deliveries."""

    async def deliver(self, endpoint_id: UUID) -> EventsRound:
        """Deliver what is due to one endpoint, for a few seconds."""
        ...
