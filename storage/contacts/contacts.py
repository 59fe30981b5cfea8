"""Queries of contacts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    SQLColumnExpression,
    and_,
    bindparam,
    exists,
    false,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped
from sqlmodel import col

from domain.contacts.fields import Value
from domain.contacts.names import full_name
from domain.platform import phones
from domain.platform.folding import folded_name
from domain.platform.paging import Position
from domain.sequences.timing import Whereabouts
from domain.statuses.contacts import LineType
from storage.contacts import fields
from storage.platform.database import Transaction
from storage.platform.fixed import Fixed
from storage.platform.rows import columns_of, paged
from storage.tables.contacts import Contact, FormerPhone, GroupMember
from storage.tables.suppression import Suppression

_SORTED_BY = {"name": "search_name", "created_at": "created_at", "updated_at": "updated_at"}
"""The column of each sort."""

WHEREABOUTS = "c.phone, c.time_zone, c.country, c.state, c.postal_code"
"""SQL: what ``Whereabouts`` needs of ``contacts c``."""

UNIQUE = frozenset({"uq_contacts_phone", "uq_contacts_external_id"})
"""The constraints of what no two contacts have."""

_TRIGRAM = 3
_PHONE_PUNCTUATION = frozenset(" +-./()\u00a0\u2010\u2011\u2012\u2013\u2014")


@dataclass(frozen=True, kw_only=True)
class StoredContact(Whereabouts):
    """What people and programs write of a contact.

    Attributes:
        external_id: Theirs in a program that syncs contacts.
        first_name: May be empty if the last name is not, and the other way round.
        fields: Values by the keys of the workspace's fields.
        owner_id: The user whose contact it is.
    """

    id: UUID
    external_id: str | None
    first_name: str
    last_name: str
    line_type: LineType | None
    fields: Mapping[str, Value]
    owner_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class ContactDetails(StoredContact):
    """A contact.

    Attributes:
        search_name: The name as searches and sorting use it.
        opted_out: Whether the number is suppressed for the whole deployment.
    """

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

    @property
    def jurisdictions(self) -> tuple[str, ...]:
        """Whose law the contact may be under."""
        return self.clock("UTC").jurisdictions

    def position(self, sort: str) -> Position:
        """Give the contact's position in a list with this ``sort``."""
        return Position(getattr(self, _SORTED_BY[sort.removeprefix("-")]), self.id)


@dataclass(frozen=True)
class ContactFilter:
    """Which contacts to list; an empty filter matches all, several of one kind any of them.

    Attributes:
        search: Part of "first last", or phone digits; see ``matches``.
        group: Members of any of these groups.
        phone: E.164.
        updated_since: Changed at this moment or later.
        owner: Contacts of any of these users.
        fields: Values by the keys of fields.
        contact: These contacts alone.
    """

    search: str = ""
    group: Sequence[UUID] = ()
    phone: Sequence[str] = ()
    external_id: Sequence[str] = ()
    updated_since: datetime | None = None
    owner: Sequence[UUID] = ()
    fields: Mapping[str, Sequence[Value]] = field(default_factory=dict)
    contact: Sequence[UUID] = ()


def opted_out(
    phone: Mapped[str] | None = None, *, since: Mapped[datetime] | None = None
) -> ColumnElement[bool]:
    """Build the condition that a number, by default the contact's, is suppressed for everyone.

    With ``since``, that it came to be so at that moment or later.
    """
    found = exists().where(
        col(Suppression.phone) == (col(Contact.phone) if phone is None else phone),
        col(Suppression.sender_id).is_(None),
        col(Suppression.lifted_at).is_(None),
    )
    return found if since is None else found.where(col(Suppression.created_at) >= since)


def matches(
    search: str,
    name: SQLColumnExpression[str] | None = None,
    phone: SQLColumnExpression[str] | None = None,
) -> ColumnElement[bool]:
    """Build the condition that a contact matches a search.

    Any part of "first last" matches, both folded by ``folded_name``; digits and punctuation also
    match any part of the phone number. ``name`` and ``phone`` are columns that hold a contact's
    ``search_name`` and ``phone``; by default the contact's own.
    """
    name = col(Contact.search_name) if name is None else name
    sought = escaped(folded_name(search))
    # Signs that no name keeps are in none, rather than in all.
    found: ColumnElement[bool] = (
        name.like(f"%{sought}%", escape="\\") if sought.strip() else false()
    )
    number = number_in(search)
    if not number:
        return found
    return or_(found, has_digits(col(Contact.phone) if phone is None else phone, number))


def has_values(values: Mapping[str, Sequence[Value]]) -> ColumnElement[bool]:
    """Build the condition that a contact has any of the given values of each of these fields."""
    column = col(Contact.fields)
    return and_(
        *(or_(*(column.contains({key: one}) for one in some)) for key, some in values.items())
    )


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
    """Insert a contact and give its id; None if the phone or external id is taken.

    Waits for a transaction that is about to take the same.
    """
    query = insert(Contact).values(**values).on_conflict_do_nothing().returning(col(Contact.id))
    return await tx.value(UUID, query)


async def id_of_phone(tx: Transaction, phone: str) -> UUID | None:
    """Find the contact with a number, if there is one."""
    return await tx.value(UUID, "SELECT id FROM contacts WHERE phone = :phone", phone=phone)


async def id_of_external_id(tx: Transaction, external_id: str) -> UUID | None:
    """Find the contact with an external id, if there is one."""
    sql = "SELECT id FROM contacts WHERE external_id = :external_id"
    return await tx.value(UUID, sql, external_id=external_id)


async def get(tx: Transaction, contact_id: UUID, *, lock: bool = False) -> ContactDetails | None:
    """Read a contact, if there is one; with ``lock``, lock its row."""
    return await tx.one(ContactDetails, _one(lock=lock), id=contact_id)


@cache
def _one(*, lock: bool) -> Fixed:
    query = _contacts().where(col(Contact.id) == bindparam("id"))
    return Fixed(query.with_for_update(of=Contact) if lock else query)


async def change(tx: Transaction, contact_id: UUID, values: Mapping[str, Any]) -> bool:
    """Change a contact; False, without a change, if the phone or external id is taken."""
    changed = update(Contact).where(col(Contact.id) == contact_id)
    # Not when the transaction began, or it would commit later after what lists have shown already.
    changed = changed.values(**values, updated_at=func.clock_timestamp())
    return await tx.unless_taken(UNIQUE, changed)


async def remember_phone(tx: Transaction, contact_id: UUID, phone: str) -> None:
    """Store a contact's former number, so that erasing the contact covers it."""
    await tx.execute(
        insert(FormerPhone).values(contact_id=contact_id, phone=phone).on_conflict_do_nothing()
    )


async def find(
    tx: Transaction,
    wanted: ContactFilter,
    *,
    sort: str,
    after: Position | None,
    limit: int,
    whole: bool = False,
) -> list[ContactDetails]:
    """List the contacts that match a filter.

    A search by name uses the trigram index and sorts afterwards. Left alone, the planner walks the
    list's own index until the page is full, as if all Williams were spread evenly over it. Fewer
    than three characters have no trigram, and numbers are spread evenly. If the ``whole`` list is
    read, walking its index is best. ``sort`` is as in ``services.contacts.contacts``.
    """
    search = wanted.search
    query = _contacts().where(*_conditions(wanted))
    key: SQLColumnExpression[Any] = getattr(Contact, _SORTED_BY[sort.removeprefix("-")])
    if len(folded_name(search)) >= _TRIGRAM and not number_in(search) and not whole:
        key = func.coalesce(key, key)  # no index has it
    query = paged(query, key, col(Contact.id), after, down=sort.startswith("-"))
    return await tx.rows(ContactDetails, query.limit(limit))


def ids_matching(wanted: ContactFilter) -> Select[UUID]:
    """Select the ids of all contacts that match a filter, by name."""
    query = select(col(Contact.id)).where(*_conditions(wanted))
    return query.order_by(col(Contact.search_name), col(Contact.id))


async def count(tx: Transaction, wanted: ContactFilter, *, most: int) -> int:
    """Count the contacts that match a filter, up to ``most``."""
    some = select(col(Contact.id)).where(*_conditions(wanted)).limit(most).subquery()
    return (await tx.execute(select(func.count()).select_from(some))).scalar_one()


def _conditions(wanted: ContactFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.contact:
        yield col(Contact.id).in_(wanted.contact)
    if wanted.search:
        yield matches(wanted.search)
    if wanted.group:
        in_group = select(col(GroupMember.contact_id)).where(
            col(GroupMember.group_id).in_(wanted.group)
        )
        yield col(Contact.id).in_(in_group)
    if wanted.phone:
        yield col(Contact.phone).in_(wanted.phone)
    if wanted.external_id:
        yield col(Contact.external_id).in_(wanted.external_id)
    if wanted.updated_since is not None:
        yield col(Contact.updated_at) >= wanted.updated_since
    if wanted.owner:
        yield col(Contact.owner_id).in_(wanted.owner)
    if wanted.fields:
        yield has_values(wanted.fields)


@cache
def _contacts() -> Select[*tuple[Any, ...]]:
    return select(
        *columns_of(ContactDetails, Contact, fields=fields.values(), opted_out=opted_out())
    )


async def known_ids(tx: Transaction, contact_ids: Sequence[UUID]) -> set[UUID]:
    """Find which of these ids are contacts'."""
    return set(await tx.column("SELECT id FROM contacts WHERE id = ANY(:ids)", ids=contact_ids))


async def by_phone(tx: Transaction, numbers: Sequence[str]) -> dict[str, UUID]:
    """Find the contacts with these numbers, by number."""
    sql = "SELECT phone, id FROM contacts WHERE phone = ANY(CAST(:phones AS text[]))"
    return {row.phone: row.id for row in await tx.run(sql, phones=numbers)}


async def phones_of(tx: Transaction, contact_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Read contacts' numbers; unknown ids are left out."""
    sql = "SELECT id, phone FROM contacts WHERE id = ANY(:ids)"
    return {row.id: row.phone for row in await tx.run(sql, ids=contact_ids)}
