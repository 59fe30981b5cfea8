"""Conversations with contacts, and replying to them."""

import json
from collections.abc import Sequence as Many
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

from domain.contacts.names import ContactName
from domain.enrollments.faults import Fault
from domain.platform.errors import ConflictError, InvalidFieldError, required
from domain.platform.filling import filled
from domain.platform.moments import check_ahead, written
from domain.platform.names import Named
from domain.platform.paging import Page, Position, by_creation, cut
from domain.sequences.texts import check_body, check_media
from domain.statuses.contacts import LineType
from domain.statuses.messaging import (
    MESSAGE_LABELS,
    Direction,
    MessageStatus,
    TextKind,
    shown_status,
)
from domain.statuses.suppression import TextMeaning
from domain.suppression.writers import Reaction, marks_of, reaction_in
from services.messaging import one_offs
from services.platform import audit
from services.sequences.pictures import own_pictures
from storage.contacts import contacts
from storage.messaging import conversations, recipients
from storage.messaging.conversations import ReactionRow, TextRow
from storage.messaging.recipients import Recipient
from storage.platform import outbox
from storage.platform.database import Database, Transaction
from storage.platform.locks import MovedError, lock_numbers

_REFUSALS = {
    "opted_out": "the number opted out; remove the opt-out first, if they asked for that",
    "landline": "the number is a landline and takes no texts",
}


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
        phone: The other party's number.
        at: The provider's time of an inbound text, the acceptance of an outbound one; before that,
            when it was written.
        send_at: When one that was written to be sent later may go, or might.
        created_at: When it was stored; of one that was written to be sent later and went, when it
            went. The order of the texts.
        meaning: What an inbound text asks for, if it is a keyword or asks for no more texts.
        kind: What an inbound text is; None of ours, and of one that came before that was told.
        consent_id: The consent that a text of ours went under, if there was one.
        marks: Emoji of the reactions to a text of ours, the oldest first.
    """

    id: UUID
    direction: Direction
    contact_id: UUID | None
    phone: str
    body: str
    media_urls: tuple[str, ...]
    at: datetime
    send_at: datetime | None
    created_at: datetime
    status: MessageStatus
    status_label: str
    error: Fault | None
    meaning: TextMeaning | None
    kind: TextKind | None
    about_id: UUID | None
    is_reply: bool
    consent_id: UUID | None
    marks: Many[str]
    sender: Named | None
    user: Named | None
    origin: Origin | None

    @property
    def is_scheduled(self) -> bool:
        """Whether it waits for the time it was written for; the provider knows the word too."""
        return self.status is MessageStatus.SCHEDULED and self.send_at is not None

    @classmethod
    def of(cls, row: TextRow, marks: Many[str] = ()) -> "ConversationText":
        """Read a row."""
        origin = None
        if row.enrollment_id is not None and row.sequence_id is not None:
            origin = Origin(row.enrollment_id, row.sequence_id, row.sequence_name or "", row.step)
        status = shown_status(row.status, row.send_at, row.next_try_at)
        return filled(
            cls,
            row,
            media_urls=tuple(row.media_urls),
            at=row.occurred_at or row.created_at,
            status=status,
            status_label=MESSAGE_LABELS[status],
            error=Fault.of(row.error_code),
            meaning=row.keyword,
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
    """Reads conversations, and replies; ``public_base_url`` is where our pictures are."""

    def __init__(self, database: Database, *, public_base_url: str) -> None:
        self._database = database
        self._base_url = public_base_url

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
                tx, contact_id, row.phone, sender_id=sender_id, after=before, limit=limit + 1
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

    async def texts(
        self,
        contact_id: UUID,
        *,
        sort: str = "-created_at",
        after: Position | None = None,
        limit: int = 50,
    ) -> Page[ConversationText]:
        """List the texts with a contact, ``-created_at`` or ``created_at``, without their marks.

        Raises:
            NotFoundError: There is no such contact.
        """
        async with self._database.transaction() as tx:
            row = required(await contacts.get(tx, contact_id), "contact", contact_id)
            found = await conversations.texts(
                tx,
                contact_id,
                row.phone,
                after=after,
                limit=limit + 1,
                down=sort.startswith("-"),
            )
        return cut(found, limit, by_creation).showing(ConversationText.of)

    async def text(
        self, message_id: UUID, *, within: Transaction | None = None
    ) -> ConversationText:
        """Read one text, without its marks.

        Raises:
            NotFoundError: There is no such text.
        """
        async with self._database.within(within) as tx:
            row = await conversations.text(tx, message_id)
        return ConversationText.of(required(row, "message", message_id))

    async def reply(
        self,
        message_id: UUID,
        contact_id: UUID,
        body: str,
        user_id: UUID,
        *,
        sender_id: UUID | None = None,
        media_urls: Many[str] = (),
        send_at: datetime | None = None,
        within: Transaction | None = None,
    ) -> UUID:
        """Text a contact once, whether they are enrolled or not; it belongs to no enrollment.

        Not bound by the send window, always by suppression and by "never twice, never after". With
        ``send_at`` it waits until then, bound by what holds then.

        ``message_id``, which is returned, is a new random id that the form brings along: repeating
        the same reply with it sends nothing more, whatever has changed meanwhile. Without
        ``sender_id`` the text goes out from ``ReplyBox.sender``. The body is as a step's; its merge
        fields are filled in now, so that what is shown is what goes.

        Raises:
            InvalidRequestError: Pictures that cannot be sent.
            InvalidFieldError: A body that cannot be sent; no such sender, or one must be chosen;
                ``in_the_past`` or ``too_far_ahead``: no moment of the coming year.
            NotFoundError: There is no such contact.
            ConflictError: ``opted_out``, ``landline``; ``idempotency_key_reused`` if the id is
                another text's.
        """
        check_body(body, field="body", has_media=bool(media_urls))
        draft = {
            "id": message_id,
            "contact_id": contact_id,
            "user_id": user_id,
            "draft_hash": _hash(body, media_urls, send_at),
        }
        async with self._database.within(within) as tx:
            if await conversations.is_same(tx, draft):
                return message_id
            to = await _recipient(tx, contact_id, sender_id, is_scheduled=send_at is not None)
            ours = await own_pictures(tx, media_urls, self._base_url)
            check_media(media_urls, ours, field="media_urls")
            values = one_offs.message(
                to, body, user_id, message_id=message_id, media_urls=media_urls, send_at=send_at
            )
            if send_at is not None:
                check_ahead(send_at, field="send_at")
            if (refusal := one_offs.refusal(to)) is not None:
                raise ConflictError(refusal, _REFUSALS[refusal])
            await _write(tx, {**values, **draft})
        return message_id

    async def cancel(self, message_id: UUID) -> ConversationText:
        """Cancel a text that a person wrote and that waits to be sent; again changes nothing.

        Once this is answered, it never goes.

        Raises:
            NotFoundError: There is no such text.
            ConflictError: ``not_waiting``: it is not a person's, or goes just now, or went.
        """
        async with self._database.transaction() as tx:
            row = required(await conversations.text(tx, message_id), "message", message_id)
            await lock_numbers(tx, [row.phone])  # for the order of the contact's events
            if await recipients.cancel_message(tx, message_id):
                await audit.record(
                    tx,
                    "message.cancel",
                    "message",
                    [message_id],
                    contact_id=str(row.contact_id) if row.contact_id else None,
                )
            row = required(await conversations.text(tx, message_id), "message", message_id)
        if row.step is not None or row.status is not MessageStatus.CANCELED:
            raise ConflictError("not_waiting", _why_not_canceled(row))
        return ConversationText.of(row)


def _hash(body: str, media_urls: Many[str], send_at: datetime | None) -> str:
    """Tell a reply as it was written from any other."""
    draft = json.dumps([body, *media_urls, send_at and send_at.timestamp()])
    return blake2b(draft.encode(), digest_size=16).hexdigest()


def _why_not_canceled(row: TextRow) -> str:
    if row.direction is Direction.INBOUND:
        return "the contact wrote this text; only your own texts can be canceled"
    if row.step is not None:
        return "the text belongs to a step; pause its enrollment or mark it finished instead"
    return "the text is being sent or was sent; only a waiting text can be canceled"


async def _write(tx: Transaction, values: dict[str, Any]) -> None:
    """Write and start a text, unless the same request has done so meanwhile."""
    if await recipients.insert_messages(tx, [values]):
        await outbox.add_message_starts(tx, [values["id"]])
        send_at: datetime | None = values.get("send_at")
        later: dict[str, Any] = {} if send_at is None else {"send_at": written(send_at)}
        await audit.record(tx, "contact.send_message", "contact", [values["contact_id"]], **later)
    elif not await conversations.is_same(tx, values):
        raise ConflictError(
            "idempotency_key_reused",
            "this message_id came with another text; use a new one for a new text",
        )


async def _recipient(
    tx: Transaction, contact_id: UUID, sender_id: UUID | None, *, is_scheduled: bool
) -> Recipient:
    """Read whom a text goes to.

    For one that is scheduled their number is locked first: a STOP that comes in at this moment was
    seen here, or finds the text.
    """
    phone = required(await contacts.get(tx, contact_id), "contact", contact_id).phone
    known = sender_id or await conversations.usual_sender(tx, contact_id)
    if known is None:
        raise InvalidFieldError(
            "sender_id", "is missing; choose which sender to use", code="missing"
        )
    while True:
        with suppress(MovedError):
            async with tx.begin_nested():
                if is_scheduled:
                    await lock_numbers(tx, [phone])
                to = await recipients.of_contact(tx, contact_id, known, lock=True)
                if is_scheduled and to is not None and to.phone != phone:
                    phone = to.phone
                    raise MovedError
                break
    if to is None:
        raise InvalidFieldError(
            "sender_id", "does not exist; use an id from GET /api/senders", code="unknown_sender"
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
