"""Queries of conversations: who was texted or wrote last, and all that was said."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select, tuple_
from sqlalchemy.orm import aliased
from sqlmodel import col

from domain.platform.paging import Position
from domain.statuses.messaging import Direction, MessageStatus
from storage.contacts.contacts import matches, opted_out
from storage.platform.database import Transaction
from storage.platform.rows import columns_of
from storage.tables.access import User
from storage.tables.contacts import Contact
from storage.tables.enrollments import Enrollment
from storage.tables.messaging import Message, Sender
from storage.tables.sequences import Sequence


class ConversationFilter(StrEnum):
    """Which conversations to list.

    ``unanswered``: the last text is theirs, and no opt-out, opt-in or help keyword.
    """

    ALL = "all"
    UNANSWERED = "unanswered"
    OPTED_OUT = "opted_out"


@dataclass(frozen=True)
class LastText:
    """The last text to or from a number; ``opted_out`` is the number."""

    id: UUID
    phone: str
    direction: Direction
    body: str
    media_urls: list[str]
    status: MessageStatus
    keyword: str | None
    created_at: datetime
    opted_out: bool


@dataclass(frozen=True)
class LastTextOfContact(LastText):
    """The last text of a contact's conversation; ``phone`` is the contact's number now."""

    contact_id: UUID
    first_name: str
    last_name: str


@dataclass(frozen=True)
class TextRow:
    """One text of a conversation."""

    id: UUID
    direction: Direction
    body: str
    media_urls: list[str]
    status: MessageStatus
    error_code: int | None
    keyword: str | None
    occurred_at: datetime | None
    created_at: datetime
    sender_id: UUID | None
    sender_name: str | None
    user_id: UUID | None
    user_name: str | None
    enrollment_id: UUID | None
    sequence_id: UUID | None
    sequence_name: str | None
    step: int | None


async def page(
    tx: Transaction, *, search: str, only: ConversationFilter, after: Position | None, limit: int
) -> list[LastTextOfContact]:
    """List the last text of each contact who has one, the latest first.

    Texts are walked from the latest back; those that a later one of the same contact follows are
    passed over.
    """
    later = aliased(Message)
    query: Select[*tuple[Any, ...]] = (
        select(
            *columns_of(
                LastTextOfContact,
                Message,
                phone=col(Contact.phone),
                opted_out=opted_out(),
                first_name=col(Contact.first_name),
                last_name=col(Contact.last_name),
            )
        )
        .join(Contact, col(Contact.id) == col(Message.contact_id))
        .where(
            ~exists().where(
                col(later.contact_id) == col(Message.contact_id),
                tuple_(col(later.created_at), col(later.id))
                > tuple_(col(Message.created_at), col(Message.id)),
            )
        )
        .order_by(col(Message.created_at).desc(), col(Message.id).desc())
        .limit(limit)
    )
    match only:
        case ConversationFilter.UNANSWERED:
            query = query.where(
                col(Message.direction) == Direction.INBOUND, col(Message.keyword).is_(None)
            )
        case ConversationFilter.OPTED_OUT:
            query = query.where(opted_out())
        case ConversationFilter.ALL:
            pass
    if search:
        query = query.where(matches(search))
    if after is not None:
        query = query.where(_before(after))
    return await tx.rows(LastTextOfContact, query)


async def texts(
    tx: Transaction,
    contact_id: UUID | None,
    phone: str,
    *,
    sender_id: UUID | None = None,
    before: Position | None,
    limit: int,
) -> list[TextRow]:
    """Read what was said with a contact, or came from a number that is nobody's, the latest first.

    Args:
        tx: The transaction.
        contact_id: Whose, whatever numbers they had; None for nobody's.
        phone: Their number now; what came from it just as they were added is theirs too.
        sender_id: Only with this sender; None for all.
        before: Only what comes before this text.
        limit: Most texts.
    """
    theirs = and_(col(Message.contact_id).is_(None), col(Message.phone) == phone)
    if contact_id is not None:
        theirs = or_(col(Message.contact_id) == contact_id, theirs)
    query: Select[*tuple[Any, ...]] = (
        select(
            *columns_of(
                TextRow,
                Message,
                sender_name=col(Sender.name),
                user_name=col(User.name),
                sequence_id=col(Sequence.id),
                sequence_name=col(Sequence.name),
            )
        )
        .select_from(Message)
        .outerjoin(Sender, col(Sender.id) == col(Message.sender_id))
        .outerjoin(User, col(User.id) == col(Message.user_id))
        .outerjoin(Enrollment, col(Enrollment.id) == col(Message.enrollment_id))
        .outerjoin(Sequence, col(Sequence.id) == col(Enrollment.sequence_id))
        .where(theirs)
        .order_by(col(Message.created_at).desc(), col(Message.id).desc())
        .limit(limit)
    )
    if sender_id is not None:
        query = query.where(col(Message.sender_id) == sender_id)
    if before is not None:
        query = query.where(_before(before))
    return await tx.rows(TextRow, query)


def _before(place: Position) -> ColumnElement[bool]:
    before: ColumnElement[bool] = tuple_(col(Message.created_at), col(Message.id)) < (
        place.value,
        place.id,
    )
    return before


async def usual_sender(tx: Transaction, contact_id: UUID) -> UUID | None:
    """Tell whom a contact knows: the sender of the last text, else of the last enrollment.

    Else the only sender there is; None if that does not tell either.
    """
    texted = (
        select(col(Message.sender_id))
        .where(col(Message.contact_id) == contact_id, col(Message.sender_id).is_not(None))
        .order_by(col(Message.created_at).desc(), col(Message.id).desc())
        .limit(1)
    )
    enrolled = (
        select(col(Sequence.sender_id))
        .join(Enrollment, col(Enrollment.sequence_id) == col(Sequence.id))
        .where(col(Enrollment.contact_id) == contact_id)
        .order_by(col(Enrollment.enrolled_at).desc())
        .limit(1)
    )
    for query in (texted, enrolled):
        if (found := await tx.value(UUID, query)) is not None:
            return found
    senders = await tx.column("SELECT id FROM senders LIMIT 2")
    return senders[0] if len(senders) == 1 else None


async def is_same(tx: Transaction, values: Mapping[str, Any]) -> bool:
    """Tell whether the text with this id is the same user's to the same contact, word by word."""
    sql = """
        SELECT id FROM messages
        WHERE id = :id AND contact_id = :contact_id AND user_id = :user_id AND body = :body
    """
    return await tx.value(UUID, sql, **values) is not None
