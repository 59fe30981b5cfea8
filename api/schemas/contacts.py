"""Schemas of contacts, their fields, and groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic.json_schema import WithJsonSchema

from api.schemas.base import _AN_ID, ListedUser, Moment, Omissible, PhoneText, Schema, limits
from api.schemas.problems import RowError
from domain.contacts.consents import ADDRESS_LENGTH, SOURCE_LENGTH, WORDING_LENGTH
from domain.contacts.fields import KEY_LENGTH, KEY_PATTERN, MAX_FIELDS, URL_LENGTH
from domain.statuses.contacts import FieldType, LineType
from services.contacts import groups
from services.contacts.contacts import UPSERTED_AT_ONCE
from services.contacts.fields import LABEL_LENGTH
from services.contacts.notes import NOTE_LENGTH
from services.contacts.values import EXTERNAL_ID_LENGTH, NAME_LENGTH
from services.suppression.opt_in_pages import OPT_IN_PATH, SLUG_PATTERN, TITLE_LENGTH
from storage.suppression.opt_in_pages import OptInPageRow

PersonName = Annotated[str, Field(max_length=NAME_LENGTH)]

ZoneName = Annotated[
    str, Field(max_length=64, description="IANA name.", examples=["America/New_York"])
]


CountryCode = Annotated[
    str, Field(max_length=10, description="ISO 3166-1 alpha-2.", examples=["US"])
]
StateCode = Annotated[
    str,
    Field(
        max_length=64,
        description=(
            "State or province: the code of ISO 3166-2 without the country, or, in the US and"
            " Canada, its English name."
        ),
        examples=["TX"],
    ),
]
PostalCode = Annotated[str, Field(max_length=32, examples=["78701"])]


ExternalId = Annotated[
    str,
    limits(minLength=1, maxLength=EXTERNAL_ID_LENGTH),
    Field(
        max_length=EXTERNAL_ID_LENGTH * 2,
        description=("The person's id in your own system: 1 to 200 printable characters, unique."),
        examples=["crm-4711"],
    ),
]

FieldValue = Annotated[
    Any,
    WithJsonSchema({"anyOf": [{"type": one} for one in ("string", "number", "boolean", "null")]}),
]
"""Checked against the field's type where that is known."""

FieldValues = Annotated[
    dict[str, FieldValue],
    limits(maxProperties=MAX_FIELDS),
    Field(
        max_length=MAX_FIELDS * 2,
        description=(
            "Values by the keys of `GET /api/fields`: a text, a number, true or false, a date as"
            " `2026-12-01`, or a web address. Keys left out keep their value; null removes it."
        ),
        examples=[{"job_title": "Welder", "start_date": "2026-12-01"}],
    ),
]

OwnerId = Annotated[
    UUID | None, Field(description="The user whose contact it is; null if unassigned.")
]


class NewContact(Schema):
    """A contact to add; one of the names may be empty."""

    first_name: PersonName
    last_name: PersonName = ""
    phone: PhoneText
    time_zone: ZoneName | None = None
    country: CountryCode | None = None
    state: StateCode | None = None
    postal_code: PostalCode | None = None
    line_type: LineType | None = None
    external_id: ExternalId | None = None
    fields: FieldValues = Field(default_factory=dict)
    owner_id: OwnerId = None


class KnownContact(Schema):
    """What to write of a contact; what is left out stays. A new one needs a name and a phone."""

    first_name: PersonName = Omissible
    last_name: PersonName = Omissible
    phone: PhoneText = Omissible
    time_zone: ZoneName | None = None
    country: CountryCode | None = None
    state: StateCode | None = None
    postal_code: PostalCode | None = None
    line_type: LineType | None = None
    fields: FieldValues = Omissible
    owner_id: OwnerId = None


class ContactChanges(KnownContact):
    """What to change of a contact; what is left out stays."""

    external_id: ExternalId | None = None


class ContactRow(KnownContact):
    """A contact to create or change, who is matched by `external_id`, else by `phone`."""

    external_id: ExternalId | None = Field(default=None, description="Null counts as left out.")


@dataclass(frozen=True)
class WrongRow:
    """A row that is not shaped as it should be: Pydantic's errors."""

    errors: Sequence[Mapping[str, Any]]


def _alone(row: Any, read: ValidatorFunctionWrapHandler) -> Any:  # noqa: ANN401 - whatever was sent
    """Let a row of a wrong shape cost itself alone."""
    try:
        return read(row)
    except ValidationError as error:
        return WrongRow(error.errors(include_url=False, include_input=False))


class ContactRows(Schema):
    """Contacts to create or change."""

    contacts: list[Annotated[ContactRow, WrapValidator(_alone)]] = Field(
        min_length=1, max_length=UPSERTED_AT_ONCE
    )


class UpsertedRow(Schema):
    """What became of a row."""

    index: int = Field(description="Its place in `contacts`, from 0.")
    outcome: Literal["created", "changed", "unchanged", "error"]
    id: UUID | None = Field(description="The contact; null with an error.")
    errors: list[RowError] = Field(description="Empty without an error.")


class UpsertResults(Schema):
    """In the order sent."""

    results: list[UpsertedRow]


class Contact(Schema):
    """A contact."""

    id: UUID
    external_id: str | None
    first_name: str
    last_name: str
    name: str
    phone: str
    time_zone: str | None = Field(description="As given; null if not given.")
    time_zones: list[str] = Field(description="What applies: as given, or all the number allows.")
    country: str | None = Field(description="As given, as are state and postal code.")
    state: str | None
    postal_code: str | None
    jurisdictions: list[str] = Field(
        description=(
            "Whose law the contact may be under, ISO 3166: as given, or all that number and"
            " time zone allow."
        )
    )
    line_type: LineType | None
    fields: dict[str, FieldValue] = Field(description="Values by key; those without are left out.")
    owner_id: UUID | None
    opted_out: bool = Field(description="Whether the number is suppressed for everyone.")
    created_at: datetime
    updated_at: datetime


Label = Annotated[
    str,
    limits(maxLength=LABEL_LENGTH),
    Field(max_length=LABEL_LENGTH * 2, examples=["Job title"]),
]


class NewField(Schema):
    """A field of contacts to create."""

    key: Annotated[str, limits(maxLength=KEY_LENGTH, pattern=f"^{KEY_PATTERN}$")] = Field(
        max_length=200, description="Never changes.", examples=["job_title"]
    )
    label: Label = Field(default="", description="How people read it; the key if left out.")
    type: FieldType = Field(description="Never changes.")


class FieldChanges(Schema):
    """What to change of a field."""

    label: Label = Omissible


class ContactField(Schema):
    """A workspace's own fact about contacts."""

    id: UUID
    key: str
    label: str
    type: FieldType
    created_at: datetime


class NewNote(Schema):
    """A note to write."""

    body: Annotated[
        str, Field(max_length=NOTE_LENGTH * 2), limits(minLength=1, maxLength=NOTE_LENGTH)
    ]
    """Plain text of at most 4,000 characters, line breaks included."""


class Note(Schema):
    """What a user wrote about a contact for colleagues; never sent."""

    id: UUID
    contact_id: UUID
    author: ListedUser
    body: str
    created_at: datetime


class NewConsent(Schema):
    """A consent to note."""

    source: Annotated[
        str,
        limits(minLength=1, maxLength=SOURCE_LENGTH),
        Field(max_length=SOURCE_LENGTH * 2, examples=["Application form, jobs.example.com"]),
    ]
    """Where they agreed: a form, a page, a call."""
    wording: Annotated[
        str | None, Field(max_length=WORDING_LENGTH * 2), limits(maxLength=WORDING_LENGTH)
    ] = None
    """The words that they agreed to; a written consent takes them."""
    written: bool = Field(default=False, description="Whether they agreed in writing.")
    given_at: Moment | None = Field(default=None, description="When; now if left out.")
    address: Annotated[
        str | None, Field(max_length=ADDRESS_LENGTH * 2), limits(maxLength=ADDRESS_LENGTH)
    ] = None
    """The network address that they agreed from."""


class Consent(Schema):
    """That a number may be texted, by whose word."""

    id: UUID
    phone: str
    source: str
    wording: str | None
    written: bool
    given_at: datetime
    recorded_at: datetime
    address: str | None
    user_id: UUID | None = Field(description="Who noted it; null if the person gave it to us.")
    message_id: UUID | None = Field(description="The text that said it.")
    revoked_at: datetime | None = Field(description="When the number opted out after it.")


class NewGroup(Schema):
    """A group to create."""

    name: Annotated[str, Field(max_length=groups.NAME_LENGTH), limits(minLength=1)]


class GroupChanges(Schema):
    """What to change of a group."""

    name: str = Field(max_length=200)


class Group(Schema):
    """A group."""

    id: UUID
    name: str
    member_count: int
    created_at: datetime


class OptInPageBody(Schema):
    """What a group's opt-in page says."""

    title: Annotated[str, Field(max_length=TITLE_LENGTH * 2), limits(maxLength=TITLE_LENGTH)] = (
        Field(examples=["Text updates from Acme Nursing"])
    )
    wording: Annotated[
        str, Field(max_length=WORDING_LENGTH * 2), limits(maxLength=WORDING_LENGTH)
    ] = Field(description="What people agree to by ticking the box.")
    terms_url: Annotated[str, Field(max_length=URL_LENGTH)]
    """The address of your terms and privacy policy."""
    slug: Annotated[str, limits(pattern=f"^{SLUG_PATTERN}$")] | None = Field(
        default=None,
        max_length=200,
        description="The end of its address; null keeps it, or makes one that nobody guesses.",
        examples=["acme-nursing"],
    )
    sender_id: UUID | None = Field(
        default=None, description="A sender whose number people can text START to instead."
    )


class OptInPage(Schema):
    """The public page on which people agree to texts and join a group."""

    group_id: UUID
    address: str
    slug: str
    title: str
    wording: str
    terms_url: str
    sender_id: UUID | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: OptInPageRow, base_url: str) -> "OptInPage":
        """Convert what the use case gives."""
        told = {**vars(row), "address": f"{base_url}{OPT_IN_PATH}/{row.slug}"}
        return cls.model_validate(told, extra="ignore")


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
