"""Queries of conversations: all that was said with somebody."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, bindparam, or_, select
from sqlmodel import col

from domain.platform.paging import Position
from domain.sequences.timing import SendWindow
from domain.statuses.messaging import Direction, MessageStatus, TextKind
from domain.statuses.suppression import TextMeaning
from storage.messaging.caps import over_cap
from storage.platform.database import Transaction
from storage.platform.fixed import Fixed
from storage.platform.rows import columns_of, paged
from storage.platform.workspace import ZONE_SQL
from storage.tables.access import User
from storage.tables.enrollments import Enrollment
from storage.tables.messaging import Message, Sender
from storage.tables.sequences import Sequence


@dataclass(frozen=True)
class TextRow:
    """One text of a conversation."""

    id: UUID
    direction: Direction
    contact_id: UUID | None
    phone: str
    body: str
    media_urls: list[str]
    status: MessageStatus
    error_code: int | None
    keyword: TextMeaning | None
    kind: TextKind | None
    about_id: UUID | None
    is_reply: bool
    occurred_at: datetime | None
    send_at: datetime | None
    next_try_at: datetime | None
    created_at: datetime
    sender_id: UUID | None
    sender_name: str | None
    user_id: UUID | None
    user_name: str | None
    consent_id: UUID | None
    enrollment_id: UUID | None
    sequence_id: UUID | None
    sequence_name: str | None
    step: int | None


@cache
def _texts() -> Select[*tuple[Any, ...]]:
    return (
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
    )


async def text(tx: Transaction, message_id: UUID) -> TextRow | None:
    """Read one text; None if there is none."""
    return await tx.one(TextRow, _one_text(), id=message_id)


@cache
def _one_text() -> Fixed:
    return Fixed(_texts().where(col(Message.id) == bindparam("id")))


async def texts(
    tx: Transaction,
    contact_id: UUID | None,
    phone: str,
    *,
    sender_id: UUID | None = None,
    after: Position | None,
    limit: int,
    down: bool = True,
) -> list[TextRow]:
    """Read what was said with a contact, or came from a number that is nobody's, the latest first.

    Args:
        tx: The transaction.
        contact_id: Whose, whatever numbers they had; None for nobody's.
        phone: Their number now; what came from it just as they were added is theirs too.
        sender_id: Only with this sender; None for all.
        after: Only what follows this text in the order asked for.
        limit: Most texts.
        down: False for the oldest first.
    """
    theirs = and_(col(Message.contact_id).is_(None), col(Message.phone) == phone)
    if contact_id is not None:
        theirs = or_(col(Message.contact_id) == contact_id, theirs)
    query = _texts().where(theirs)
    if sender_id is not None:
        query = query.where(col(Message.sender_id) == sender_id)
    query = paged(query, col(Message.created_at), col(Message.id), after, down=down)
    return await tx.rows(TextRow, query.limit(limit))


@dataclass(frozen=True)
class ReactionRow:
    """A reaction to a text."""

    about_id: UUID
    body: str


async def reactions(
    tx: Transaction, contact_id: UUID, about: Collection[UUID], since: datetime
) -> list[ReactionRow]:
    """Read a contact's reactions to texts, the first of which was stored then, in order."""
    query = (
        select(*columns_of(ReactionRow, Message))
        .where(
            col(Message.contact_id) == contact_id,
            col(Message.created_at) >= since,
            col(Message.about_id).in_(about),
        )
        .order_by(col(Message.created_at), col(Message.id))
    )
    return await tx.rows(ReactionRow, query)


_TEXTED_BY = """
    SELECT sender_id FROM messages WHERE contact_id = :contact_id AND sender_id IS NOT NULL
    ORDER BY created_at DESC, id DESC LIMIT 1
"""
_ENROLLED_BY = """
    SELECT s.sender_id FROM enrollments e JOIN sequences s ON s.id = e.sequence_id
    WHERE e.contact_id = :contact_id ORDER BY e.enrolled_at DESC LIMIT 1
"""


async def usual_sender(tx: Transaction, contact_id: UUID) -> UUID | None:
    """Tell whom a contact knows: the sender of the last text, else of the last enrollment.

    Else the only sender there is; None if that does not tell either.
    """
    for query in (_TEXTED_BY, _ENROLLED_BY):
        if (found := await tx.value(UUID, query, contact_id=contact_id)) is not None:
            return found
    senders = await tx.column("SELECT id FROM senders LIMIT 2")
    return senders[0] if len(senders) == 1 else None


@dataclass(frozen=True)
class HoursRow:
    """What tells in which hours a contact is texted."""

    phone: str
    time_zone: str | None
    send_window: SendWindow | None
    workspace_zone: str | None
    over_cap: bool


async def hours(tx: Transaction, contact_id: UUID) -> HoursRow | None:
    """Read in which hours a contact is texted; None if there is no such contact.

    The window is of the latest active enrollment whose sequence has one.
    """
    sql = f"""
        SELECT c.phone, c.time_zone, {ZONE_SQL} AS workspace_zone, (
            SELECT s.send_window FROM enrollments e JOIN sequences s ON s.id = e.sequence_id
            WHERE e.contact_id = c.id AND e.status = 'active' AND s.send_window IS NOT NULL
            ORDER BY e.enrolled_at DESC LIMIT 1
        ) AS send_window, {over_cap("c.phone")} AS over_cap
        FROM contacts c WHERE c.id = :id
    """  # noqa: S608 - built from constants
    return await tx.one(HoursRow, sql, id=contact_id)


async def inbound_media(tx: Transaction, message_id: UUID, number: int) -> str | None:
    """Read the address at the provider of a file of an inbound text, by its number from 1."""
    sql = """
        SELECT media_urls ->> CAST(:at AS integer) FROM messages
        WHERE id = :id AND direction = 'inbound'
    """
    return await tx.value(str, sql, id=message_id, at=number - 1)


async def is_same(tx: Transaction, values: Mapping[str, Any]) -> bool:
    """Tell whether the text with this id is the same user's to the same contact, of one draft."""
    sql = """
        SELECT id FROM messages
        WHERE id = :id AND contact_id = :contact_id AND user_id = :user_id
        AND draft_hash = :draft_hash
    """
    return await tx.value(UUID, sql, **values) is not None
