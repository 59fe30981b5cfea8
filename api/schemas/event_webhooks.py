"""The bodies of the routes of event endpoints."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from api.paging import PageQuery
from api.schemas.base import SHOWN_ONCE, Omissible, Schema
from domain.event_webhooks.events import DeliveryState, EventType
from services.event_webhooks.endpoints import DESCRIPTION_LENGTH, URL_LENGTH

_AN_ID = "0d5f1d9c-7c0a-4b3e-9d61-2f7f3f1f9a10"

EndpointUrl = Annotated[
    str,
    Field(
        min_length=1,
        max_length=URL_LENGTH,
        description="Where events are posted; https, and out on the internet.",
        examples=["https://crm.example.com/segue-events"],
    ),
]
Description = Annotated[str, Field(max_length=DESCRIPTION_LENGTH)]
Types = Annotated[
    list[EventType],
    Field(
        max_length=len(EventType),
        description="The events it wants; empty for all.",
        examples=[["enrollment.finished", "contact.opted_out"]],
    ),
]


class NewEventEndpoint(Schema):
    """An address to send events to."""

    url: EndpointUrl
    description: Description = ""
    types: Types = Field(default_factory=list)
    enabled: bool = True


class EventEndpointChanges(Schema):
    """What to change of an endpoint; what is left out stays."""

    url: EndpointUrl = Omissible
    description: Description = Omissible
    types: Types = Omissible
    enabled: bool = Omissible


class EventEndpoint(Schema):
    """An address that gets events."""

    id: UUID = Field(examples=[_AN_ID])
    url: str
    description: str
    types: list[EventType] = Field(description="The events it wants; empty for all.")
    enabled: bool
    created_at: datetime
    disabled_at: datetime | None
    """When it was disabled, by hand or because it answered 410."""
    previous_secret_until: datetime | None
    """Until when the previous secret signs too."""


class EventEndpointWithSecret(EventEndpoint):
    """An address that gets events, with the secret that signs them."""

    secret: str | None = Field(
        description=f"`whsec_` and base64. {SHOWN_ONCE}",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )


class ReplayRequest(Schema):
    """Which events to resend to an endpoint."""

    after: UUID | None = Field(
        default=None,
        description="The id of an event; those behind it are sent. Null: all that are kept.",
    )


class Replay(Schema):
    """Events that are being resent to an endpoint."""

    queued: int
    next_after: UUID | None
    """Pass it as `after` to continue; null if these were the last."""


class EventDelivery(Schema):
    """One event on its way to one endpoint."""

    event_id: UUID = Field(description="The header `webhook-id`.")
    type: EventType
    subject_id: UUID
    """What it is about; events of one subject are delivered in their order."""
    occurred_at: datetime
    data: dict[str, Any] = Field(description="Ids, codes and times.")
    state: DeliveryState
    tries: int
    next_try_at: datetime | None = Field(description="Null once it is delivered or given up.")
    last_tried_at: datetime | None
    last_status: int | None = Field(description="The HTTP status of the latest answer.")
    last_error: str | None = Field(
        description=(
            "Why the latest try failed: `timeout`, `connection_failed`, `name_not_found`,"
            " `tls_failed`, `address_refused`, `invalid_url`, `gone`, or `answered_` and the"
            " status."
        )
    )
    delivered_at: datetime | None
    given_up_at: datetime | None


class DeliveryQuery(PageQuery):
    """The filter of the delivery log."""

    state: DeliveryState | None = None
