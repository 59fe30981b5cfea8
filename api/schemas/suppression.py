"""Schemas of suppressions and reviews."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.schemas.base import PhoneText, Schema
from domain.statuses.suppression import OptOutSource, ReviewDecision

Reason = Annotated[
    str, Field(min_length=1, max_length=500, examples=["Asked on the phone not to be texted"])
]


class NewSuppression(Schema):
    """A number to opt out by hand: a contact's, or any."""

    contact_id: UUID | None = Field(default=None, description="Either this or `phone`.")
    phone: PhoneText | None = None
    sender_id: UUID | None = None
    """The only sender it is for; null for all of them."""
    reason: Reason


class Lifting(Schema):
    """Why a suppression is lifted."""

    reason: Reason


class Suppression(Schema):
    """An opted-out number with its evidence."""

    id: UUID
    phone: str | None = Field(description="Null once the contact was erased: a hash is kept.")
    contact_id: UUID | None = Field(description="Who has the number now.")
    sender_id: UUID | None = Field(description="The only sender it holds for; null for everyone.")
    source: OptOutSource
    reason: str | None = Field(
        description="As written by the person who did it, or by a second reader."
    )
    message_id: UUID | None = Field(description="The text that asked for it.")
    user_id: UUID | None = Field(description="Who did it by hand, or decided what the text meant.")
    user_name: str | None
    occurred_at: datetime = Field(description="When it was asked for, by the provider's clock.")
    created_at: datetime
    lifted_at: datetime | None = Field(description="Null while it is in force.")
    lifted_by: UUID | None
    lifted_by_name: str | None
    lifted_reason: str | None
    lifted_message_id: UUID | None = Field(description="The opt-in text that lifted it.")


class Review(Schema):
    """A text that may be an opt-out."""

    message_id: UUID = Field(description="The text's id, and the review's.")
    phone: str
    contact_id: UUID | None = Field(description="Whose text it is; null for a stranger's.")
    contact_name: str | None
    sender_id: UUID | None = Field(description="The sender it came to.")
    body: str
    received_at: datetime = Field(description="By the provider's clock.")
    created_at: datetime = Field(description="When it was put into the list.")
    reason: str | None = Field(description="What a second reader said of it, if there is one.")
    decision: ReviewDecision | None = Field(description="Null while it is undecided.")
    decided_at: datetime | None
    decided_by: UUID | None
    decided_by_name: str | None
    opted_out: bool = Field(description="Whether the number is suppressed for everyone now.")


class ReviewAnswer(Schema):
    """What a text meant."""

    decision: ReviewDecision
