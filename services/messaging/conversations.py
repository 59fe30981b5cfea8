"""Conversations with contacts, and replying to them."""

from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from domain.contacts.names import ContactName, full_name
from domain.enrollments.faults import Fault
from domain.platform.errors import ConflictError, InvalidFieldError, required
from domain.platform.filling import filled
from domain.platform.names import Named, clean_search
from domain.platform.paging import Page, Position, by_creation, cut
from domain.sequences.texts import check_body
from domain.statuses.contacts import LineType
from domain.statuses.messaging import MESSAGE_LABELS, Direction, MessageStatus, TextKind
from domain.statuses.suppression import TextMeaning
from domain.suppression.text_kinds import Reaction, marks_of, reaction_in
from services.messaging import one_offs
from services.platform import audit
from storage.contacts import contacts
from storage.messaging import conversations, recipients
from storage.messaging.conversations import (
    ConversationFilter,
    LastText,
    LastTextOfContact,
    ReactionRow,
    TextRow,
)
from storage.messaging.recipients import Recipient
from storage.platform import outbox
from storage.platform.database import Database, Transaction

SNIPPET_LENGTH = 120
"""Most characters of a text that the list shows."""

_REFUSALS = {
    "opted_out": "the number opted out; lift that first, if they asked for it",
    "landline": "the number is a landline and takes no texts",
}


@dataclass(frozen=True)
class LastSaid:
    """The last text to or from somebody, as a list shows it.

    Attributes:
        opted_out: Whether the number is suppressed for the whole deployment.
        unanswered: See ``ConversationFilter``.
        snippet: Its beginning on one line; empty if it is media alone.
        at: When it was stored, UTC; the list's order.
    """

    opted_out: bool
    unanswered: bool
    direction: Direction
    snippet: str
    media_count: int
    status: MessageStatus
    status_label: str
    at: datetime


_Listed = TypeVar("_Listed", bound=LastSaid)


@dataclass(frozen=True)
class ListedConversation(LastSaid):
    """One line of the list: a contact and the last text with them."""

    contact: ContactName


@dataclass(frozen=True)
class Origin:
    """The enrollment that a text is of; ``step`` is None for one that a person wrote."""

    enrollment_id: UUID
    sequence_id: UUID
    sequence_name: str
    step: int | None


@dataclass(frozen=True)
class ConversationText:
    """One text.

    Attributes:
        at: The provider's time of an inbound text, the acceptance of an outbound one; before that,
            when it was written.
        meaning: What an inbound text asks for, if it is a keyword or asks for no more texts.
        kind: What an inbound text is; None of ours, and of one that came before that was told.
        marks: Emoji of the reactions to a text of ours, the oldest first.
    """

    id: UUID
    direction: Direction
    body: str
    media_urls: tuple[str, ...]
    at: datetime
    status: MessageStatus
    status_label: str
    error: Fault | None
    meaning: TextMeaning | None
    kind: TextKind | None
    about_id: UUID | None
    marks: Many[str]
    sender: Named | None
    user: Named | None
    origin: Origin | None

    @classmethod
    def of(cls, row: TextRow, marks: Many[str] = ()) -> "ConversationText":
        """Read a row."""
        origin = None
        if row.enrollment_id is not None and row.sequence_id is not None:
            origin = Origin(row.enrollment_id, row.sequence_id, row.sequence_name or "", row.step)
        return filled(
            cls,
            row,
            media_urls=tuple(row.media_urls),
            at=row.occurred_at or row.created_at,
            status_label=MESSAGE_LABELS[row.status],
            error=Fault.of(row.error_code),
            meaning=TextMeaning(row.keyword) if row.keyword else None,
            marks=marks,
            sender=Named.of(row.sender_id, row.sender_name),
            user=Named.of(row.user_id, row.user_name),
            origin=origin,
        )


@dataclass(frozen=True)
class ReplyBox:
    """What a reply would be.

    Attributes:
        sender: Where it goes out from if no other is chosen; None if one must be chosen.
        refusal: ``opted_out`` or ``landline`` if no text may go; the reason is ``refusal_text``.
    """

    sender: Named | None
    refusal: str | None
    refusal_text: str | None


@dataclass(frozen=True)
class Conversation:
    """A page of a conversation.

    Attributes:
        texts: The oldest first, in the order they were stored.
        earlier: Where the page before begins; None if this one begins with the first text.
    """

    contact: ContactName
    opted_out: bool
    texts: Many[ConversationText]
    earlier: Position | None
    reply: ReplyBox


class Conversations:
    """Lists and reads conversations, and replies."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        *,
        search: str = "",
        only: ConversationFilter = ConversationFilter.ALL,
        after: Position | None = None,
        limit: int = 50,
    ) -> Page[ListedConversation]:
        """List contacts by their last text, the latest first.

        ``search`` is any part of the name, or phone digits.

        Raises:
            InvalidFieldError: The search cannot match anyone.
        """
        sought = clean_search(search)
        async with self._database.transaction() as tx:
            found = await conversations.page(
                tx, search=sought, only=only, after=after, limit=limit + 1
            )
        return cut(found, limit, by_creation).showing(_listed)

    async def get(
        self,
        contact_id: UUID,
        *,
        sender_id: UUID | None = None,
        before: Position | None = None,
        limit: int = 50,
    ) -> Conversation:
        """Read a page of a conversation, or of its texts with one sender; at first the newest.

        Raises:
            NotFoundError: There is no such contact.
        """
        async with self._database.transaction() as tx:
            row = required(await contacts.get(tx, contact_id), "contact", contact_id)
            found = await conversations.texts(
                tx, contact_id, row.phone, sender_id=sender_id, before=before, limit=limit + 1
            )
            # A reaction is later than its text: on the last page both are there.
            reactions: Many[ReactionRow | TextRow] = found[::-1]
            if before is not None and found:
                about = [one.id for one in found if one.direction is Direction.OUTBOUND]
                since = found[-1].created_at
                reactions = await conversations.reactions(tx, contact_id, about, since)
            known = sender_id or await conversations.usual_sender(tx, contact_id)
            to = await recipients.of_contact(tx, contact_id, known) if known else None
        marks = _marks(reactions)
        shown = cut(found, limit, by_creation).showing(
            lambda one: ConversationText.of(one, marks.get(one.id, ()))
        )
        return Conversation(
            contact=ContactName(row.id, row.name, row.phone),
            opted_out=row.opted_out,
            texts=shown.items[::-1],
            earlier=shown.next,
            reply=_reply_box(to, opted_out=row.opted_out, line_type=row.line_type),
        )

    async def reply(
        self,
        message_id: UUID,
        contact_id: UUID,
        body: str,
        user_id: UUID,
        *,
        sender_id: UUID | None = None,
    ) -> UUID:
        """Text a contact once, whether they are enrolled or not; it belongs to no enrollment.

        Not bound by the send window, always by suppression and by "never twice, never after".

        ``message_id``, which is returned, is a new random id that the form brings along: repeating
        the same reply with it sends nothing more. Without ``sender_id`` the text goes out from
        ``ReplyBox.sender``. The body is as a step's; its merge fields are filled in now.

        Raises:
            InvalidFieldError: A body that cannot be sent; no such sender, or one must be chosen.
            NotFoundError: There is no such contact.
            ConflictError: ``opted_out``, ``landline``; ``idempotency_key_reused`` if the id is
                another text's.
        """
        check_body(body, field="body")
        async with self._database.transaction() as tx:
            to = await _recipient(tx, contact_id, sender_id)
            values = one_offs.message(to, body, user_id, message_id=message_id)
            refusal = one_offs.refusal(to)
            if not await conversations.is_same(tx, values):
                if refusal is not None:
                    raise ConflictError(refusal, _REFUSALS[refusal])
                await _write(tx, values)
        return message_id


async def _write(tx: Transaction, values: dict[str, Any]) -> None:
    """Write and start a text, unless the same request has done so meanwhile."""
    if await recipients.insert_messages(tx, [values]):
        await outbox.add_message_starts(tx, [values["id"]])
        await audit.record(tx, "contact.send_message", "contact", [values["contact_id"]])
    elif not await conversations.is_same(tx, values):
        raise ConflictError(
            "idempotency_key_reused",
            "this message_id came with another text; use a new one for a new text",
        )


async def _recipient(tx: Transaction, contact_id: UUID, sender_id: UUID | None) -> Recipient:
    required(await contacts.get(tx, contact_id), "contact", contact_id)
    known = sender_id or await conversations.usual_sender(tx, contact_id)
    if known is None:
        raise InvalidFieldError(
            "sender_id", "is missing; choose where the text goes out from", code="missing"
        )
    to = await recipients.of_contact(tx, contact_id, known, lock=True)
    if to is None:
        raise InvalidFieldError(
            "sender_id", "names no sender; take an id from GET /api/senders", code="unknown_sender"
        )
    return to


def _marks(reactions: Many[ReactionRow | TextRow]) -> dict[UUID, list[str]]:
    """Return the marks that reactions leave on the texts that they are about."""
    found = dict[UUID, list[Reaction]]()
    for one in reactions:
        if one.about_id is not None and (reaction := reaction_in(one.body)) is not None:
            found.setdefault(one.about_id, []).append(reaction)
    return {text_id: marks_of(some) for text_id, some in found.items()}


def _reply_box(to: Recipient | None, *, opted_out: bool, line_type: LineType | None) -> ReplyBox:
    refusal = one_offs.refusal(to) if to is not None else None
    if to is None and opted_out:
        refusal = "opted_out"
    elif to is None and line_type is LineType.LANDLINE:
        refusal = "landline"
    sender = Named(to.sender_id, to.sender_name) if to is not None else None
    return ReplyBox(sender, refusal, _REFUSALS[refusal] if refusal else None)


def last_said(kind: type[_Listed], row: LastText, **others: object) -> _Listed:
    """Make a line of a list of its last text, and of what the line has besides."""
    one_line = " ".join(row.body.split())
    cut = one_line if len(one_line) <= SNIPPET_LENGTH else one_line[: SNIPPET_LENGTH - 1] + "…"
    return filled(
        kind,
        row,
        snippet=cut,
        media_count=len(row.media_urls),
        status_label=MESSAGE_LABELS[row.status],
        at=row.created_at,
        **others,
    )


def _listed(row: LastTextOfContact) -> ListedConversation:
    name = full_name(row.first_name, row.last_name)
    contact = ContactName(row.contact_id, name, row.phone)
    return last_said(ListedConversation, row, contact=contact)
