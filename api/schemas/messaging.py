"""Schemas of senders and texts."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, WithJsonSchema

from api.paging import PageQuery, Search
from api.schemas.base import ListedUser, Moment, Omissible, PhoneText, Schema, limits
from api.schemas.enrollments import Fault, ListedContact, ListedSender
from api.schemas.sequences import MediaUrls, TextBody
from domain.platform.names import SEARCH_LENGTH
from domain.statuses.messaging import ConversationState, Direction, MessageStatus, TextKind
from domain.statuses.suppression import TextMeaning
from services.messaging.conversations import ConversationText
from services.messaging.saved_replies import NAME_LENGTH as SAVED_NAME_LENGTH
from services.messaging.senders import NAME_LENGTH, RATE_LEAST, RATE_MOST
from storage.messaging.inbox import ConversationFilter

Rate = Annotated[
    Decimal,
    Field(
        ge=RATE_LEAST,
        le=RATE_MOST,
        decimal_places=3,
        allow_inf_nan=False,
        description="How many message segments Twilio lets this sender send per second.",
    ),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": float(RATE_LEAST), "maximum": float(RATE_MOST)},
                {"type": "string", "pattern": r"^[0-9]{1,4}(\.[0-9]{1,3})?$"},
            ]
        }
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

    released: int = Field(description="How many enrollments resume.")


class KindChange(Schema):
    """What the text really is."""

    kind: TextKind = Field(description="Only `human`.")


class NewMessage(Schema):
    """A text to a contact."""

    body: TextBody = ""
    """May be empty if there are pictures. Merge fields are filled in when it is written."""
    media_urls: MediaUrls = Field(default_factory=list)
    """At most ten `https` addresses."""
    send_at: Moment | None = None
    """When it may go, within 365 days; left out: at once. What holds then decides whether it does:
    an opt-out or a landline refuses it, and a STOP cancels it at once."""
    sender_id: UUID | None = None
    """Where it goes out from; left out: from the sender of the last text, else of the last
    enrollment, else the only one there is."""


class Message(Schema):
    """A text."""

    id: UUID
    direction: Direction
    contact_id: UUID | None = Field(description="Whose it is; null for a stranger's.")
    phone: str = Field(description="The other party's number.")
    sender_id: UUID | None
    sender: ListedSender | None
    user: ListedUser | None = Field(description="Who wrote it, if a person of yours did.")
    enrollment_id: UUID | None = Field(description="Of which enrollment one of ours is.")
    sequence_id: UUID | None
    step: int | None = Field(description="From 1; null for one that a person wrote.")
    body: str
    media_urls: list[str]
    status: MessageStatus = Field(
        description="`received` of theirs. `scheduled`: it waits for `send_at`."
    )
    status_label: str
    error: Fault | None = Field(description="Why it was refused or not delivered.")
    kind: TextKind | None = Field(
        description="What an inbound text is; null for a text of ours, and for one that came before"
        " kinds were told."
    )
    about_message_id: UUID | None = Field(description="The text of ours that a reaction is about.")
    is_reply: bool = Field(description="Whether an inbound text counts as a reply.")
    keyword: TextMeaning | None = Field(description="What an inbound text asks for, if anything.")
    consent_id: UUID | None = Field(
        description="The consent that a text of ours went under, of those of its number; null if"
        " there was none."
    )
    at: datetime = Field(description="When it came, or was accepted by the provider.")
    send_at: datetime | None = Field(description="When a text that was scheduled may go, or might.")
    created_at: datetime
    """When it was stored; of a scheduled one that went, when it went. Lists go by it."""

    @classmethod
    def of(cls, text: ConversationText) -> "Message":
        """Convert what the use case gives."""
        origin = text.origin
        return cls.model_validate(
            {
                **vars(text),
                "sender_id": text.sender.id if text.sender else None,
                "enrollment_id": origin.enrollment_id if origin else None,
                "sequence_id": origin.sequence_id if origin else None,
                "step": origin.step if origin else None,
                "about_message_id": text.about_id,
                "keyword": text.meaning,
            },
            extra="ignore",
        )


class ProofSignature(Schema):
    """Who vouches for a proof: the Base64 of an Ed25519 key, and of what it signed."""

    algorithm: Literal["Ed25519"]
    public_key: str
    value: str = Field(
        description="Of `proof` as JSON in UTF-8, keys sorted, without spaces (RFC 8785)."
    )


class SignedProof(Schema):
    """All that is known of one text of yours, signed."""

    proof: dict[str, Any]
    signature: ProofSignature


class LastMessage(Schema):
    """The last text with someone, in short, or the one that waits for a reply."""

    id: UUID
    direction: Direction
    snippet: str = Field(description="Its beginning on one line; empty if it is pictures alone.")
    media_count: int
    status: MessageStatus
    status_label: str
    at: datetime = Field(description="When it was stored; the order of the list.")


class Conversation(Schema):
    """How the conversation with a contact stands."""

    contact: ListedContact
    owner: ListedUser | None = Field(description="Whose inbox it is in; null: everyone's.")
    state: ConversationState
    """`needs_reply`: the last word is theirs. `done`: you said so, and the contact has not written
    since. `snoozed`: the same, until `snoozed_until`. `open`: none of these."""
    snoozed_until: datetime | None = Field(description="When one that is snoozed comes back.")
    opted_out: bool = Field(description="Whether the number is suppressed for everyone.")
    last_message: LastMessage | None = Field(description="Null if there are no texts yet.")


class ConversationChanges(Schema):
    """What to change of a conversation; what is left out stays."""

    owner_id: UUID | None = None
    """A user; null: everybody's."""
    state: ConversationState = Omissible
    """`done`, until the contact writes again; `open` takes that back. `needs_reply` cannot be set:
    it follows from who wrote last."""
    snoozed_until: Moment | None = None
    """When it comes back by itself, within 365 days; before that if the contact writes. Null takes
    it back at once."""
    last_message_id: UUID | None = None
    """The last text that you know of: what the contact wrote after it keeps the conversation from
    being done or snoozed. Without it, all texts count as known."""


Owner = Annotated[
    Literal["me", "none"] | UUID,
    Field(description="`me`, a user's id, or `none`: no one, or a disabled user."),
]


class ConversationQuery(PageQuery):
    """The filters of the list of conversations; each repeats for "any of"."""

    state: list[ConversationState] = Field(default_factory=list, max_length=10)
    owner: list[Owner] = Field(default_factory=list, max_length=50)
    sequence_id: list[UUID] = Field(default_factory=list, max_length=50)
    """Contacts who are or were enrolled in any of these sequences."""
    group_id: list[UUID] = Field(default_factory=list, max_length=50)
    """Members of any of these groups."""
    search: Search = ""

    def wanted(self, user_id: UUID) -> ConversationFilter:
        """Hand them to the use case, of the caller's own for `me`."""
        named = [one for one in self.owner if isinstance(one, UUID)]
        return ConversationFilter(
            states=self.state,
            owners=[*named, *([user_id] if "me" in self.owner else [])],
            nobodys="none" in self.owner,
            sequences=self.sequence_id,
            groups=self.group_id,
            search=self.search,
        )


SavedReplyName = Annotated[
    str, Field(max_length=SAVED_NAME_LENGTH * 2), limits(minLength=1, maxLength=SAVED_NAME_LENGTH)
]


class NewSavedReply(Schema):
    """A reply to save."""

    name: SavedReplyName
    body: TextBody
    own: bool = False
    """Whether it is yours alone, not the workspace's."""


class SavedReplyChanges(Schema):
    """What to change of a saved reply; what is left out stays."""

    name: SavedReplyName = Omissible
    body: TextBody = Omissible


class SavedReply(Schema):
    """A text that users insert into what they write to contacts."""

    id: UUID
    own: bool = Field(description="Whether only you see it.")
    name: str
    body: str
    created_at: datetime
    updated_at: datetime


class MessageQuery(PageQuery):
    """The order of the list of texts, and its page."""

    sort: Literal["created_at", "-created_at"] = "-created_at"
    """`created_at`: the oldest first."""


class UnknownNumber(Schema):
    """A number that has texted you and is no contact's."""

    id: UUID = Field(description="Of the first text that came from it.")
    phone: str = Field(description="`POST /api/contacts` with it makes the texts the contact's.")
    opted_out: bool = Field(description="Whether the number is suppressed for everyone.")
    unanswered: bool = Field(description="Whether the last text asks for an answer.")
    state: ConversationState
    """`needs_reply`: the last text asks for an answer. `done`: you said so, and no text has come
    since that asks for one. `open`: neither. None is `snoozed`."""
    last_message: LastMessage


class UnknownNumberChange(Schema):
    """What to change of a number that is no contact's."""

    state: Literal["open", "done"]
    """`done`, until a text comes that asks for an answer; `open` takes that back."""
    last_message_id: UUID | None = None
    """The last text that you know of: what came after it keeps the number from being done. Without
    it, all texts count as known."""


class UnknownNumberQuery(PageQuery):
    """The filters of the list of unknown numbers, and its page."""

    state: list[ConversationState] = Field(default_factory=list, max_length=10)
    search: Annotated[str, Field(max_length=SEARCH_LENGTH, description="Phone digits.")] = ""
