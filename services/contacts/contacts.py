"""Contacts: the people who are texted."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypedDict
from uuid import UUID

from domain.platform import names, phones
from domain.platform.errors import ConflictError, InvalidFieldError, Problems, required
from domain.platform.names import clean_search
from domain.platform.paging import Page, Position, cut
from domain.sequences.timing import ContactClock, check_time_zone
from domain.statuses.contacts import LineType
from services.platform import audit
from storage.contacts import contacts
from storage.contacts.contacts import ContactDetails
from storage.platform import workspace
from storage.platform.database import Database, Transaction
from storage.platform.locks import MovedError, lock_numbers

NAME_LENGTH = 100
"""Most characters of a first or last name."""

_NAMES = ("first_name", "last_name")


def _always(_contact: ContactDetails) -> None:
    """Change whatever it is."""


class ContactFields(TypedDict, total=False):
    """The fields of a contact; missing ones stay unchanged."""

    first_name: str
    last_name: str
    phone: str
    time_zone: str | None
    line_type: LineType | None


@dataclass(frozen=True)
class ContactHooks:
    """What higher areas do in the transaction that writes a contact.

    Attributes:
        numbers_assigned: Called with numbers that a contact has from now on.
        clock_changed: Called with a contact and its clocks before and from now on.
    """

    numbers_assigned: Callable[[Transaction, Collection[str]], Awaitable[None]]
    clock_changed: Callable[[Transaction, UUID, ContactClock, ContactClock], Awaitable[None]]


class Contacts:
    """Manages contacts."""

    def __init__(
        self, database: Database, hooks: ContactHooks, *, default_region: str, workspace_zone: str
    ) -> None:
        self._database = database
        self._hooks = hooks
        self._default_region = default_region
        self._workspace_zone = workspace_zone

    async def create(self, fields: ContactFields) -> ContactDetails:
        """Add a contact.

        Raises:
            InvalidRequestError: Fields are invalid.
            ConflictError: ``phone_taken``, naming the contact who has the number.
        """
        values = {"first_name": "", "last_name": "", **cleaned(fields, self._default_region)}
        async with self._database.transaction() as tx:
            # An inbound text from the number is stored before, or finds the contact.
            await lock_numbers(tx, [values["phone"]])
            added = await contacts.add(tx, values)
            if added is None:
                raise await _phone_taken(tx, values["phone"])
            await self._hooks.numbers_assigned(tx, [values["phone"]])
            await audit.record(tx, "contact.create", "contact", [added])
            return await _details(tx, added)

    async def get(self, contact_id: UUID) -> ContactDetails:
        """Read a contact.

        Raises:
            NotFoundError: There is no such contact.
        """
        async with self._database.transaction() as tx:
            return await _details(tx, contact_id)

    async def update(
        self,
        contact_id: UUID,
        fields: ContactFields,
        *,
        only_if: Callable[[ContactDetails], None] = _always,
    ) -> ContactDetails:
        """Change fields; texts use the new ones, and waiting steps the new zone, at once.

        ``only_if`` is called with the locked contact, and raises to leave it unchanged.

        Raises:
            InvalidRequestError: Fields are invalid.
            ConflictError: ``phone_taken``, naming the contact who has the number.
            NotFoundError: There is no such contact.
        """
        while True:
            with suppress(MovedError):
                return await self._update(contact_id, fields, only_if)

    async def _update(
        self, contact_id: UUID, fields: ContactFields, only_if: Callable[[ContactDetails], None]
    ) -> ContactDetails:
        async with self._database.transaction() as tx:
            row = await _lock(tx, contact_id, _number_in(fields, self._default_region))
            only_if(row)
            zone = await workspace.zone(tx, self._workspace_zone)
            before = _clock(row, zone)
            known = {field: getattr(row, field) for field in _NAMES}
            values = cleaned(fields, self._default_region, known)
            former = row.phone
            moved = values.get("phone", former) != former
            if moved:
                values.setdefault("line_type", None)  # it was the old number's
            if values and not await contacts.change(tx, contact_id, values):
                raise await _phone_taken(tx, values["phone"])
            if moved:
                await contacts.remember_phone(tx, contact_id, former)
                await self._hooks.numbers_assigned(tx, [values["phone"]])
            if values:
                changed = ",".join(sorted(values))
                await audit.record(tx, "contact.change", "contact", [contact_id], fields=changed)
            after = await _details(tx, contact_id)
            await self._hooks.clock_changed(tx, contact_id, before, _clock(after, zone))
            return after

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

        ``search`` is any part of "first last" in any case, or phone digits; ``sort`` is ``name`` or
        ``created_at``, descending with ``-`` before it, and ``after`` was made for the same one.

        Raises:
            InvalidFieldError: The search cannot match anyone.
        """
        sought = clean_search(search)
        async with self._database.transaction() as tx:
            rows = await contacts.find(
                tx, search=sought, group_ids=group_ids, sort=sort, after=after, limit=limit + 1
            )
        return cut(rows, limit, lambda row: row.position(sort))


def cleaned(
    fields: ContactFields, region: str, known: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    """Clean the fields of a contact, which has ``known`` names already.

    Numbers without a country code are of the country with the ISO 3166-1 alpha-2 code ``region``.

    Raises:
        InvalidRequestError: All fields that are invalid.
    """
    values: dict[str, Any] = dict(fields)
    problems = Problems()
    for field in fields:
        with problems.collect():
            values[field] = _clean(field, values[field], region)
    problems.raise_any()
    if not any({**known, **values}.get(field) for field in _NAMES):
        problems.add(
            "first_name", "is blank, and so is last_name; write at least one", code="blank"
        )
    problems.raise_any()
    return values


def _clean(field: str, value: Any, region: str) -> Any:  # noqa: ANN401 - as the field's
    match field:
        case "first_name" | "last_name":
            return names.clean(value, field=field, most=NAME_LENGTH, blank=True)
        case "phone":
            return phones.normalize(value, default_region=region)
        case "time_zone" if value is not None:
            return check_time_zone(value)
        case _:
            return value


def _number_in(fields: ContactFields, region: str) -> list[str]:
    """Give the new number, if there is a valid one."""
    with suppress(InvalidFieldError):
        return [_clean("phone", fields["phone"], region)] if "phone" in fields else []
    return []


async def _lock(tx: Transaction, contact_id: UUID, taken: Sequence[str]) -> ContactDetails:
    """Lock a contact after its present and new numbers.

    Raises:
        NotFoundError: There is no such contact.
        MovedError: Its number changed meanwhile.
    """
    phone = (await _details(tx, contact_id)).phone
    await lock_numbers(tx, [phone, *taken])
    row = required(await contacts.get(tx, contact_id, lock=True), "contact", contact_id)
    if row.phone != phone:
        raise MovedError
    return row


def _clock(contact: ContactDetails, zone: str) -> ContactClock:
    return ContactClock.of(time_zone=contact.time_zone, phone=contact.phone, workspace=zone)


async def _details(tx: Transaction, contact_id: UUID) -> ContactDetails:
    return required(await contacts.get(tx, contact_id), "contact", contact_id)


async def _phone_taken(tx: Transaction, phone: str) -> ConflictError:
    holder = await contacts.id_of_phone(tx, phone)
    return ConflictError(
        "phone_taken",
        "another contact has this phone number; change that contact, or give another number",
        **({"contact_id": str(holder)} if holder else {}),
    )
