"""Queries of numbers that have texted us and are no contact's."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, exists, false, func, select, tuple_, update
from sqlalchemy.orm import aliased
from sqlmodel import col

from domain.platform.paging import Position
from domain.statuses.messaging import Direction
from storage.contacts.contacts import has_digits, number_in, opted_out
from storage.messaging.inbox import LastText, unanswered
from storage.platform.database import Transaction
from storage.platform.rows import columns_of
from storage.tables.contacts import Contact
from storage.tables.messaging import Message

_NOBODYS = and_(
    col(Message.contact_id).is_(None), ~exists().where(col(Contact.phone) == col(Message.phone))
)


_UNANSWERED = unanswered(
    lambda other: and_(col(other.phone) == col(Message.phone), col(other.contact_id).is_(None))
)

_CLAIM = (
    update(Message)
    .values(contact_id=col(Contact.id))
    .where(col(Message.contact_id).is_(None), col(Contact.phone) == col(Message.phone))
    .execution_options(synchronize_session=False)
)


@dataclass(frozen=True)
class UnknownText(LastText):
    """The last text of a number that is nobody's; ``first_id`` is the first one's."""

    first_id: UUID


@dataclass(frozen=True)
class TextedFrom:
    """The number that a text came from, and who has it by now."""

    phone: str
    contact_id: UUID | None
    opted_out: bool


async def page(
    tx: Transaction, *, search: str, after: Position | None, limit: int
) -> list[UnknownText]:
    """List the last text of each number that is no contact's, the latest first.

    ``search`` is some of the number's digits, or empty for all: nobody has a name to be found by.
    """
    later, earlier = aliased(Message), aliased(Message)
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
            )
        )
        .where(
            _NOBODYS,
            ~exists().where(
                col(later.phone) == col(Message.phone),
                col(later.contact_id).is_(None),
                tuple_(col(later.created_at), col(later.id)) > place,
            ),
        )
        .order_by(col(Message.created_at).desc(), col(Message.id).desc())
        .limit(limit)
    )
    if search:
        number = number_in(search)
        query = query.where(has_digits(col(Message.phone), number) if number else false())
    if after is not None:
        query = query.where(place < (after.value, after.id))
    return await tx.rows(UnknownText, query)


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
    """Give the texts that came from these numbers while nobody had them to those who do now."""
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
