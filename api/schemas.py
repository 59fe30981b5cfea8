"""What goes over the wire: the shared base, and the bodies of the plain routes."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from domain.statuses import LineType, Role
from services.contacts import NAME_LENGTH
from services.groups import MEMBERS_AT_ONCE
from services.senders import RATE_MOST

_Item = TypeVar("_Item", bound="Schema")

_AN_ID = "6f1c9f0e-3b1d-4a55-9c3e-0a8f2d7b4c11"

Omissible = Field(default_factory=str)
"""Default of a text that may be left out of a change but may not be null."""


class Schema(BaseModel):
    """Base of every body and answer: fields that nobody knows are refused.

    ``model_validate`` also reads the use cases' dataclasses.
    """

    model_config = ConfigDict(extra="forbid", from_attributes=True)


class Listing(Schema, Generic[_Item]):
    """One page of a list."""

    items: list[_Item]
    next_cursor: str | None = Field(
        description="Give it back as `cursor` for the next page; null on the last one."
    )


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable; decide by this.")
    errors: list[dict[str, str]] = Field(
        default_factory=list, description="For 422: `{field, code, message}` of each wrong field."
    )


# Contacts

PhoneText = Annotated[
    str,
    Field(
        max_length=64,
        description="International, or national in the workspace's country; stored as E.164.",
        examples=["+14155550123"],
    ),
]
PersonName = Annotated[str, Field(max_length=NAME_LENGTH * 2)]
ZoneName = Annotated[
    str, Field(max_length=64, description="IANA name.", examples=["America/New_York"])
]


class NewContact(Schema):
    """A contact to add; one of the names may be empty."""

    first_name: PersonName
    last_name: PersonName = ""
    phone: PhoneText
    time_zone: ZoneName | None = None
    line_type: LineType | None = None


class ContactChanges(Schema):
    """What to change of a contact; what is left out stays."""

    first_name: PersonName = Omissible
    last_name: PersonName = Omissible
    phone: PhoneText = Omissible
    time_zone: ZoneName | None = None
    line_type: LineType | None = None


class Contact(Schema):
    """A contact."""

    id: UUID
    first_name: str
    last_name: str
    name: str
    phone: str
    time_zone: str | None = Field(description="As given; null if nobody gave one.")
    time_zones: list[str] = Field(description="What applies: as given, or all the number allows.")
    line_type: LineType | None
    opted_out: bool = Field(description="Whether the number is suppressed for everyone.")
    created_at: datetime
    updated_at: datetime


# Users


class NewUser(Schema):
    """A user to add."""

    email: str = Field(max_length=320)
    name: PersonName = ""
    role: Role
    password: str | None = Field(
        default=None, max_length=2000, description="For the pages; left out, only tokens work."
    )


class User(Schema):
    """A user."""

    id: UUID
    email: str
    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None


class NewToken(Schema):
    """A token to make."""

    name: PersonName
    expires_at: AwareDatetime | None = Field(default=None, description="Null for never.")


class Token(Schema):
    """A token, without the token."""

    id: UUID
    name: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")


class MadeToken(Token):
    """A token that was just made."""

    token: str = Field(description="Shown this once.")


class TokenList(Schema):
    """All of a user's tokens."""

    items: list[Token]


# Groups


class NewGroup(Schema):
    """A group to make."""

    name: str = Field(max_length=200)


class Group(Schema):
    """A group."""

    id: UUID
    name: str
    member_count: int
    created_at: datetime


class ContactIds(Schema):
    """Contacts to put into a group or take out of it."""

    contact_ids: list[UUID] = Field(min_length=1, max_length=MEMBERS_AT_ONCE, examples=[[_AN_ID]])


class AddedMembers(Schema):
    """What became of each contact that was to be added."""

    added: list[UUID]
    already: list[UUID]
    unknown_contact: list[UUID]


class RemovedMembers(Schema):
    """What became of each contact that was to be removed."""

    removed: list[UUID]
    not_member: list[UUID]


# Senders

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
    next_probe_at: datetime | None = Field(description="When one text is let through to see.")


class Sender(Schema):
    """A sender."""

    id: UUID
    name: str
    phone: str | None
    messaging_service_sid: str | None
    segments_per_second: float
    hold: Hold | None
    created_at: datetime


class ReleasedSender(Sender):
    """A sender that was just released."""

    released: int = Field(description="How many enrollments go on.")
