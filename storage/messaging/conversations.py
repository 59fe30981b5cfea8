"""Queries of conversations: who was texted or wrote last, and all that was said."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select, tuple_
from sqlalchemy.orm import Mapped, aliased
from sqlmodel import col

from domain.platform.paging import Position
from domain.statuses.messaging import Direction, MessageStatus
from storage.contacts.contacts import matches, opted_out
from storage.platform.database import Transaction
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


def last_text(phone: Mapped[str]) -> tuple[Mapped[Any] | ColumnElement[Any], ...]:
    """Select the fields of ``LastText``, in their order, of a number that a text belongs to."""
    return (
        col(Message.id),
        phone,
        col(Message.direction),
        col(Message.body),
        col(Message.media_urls),
        col(Message.status),
        col(Message.keyword),
        col(Message.created_at),
        opted_out(phone),
    )


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
    tx: Transaction,
    *,
    search: str,
    only: ConversationFilter,
    after: Position | None,
    limit: int,
) -> list[LastTextOfContact]:
    """List the last text of each contact who has one, the latest first.

    Texts are walked from the latest back; those that a later one of the same contact follows are
    passed over.
    """
    later = aliased(Message)
    query: Select[*tuple[Any, ...]] = (
        select(
            *last_text(col(Contact.phone)),
            col(Contact.id),
            col(Contact.first_name),
            col(Contact.last_name),
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
    return [LastTextOfContact(*row) for row in await tx.execute(query)]


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
            col(Message.id),
            col(Message.direction),
            col(Message.body),
            col(Message.media_urls),
            col(Message.status),
            col(Message.error_code),
            col(Message.keyword),
            col(Message.occurred_at),
            col(Message.created_at),
            col(Message.sender_id),
            col(Sender.name),
            col(Message.user_id),
            col(User.name),
            col(Message.enrollment_id),
            col(Sequence.id),
            col(Sequence.name),
            col(Message.step),
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
    return [TextRow(*row) for row in await tx.execute(query)]


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
        found = (await tx.execute(query)).scalar_one_or_none()
        if found is not None:
            return found
    senders = list(await tx.scalars(select(col(Sender.id)).limit(2)))
    return senders[0] if len(senders) == 1 else None


async def is_same(tx: Transaction, values: Mapping[str, Any]) -> bool:
    """Whether the text with this id is the same user's to the same contact, word by word."""
    row = await tx.execute(
        select(col(Message.id)).where(
            col(Message.id) == values["id"],
            col(Message.contact_id) == values["contact_id"],
            col(Message.user_id) == values["user_id"],
            col(Message.body) == values["body"],
        )
    )
    return row.scalar_one_or_none() is not None
