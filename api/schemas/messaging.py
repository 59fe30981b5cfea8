"""Schemas of senders and texts."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.schemas.base import PhoneText, Schema, limits
from domain.statuses.messaging import Direction, TextKind
from domain.statuses.suppression import TextMeaning
from services.messaging.senders import NAME_LENGTH, RATE_LEAST, RATE_MOST

Rate = Annotated[
    Decimal,
    Field(
        ge=RATE_LEAST,
        le=RATE_MOST,
        decimal_places=3,
        allow_inf_nan=False,
        description="How many message segments Twilio lets this sender send per second.",
    ),
]


SenderName = Annotated[str, Field(max_length=NAME_LENGTH), limits(minLength=1)]


class NewSender(Schema):
    """A sender to add: a number or a Messaging Service."""

    name: SenderName
    phone: PhoneText | None = None
    messaging_service_sid: str | None = Field(default=None, max_length=64)
    segments_per_second: Rate = Decimal(1)


class SenderChanges(Schema):
    """What to change of a sender; what is left out stays. Its number never changes."""

    name: SenderName = Field(default_factory=str)
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


class KindChange(Schema):
    """What a text is after all."""

    kind: TextKind = Field(description="Only `human`.")


class Message(Schema):
    """A text."""

    id: UUID
    direction: Direction
    contact_id: UUID | None = Field(description="Whose it is; null for a stranger's.")
    phone: str = Field(description="The other party's number.")
    sender_id: UUID | None
    body: str
    media_urls: list[str]
    kind: TextKind | None = Field(
        description="What an inbound text is; null for a text of ours, and for one that came before"
        " kinds were told."
    )
    about_message_id: UUID | None = Field(description="The text of ours that a reaction is about.")
    is_reply: bool = Field(description="Whether an inbound text counts as a reply.")
    keyword: TextMeaning | None = Field(description="What an inbound text asks for, if anything.")
    at: datetime = Field(description="When it came, or was accepted by the provider.")
