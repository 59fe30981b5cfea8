"""Queries of conversations: who was texted or wrote last, and all that was said."""

from collections.abc import Callable, Collection, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import datetime, timedelta
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
    true,
    tuple_,
)
from sqlalchemy.orm import aliased
from sqlmodel import col

from domain.platform.names import Named
from domain.platform.paging import Position
from domain.statuses.messaging import ConversationState, Direction, MessageStatus, TextKind
from domain.statuses.suppression import TextMeaning
from storage.contacts.contacts import matches, opted_out
from storage.platform.database import Transaction, as_json
from storage.platform.rows import columns_of, paged
from storage.tables.access import User
from storage.tables.contacts import Contact
from storage.tables.enrollments import Enrollment
from storage.tables.messaging import Message, Sender
from storage.tables.sequences import Sequence


@dataclass(frozen=True)
class ConversationFilter:
    """Which conversations to list; an empty filter matches all of them.

    Attributes:
        states: Any of these; all if none.
        owners: Of contacts of any of these users.
        nobodys: Of contacts without an owner, or whose owner is disabled; with ``owners``, too.
        opted_out: Only of contacts whose number is suppressed for the whole deployment.
        search: Any part of the name, or phone digits.
    """

    states: Many[ConversationState] = ()
    owners: Many[UUID] = ()
    nobodys: bool = False
    opted_out: bool = False
    search: str = ""


@dataclass(frozen=True)
class LastText:
    """The last text to or from a number; ``opted_out`` is the number.

    ``unanswered``: see ``unanswered``.
    """

    id: UUID
    phone: str
    direction: Direction
    body: str
    media_urls: list[str]
    status: MessageStatus
    send_at: datetime | None
    next_try_at: datetime | None
    created_at: datetime
    opted_out: bool
    unanswered: bool


@dataclass(frozen=True)
class LastTextOfContact(LastText):
    """The last text of a contact's conversation; ``phone`` is the contact's number now."""

    contact_id: UUID
    first_name: str
    last_name: str
    owner_id: UUID | None
    owner_name: str | None
    done: bool


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
    enrollment_id: UUID | None
    sequence_id: UUID | None
    sequence_name: str | None
    step: int | None


def unanswered(
    same: Callable[[type[Message]], ColumnElement[bool]],
) -> ColumnElement[bool]:
    """Build the condition that ``Message``, the last text with somebody, leaves them unanswered.

    The last text is theirs, and no opt-out, opt-in or help keyword. Passed over are reactions and
    automatic replies that counted for nothing, and texts of ours that were canceled or wait for
    the time they were written for: of those the text before tells. ``same`` says which others are
    with the same person.
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
    waits = and_(
        col(text.status) == MessageStatus.PENDING, col(text.send_at) == col(text.next_try_at)
    )
    return case(
        (
            col(text.direction) == Direction.OUTBOUND,
            func.coalesce(or_(col(text.status) == MessageStatus.CANCELED, waits), false()),
        ),
        else_=and_(func.coalesce(col(text.kind).in_(machines), false()), ~col(text.is_reply)),
    )


def _place(text: type[Message]) -> Tuple:
    return tuple_(col(text.created_at), col(text.id))


_UNANSWERED = unanswered(lambda other: col(other.contact_id) == col(Message.contact_id))


def _is_done() -> ColumnElement[bool]:
    """Build the condition that the contact's conversation was done, and they wrote nothing since.

    What they wrote that needs no reply, a keyword or a reaction, does not open it again.
    """
    since = aliased(Message)
    wrote = exists().where(
        col(since.contact_id) == col(Contact.id),
        col(since.created_at) > col(Contact.conversation_done_at),
        _asks(since),
        ~_passed_over(since),
    )
    return and_(col(Contact.conversation_done_at).is_not(None), ~wrote)


_DONE = _is_done()

_IN_STATE = {
    ConversationState.NEEDS_REPLY: and_(_UNANSWERED, ~_DONE),
    ConversationState.OPEN: and_(~_UNANSWERED, ~_DONE),
    ConversationState.DONE: _DONE,
}


def _belong(wanted: ConversationFilter) -> list[ColumnElement[bool]]:
    """List the condition on whose conversations they are, if there is one."""
    some: list[ColumnElement[bool]] = []
    if wanted.owners:
        some.append(col(Contact.owner_id).in_(wanted.owners))
    if wanted.nobodys:
        disabled = exists().where(
            col(User.id) == col(Contact.owner_id), col(User.disabled_at).is_not(None)
        )
        some.append(or_(col(Contact.owner_id).is_(None), disabled))
    return [or_(*some)] if some else []


def _last_texts() -> Select[*tuple[Any, ...]]:
    """Select the last text of each contact who has one.

    Texts are walked from the latest back; those that a later one of the same contact follows are
    passed over.
    """
    later, owner = aliased(Message), aliased(User)
    return (
        select(
            *columns_of(
                LastTextOfContact,
                Message,
                phone=col(Contact.phone),
                opted_out=opted_out(),
                unanswered=_UNANSWERED,
                first_name=col(Contact.first_name),
                last_name=col(Contact.last_name),
                owner_id=col(Contact.owner_id),
                owner_name=col(owner.name),
                done=_DONE,
            )
        )
        .join(Contact, col(Contact.id) == col(Message.contact_id))
        .outerjoin(owner, col(owner.id) == col(Contact.owner_id))
        .where(
            ~exists().where(
                col(later.contact_id) == col(Message.contact_id), _place(later) > _place(Message)
            )
        )
    )


async def page(
    tx: Transaction, wanted: ConversationFilter, *, after: Position | None, limit: int
) -> list[LastTextOfContact]:
    """List the last text of each contact who has one and matches a filter, the latest first."""
    query = _last_texts().where(*_belong(wanted))
    if wanted.states:
        query = query.where(or_(*(_IN_STATE[state] for state in wanted.states)))
    if wanted.opted_out:
        query = query.where(opted_out())
    if wanted.search:
        query = query.where(matches(wanted.search))
    query = paged(query, col(Message.created_at), col(Message.id), after, down=True)
    return await tx.rows(LastTextOfContact, query.limit(limit))


async def last_text(tx: Transaction, contact_id: UUID) -> LastTextOfContact | None:
    """Read the last text with a contact; None if there is none."""
    query = _last_texts().where(col(Message.contact_id) == contact_id)
    return await tx.one(LastTextOfContact, query)


async def count_needing_reply(
    tx: Transaction, wanted: ConversationFilter, *, age: timedelta, most: int
) -> int:
    """Count the conversations that need a reply to a text of this age, of some owners, up to most.

    Only texts of contacts that ask for something are read, which an index has.
    """
    later = aliased(Message)
    some = (
        select(col(Message.id))
        .join(Contact, col(Contact.id) == col(Message.contact_id))
        .where(
            _asks(Message),
            col(Message.contact_id).is_not(None),
            col(Message.created_at) > func.now() - age,
            ~_passed_over(Message),
            func.coalesce(col(Contact.conversation_done_at) < col(Message.created_at), true()),
            ~exists().where(
                col(later.contact_id) == col(Message.contact_id),
                _place(later) > _place(Message),
                ~_passed_over(later),
            ),
            *_belong(wanted),
        )
        .limit(most)
        .subquery()
    )
    return int((await tx.execute(select(func.count()).select_from(some))).scalar_one())


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
    return await tx.one(TextRow, _texts().where(col(Message.id) == message_id))


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
    """Tell whether the text with this id is the same user's to the same contact, word by word.

    So are its pictures, and when it is to go.
    """
    sql = """
        SELECT id FROM messages
        WHERE id = :id AND contact_id = :contact_id AND user_id = :user_id AND body = :body
        AND media_urls = :media_urls AND send_at IS NOT DISTINCT FROM :send_at
    """
    asked = {**values, "media_urls": as_json(values["media_urls"])}
    return await tx.value(UUID, sql, **asked) is not None


async def set_done(tx: Transaction, contact_id: UUID) -> bool:
    """Mark a conversation done with all texts that are there; False if it has been so already.

    A text that comes at this moment is later than what is seen here, and opens it again.
    """
    sql = """
        UPDATE contacts c SET conversation_done_at = seen.at
        FROM (
            SELECT coalesce(max(created_at), now()) AS at FROM messages WHERE contact_id = :id
        ) seen
        WHERE c.id = :id AND c.conversation_done_at IS DISTINCT FROM seen.at
    """
    return await tx.count(sql, id=contact_id) > 0


async def reopen(tx: Transaction, contact_id: UUID) -> bool:
    """Take back that a conversation is done; False if it was not."""
    sql = """
        UPDATE contacts SET conversation_done_at = NULL
        WHERE id = :id AND conversation_done_at IS NOT NULL
    """
    return await tx.count(sql, id=contact_id) > 0


async def set_owner(tx: Transaction, contact_id: UUID, owner_id: UUID | None) -> bool:
    """Change whose inbox a contact's replies belong to; False if it is theirs already."""
    sql = """
        UPDATE contacts
        SET owner_id = CAST(:owner_id AS uuid), updated_at = clock_timestamp()
        WHERE id = :id AND owner_id IS DISTINCT FROM CAST(:owner_id AS uuid)
    """
    return await tx.count(sql, id=contact_id, owner_id=owner_id) > 0


@dataclass(frozen=True)
class Handling:
    """Whose the conversation with a contact is, and whether it is done."""

    owner_id: UUID | None
    owner_name: str | None
    done: bool


async def handling(tx: Transaction, contact_id: UUID) -> Handling | None:
    """Read whose a contact's conversation is and whether it is done; None without the contact."""
    query: Select[*tuple[Any, ...]] = (
        select(col(Contact.owner_id), col(User.name).label("owner_name"), _DONE.label("done"))
        .outerjoin(User, col(User.id) == col(Contact.owner_id))
        .where(col(Contact.id) == contact_id)
    )
    return await tx.one(Handling, query)


async def owners(tx: Transaction) -> list[Named]:
    """List the users who can own contacts, by name."""
    sql = "SELECT id, name FROM users WHERE disabled_at IS NULL ORDER BY lower(name), id"
    return await tx.rows(Named, sql)
