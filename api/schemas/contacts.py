"""Schemas of contacts and groups."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.schemas.base import _AN_ID, Omissible, PhoneText, Schema, limits
from domain.statuses.contacts import LineType
from services.contacts import groups
from services.contacts.contacts import NAME_LENGTH

PersonName = Annotated[str, Field(max_length=NAME_LENGTH)]

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


class NewGroup(Schema):
    """A group to create."""

    name: Annotated[str, Field(max_length=groups.NAME_LENGTH), limits(minLength=1)]


class Group(Schema):
    """A group."""

    id: UUID
    name: str
    member_count: int
    created_at: datetime


class ContactIds(Schema):
    """Contacts to add to a group or remove from it."""

    contact_ids: list[UUID] = Field(
        min_length=1, max_length=groups.MEMBERS_AT_ONCE, examples=[[_AN_ID]]
    )


class AddedMembers(Schema):
    """The result for each contact to add."""

    added: list[UUID]
    already: list[UUID]
    unknown_contact: list[UUID]


class RemovedMembers(Schema):
    """The result for each contact to remove."""

    removed: list[UUID]
    not_member: list[UUID]
