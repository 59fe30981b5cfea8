"""Groups: named sets of contacts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.contacts import pasted_numbers
from domain.platform import names
from domain.platform.errors import ConflictError, InvalidFieldError, NotFoundError, required
from domain.platform.names import Named
from domain.platform.paging import Page, Position, cut
from services.platform import audit
from storage.contacts import contacts, groups
from storage.contacts.groups import GroupDetails
from storage.platform.database import Database, Transaction

NAME_LENGTH = 100
"""Most characters of a group's name."""

MEMBERS_AT_ONCE = 10_000
"""Most contacts to add or remove in one call."""


@dataclass(frozen=True)
class Added:
    """The result of adding contacts; each is in one list, in the order given.

    Attributes:
        added: Members from now on.
        already: Members before.
        unknown_contact: There is no such contact.
    """

    added: Sequence[UUID]
    already: Sequence[UUID]
    unknown_contact: Sequence[UUID]


@dataclass(frozen=True)
class Removed:
    """The result of removing contacts; each is in one list, in the order given.

    Attributes:
        removed: No longer members.
        not_member: Were no members, or there is no such contact.
    """

    removed: Sequence[UUID]
    not_member: Sequence[UUID]


@dataclass(frozen=True)
class AddedNumbers:
    """The result of adding contacts by their numbers.

    Attributes:
        members: The result for known contacts.
        unknown: Numbers without a contact, E.164.
        unread: Parts that are not numbers, as written.
    """

    members: Added
    unknown: Sequence[str]
    unread: Sequence[str]


class Groups:
    """Manages groups and their members."""

    def __init__(self, database: Database, *, default_region: str) -> None:
        self._database = database
        self._default_region = default_region

    async def create(self, name: str) -> GroupDetails:
        """Add an empty group.

        Raises:
            InvalidFieldError: The name is invalid.
            ConflictError: ``group_taken``, naming the group that has the name.
        """
        async with self._database.transaction() as tx:
            return await _details(tx, await add_group(tx, name))

    async def rename(self, group_id: UUID, name: str) -> GroupDetails:
        """Rename a group.

        Raises:
            InvalidFieldError: The name is invalid.
            NotFoundError: There is no such group.
            ConflictError: ``group_taken``, naming the group that has the name.
        """
        called = names.clean(name, field="name", most=NAME_LENGTH)
        async with self._database.transaction() as tx:
            await _details(tx, group_id)
            if not await groups.rename(tx, group_id, called):
                raise await _name_taken(tx, called)
            await audit.record(tx, "group.change", "group", [group_id])
            return await _details(tx, group_id)

    async def remove(self, group_id: UUID) -> None:
        """Delete a group; its members stay contacts, and enrolled.

        Raises:
            NotFoundError: There is no such group.
        """
        async with self._database.transaction() as tx:
            group = await _details(tx, group_id)
            if not await groups.remove(tx, group_id):
                raise NotFoundError("group", group_id)
            await audit.record(tx, "group.delete", "group", [group_id], members=group.member_count)

    async def get(self, group_id: UUID) -> GroupDetails:
        """Read a group.

        Raises:
            NotFoundError: There is no such group.
        """
        async with self._database.transaction() as tx:
            return await _details(tx, group_id)

    async def of_contact(self, contact_id: UUID) -> list[Named]:
        """List the groups that a contact is in, by name."""
        async with self._database.transaction() as tx:
            return await groups.of_contact(tx, contact_id)

    async def find(self, *, after: Position | None = None, limit: int = 50) -> Page[GroupDetails]:
        """List groups by name."""
        async with self._database.transaction() as tx:
            rows = await groups.find(tx, after=after, limit=limit + 1)
        return cut(rows, limit, lambda row: Position(row.sort_key, row.id))

    async def add_members(
        self,
        group_id: UUID,
        contact_ids: Sequence[UUID],
        user_id: UUID,
        *,
        within: Transaction | None = None,
    ) -> Added:
        """Add contacts to a group.

        Raises:
            InvalidFieldError: Too many.
            NotFoundError: There is no such group.
        """
        asked = _distinct(contact_ids)
        async with self._database.within(within) as tx:
            if not await groups.exists(tx, group_id):
                raise NotFoundError("group", group_id)
            added = await groups.add_members(tx, group_id, asked, user_id)
            known = await contacts.known_ids(tx, asked)
            if added:
                await audit.record(
                    tx, "group.add", "contact", added, user_id=user_id, group_id=str(group_id)
                )
        return Added(
            [contact for contact in asked if contact in added],
            [contact for contact in asked if contact in known - added],
            [contact for contact in asked if contact not in known],
        )

    async def add_numbers(self, group_id: UUID, pasted: str, user_id: UUID) -> AddedNumbers:
        """Add the contacts with pasted numbers; see ``pasted_numbers.split``.

        Raises:
            InvalidFieldError: ``numbers``: too many or none.
            NotFoundError: There is no such group.
        """
        read, unread = pasted_numbers.read(pasted, default_region=self._default_region)
        async with self._database.transaction() as tx:
            known = await contacts.by_phone(tx, read)
        ids = [known[phone] for phone in read if phone in known]
        return AddedNumbers(
            await self.add_members(group_id, ids, user_id),
            [phone for phone in read if phone not in known],
            unread,
        )

    async def remove_members(
        self,
        group_id: UUID,
        contact_ids: Sequence[UUID],
        *,
        added: groups.Adding | None = None,
        within: Transaction | None = None,
    ) -> Removed:
        """Remove contacts from a group, or only those of them who were ``added`` so.

        Raises:
            InvalidFieldError: Too many.
            NotFoundError: There is no such group.
        """
        asked = _distinct(contact_ids)
        async with self._database.within(within) as tx:
            if not await groups.exists(tx, group_id):
                raise NotFoundError("group", group_id)
            if added is None:
                removed = await groups.remove_members(tx, group_id, asked)
            else:
                removed = await groups.take_back_members(tx, group_id, asked, added)
            if removed:
                await audit.record(tx, "group.remove", "contact", removed, group_id=str(group_id))
        return Removed(
            [contact for contact in asked if contact in removed],
            [contact for contact in asked if contact not in removed],
        )


def _distinct(contact_ids: Sequence[UUID]) -> list[UUID]:
    if len(contact_ids) > MEMBERS_AT_ONCE:
        raise InvalidFieldError(
            "contact_ids",
            f"has too many; choose at most {MEMBERS_AT_ONCE} at once",
            code="too_many_contacts",
        )
    return list(dict.fromkeys(contact_ids))


async def _name_taken(tx: Transaction, name: str) -> ConflictError:
    holder = await groups.id_of_name(tx, name)
    return ConflictError(
        "group_taken",
        "another group has this name; use that group, or give another name",
        **({"group_id": str(holder)} if holder else {}),
    )


async def _details(tx: Transaction, group_id: UUID) -> GroupDetails:
    return required(await groups.get(tx, group_id), "group", group_id)


async def named_groups(tx: Transaction, called: Collection[str]) -> dict[str, UUID]:
    """Find groups by name, in any case, create those there are none of, and keep them.

    Call it before numbers or contacts are locked.
    """
    ids: dict[str, UUID] = {}
    created: list[UUID] = []
    for name in sorted(set(called), key=str.lower):  # in one order, so that two do not deadlock
        found = await groups.add(tx, name)
        if found is not None:
            created.append(found)
        else:
            found = await groups.id_of_name(tx, name)
        if found is not None and await groups.exists(tx, found):
            ids[name] = found
    if created:
        await audit.record(tx, "group.create", "group", created)
    return ids


async def add_group(tx: Transaction, name: str, *, field: str = "name") -> UUID:
    """Add an empty group; ``field`` is what holds its name.

    Raises:
        InvalidFieldError: The name is invalid.
        ConflictError: ``group_taken``, naming the group that has the name.
    """
    called = names.clean(name, field=field, most=NAME_LENGTH)
    group_id = await groups.add(tx, called)
    if group_id is None:
        raise await _name_taken(tx, called)
    await audit.record(tx, "group.create", "group", [group_id])
    return group_id


async def require_group(tx: Transaction, group_id: UUID) -> None:
    """Require a group, and keep it from being deleted until the transaction ends.

    Raises:
        InvalidFieldError: ``unknown_group``.
    """
    if not await groups.exists(tx, group_id):
        raise InvalidFieldError(
            "group_id", "does not exist; use an id from GET /api/groups", code="unknown_group"
        )
