"""What goes over the wire: the shared base, and the bodies of the plain routes."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from domain.statuses.access import Role, TokenScope
from domain.statuses.contacts import LineType
from domain.statuses.suppression import OptOutSource, ReviewDecision
from services.access.users import Caller
from services.contacts.contacts import NAME_LENGTH
from services.contacts.groups import MEMBERS_AT_ONCE
from services.messaging.senders import RATE_MOST

_Item = TypeVar("_Item", bound="Schema")

_FIELDS_MOST = 100

_AN_ID = "6f1c9f0e-3b1d-4a55-9c3e-0a8f2d7b4c11"

Omissible = Field(default_factory=str)
"""Default of a text that may be left out of a change but may not be null."""


def _of_our_time(moment: datetime) -> datetime:
    if not 1900 <= moment.year <= 2200:
        raise ValueError("must be in the years 1900 to 2200")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_of_our_time)]
"""A date and time with its zone."""


class Schema(BaseModel):
    """Base of every body and answer: fields that nobody knows are refused.

    ``model_validate`` also reads the use cases' dataclasses.
    """

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    @model_validator(mode="before")
    @classmethod
    def _not_too_much(cls, given: Any) -> Any:  # noqa: ANN401 - whatever was sent
        """Not look at a heap of fields one by one, only to say of each that nobody knows it."""
        if isinstance(given, dict) and len(given) > _FIELDS_MOST:
            raise ValueError(f"has more than {_FIELDS_MOST} fields")
        return given


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


class User(Schema):
    """A user."""

    id: UUID
    email: str
    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None


class SetUpLink(Schema):
    """A link on which somebody sets their password, once."""

    set_up_url: str | None = Field(
        description=(
            "For them alone. Shown in this answer and never again: null when the answer to an"
            " `Idempotency-Key` is repeated."
        )
    )
    set_up_expires_at: datetime = Field(description="Until when the link can be used.")


class MadeUser(User, SetUpLink):
    """A user who was just added, and the link for their password."""


class NewSetUpLink(Schema):
    """What ends along with the present password."""

    revoke_tokens: bool = Field(
        default=False, description="Whether to revoke their tokens as well."
    )


class NewToken(Schema):
    """A token to make."""

    name: PersonName
    expires_at: Moment | None = Field(
        default=None,
        description=(
            "Null for never. Left out, 90 days from now, or when the token you use expires if that"
            " is earlier."
        ),
    )
    scopes: list[TokenScope] = Field(
        default_factory=lambda: [TokenScope.READ],
        min_length=1,
        max_length=len(TokenScope),
        description=(
            "What it may be used for, as far as its user may; left out, `read`. `read` (GET),"
            " `write` (changes), `send` (enrolls, sends, lets go on), `admin` (users, tokens,"
            " senders)."
        ),
    )
    password: str = Field(
        default="",
        max_length=2000,
        description="Yours: needed in a session. A token you use instead bounds the new one.",
    )


class Token(Schema):
    """A token, without the token."""

    id: UUID
    name: str
    scopes: list[TokenScope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None = Field(description="Null in lists, which leave revoked ones out.")
    last_used_at: datetime | None = Field(description="To the minute.")


class MadeToken(Token):
    """A token that was just made."""

    token: str | None = Field(
        description=(
            "Shown in this answer and never again: null when the answer to an `Idempotency-Key` is"
            " repeated."
        )
    )


class UserChanges(Schema):
    """What to change of a user; what is left out stays."""

    name: PersonName = Omissible
    role: Role = Field(default_factory=lambda: Role.VIEWER)
    disabled: bool = Field(default_factory=bool, description="Whether to lock them out.")


class NewPassword(Schema):
    """A password in place of one's present one."""

    current_password: str = Field(max_length=2000)
    new_password: str = Field(max_length=2000)
    revoke_tokens: bool = Field(
        default=False, description="Whether to revoke all your tokens as well."
    )


class OpenSession(Schema):
    """A session of yours."""

    id: UUID
    device: str = Field(examples=["Firefox on Windows"])
    address: str | None = Field(description="The network address it began from.")
    created_at: datetime
    last_seen_at: datetime = Field(description="To the minute.")
    expires_at: datetime = Field(description="When it ends, however busy.")
    is_current: bool = Field(description="Whether it is the one you use now.")


class SigningIn(Schema):
    """What one signs in with."""

    email: str = Field(max_length=320, examples=["kim@example.com"])
    password: str = Field(max_length=2000)


class Session(Schema):
    """Who is signed in."""

    user: User
    role: Role
    scopes: list[TokenScope] = Field(description="All in a session; a token's are its own.")
    expires_at: datetime | None = Field(description="Null for a token that never expires.")

    @classmethod
    def of(cls, caller: Caller) -> "Session":
        """Read what is known of a caller."""
        return cls(
            user=User.model_validate(caller.user),
            role=caller.user.role,
            scopes=[scope for scope in TokenScope if scope in caller.scopes],
            expires_at=caller.expires_at,
        )


class AuditUser(Schema):
    """Who did something."""

    id: UUID
    name: str


class AuditEntry(Schema):
    """Who did what to whom."""

    id: int
    at: datetime
    user: AuditUser | None = Field(description="Null for nobody who was signed in.")
    token_id: UUID | None = Field(description="The API token it was done with.")
    action: str = Field(examples=["enrollment.finish"])
    subject_kind: str | None = Field(examples=["enrollment"])
    subject_id: UUID | None
    detail: dict[str, str | int | bool | None] = Field(description="Codes, ids and counts.")
    address: str | None = Field(description="The network address it came from.")


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
    shows_texts: bool | None = Field(
        description="Whether the provider shows its texts as they were handed over; null before it"
        " took any. A trial account, Message Redaction and Smart Encoding alter them; then a text"
        " whose answer is lost waits for a person."
    )
    created_at: datetime


class ReleasedSender(Sender):
    """A sender that was just released."""

    released: int = Field(description="How many enrollments go on.")


# Suppressions

Reason = Annotated[
    str, Field(min_length=1, max_length=500, examples=["Asked on the phone not to be texted"])
]


class NewSuppression(Schema):
    """A number to opt out by hand: a contact's, or any."""

    contact_id: UUID | None = Field(default=None, description="Either this or `phone`.")
    phone: PhoneText | None = None
    sender_id: UUID | None = Field(
        default=None, description="The only sender it is for; null for all of them."
    )
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
    reason: str | None = Field(description="As written by whoever did it by hand.")
    message_id: UUID | None = Field(description="The text that asked for it.")
    user_id: UUID | None = Field(description="Who did it by hand, or decided what the text meant.")
    user_name: str | None
    occurred_at: datetime = Field(description="When it was asked for, by the provider's clock.")
    created_at: datetime
    lifted_at: datetime | None = Field(description="Null while it stands.")
    lifted_by: UUID | None
    lifted_by_name: str | None
    lifted_reason: str | None
    lifted_message_id: UUID | None = Field(description="The opt-in text that lifted it.")


# Reviews


class Review(Schema):
    """A text that may ask for no more texts."""

    message_id: UUID = Field(description="The text's id, and the review's.")
    phone: str
    contact_id: UUID | None = Field(description="Whose text it is; null for a stranger's.")
    contact_name: str | None
    sender_id: UUID | None = Field(description="The sender it came to.")
    body: str
    received_at: datetime = Field(description="By the provider's clock.")
    created_at: datetime = Field(description="When it was put into the list.")
    decision: ReviewDecision | None = Field(description="Null while it waits for a person.")
    decided_at: datetime | None
    decided_by: UUID | None
    decided_by_name: str | None
    opted_out: bool = Field(description="Whether the number is suppressed for everyone now.")


class Decision(Schema):
    """What a text meant."""

    decision: ReviewDecision


# The workspace


class WorkspaceSettings(Schema):
    """What holds for everyone."""

    time_zone: str | None = Field(
        description="IANA name; null where `WORKSPACE_TIME_ZONE` decides."
    )
    effective_time_zone: str = Field(description="The one that applies.")
    hour_cycle: Literal[12, 24] = Field(description="Whether pages show 12 or 24 hours.")


class WorkspaceChanges(Schema):
    """What to change of the workspace's settings; what is left out stays."""

    time_zone: ZoneName | None = None
    hour_cycle: Literal[12, 24] = 12
