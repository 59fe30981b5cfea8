"""What other programs are told: the kinds of events, their form on the wire, the ports."""

import base64
import json
import secrets
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

_SECRET_BYTES = 32


class EventType(StrEnum):
    """What may have happened."""

    ENROLLMENT_CREATED = "enrollment.created"
    ENROLLMENT_FINISHED = "enrollment.finished"
    ENROLLMENT_HELD = "enrollment.held"
    MESSAGE_SENT = "message.sent"
    MESSAGE_DELIVERED = "message.delivered"
    MESSAGE_FAILED = "message.failed"
    MESSAGE_DOUBLED = "message.doubled"
    MESSAGE_RECEIVED = "message.received"
    CONTACT_OPTED_OUT = "contact.opted_out"
    CONTACT_OPTED_IN = "contact.opted_in"
    TEST_PING = "test.ping"


class DeliveryState(StrEnum):
    """Where an event stands on its way to one endpoint."""

    PENDING = "pending"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True)
class EventRules:
    """The timings of deliveries.

    Attributes:
        waits: After the first failure, the second and so on; the last one repeats. Each is
            lengthened or shortened by up to a fifth.
        give_up: How old an event that could not be delivered may get.
        round_length: For how long one round begins new deliveries.
        claim: After this a delivery that was begun and never recorded is begun again; longer than
            one can take.
        pause: How long an endpoint that refuses everything is left alone.
        failures_in_a_row: What counts as everything.
        side_by_side: Deliveries to one endpoint at once, each about another subject.
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
    give_up: timedelta = timedelta(days=3)
    round_length: timedelta = timedelta(seconds=8)
    claim: timedelta = timedelta(minutes=1)
    pause: timedelta = timedelta(seconds=5)
    failures_in_a_row: int = 8
    side_by_side: int = 8
    allow_local: bool = False

    def wait(self, tries: int) -> timedelta:
        """How long to wait after so many tries that failed, before it is varied."""
        return self.waits[min(tries, len(self.waits)) - 1]


def new_secret() -> str:
    """Make a secret for an endpoint, as https://www.standardwebhooks.com writes them."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def body_of(type_: str, occurred_at: datetime, data: Mapping[str, Any]) -> str:
    """Write an event as it is sent: the same at every try."""
    timestamp = occurred_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    body = {"type": type_, "timestamp": timestamp, "data": data}
    return json.dumps(body, separators=(",", ":"), sort_keys=True)


class PostFailedError(Exception):
    """An endpoint gave no answer.

    Attributes:
        code: Why: ``timeout``, ``connection_failed``, ``name_not_found``, ``tls_failed``,
            ``address_refused`` or ``invalid_url``.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Post(Protocol):
    """Sends one event."""

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Post it and answer with the HTTP status, whatever it is; follows no redirect.

        Raises:
            PostFailedError: There was no answer in time.
        """
        ...


class EventPoster(Protocol):
    """Connections to endpoints."""

    def session(self) -> AbstractAsyncContextManager[Post]:
        """Keep connections as long as the block lasts."""
        ...


@dataclass(frozen=True)
class EventsRound:
    """What one round of deliveries to an endpoint did.

    Attributes:
        delivered: Events that the endpoint acknowledged.
        failed: Tries that failed.
        next_at: When there is something to do again, UTC; None if nothing waits.
    """

    delivered: int = 0
    failed: int = 0
    next_at: datetime | None = None


class EventDeliverer(Protocol):
    """The use case behind the deliveries."""

    async def deliver(self, endpoint_id: UUID) -> EventsRound:
        """Deliver what is due to one endpoint, for a few seconds."""
        ...
