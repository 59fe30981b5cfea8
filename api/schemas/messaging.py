"""Schemas of senders."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.schemas.base import PhoneText, Schema
from services.messaging.senders import RATE_MOST

Rate = Annotated[
    Decimal,
    Field(
        gt=0,
        le=RATE_MOST,
        decimal_places=3,
        allow_inf_nan=False,
        description="How many message segments Twilio lets this sender send per second.",
    ),
]


class NewSender(Schema):
    """A sender to add: a number or a Messaging Service."""

    name: str = Field(max_length=200)
    phone: PhoneText | None = None
    messaging_service_sid: str | None = Field(default=None, max_length=64)
    segments_per_second: Rate = Decimal(1)


class SenderChanges(Schema):
    """What to change of a sender; what is left out stays. Its number never changes."""

    name: str = Field(default_factory=str, max_length=200)
    segments_per_second: Rate = Field(default_factory=Decimal)


class Hold(Schema):
    """Why nothing goes out from a sender."""

    since: datetime
    code: int | None = Field(description="The provider's error code, if it gave one.")
    meaning: str
    next_probe_at: datetime | None = Field(description="When one text tries it again.")


class Sender(Schema):
    """A sender."""

    id: UUID
    name: str
    phone: str | None
    messaging_service_sid: str | None
    segments_per_second: float
    hold: Hold | None
    shows_texts: bool | None = Field(
        description="Whether the provider shows its texts as they were handed over; null before it"
        " took any. A trial account, Message Redaction and Smart Encoding alter them; then a text"
        " whose answer is lost is held for a person."
    )
    created_at: datetime


class ReleasedSender(Sender):
    """A sender that was just released."""

    released: int = Field(description="How many enrollments go on.")
