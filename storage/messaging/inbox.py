"""Queries of the inbox: conversations as lists show them."""

from collections.abc import Callable
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    Tuple,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.orm import Mapped, aliased
from sqlmodel import col

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
from storage.platform.fixed import Fixed
from storage.platform.rows import columns_of, paged
from storage.tables.access import User
from storage.tables.contacts import Contact, GroupMember
from storage.tables.enrollments import Enrollment
from storage.tables.messaging import Message


@dataclass(frozen=True)
class ConversationFilter:
    """Which conversations to list; an empty filter matches all of them.

    Attributes:
        states: Any of these; all if none.
        owners: Of contacts of any of these users.
        nobodys: Of contacts without an owner, or whose owner is disabled; with ``owners``, too.
        opted_out: Only of contacts whose number is suppressed for the whole deployment.
        sequences: Of contacts who are or were enrolled in any of these.
        groups: Of members of any of these groups.
        search: Any part of the name, or phone digits.
        age: Only of those who wrote since this long ago, where lists go by what contacts write.
    """

    states: Many[ConversationState] = ()
    owners: Many[UUID] = ()
    nobodys: bool = False
    opted_out: bool = False
    sequences: Many[UUID] = ()
    groups: Many[UUID] = ()
    search: str = ""
    age: timedelta | None = None

    @property
    def only_waiting(self) -> bool:
        """Whether only those are listed that need a reply."""
        return set(self.states) == {ConversationState.NEEDS_REPLY}


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
    where lists go by what contacts write; ``answer_at`` when that goes, if it waits for its time.
    """

    contact_id: UUID
    first_name: str
    last_name: str
    owner_id: UUID | None
    owner_name: str | None
    done: bool
    snoozed_until: datetime | None
    answer: MessageStatus | None = None
    answer_at: datetime | None = None


Same = Callable[[type[Message]], ColumnElement[bool]]
"""Builds the condition that a text is with the same person as ``Message``."""


def unanswered(same: Same) -> ColumnElement[bool]:
    """Build the condition that ``Message``, the last text with somebody, leaves them unanswered.

    The last text is theirs, no opt-out, opt-in or help keyword, and they were not opted out since.
    Passed over are reactions and automatic replies that counted for nothing, and texts of ours that
    a sequence sent, that were canceled, failed or are tests: of those the text before tells.
    """
    earlier = aliased(Message)
    before = (
        select(_waits(earlier))
        .where(same(earlier), ~_passed_over(earlier), _place(earlier) < _place(Message))
        .order_by(col(earlier.created_at).desc(), col(earlier.id).desc())
        .limit(1)
        .correlate(Message)
        .scalar_subquery()
    )
    return case((_passed_over(Message), func.coalesce(before, false())), else_=_waits(Message))


def _asks(text: type[Message]) -> ColumnElement[bool]:
    return and_(col(text.direction) == Direction.INBOUND, col(text.keyword).is_(None))


def _waits(text: type[Message]) -> ColumnElement[bool]:
    """Build the condition that a text asks for an answer, of somebody not opted out since."""
    return and_(_asks(text), ~opted_out(col(text.phone), since=col(text.created_at)))


_NO_ANSWERS = (MessageStatus.CANCELED, MessageStatus.FAILED, MessageStatus.UNDELIVERED)
"""What became of a text of ours that says nothing."""


def _passed_over(text: type[Message]) -> ColumnElement[bool]:
    machines = (TextKind.REACTION, TextKind.AUTO_REPLY)
    return case(
        (
            col(text.direction) == Direction.OUTBOUND,
            or_(
                col(text.step).is_not(None),
                func.coalesce(or_(col(text.status).in_(_NO_ANSWERS), _is_test(text)), false()),
            ),
        ),
        else_=and_(func.coalesce(col(text.kind).in_(machines), false()), ~col(text.is_reply)),
    )


def said_something(text: type[Message]) -> ColumnElement[bool]:
    """Build the condition that a text is theirs and asks for something."""
    return and_(_asks(text), ~_passed_over(text))


def _is_test(text: type[Message]) -> ColumnElement[bool]:
    by_hand = and_(col(text.user_id).is_not(None), col(text.step).is_(None))
    return and_(by_hand, func.starts_with(col(text.body), TEST_MARK.strip()))


def _place(text: type[Message]) -> Tuple:
    return tuple_(col(text.created_at), col(text.id))


def _of_contact(other: type[Message]) -> ColumnElement[bool]:
    return col(other.contact_id) == col(Message.contact_id)


_UNANSWERED = unanswered(_of_contact)


def wrote_since(at: ColumnElement[Any] | Mapped[Any]) -> ColumnElement[bool]:
    """Build the condition that ``Contact`` asked for something since then.

    What they wrote that needs no reply, a keyword or a reaction, does not count.
    """
    since = aliased(Message)
    return exists().where(
        col(since.contact_id) == col(Contact.id),
        col(since.created_at) > at,
        said_something(since),
    )


_DONE_AT = col(Contact.conversation_done_at)
_UNTIL = col(Contact.conversation_snoozed_until)
_PUT_AWAY = and_(_DONE_AT.is_not(None), ~wrote_since(_DONE_AT))
DONE = and_(_PUT_AWAY, _UNTIL.is_(None))
_SNOOZED = and_(_PUT_AWAY, col(Contact.conversation_snoozed_until) > func.now())
SNOOZED_UNTIL = case((_SNOOZED, _UNTIL))
RESTS = and_(_PUT_AWAY, func.coalesce(func.now() < _UNTIL, true()))


def _in_state(state: ConversationState, unanswered: ColumnElement[bool]) -> ColumnElement[bool]:
    """Build the condition that the conversation is in a state, given when it is unanswered."""
    match state:
        case ConversationState.NEEDS_REPLY:
            return and_(unanswered, ~RESTS)
        case ConversationState.OPEN:
            return and_(~unanswered, ~RESTS)
        case ConversationState.SNOOZED:
            return _SNOOZED
        case ConversationState.DONE:
            return DONE


@cache
def is_nobodys() -> ColumnElement[bool]:
    """Build the condition that a contact has no owner, or one whose account is disabled."""
    disabled = exists().where(
        col(User.id) == col(Contact.owner_id), col(User.disabled_at).is_not(None)
    )
    return or_(col(Contact.owner_id).is_(None), disabled)


def _belong(wanted: ConversationFilter) -> list[ColumnElement[bool]]:
    """List the conditions on whose conversations they are, and with whom."""
    some: list[ColumnElement[bool]] = []
    if wanted.owners:
        some.append(col(Contact.owner_id).in_(wanted.owners))
    if wanted.nobodys:
        some.append(is_nobodys())
    found = [or_(*some)] if some else []
    if wanted.sequences:
        found.append(
            exists().where(
                col(Enrollment.contact_id) == col(Contact.id),
                col(Enrollment.sequence_id).in_(wanted.sequences),
            )
        )
    if wanted.groups:
        found.append(
            exists().where(
                col(GroupMember.contact_id) == col(Contact.id),
                col(GroupMember.group_id).in_(wanted.groups),
            )
        )
    return found


def last_that(same: Same, *conditions: Same) -> ColumnElement[bool]:
    """Build the condition that ``Message`` is somebody's last text, of those that meet these."""
    later = aliased(Message)
    return ~exists().where(
        same(later),
        _place(later) > _place(Message),
        *(condition(later) for condition in conditions),
    )


def _counts(text: type[Message]) -> ColumnElement[bool]:
    return ~_passed_over(text)


def still_waits(same: Same) -> ColumnElement[bool]:
    """Build the condition that ``Message``, which asks for something, has no answer.

    Nothing that counts was said since, and they were not opted out.
    """
    return and_(_waits(Message), last_that(same, _counts))


_WAITS = still_waits(_of_contact)

_LAST_ASKED = and_(
    col(Message.contact_id).is_not(None),
    said_something(Message),
    last_that(_of_contact, said_something),
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
                done=DONE,
                snoozed_until=SNOOZED_UNTIL,
                **others,
            )
        )
        .join(Contact, col(Contact.id) == col(Message.contact_id))
        .outerjoin(owner, col(owner.id) == col(Contact.owner_id))
    )


def _waits_for_its_time(text: type[Message]) -> ColumnElement[bool]:
    return and_(
        col(text.status) == MessageStatus.PENDING, col(text.send_at) == col(text.next_try_at)
    )


def _answer(*, waiting: bool = False) -> ColumnElement[Any]:
    """Select how our last answer after ``Message`` fares, be it failed; null without one.

    ``waiting``: when it goes instead, if it waits for its time.
    """
    ours = aliased(Message)
    shown = case((_waits_for_its_time(ours), col(ours.send_at))) if waiting else col(ours.status)
    return (
        select(shown)
        .where(
            col(ours.contact_id) == col(Message.contact_id),
            _place(ours) > _place(Message),
            col(ours.direction) == Direction.OUTBOUND,
            col(ours.step).is_(None),
            col(ours.status) != MessageStatus.CANCELED,
            ~func.coalesce(_is_test(ours), false()),
        )
        .order_by(col(ours.created_at).desc(), col(ours.id).desc())
        .limit(1)
        .correlate(Message)
        .scalar_subquery()
    )


_LAST_TEXTS = _shown(_UNANSWERED).where(last_that(_of_contact))
"""Selects the last text of each contact who has one; built once, as its parts take long.

Texts are walked from the latest back; those that a later one of the same contact follows are passed
over.
"""

_LAST_ASKS = _shown(_WAITS, answer=_answer(), answer_at=_answer(waiting=True)).where(_LAST_ASKED)
"""Selects the last text of each contact that asks for something."""


def _never_asked() -> ColumnElement[bool]:
    other = aliased(Message)
    return ~exists().where(_of_contact(other), said_something(other))


_WITHOUT_ASKS = _LAST_TEXTS.where(_never_asked())
"""Selects the last text of each contact who asked for nothing."""

_OF = col(Message.contact_id) == bindparam("contact_id")

_LAST_TEXT_OF = Fixed(_LAST_TEXTS.where(_OF))
_LAST_ASKED_OF = Fixed(
    select(col(Message.created_at), col(Message.id))
    .where(_OF, said_something(Message))
    .order_by(col(Message.created_at).desc(), col(Message.id).desc())
    .limit(1)
)
_IS_ASKED = Fixed(
    select(col(Message.id)).where(col(Message.id) == bindparam("id"), said_something(Message))
)
_SCHEDULED_FOR = Fixed(
    select(func.min(col(Message.send_at))).where(
        _OF, col(Message.direction) == Direction.OUTBOUND, _waits_for_its_time(Message)
    )
)


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
    """List the last text of each contact who has one and matches a filter, the latest first.

    Those alone that need a reply are listed by the text that waits for it, which is soon found
    however much is sent.
    """
    if wanted.only_waiting:
        return await page_by_reply(tx, wanted, after=after, limit=limit)
    query = _narrowed(_LAST_TEXTS, wanted, _UNANSWERED, after)
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
        query = _narrowed(_LAST_ASKS.where(*_since(wanted)), wanted, _WAITS, after)
        found = await tx.rows(LastTextOfContact, query.limit(limit))
        after = None
    left = limit - len(found)
    # Of the others none needs a reply.
    if left and wanted.age is None and not wanted.only_waiting:
        query = _narrowed(_WITHOUT_ASKS, wanted, false(), after)
        found += await tx.rows(LastTextOfContact, query.limit(left))
    return found


async def _asked(tx: Transaction, message_id: UUID) -> bool:
    """Tell whether a text is a contact's that asks for something."""
    return await tx.value(UUID, _IS_ASKED, id=message_id) is not None


async def last_asked(tx: Transaction, contact_id: UUID) -> Position | None:
    """Tell where a contact stands in the list by reply; None if they said nothing of the kind."""
    found = (await tx.run(_LAST_ASKED_OF, contact_id=contact_id)).one_or_none()
    return None if found is None else Position(found.created_at, found.id)


async def scheduled_for(tx: Transaction, contact_id: UUID) -> datetime | None:
    """Tell when the first text to a contact that waits for its time goes; None without one."""
    return await tx.value(datetime, _SCHEDULED_FOR, contact_id=contact_id)


async def last_text(tx: Transaction, contact_id: UUID) -> LastTextOfContact | None:
    """Read the last text with a contact; None if there is none."""
    return await tx.one(LastTextOfContact, _LAST_TEXT_OF, contact_id=contact_id)


def _since(wanted: ConversationFilter) -> list[ColumnElement[bool]]:
    return [] if wanted.age is None else [col(Message.created_at) > func.now() - wanted.age]


def needing_reply(owner: ColumnElement[bool], age: ColumnElement[timedelta]) -> Select[Any]:
    """Build the query of conversations whose contacts' owners are such, and that need a reply.

    Only texts of contacts that ask for something are read, which an index has.
    """
    return (
        select(col(Message.id))
        .join(Contact, col(Contact.id) == col(Message.contact_id))
        .where(_LAST_ASKED, _WAITS, ~RESTS, owner, col(Message.created_at) > func.now() - age)
    )


def needs_reply() -> ColumnElement[bool]:
    """Build the condition that the conversation with ``Contact`` needs a reply, however old."""
    asks = exists().where(col(Message.contact_id) == col(Contact.id), _LAST_ASKED, _WAITS)
    return and_(asks, ~RESTS)
