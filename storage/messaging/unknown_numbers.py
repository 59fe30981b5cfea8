"""Queries of numbers that have texted us and are no contact's."""

from collections.abc import Collection
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, false, func, or_, select, tuple_, update
from sqlalchemy.orm import aliased
from sqlmodel import col

from domain.platform.paging import Position
from domain.statuses.messaging import ConversationState, Direction
from storage.contacts.contacts import has_digits, number_in, opted_out
from storage.messaging.inbox import (
    SNOOZED_UNTIL,
    LastText,
    last_that,
    needs_reply,
    said_something,
    still_waits,
    unanswered,
)
from storage.platform.database import Transaction
from storage.platform.rows import columns_of
from storage.tables.contacts import Contact
from storage.tables.messaging import Message

_NOBODYS = and_(
    col(Message.contact_id).is_(None), ~exists().where(col(Contact.phone) == col(Message.phone))
)


def _of_number(other: type[Message]) -> ColumnElement[bool]:
    return and_(col(other.phone) == col(Message.phone), col(other.contact_id).is_(None))


@cache
def _is_done() -> ColumnElement[bool]:
    """Build the condition that a number was dismissed, and nothing came since that asks."""
    seen, since = aliased(Message), aliased(Message)
    return and_(
        exists().where(_of_number(seen), col(seen.dismissed_at).is_not(None)),
        ~exists().where(
            _of_number(since), col(since.dismissed_at).is_(None), said_something(since)
        ),
    )


_DONE = _is_done()
_UNANSWERED = and_(unanswered(_of_number), ~_DONE)
_IN_STATE = {
    ConversationState.NEEDS_REPLY: _UNANSWERED,
    ConversationState.OPEN: and_(~_UNANSWERED, ~_DONE),
    ConversationState.DONE: _DONE,
}

_CLAIM = (
    update(Message)
    .values(contact_id=col(Contact.id))
    .where(col(Message.contact_id).is_(None), col(Contact.phone) == col(Message.phone))
    .execution_options(synchronize_session=False)
)


@dataclass(frozen=True)
class UnknownText(LastText):
    """The last text of a number that is nobody's; ``first_id`` is the first one's.

    ``done``: it was dismissed, and nothing came since that asks for something.
    """

    first_id: UUID
    done: bool


@dataclass(frozen=True)
class TextedFrom:
    """The number that a text came from, and who has it by now."""

    phone: str
    contact_id: UUID | None
    opted_out: bool


async def page(
    tx: Transaction,
    *,
    search: str = "",
    states: Many[ConversationState] = (),
    phone: str | None = None,
    after: Position | None = None,
    limit: int,
) -> list[UnknownText]:
    """List the last text of each number that is no contact's, the latest first.

    ``search`` is some of the number's digits, or empty for all: nobody has a name to be found by.
    ``phone`` is the one number to list. None is snoozed.
    """
    earlier = aliased(Message)
    first = (
        select(col(earlier.id))
        .where(col(earlier.phone) == col(Message.phone), col(earlier.contact_id).is_(None))
        .order_by(col(earlier.created_at), col(earlier.id))
        .limit(1)
        .correlate(Message)
        .scalar_subquery()
    )
    place = tuple_(col(Message.created_at), col(Message.id))
    query: Select[*tuple[Any, ...]] = (
        select(
            *columns_of(
                UnknownText,
                Message,
                opted_out=opted_out(col(Message.phone)),
                unanswered=_UNANSWERED,
                first_id=first,
                done=_DONE,
            )
        )
        .where(_NOBODYS, last_that(_of_number))
        .order_by(col(Message.created_at).desc(), col(Message.id).desc())
        .limit(limit)
    )
    if search:
        number = number_in(search)
        query = query.where(has_digits(col(Message.phone), number) if number else false())
    if states:
        query = query.where(or_(*(_IN_STATE.get(state, false()) for state in states)))
    if phone is not None:
        query = query.where(col(Message.phone) == phone)
    if after is not None:
        query = query.where(place < (after.value, after.id))
    return await tx.rows(UnknownText, query)


def needing_reply(age: ColumnElement[timedelta]) -> Select[Any]:
    """Build the query of numbers that need a reply by a text not older than this."""
    return select(col(Message.id)).where(
        _NOBODYS,
        said_something(Message),
        col(Message.dismissed_at).is_(None),
        still_waits(_of_number),
        col(Message.created_at) > func.now() - age,
    )


async def seen_at(tx: Transaction, phone: str, last_id: UUID) -> datetime | None:
    """Tell when a text with a number was stored; None if it is none of the number's."""
    sql = """
        SELECT created_at FROM messages
        WHERE id = :last_id AND phone = :phone AND contact_id IS NULL
    """
    return await tx.value(datetime, sql, phone=phone, last_id=last_id)


async def dismiss(tx: Transaction, phone: str, until: datetime | None) -> bool:
    """Mark the texts from a locked number done, up to a moment; False if they are already."""
    sql = """
        UPDATE messages SET dismissed_at = now()
        WHERE phone = :phone AND contact_id IS NULL AND direction = 'inbound'
        AND dismissed_at IS NULL AND created_at <= coalesce(CAST(:until AS timestamptz), now())
    """
    return await tx.count(sql, phone=phone, until=until) > 0


async def take_back(tx: Transaction, phone: str) -> bool:
    """Take back that texts from a locked number are done; False if they are not."""
    sql = """
        UPDATE messages SET dismissed_at = NULL
        WHERE phone = :phone AND contact_id IS NULL AND dismissed_at IS NOT NULL
    """
    return await tx.count(sql, phone=phone) > 0


async def of_text(tx: Transaction, message_id: UUID) -> TextedFrom | None:
    """Tell which number texted us this, and whose it or the text is; None if there is none."""
    query = (
        select(
            col(Message.phone),
            func.coalesce(col(Message.contact_id), col(Contact.id)).label("contact_id"),
            opted_out(col(Message.phone)).label("opted_out"),
        )
        .outerjoin(Contact, col(Contact.phone) == col(Message.phone))
        .where(col(Message.id) == message_id, col(Message.direction) == Direction.INBOUND)
    )
    return await tx.one(TextedFrom, query)


async def claim(tx: Transaction, phones: Collection[str]) -> None:
    """Give the texts that came from these numbers while nobody had them to those who do now.

    What was dismissed of them is done in the conversations, and nothing else: a question of the
    contact's own that waits for a reply goes on waiting.
    """
    seen = (
        select(col(Message.phone), func.max(col(Message.created_at)).label("at"))
        .where(
            col(Message.phone) == func.any(list(phones)),
            col(Message.contact_id).is_(None),
            col(Message.dismissed_at).is_not(None),
        )
        .group_by(col(Message.phone))
        .subquery()
    )
    await tx.run(
        update(Contact)
        .where(col(Contact.phone) == seen.c.phone, ~needs_reply())
        .values(
            conversation_done_at=func.greatest(col(Contact.conversation_done_at), seen.c.at),
            conversation_snoozed_until=SNOOZED_UNTIL,
        )
        .execution_options(synchronize_session=False)
    )
    await tx.run(_CLAIM.where(col(Message.phone) == func.any(list(phones))))


async def claim_recent(tx: Transaction, age: timedelta) -> int:
    """Give texts not older than this, from numbers that are somebody's, to them; return how many.

    A text that comes in the moment in which its number is imported sees no contact yet, and the
    import does not see the text. Contacts come before messages (``storage.platform.locks``); one
    that somebody changes or erases just now is left to the next time.
    """
    recent = col(Message.created_at) > func.now() - age
    texted = exists().where(
        col(Message.contact_id).is_(None), col(Message.phone) == col(Contact.phone), recent
    )
    found = await tx.scalars(
        select(col(Contact.id))
        .where(texted)
        .with_for_update(read=True, key_share=True, skip_locked=True)
    )
    return await tx.count(_CLAIM.where(recent, col(Contact.id).in_(found.all())))
