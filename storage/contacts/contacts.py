"""Queries of contacts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped
from sqlmodel import col

from domain.contacts.names import full_name
from domain.platform import phones
from domain.platform.paging import Position
from domain.statuses.contacts import LineType
from storage.platform.database import Transaction
from storage.platform.rows import columns_of, paged
from storage.tables.contacts import Contact, FormerPhone, GroupMember
from storage.tables.suppression import Suppression

_SORTED_BY: Mapping[str, Mapped[Any]] = {
    "name": col(Contact.search_name),
    "created_at": col(Contact.created_at),
}
_TRIGRAM = 3
_PHONE_PUNCTUATION = frozenset(" +-./()\u00a0\u2010\u2011\u2012\u2013\u2014")


@dataclass(frozen=True, kw_only=True)
class ContactDetails:
    """A contact.

    Attributes:
        first_name: May be empty if the last name is not, and the other way round.
        phone: E.164.
        time_zone: IANA name, if someone gave it.
        search_name: The name as searches and sorting use it.
        opted_out: Whether the number is suppressed for the whole deployment.
    """

    id: UUID
    first_name: str
    last_name: str
    phone: str
    time_zone: str | None
    line_type: LineType | None
    created_at: datetime
    updated_at: datetime
    search_name: str
    opted_out: bool

    @property
    def name(self) -> str:
        """First and last name."""
        return full_name(self.first_name, self.last_name)

    @property
    def time_zones(self) -> tuple[str, ...]:
        """The given zone, else all that the number allows; may be empty."""
        return (self.time_zone,) if self.time_zone else phones.time_zones(self.phone)

    def position(self, sort: str) -> Position:
        """Give the contact's position in a list with this ``sort``."""
        by_name = sort.removeprefix("-") == "name"
        return Position(self.search_name if by_name else self.created_at, self.id)


def opted_out(phone: Mapped[str] | None = None) -> ColumnElement[bool]:
    """Build the condition that a number, by default the contact's, is suppressed for everyone."""
    return exists().where(
        col(Suppression.phone) == (col(Contact.phone) if phone is None else phone),
        col(Suppression.sender_id).is_(None),
        col(Suppression.lifted_at).is_(None),
    )


def matches(
    search: str,
    name: SQLColumnExpression[str] | None = None,
    phone: SQLColumnExpression[str] | None = None,
) -> ColumnElement[bool]:
    """Build the condition that a contact matches a search.

    Any part of "first last" matches, in any case; digits and punctuation also match any part of
    the phone number. ``name`` and ``phone`` are columns that hold a contact's ``search_name`` and
    ``phone``; by default the contact's own.
    """
    name = col(Contact.search_name) if name is None else name
    found: ColumnElement[bool] = name.like(func.lower(f"%{escaped(search)}%"), escape="\\")
    number = number_in(search)
    if not number:
        return found
    return or_(found, has_digits(col(Contact.phone) if phone is None else phone, number))


def has_digits(phone: SQLColumnExpression[str], number: str) -> ColumnElement[bool]:
    """Build the condition that a number contains these digits."""
    return phone.like(f"%{number}%")


def number_in(search: str) -> str:
    """Give the digits of a search that may be part of a phone number; empty for other text."""
    is_number = all(char.isdecimal() or char in _PHONE_PUNCTUATION for char in search)
    return phones.digits(search) if is_number else ""


def escaped(text: str) -> str:
    r"""Escape the special characters of a LIKE pattern with ``\``."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


async def add(tx: Transaction, values: Mapping[str, Any]) -> UUID | None:
    """Insert a contact and give its id; None if the phone is taken.

    Waits for a transaction that is about to take the same phone.
    """
    query = insert(Contact).values(**values).on_conflict_do_nothing().returning(col(Contact.id))
    return await tx.value(UUID, query)


async def id_of_phone(tx: Transaction, phone: str) -> UUID | None:
    """Find the contact with a number, if there is one."""
    return await tx.value(UUID, "SELECT id FROM contacts WHERE phone = :phone", phone=phone)


async def get(tx: Transaction, contact_id: UUID, *, lock: bool = False) -> ContactDetails | None:
    """Read a contact, if there is one; with ``lock``, lock its row."""
    query = _contacts().where(col(Contact.id) == contact_id)
    return await tx.one(ContactDetails, query.with_for_update(of=Contact) if lock else query)


async def change(tx: Transaction, contact_id: UUID, values: Mapping[str, Any]) -> bool:
    """Change a contact; False, without a change, if the phone is taken."""
    changed = update(Contact).where(col(Contact.id) == contact_id)
    changed = changed.values(**values, updated_at=func.now())
    return await tx.unless_taken("uq_contacts_phone", changed)


async def remember_phone(tx: Transaction, contact_id: UUID, phone: str) -> None:
    """Store a contact's former number, so that erasing the contact covers it."""
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
) -> list[ContactDetails]:
    """List contacts that match a search and are in any of these groups.

    A search by name uses the trigram index and sorts afterwards. Left alone, the planner walks the
    list's own index until the page is full, as if all Williams were spread evenly over it. Fewer
    than three characters have no trigram, and numbers are spread evenly. If the ``whole`` list is
    read, walking its index is best. ``sort`` is as in ``services.contacts.contacts``.
    """
    query = _contacts()
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
    query = paged(query, key, col(Contact.id), after, down=sort.startswith("-"))
    return await tx.rows(ContactDetails, query.limit(limit))


def _contacts() -> Select[*tuple[Any, ...]]:
    return select(*columns_of(ContactDetails, Contact, opted_out=opted_out()))


async def known_ids(tx: Transaction, contact_ids: Sequence[UUID]) -> set[UUID]:
    """Find which of these ids are contacts'."""
    return set(await tx.column("SELECT id FROM contacts WHERE id = ANY(:ids)", ids=contact_ids))


class Known(NamedTuple):
    """The values of a contact that imports compare."""

    id: UUID
    first_name: str
    last_name: str
    time_zone: str | None
    line_type: str | None


async def by_phone(tx: Transaction, numbers: Sequence[str]) -> dict[str, Known]:
    """Find the contacts with these numbers, by number."""
    sql = """
        SELECT phone, id, first_name, last_name, time_zone, line_type FROM contacts
        WHERE phone = ANY(CAST(:phones AS text[]))
    """
    return {phone: Known(*row) for phone, *row in await tx.run(sql, phones=numbers)}
