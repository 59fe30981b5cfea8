"""The people who are texted."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypedDict
from uuid import UUID

from domain.platform import names, phones
from domain.platform.errors import (
    ConflictError,
    InvalidFieldError,
    InvalidRequestError,
    NotFoundError,
)
from domain.platform.paging import Page, Position, cut
from domain.sequences.timing import ContactClock, check_time_zone
from domain.statuses.contacts import LineType
from services.platform import audit
from storage.contacts import contacts
from storage.contacts.contacts import ContactRow
from storage.platform import workspace
from storage.platform.database import Database, Transaction
from storage.platform.locks import MovedError, lock_numbers
from storage.tables.contacts import Contact

NAME_LENGTH = 100
"""Most characters of a first or last name."""

SEARCH_LENGTH = 200
"""Most characters one may search for: a first and a last name."""

_NAMES = ("first_name", "last_name")


@dataclass(frozen=True)
class ContactDetails:
    """A contact as it is shown.

    Attributes:
        id: The contact.
        first_name: May be empty if the last name is not.
        last_name: May be empty if the first name is not.
        name: Both, as one would say them.
        phone: E.164.
        time_zone: IANA name, if someone gave it.
        time_zones: What applies: the given zone, else all that the number allows; may be empty.
        line_type: If known.
        opted_out: Whether the number is suppressed for the whole deployment.
        created_at: UTC.
        updated_at: UTC.
    """

    id: UUID
    first_name: str
    last_name: str
    name: str
    phone: str
    time_zone: str | None
    time_zones: tuple[str, ...]
    line_type: LineType | None
    opted_out: bool
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: ContactRow) -> "ContactDetails":
        """Read a row."""
        contact = row.contact
        return cls(
            id=contact.id,
            first_name=contact.first_name,
            last_name=contact.last_name,
            name=f"{contact.first_name} {contact.last_name}".strip(),
            phone=contact.phone,
            time_zone=contact.time_zone,
            time_zones=(
                (contact.time_zone,) if contact.time_zone else phones.time_zones(contact.phone)
            ),
            line_type=contact.line_type,
            opted_out=row.opted_out,
            created_at=contact.created_at,
            updated_at=contact.updated_at,
        )


class ContactFields(TypedDict, total=False):
    """What may be said of a contact; what is left out stays as it is."""

    first_name: str
    last_name: str
    phone: str
    time_zone: str | None
    line_type: LineType | None


@dataclass(frozen=True)
class ContactHooks:
    """What areas above this one do in the transaction that writes a contact.

    Attributes:
        numbers_assigned: Called with numbers that have just become a contact's.
        clock_changed: Called with a contact, their clock before and their clock from now on.
    """

    numbers_assigned: Callable[[Transaction, Collection[str]], Awaitable[None]]
    clock_changed: Callable[[Transaction, UUID, ContactClock, ContactClock], Awaitable[None]]


class Contacts:
    """Adds, changes and finds contacts.

    Args:
        database: Where they are kept.
        hooks: What follows elsewhere.
        default_region: ISO 3166-1 alpha-2 code of the country that numbers without a country code
            belong to.
        workspace_zone: IANA zone where nobody has set another for the workspace.
    """

    def __init__(
        self,
        database: Database,
        hooks: ContactHooks,
        *,
        default_region: str,
        workspace_zone: str,
    ) -> None:
        self._database = database
        self._hooks = hooks
        self._default_region = default_region
        self._workspace_zone = workspace_zone

    async def create(self, fields: ContactFields) -> ContactDetails:
        """Add a contact.

        Raises:
            InvalidRequestError: Fields cannot be taken.
            ConflictError: ``phone_taken``, naming the contact who has the number.
        """
        values = {"first_name": "", "last_name": "", **self._cleaned(fields)}
        async with self._database.transaction() as tx:
            # A text that is coming in from there is stored before, or finds the contact.
            await lock_numbers(tx, [values["phone"]])
            added = await contacts.add(tx, values)
            if added is None:
                raise await _phone_taken(tx, values["phone"])
            await self._hooks.numbers_assigned(tx, [added.phone])
            await audit.record(tx, "contact.create", "contact", [added.id])
            return await _details(tx, added.id)

    async def get(self, contact_id: UUID) -> ContactDetails:
        """Give one contact.

        Raises:
            NotFoundError: There is none with this id.
        """
        async with self._database.transaction() as tx:
            return await _details(tx, contact_id)

    async def update(self, contact_id: UUID, fields: ContactFields) -> ContactDetails:
        """Change some fields; texts go by the new ones, and waiting steps by the new zone at once.

        Raises:
            InvalidRequestError: Fields cannot be taken.
            ConflictError: ``phone_taken``, naming the contact who has the number.
            NotFoundError: There is no contact with this id.
        """
        while True:
            with suppress(MovedError):
                return await self._update(contact_id, fields)

    async def _update(self, contact_id: UUID, fields: ContactFields) -> ContactDetails:
        async with self._database.transaction() as tx:
            row = await _lock(tx, contact_id, self._number_in(fields))
            if row is None:
                raise NotFoundError("contact", contact_id)
            zone = await workspace.zone(tx, self._workspace_zone)
            before = _clock(row.contact, zone)
            known = {field: getattr(row.contact, field) for field in _NAMES}
            values = self._cleaned(fields, known)
            former = row.contact.phone
            moved = values.get("phone", former) != former
            if moved:
                values.setdefault("line_type", None)  # what was known is the old number's
            if values and not await contacts.change(tx, contact_id, values):
                raise await _phone_taken(tx, values["phone"])
            if moved:
                await contacts.remember_phone(tx, contact_id, former)
                await self._hooks.numbers_assigned(tx, [values["phone"]])
            if values:
                changed = ",".join(sorted(values))
                await audit.record(tx, "contact.change", "contact", [contact_id], fields=changed)
            after = await contacts.get(tx, contact_id)
            assert after is not None  # noqa: S101 - it is locked
            await self._hooks.clock_changed(tx, contact_id, before, _clock(after.contact, zone))
            return ContactDetails.of(after)

    async def find(
        self,
        *,
        search: str = "",
        group_ids: Sequence[UUID] = (),
        sort: str = "name",
        after: Position | None = None,
        limit: int = 50,
    ) -> Page[ContactDetails]:
        """List contacts.

        Args:
            search: Any part of "first last" in any case, or phone digits.
            group_ids: Members of any of these; empty for everyone.
            sort: ``name`` or ``created_at``; with ``-`` before it, the other way round.
            after: Where the page begins; made for the same ``sort``.
            limit: Most items.

        Raises:
            InvalidFieldError: Nobody can be found by this search.
        """
        sought = names.clean(search, field="search", most=SEARCH_LENGTH, blank=True)
        async with self._database.transaction() as tx:
            rows = await contacts.find(
                tx, search=sought, group_ids=group_ids, sort=sort, after=after, limit=limit + 1
            )
        page = cut(rows, limit, lambda row: _position(row, sort))
        return page.showing(ContactDetails.of)

    def checked(self, fields: ContactFields) -> dict[str, Any]:
        """Clean what a new contact is to have.

        Raises:
            InvalidRequestError: Fields cannot be taken.
        """
        return self._cleaned(fields)

    def _cleaned(
        self, fields: ContactFields, known: Mapping[str, str] = MappingProxyType({})
    ) -> dict[str, Any]:
        """Check what is given, all of it before anything is refused."""
        values: dict[str, Any] = dict(fields)
        wrong: list[InvalidFieldError] = []
        for field in fields:
            try:
                values[field] = self._clean(field, values[field])
            except InvalidFieldError as error:
                wrong.append(error)
        if not wrong and not any({**known, **values}.get(field) for field in _NAMES):
            wrong.append(
                InvalidFieldError(
                    "first_name", "is blank, and so is last_name; write at least one", code="blank"
                )
            )
        if wrong:
            raise InvalidRequestError(wrong)
        return values

    def _number_in(self, fields: ContactFields) -> list[str]:
        """Give the number that is to be taken; nothing if there is none, or it is refused."""
        try:
            return [self._clean("phone", fields["phone"])] if "phone" in fields else []
        except InvalidFieldError:
            return []

    def _clean(self, field: str, value: Any) -> Any:  # noqa: ANN401 - as the field's
        match field:
            case "first_name" | "last_name":
                return names.clean(value, field=field, most=NAME_LENGTH, blank=True)
            case "phone":
                return phones.normalize(value, default_region=self._default_region)
            case "time_zone" if value is not None:
                return check_time_zone(value)
            case _:
                return value


async def _lock(tx: Transaction, contact_id: UUID, taken: Sequence[str]) -> ContactRow | None:
    """Lock a contact after its number and those it takes; None if there is none.

    Raises:
        MovedError: It has got another number meanwhile.
    """
    seen = await contacts.get(tx, contact_id)
    if seen is None:
        return None
    phone = seen.contact.phone
    await lock_numbers(tx, [phone, *taken])
    row = await contacts.get(tx, contact_id, lock=True)
    if row is not None and row.contact.phone != phone:
        raise MovedError
    return row


def _clock(contact: Contact, zone: str) -> ContactClock:
    return ContactClock.of(time_zone=contact.time_zone, phone=contact.phone, workspace=zone)


async def _details(tx: Transaction, contact_id: UUID) -> ContactDetails:
    row = await contacts.get(tx, contact_id)
    if row is None:
        raise NotFoundError("contact", contact_id)
    return ContactDetails.of(row)


async def _phone_taken(tx: Transaction, phone: str) -> ConflictError:
    holder = await contacts.id_of_phone(tx, phone)
    return ConflictError(
        "phone_taken",
        "another contact has this phone number; change that contact, or give another number",
        **({"contact_id": str(holder)} if holder else {}),
    )


def _position(row: ContactRow, sort: str) -> Position:
    contact = row.contact
    by_name = sort.removeprefix("-") == "name"
    return Position(contact.search_name if by_name else contact.created_at, contact.id)
