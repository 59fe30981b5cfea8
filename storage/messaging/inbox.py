"""Queries of the inbox: conversations as lists show them, whose they are, whether they are done."""

from collections.abc import Callable
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
from domain.statuses.messaging import (
    TEST_MARK,
    ConversationState,
    Direction,
    MessageStatus,
    TextKind,
)
from storage.contacts.contacts import matches, opted_out
from storage.platform.database import Transaction
from storage.platform.rows import columns_of, paged
from storage.tables.access import User
from storage.tables.contacts import Contact
from storage.tables.messaging import Message


@dataclass(frozen=True)
class ConversationFilter:
    """Which conversations to list; an empty filter matches all of them.

    Attributes:
        states: Any of these; all if none.
        owners: Of contacts of any of these users.
        nobodys: Of contacts without an owner, or whose owner is disabled; with ``owners``, too.
        opted_out: Only of contacts whose number is suppressed for the whole deployment.
        search: Any part of the name, or phone digits.
        age: Only of those who wrote since this long ago, where lists go by what contacts write.
    """

    states: Many[ConversationState] = ()
    owners: Many[UUID] = ()
    nobodys: bool = False
    opted_out: bool = False
    search: str = ""
    age: timedelta | None = None


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
    """The text by which a list shows a contact's conversation; ``phone`` is the contact's now.

    ``snoozed_until`` is None unless it is to come. ``answer`` is how our last text after it fares,
    where lists go by what contacts write.
    """

    contact_id: UUID
    first_name: str
    last_name: str
    owner_id: UUID | None
    owner_name: str | None
    done: bool
    snoozed_until: datetime | None
    answer: MessageStatus | None = None


def unanswered(
    same: Callable[[type[Message]], ColumnElement[bool]],
) -> ColumnElement[bool]:
    """Build the condition that ``Message``, the last text with somebody, leaves them unanswered.

    The last text is theirs, and no opt-out, opt-in or help keyword. Passed over are reactions and
    automatic replies that counted for nothing, and texts of ours that a sequence sent, that were
    canceled, are tests or wait for the time they were written for: of those the text before tells.
    ``same`` says which others are with the same person.
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
            or_(
                col(text.step).is_not(None),
                func.coalesce(
                    or_(col(text.status) == MessageStatus.CANCELED, waits, _is_test(text)), false()
                ),
            ),
        ),
        else_=and_(func.coalesce(col(text.kind).in_(machines), false()), ~col(text.is_reply)),
    )


def _is_test(text: type[Message]) -> ColumnElement[bool]:
    by_hand = and_(col(text.user_id).is_not(None), col(text.step).is_(None))
    return and_(by_hand, func.starts_with(col(text.body), TEST_MARK.strip()))


def _place(text: type[Message]) -> Tuple:
    return tuple_(col(text.created_at), col(text.id))


_UNANSWERED = unanswered(lambda other: col(other.contact_id) == col(Message.contact_id))


def _is_put_away() -> ColumnElement[bool]:
    """Build the condition that the conversation was done or snoozed, and they wrote nothing since.

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


_UNTIL = col(Contact.conversation_snoozed_until)
_PUT_AWAY = _is_put_away()
_DONE = and_(_PUT_AWAY, _UNTIL.is_(None))
_SNOOZED = and_(_PUT_AWAY, col(Contact.conversation_snoozed_until) > func.now())
_SNOOZED_UNTIL = case((_SNOOZED, _UNTIL))
_RESTS = and_(_PUT_AWAY, func.coalesce(func.now() < _UNTIL, true()))


def _in_state(state: ConversationState, unanswered: ColumnElement[bool]) -> ColumnElement[bool]:
    """Build the condition that the conversation is in a state, given when it is unanswered."""
    match state:
        case ConversationState.NEEDS_REPLY:
            return and_(unanswered, ~_RESTS)
        case ConversationState.OPEN:
            return and_(~unanswered, ~_RESTS)
        case ConversationState.SNOOZED:
            return _SNOOZED
        case ConversationState.DONE:
            return _DONE


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


def _later(*conditions: Callable[[type[Message]], ColumnElement[bool]]) -> ColumnElement[bool]:
    """Build the condition that the contact has a later text than ``Message`` that meets these."""
    later = aliased(Message)
    return exists().where(
        col(later.contact_id) == col(Message.contact_id),
        _place(later) > _place(Message),
        *(condition(later) for condition in conditions),
    )


def _said_something(text: type[Message]) -> ColumnElement[bool]:
    return and_(_asks(text), ~_passed_over(text))


def _counts(text: type[Message]) -> ColumnElement[bool]:
    return ~_passed_over(text)


_WAITS = ~_later(_counts)
"""Whether nothing that counts was said since a text of the contact's that asks for something."""

_LAST_ASKED = and_(
    col(Message.contact_id).is_not(None), _said_something(Message), ~_later(_said_something)
)
"""Whether a text is the last of a contact that asks for something; an index has those that may."""


def _shown(
    unanswered: ColumnElement[bool], **others: ColumnElement[Any]
) -> Select[*tuple[Any, ...]]:
    """Select texts of contacts as lines of a list."""
    owner = aliased(User)
    return (
        select(
            *columns_of(
                LastTextOfContact,
                Message,
                phone=col(Contact.phone),
                opted_out=opted_out(),
                unanswered=unanswered,
                first_name=col(Contact.first_name),
                last_name=col(Contact.last_name),
                owner_id=col(Contact.owner_id),
                owner_name=col(owner.name),
                done=_DONE,
                snoozed_until=_SNOOZED_UNTIL,
                **others,
            )
        )
        .join(Contact, col(Contact.id) == col(Message.contact_id))
        .outerjoin(owner, col(owner.id) == col(Contact.owner_id))
    )


def _last_texts() -> Select[*tuple[Any, ...]]:
    """Select the last text of each contact who has one.

    Texts are walked from the latest back; those that a later one of the same contact follows are
    passed over.
    """
    return _shown(_UNANSWERED).where(~_later())


def _narrowed(
    query: Select[*tuple[Any, ...]],
    wanted: ConversationFilter,
    unanswered: ColumnElement[bool],
    after: Position | None,
) -> Select[*tuple[Any, ...]]:
    """Keep what a filter matches, the latest first from a position on."""
    query = query.where(*_belong(wanted))
    if wanted.states:
        query = query.where(or_(*(_in_state(state, unanswered) for state in wanted.states)))
    if wanted.opted_out:
        query = query.where(opted_out())
    if wanted.search:
        query = query.where(matches(wanted.search))
    return paged(query, col(Message.created_at), col(Message.id), after, down=True)


async def page(
    tx: Transaction, wanted: ConversationFilter, *, after: Position | None, limit: int
) -> list[LastTextOfContact]:
    """List the last text of each contact who has one and matches a filter, the latest first."""
    query = _narrowed(_last_texts(), wanted, _UNANSWERED, after)
    return await tx.rows(LastTextOfContact, query.limit(limit))


async def page_by_reply(
    tx: Transaction, wanted: ConversationFilter, *, after: Position | None, limit: int
) -> list[LastTextOfContact]:
    """List conversations by the last text of the contact's that asks for something, latest first.

    Behind all of these come the contacts who said nothing of the kind, by their last text: however
    much is sent to them, they hide nobody who wrote.
    """
    found: list[LastTextOfContact] = []
    if after is None or await _asked(tx, after.id):
        theirs = _shown(_WAITS, answer=_answer()).where(_LAST_ASKED, *_since(wanted))
        query = _narrowed(theirs, wanted, _WAITS, after)
        found = await tx.rows(LastTextOfContact, query.limit(limit))
        after = None
    left = limit - len(found)
    if left and wanted.age is None:
        other = aliased(Message)
        asked = exists().where(
            col(other.contact_id) == col(Message.contact_id), _said_something(other)
        )
        query = _narrowed(_last_texts().where(~asked), wanted, false(), after)
        found += await tx.rows(LastTextOfContact, query.limit(left))
    return found


async def _asked(tx: Transaction, message_id: UUID) -> bool:
    """Tell whether a text is a contact's that asks for something."""
    query = select(col(Message.id)).where(col(Message.id) == message_id, _said_something(Message))
    return await tx.value(UUID, query) is not None


def _answer() -> ColumnElement[Any]:
    """Select how our last text after ``Message`` to the same contact fares; null without one."""
    ours = aliased(Message)
    return (
        select(col(ours.status))
        .where(
            col(ours.contact_id) == col(Message.contact_id),
            _place(ours) > _place(Message),
            col(ours.direction) == Direction.OUTBOUND,
            ~_passed_over(ours),
        )
        .order_by(col(ours.created_at).desc(), col(ours.id).desc())
        .limit(1)
        .correlate(Message)
        .scalar_subquery()
    )


async def last_text(tx: Transaction, contact_id: UUID) -> LastTextOfContact | None:
    """Read the last text with a contact; None if there is none."""
    query = _last_texts().where(col(Message.contact_id) == contact_id)
    return await tx.one(LastTextOfContact, query)


def _since(wanted: ConversationFilter) -> list[ColumnElement[bool]]:
    return [] if wanted.age is None else [col(Message.created_at) > func.now() - wanted.age]


async def count_needing_reply(tx: Transaction, wanted: ConversationFilter, *, most: int) -> int:
    """Count the conversations of some owners that need a reply, up to most.

    Only texts of contacts that ask for something are read, which an index has.
    """
    some = (
        select(col(Message.id))
        .join(Contact, col(Contact.id) == col(Message.contact_id))
        .where(
            _LAST_ASKED,
            _WAITS,
            ~_RESTS,
            *_since(wanted),
            *_belong(wanted),
        )
        .limit(most)
        .subquery()
    )
    return int((await tx.execute(select(func.count()).select_from(some))).scalar_one())


async def put_away(
    tx: Transaction, contact_id: UUID, until: datetime | None = None, *, last_id: UUID | None = None
) -> bool:
    """Mark a conversation done, or snoozed until then, with the texts up to one, or all of them.

    Gives False if it has been so already. A text that comes at this moment is later than what is
    seen here, and opens it again.
    """
    sql = """
        UPDATE contacts c
        SET conversation_done_at = seen.at,
            conversation_snoozed_until = CAST(:until AS timestamptz)
        FROM (
            SELECT coalesce(max(created_at) FILTER (WHERE id = :last_id), max(created_at), now())
                AS at
            FROM messages WHERE contact_id = :id
        ) seen
        WHERE c.id = :id AND (
            c.conversation_done_at IS DISTINCT FROM seen.at
            OR c.conversation_snoozed_until IS DISTINCT FROM CAST(:until AS timestamptz)
        )
    """
    return await tx.count(sql, id=contact_id, until=until, last_id=last_id) > 0


async def reopen(tx: Transaction, contact_id: UUID) -> bool:
    """Take back that a conversation is done or snoozed; False if it was neither."""
    sql = """
        UPDATE contacts SET conversation_done_at = NULL, conversation_snoozed_until = NULL
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
    """Whose the conversation with a contact is, and whether it is done or snoozed."""

    owner_id: UUID | None
    owner_name: str | None
    done: bool
    snoozed_until: datetime | None


async def handling(tx: Transaction, contact_id: UUID) -> Handling | None:
    """Read how a contact's conversation is handled; None if there is no such contact."""
    query: Select[*tuple[Any, ...]] = (
        select(
            col(Contact.owner_id),
            col(User.name).label("owner_name"),
            _DONE.label("done"),
            _SNOOZED_UNTIL.label("snoozed_until"),
        )
        .outerjoin(User, col(User.id) == col(Contact.owner_id))
        .where(col(Contact.id) == contact_id)
    )
    return await tx.one(Handling, query)


async def owners(tx: Transaction) -> list[Named]:
    """List the users who can own contacts, by name."""
    sql = "SELECT id, name FROM users WHERE disabled_at IS NULL ORDER BY lower(name), id"
    return await tx.rows(Named, sql)
