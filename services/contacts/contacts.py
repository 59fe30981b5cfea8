"""Contacts: the people who are texted."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

from domain.contacts.fields import checked
from domain.platform import phones
from domain.platform.errors import (
    ConflictError,
    InvalidFieldError,
    InvalidRequestError,
    Problems,
    required,
)
from domain.platform.names import clean_search
from domain.platform.paging import Page, Position, cut
from services.contacts.merging import ContactHooks, Merged, Merging, Outcome
from services.contacts.values import (
    ContactFields,
    changed_names,
    changes,
    clean_external_id,
    cleaned,
    field_type,
    filled_in,
    given_names,
    known_for,
    note_changes,
    possible_owners,
    require_name,
    require_owner,
    require_place,
)
from storage.contacts import contacts, fields
from storage.contacts.contacts import ContactDetails, ContactFilter
from storage.platform import workspace
from storage.platform.database import Database, Transaction
from storage.platform.locks import MovedError, lock_numbers

UPSERTED_AT_ONCE = 1_000
"""Most contacts to upsert in one call."""

COUNTED = 10_000
"""Up to so many contacts of a list are counted."""

_CHECKED_AT_ONCE = 100

OnlyIf = Callable[[ContactDetails | None], None]
"""Called with a locked contact, None if there is none; raises to leave it unchanged."""


def _always(_contact: ContactDetails | None) -> None:
    """Change whatever it is."""


class Contacts:
    """Manages contacts."""

    def __init__(
        self, database: Database, hooks: ContactHooks, *, default_region: str, workspace_zone: str
    ) -> None:
        self._database = database
        self._hooks = hooks
        self._default_region = default_region
        self._workspace_zone = workspace_zone
        self.merging = Merging(hooks, workspace_zone=workspace_zone)

    async def create(
        self, given: ContactFields, *, within: Transaction | None = None
    ) -> ContactDetails:
        """Add a contact.

        Raises:
            InvalidRequestError: Values are invalid.
            ConflictError: ``phone_taken`` or ``external_id_taken``, naming the contact who has it.
        """
        async with self._database.within(within) as tx:
            values = cleaned(given, await known_for(tx, self._default_region, [given]))
            require_name(values)
            require_place(values)
            require_owner(values, await possible_owners(tx, [values]))
            # An inbound text from the number is stored before, or finds the contact.
            await lock_numbers(tx, [values["phone"]])
            added = await contacts.add(tx, filled_in(values))
            if added is None:
                raise await _taken(tx, values)
            await self._hooks.numbers_assigned(tx, [values["phone"]])
            await note_changes(tx, created={added: given_names(values)})
            return await _details(tx, added)

    async def get(self, contact_id: UUID) -> ContactDetails:
        """Read a contact.

        Raises:
            NotFoundError: There is no such contact.
        """
        async with self._database.transaction() as tx:
            return await _details(tx, contact_id)

    async def of_external_id(self, external_id: str) -> ContactDetails:
        """Read the contact with an external id.

        Raises:
            InvalidFieldError: It is not one that a contact can have.
            NotFoundError: There is no such contact.
        """
        sought = clean_external_id(external_id)
        async with self._database.transaction() as tx:
            found = await contacts.id_of_external_id(tx, sought)
            return await _details(tx, required(found, "contact", external_id))

    async def update(
        self, contact_id: UUID, given: ContactFields, *, only_if: OnlyIf = _always
    ) -> ContactDetails:
        """Change values; texts use the new ones, and waiting steps the new zone, at once.

        ``only_if`` is called with the locked contact, and raises to leave it unchanged.

        Raises:
            InvalidRequestError: Values are invalid.
            ConflictError: ``phone_taken`` or ``external_id_taken``, naming the contact who has it.
            NotFoundError: There is no such contact.
        """
        while True:
            with suppress(MovedError):
                async with self._database.transaction() as tx:
                    return await self.update_within(tx, contact_id, given, only_if=only_if)

    async def update_within(
        self, tx: Transaction, contact_id: UUID, given: ContactFields, *, only_if: OnlyIf = _always
    ) -> ContactDetails:
        """Do as ``update`` in a transaction that holds no locks yet.

        Raises:
            MovedError: Its number changed meanwhile.
        """
        against = await known_for(tx, self._default_region, [given])
        row = await _lock(tx, contact_id, _number_in(given, self._default_region))
        only_if(row)
        zone = await workspace.zone(tx, self._workspace_zone)
        values = cleaned(given, against)
        require_name(values, vars(row))
        require_place(values, vars(row))
        require_owner(values, await possible_owners(tx, [values]), row.owner_id)
        changed = changes(row, values)
        if not changed:
            return row
        if not await contacts.change(tx, contact_id, changed):
            raise await _taken(tx, changed)
        if "phone" in changed:
            await contacts.remember_phone(tx, contact_id, row.phone)
            await self._hooks.numbers_assigned(tx, [changed["phone"]])
        await self._hooks.data_changed(tx, [contact_id])
        after = await _details(tx, contact_id)
        await self._hooks.clocks_changed(tx, {contact_id: (row.clock(zone), after.clock(zone))})
        await note_changes(tx, changed={contact_id: changed_names(row, changed)})
        return after

    async def put(
        self, external_id: str, given: ContactFields, *, only_if: OnlyIf = _always
    ) -> tuple[ContactDetails, bool]:
        """Create or change the contact with an external id; what is left out stays.

        A contact who has the number and no external id gets this one. The second value tells
        whether the contact is new. ``only_if`` is called with the contact, None if there is none
        yet, before anything is written, and raises to leave it so.

        Raises:
            InvalidRequestError: Values are invalid.
            ConflictError: ``phone_taken``, naming the contact who has the number.
        """
        async with self._database.transaction() as tx:
            values = cleaned(
                {**given, "external_id": external_id},
                await known_for(tx, self._default_region, [given]),
            )

            async def require(_matched: object) -> None:
                there = await contacts.id_of_external_id(tx, values["external_id"])
                only_if(None if there is None else await contacts.get(tx, there))

            merged = (await self.merging.merge(tx, {0: values}, require=require))[0]
            if merged.holder_id is not None:
                reason = merged.errors[0].reason
                raise ConflictError("phone_taken", reason, contact_id=str(merged.holder_id))
            if merged.contact_id is None:
                raise InvalidRequestError(merged.errors)
            return await _details(tx, merged.contact_id), merged.outcome is Outcome.CREATED

    async def upsert(self, rows: Mapping[int, ContactFields]) -> dict[int, Merged]:
        """Create or change contacts; a row that is invalid costs itself alone.

        Rows are by position, ascending, and matched as ``services.contacts.merging`` says; an
        external id of None counts as left out. Repeating a call changes nothing.
        """
        async with self._database.transaction() as tx:
            against = await known_for(tx, self._default_region, rows.values())
            found: dict[int, Merged] = {}
            clean: dict[int, Mapping[str, Any]] = {}
            for index, (position, row) in enumerate(rows.items()):
                if index % _CHECKED_AT_ONCE == 0:
                    await asyncio.sleep(0)
                try:
                    clean[position] = _matchable(cleaned(row, against))
                except InvalidRequestError as error:
                    found[position] = Merged(Outcome.ERROR, errors=error.errors)
            return found | await self.merging.merge(tx, clean)

    async def find(
        self,
        wanted: ContactFilter = ContactFilter(),  # noqa: B008 - immutable
        *,
        sort: str = "name",
        after: Position | None = None,
        limit: int = 50,
    ) -> Page[ContactDetails]:
        """List contacts.

        ``sort`` is ``name``, ``created_at`` or ``updated_at``, descending with ``-`` before it, and
        ``after`` was made for the same one.

        Raises:
            InvalidFieldError: See ``clean_filter``.
        """
        async with self._database.transaction() as tx:
            checked_filter = await clean_filter(tx, wanted, region=self._default_region)
            rows = await contacts.find(tx, checked_filter, sort=sort, after=after, limit=limit + 1)
        return cut(rows, limit, lambda row: row.position(sort))

    async def count(self, wanted: ContactFilter) -> int:
        """Count the contacts that match a filter; ``COUNTED`` + 1 stands for more.

        Raises:
            InvalidFieldError: See ``clean_filter``.
        """
        async with self._database.transaction() as tx:
            checked_filter = await clean_filter(tx, wanted, region=self._default_region)
            return await contacts.count(tx, checked_filter, most=COUNTED + 1)


async def clean_filter(tx: Transaction, wanted: ContactFilter, *, region: str) -> ContactFilter:
    """Check a filter: numbers, external ids and values of fields are as people write them.

    Raises:
        InvalidFieldError: The search cannot match anyone; a value is invalid; ``undeclared_field``.
    """
    return replace(
        wanted,
        search=clean_search(wanted.search),
        phone=[phones.normalize(one, default_region=region) for one in wanted.phone],
        external_id=[clean_external_id(one) for one in wanted.external_id],
        fields=await clean_field_filter(tx, wanted.fields),
    )


async def clean_field_filter(
    tx: Transaction, wanted: Mapping[str, Sequence[Any]], *, path: str = ""
) -> Mapping[str, Sequence[Any]]:
    """Check values to filter by: each as its field stores it. ``path`` is a prefix in errors.

    Raises:
        InvalidFieldError: ``undeclared_field`` or ``invalid_value``.
    """
    if not wanted:
        return {}
    types = {one.key: one.type for one in await fields.find(tx)}
    return {
        key: [
            checked(
                field_type(key, types, path=f"{path}field.{key}"), one, field=f"{path}field.{key}"
            )
            for one in some
        ]
        for key, some in wanted.items()
    }


def _matchable(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out an external id of None.

    Raises:
        InvalidRequestError: ``missing``: a row has neither an external id nor a number.
    """
    kept = {name: one for name, one in row.items() if name != "external_id" or one is not None}
    problems = Problems()
    if not {"external_id", "phone"} & kept.keys():
        problems.add(
            "external_id", "is missing, and so is phone; give at least one", code="missing"
        )
    problems.raise_any()
    return kept


def _number_in(given: ContactFields, region: str) -> list[str]:
    """Give the new number, if there is a valid one."""
    with suppress(InvalidFieldError):
        return [phones.normalize(given["phone"], default_region=region)] if "phone" in given else []
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


async def _details(tx: Transaction, contact_id: UUID) -> ContactDetails:
    return required(await contacts.get(tx, contact_id), "contact", contact_id)


async def _taken(tx: Transaction, values: Mapping[str, Any]) -> ConflictError:
    """Build the error of a number or external id that another contact has."""
    holder = await contacts.id_of_phone(tx, values["phone"]) if "phone" in values else None
    if holder is not None or values.get("external_id") is None:
        code, what = "phone_taken", "phone number"
    else:
        code, what = "external_id_taken", "external id"
        holder = await contacts.id_of_external_id(tx, values["external_id"])
    return ConflictError(
        code,
        f"another contact has this {what}; change that contact, or use a different one",
        **({"contact_id": str(holder)} if holder else {}),
    )
