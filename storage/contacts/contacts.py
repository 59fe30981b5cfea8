"""Queries about contacts."""

from collections.abc import Mapping, Sequence
from collections.abc import Sequence as Many
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    SQLColumnExpression,
    exists,
    func,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped
from sqlmodel import col

from domain.platform.paging import Position
from domain.platform.phones import digits
from storage.platform.database import Transaction
from storage.tables.contacts import Contact, FormerPhone, GroupMember
from storage.tables.suppression import Suppression

_SORTED_BY: Mapping[str, Mapped[Any]] = {
    "name": col(Contact.search_name),
    "created_at": col(Contact.created_at),
}
_TRIGRAM = 3
_PHONE_PUNCTUATION = frozenset(" +-./()\u00a0\u2010\u2011\u2012\u2013\u2014")


class ContactRow(NamedTuple):
    """A contact and whether its number is opted out everywhere."""

    contact: Contact
    opted_out: bool


def opted_out(phone: Mapped[str] | None = None) -> ColumnElement[bool]:
    """Whether a number, the contact's if no other, stands suppressed for the whole deployment."""
    return exists().where(
        col(Suppression.phone) == (col(Contact.phone) if phone is None else phone),
        col(Suppression.sender_id).is_(None),
        col(Suppression.lifted_at).is_(None),
    )


def matches(search: str) -> ColumnElement[bool]:
    """Whether a contact is what somebody types to find them.

    Args:
        search: Any part of "first last", in any case; or, if it is digits and punctuation only,
            also any part of the phone number.
    """
    found: ColumnElement[bool] = col(Contact.search_name).like(
        func.lower(f"%{escaped(search)}%"), escape="\\"
    )
    number = number_in(search)
    return or_(found, has_digits(col(Contact.phone), number)) if number else found


def has_digits(phone: Mapped[str], number: str) -> ColumnElement[bool]:
    """Whether a number has these digits in this order."""
    return phone.like(f"%{number}%")


def number_in(search: str) -> str:
    """Give the digits of what may be part of a phone number; empty for anything else."""
    is_number = all(char.isdecimal() or char in _PHONE_PUNCTUATION for char in search)
    return digits(search) if is_number else ""


def escaped(text: str) -> str:
    r"""Take the special meaning from a LIKE pattern's characters; the escape is ``\``."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


async def add(tx: Transaction, values: Mapping[str, Any]) -> Contact | None:
    """Insert a contact; None if the phone is taken.

    Waits for a transaction that is about to take the same phone.
    """
    row = await tx.execute(
        insert(Contact).values(**values).on_conflict_do_nothing().returning(Contact)
    )
    return row.scalar_one_or_none()


async def id_of_phone(tx: Transaction, phone: str) -> UUID | None:
    """Whose number it is."""
    row = await tx.execute(select(col(Contact.id)).where(col(Contact.phone) == phone))
    return row.scalar_one_or_none()


async def get(tx: Transaction, contact_id: UUID, *, lock: bool = False) -> ContactRow | None:
    """One contact; with ``lock``, kept from changing until the transaction ends."""
    query = (
        select(Contact, opted_out())
        .where(col(Contact.id) == contact_id)
        .execution_options(populate_existing=True)
    )
    row = (await tx.execute(query.with_for_update(of=Contact) if lock else query)).one_or_none()
    return None if row is None else ContactRow(*row)


async def change(tx: Transaction, contact_id: UUID, values: Mapping[str, Any]) -> bool:
    """Change a contact; False, and nothing happened, if the phone is taken."""
    try:
        async with tx.begin_nested():
            await tx.execute(
                update(Contact)
                .where(col(Contact.id) == contact_id)
                .values(**values, updated_at=func.now())
                .execution_options(synchronize_session=False)
            )
    except IntegrityError as error:
        if constraint_of(error) == "uq_contacts_phone":
            return False
        raise
    return True


async def remember_phone(tx: Transaction, contact_id: UUID, phone: str) -> None:
    """Note that a number was a contact's, for when they are erased."""
    await tx.execute(
        insert(FormerPhone).values(contact_id=contact_id, phone=phone).on_conflict_do_nothing()
    )


async def find(
    tx: Transaction,
    *,
    search: str,
    group_ids: Sequence[UUID],
    sort: str,
    after: Position | None,
    limit: int,
    whole: bool = False,
) -> list[ContactRow]:
    """List contacts.

    By name, they are found by trigrams and sorted afterwards: the planner would rather walk them in
    the list's order until the page is full, and takes the Williams for spread evenly where all of
    them are at the end. Fewer than three characters have no trigram, and numbers are spread evenly.

    Args:
        tx: The transaction.
        search: See ``matches``; empty for all.
        group_ids: Members of any of these; empty for all.
        sort: ``name`` or ``created_at``; with ``-`` before it, the other way round.
        after: Where the page begins.
        limit: Most rows to answer.
        whole: The list is read to its end, page by page: then the walk pays.
    """
    query = select(Contact, opted_out())
    if search:
        query = query.where(matches(search))
    if group_ids:
        in_group = select(col(GroupMember.contact_id)).where(
            col(GroupMember.group_id).in_(group_ids)
        )
        query = query.where(col(Contact.id).in_(in_group))
    key: SQLColumnExpression[Any] = _SORTED_BY[sort.removeprefix("-")]
    if len(search) >= _TRIGRAM and not number_in(search) and not whole:
        key = func.coalesce(key, key)  # no index has it
    place = tuple_(key, col(Contact.id))
    if sort.startswith("-"):
        query = query.order_by(key.desc(), col(Contact.id).desc())
        beyond = place < (after.value, after.id) if after else None
    else:
        query = query.order_by(key, col(Contact.id))
        beyond = place > (after.value, after.id) if after else None
    if beyond is not None:
        query = query.where(beyond)
    rows = await tx.execute(query.limit(limit))
    return [ContactRow(*row) for row in rows]


async def known_ids(tx: Transaction, contact_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these ids are contacts'."""
    if not contact_ids:
        return set()
    rows = await tx.execute(
        select(col(Contact.id)).where(col(Contact.id) == func.any(list(contact_ids)))
    )
    return set(rows.scalars())


def constraint_of(error: IntegrityError) -> str:
    """The name of the constraint that a statement broke."""
    return cast("str", getattr(getattr(error.orig, "diag", None), "constraint_name", "") or "")


class Known(NamedTuple):
    """A contact who has a number of the file."""

    id: UUID
    first_name: str
    last_name: str
    time_zone: str | None
    line_type: str | None


async def by_phone(tx: Transaction, phones: Many[str]) -> dict[str, Known]:
    """Tell who has these numbers."""
    rows = await tx.execute(
        text(
            """
            SELECT phone, id, first_name, last_name, time_zone, line_type FROM contacts
            WHERE phone = ANY(CAST(:phones AS text[]))
            """
        ),
        {"phones": list(phones)},
    )
    return {row[0]: Known(*row[1:]) for row in rows}
