"""Queries of conversations: who was texted or wrote last, and all that was said."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    Tuple,
    and_,
    case,
    exists,
    false,
    func,
    or_,
    select,
    tuple_,
)
from sqlalchemy.orm import aliased
from sqlmodel import col

from domain.platform.paging import Position
from domain.statuses.messaging import Direction, MessageStatus, TextKind
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

    ``unanswered``: the last text is theirs, and no opt-out, opt-in or help keyword; reactions and
    automatic replies that no sequence counted as a reply are passed over.
    """

    ALL = "all"
    UNANSWERED = "unanswered"
    OPTED_OUT = "opted_out"


@dataclass(frozen=True)
class LastText:
    """The last text to or from a number; ``opted_out`` is the number.

    ``unanswered``: see ``ConversationFilter``.
    """

    id: UUID
    phone: str
    direction: Direction
    body: str
    media_urls: list[str]
    status: MessageStatus
    keyword: str | None
    created_at: datetime
    opted_out: bool
    unanswered: bool


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
    kind: TextKind | None
    about_id: UUID | None
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


def unanswered(
    same: Callable[[type[Message]], ColumnElement[bool]],
) -> ColumnElement[bool]:
    """Build the condition that ``Message``, the last text with somebody, leaves them unanswered.

    Of a reaction or an automatic reply that counted for nothing the text before it tells. ``same``
    says which others are with the same person.
    """
    earlier = aliased(Message)
    before = (
        select(_asks(earlier))
        .where(same(earlier), ~_passed_over(earlier), _place(earlier) < _place(Message))
        .order_by(col(earlier.created_at).desc(), col(earlier.id).desc())
        .limit(1)
        .correlate(Message)
        .scalar_subquery()
    )
    return case((_passed_over(Message), func.coalesce(before, false())), else_=_asks(Message))


def _asks(text: type[Message]) -> ColumnElement[bool]:
    return and_(col(text.direction) == Direction.INBOUND, col(text.keyword).is_(None))


def _passed_over(text: type[Message]) -> ColumnElement[bool]:
    machines = (TextKind.REACTION, TextKind.AUTO_REPLY)
    is_machines = func.coalesce(col(text.kind).in_(machines), false())
    return and_(is_machines, ~col(text.is_reply))


def _place(text: type[Message]) -> Tuple:
    return tuple_(col(text.created_at), col(text.id))


_UNANSWERED = unanswered(lambda other: col(other.contact_id) == col(Message.contact_id))


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
                unanswered=_UNANSWERED,
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
            query = query.where(_UNANSWERED)
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


async def inbound_media(tx: Transaction, message_id: UUID, number: int) -> str | None:
    """Read the address at the provider of a file of an inbound text, by its number from 1."""
    sql = """
        SELECT media_urls ->> CAST(:at AS integer) FROM messages
        WHERE id = :id AND direction = 'inbound'
    """
    return await tx.value(str, sql, id=message_id, at=number - 1)


async def is_same(tx: Transaction, values: Mapping[str, Any]) -> bool:
    """Tell whether the text with this id is the same user's to the same contact, word by word."""
    sql = """
        SELECT id FROM messages
        WHERE id = :id AND contact_id = :contact_id AND user_id = :user_id AND body = :body
    """
    return await tx.value(UUID, sql, **values) is not None
