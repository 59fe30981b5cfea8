"""Named sets of contacts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.contacts import pasted_numbers
from domain.platform import names
from domain.platform.errors import ConflictError, InvalidFieldError, NotFoundError
from domain.platform.names import Named
from domain.platform.paging import Page, Position, cut
from services.platform import audit
from storage.contacts import contacts, groups
from storage.contacts.groups import GroupRow
from storage.platform.database import Database, Transaction

NAME_LENGTH = 100
"""Most characters of a group's name."""

MEMBERS_AT_ONCE = 10_000
"""Most contacts to add or remove in one call."""


@dataclass(frozen=True)
class GroupDetails:
    """A group as it is shown.

    Attributes:
        id: The group.
        name: Unique in whatever case.
        member_count: How many contacts are in it.
        created_at: UTC.
    """

    id: UUID
    name: str
    member_count: int
    created_at: datetime

    @classmethod
    def of(cls, row: GroupRow) -> "GroupDetails":
        """Read a row."""
        return cls(row.group.id, row.group.name, row.member_count, row.group.created_at)


@dataclass(frozen=True)
class Added:
    """What became of contacts that were to be added; each is in one list, in the order given.

    Attributes:
        added: In the group from now on.
        already: In it before.
        unknown_contact: No such contact.
    """

    added: Sequence[UUID]
    already: Sequence[UUID]
    unknown_contact: Sequence[UUID]


@dataclass(frozen=True)
class Removed:
    """What became of contacts that were to be removed; each is in one list, in the order given.

    Attributes:
        removed: No longer in the group.
        not_member: Was not in it, or there is no such contact.
    """

    removed: Sequence[UUID]
    not_member: Sequence[UUID]


@dataclass(frozen=True)
class AddedNumbers:
    """What became of numbers whose contacts were to be added.

    Attributes:
        members: What became of those contacts.
        unknown: Numbers that no contact has, E.164.
        unread: What is no number, as it was written.
    """

    members: Added
    unknown: Sequence[str]
    unread: Sequence[str]


class Groups:
    """Makes groups and says who is in them.

    Args:
        database: Where they are kept.
        default_region: ISO 3166-1 alpha-2 code of the country that numbers without a country code
            belong to.
    """

    def __init__(self, database: Database, *, default_region: str) -> None:
        self._database = database
        self._default_region = default_region

    async def create(self, name: str) -> GroupDetails:
        """Make an empty group.

        Raises:
            InvalidFieldError: The name cannot be taken.
            ConflictError: ``group_taken``, naming the group that has the name.
        """
        called = names.clean(name, field="name", most=NAME_LENGTH)
        async with self._database.transaction() as tx:
            group_id = await groups.add(tx, called)
            if group_id is None:
                raise await _name_taken(tx, called)
            await audit.record(tx, "group.create", "group", [group_id])
            return await _details(tx, group_id)

    async def rename(self, group_id: UUID, name: str) -> GroupDetails:
        """Give a group another name.

        Raises:
            InvalidFieldError: The name cannot be taken.
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
        """Give one group.

        Raises:
            NotFoundError: There is none with this id.
        """
        async with self._database.transaction() as tx:
            return await _details(tx, group_id)

    async def of_contact(self, contact_id: UUID) -> list[Named]:
        """List the groups that a contact is in, by name."""
        async with self._database.transaction() as tx:
            return [Named(one.id, one.name) for one in await groups.of_contact(tx, contact_id)]

    async def find(self, *, after: Position | None = None, limit: int = 50) -> Page[GroupDetails]:
        """List groups by name."""
        async with self._database.transaction() as tx:
            rows = await groups.find(tx, after=after, limit=limit + 1)
        page = cut(rows, limit, lambda row: Position(row.group.name, row.group.id))
        return page.showing(GroupDetails.of)

    async def add_members(
        self, group_id: UUID, contact_ids: Sequence[UUID], user_id: UUID
    ) -> Added:
        """Put contacts into a group; those in it already stay.

        Raises:
            InvalidFieldError: There are too many.
            NotFoundError: There is no such group.
        """
        asked = _distinct(contact_ids)
        async with self._database.transaction() as tx:
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
        """Put the contacts who have some numbers into a group.

        Args:
            group_id: The group.
            pasted: The numbers, separated by line breaks, commas, semicolons or tabs.
            user_id: Who adds them.

        Raises:
            InvalidFieldError: ``numbers``: too many or none.
            NotFoundError: There is no such group.
        """
        read, unread = pasted_numbers.read(pasted, default_region=self._default_region)
        async with self._database.transaction() as tx:
            known = await contacts.by_phone(tx, read)
        ids = [known[phone].id for phone in read if phone in known]
        return AddedNumbers(
            await self.add_members(group_id, ids, user_id),
            [phone for phone in read if phone not in known],
            unread,
        )

    async def remove_members(self, group_id: UUID, contact_ids: Sequence[UUID]) -> Removed:
        """Take contacts out of a group.

        Raises:
            InvalidFieldError: There are too many.
            NotFoundError: There is no such group.
        """
        asked = _distinct(contact_ids)
        async with self._database.transaction() as tx:
            if not await groups.exists(tx, group_id):
                raise NotFoundError("group", group_id)
            removed = await groups.remove_members(tx, group_id, asked)
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
            f"are too many; give at most {MEMBERS_AT_ONCE} at once",
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
    row = await groups.get(tx, group_id)
    if row is None:
        raise NotFoundError("group", group_id)
    return GroupDetails.of(row)


async def require_group(tx: Transaction, group_id: UUID) -> None:
    """Have a group stay until the transaction ends.

    Raises:
        InvalidFieldError: ``unknown_group``.
    """
    if not await groups.exists(tx, group_id):
        raise InvalidFieldError(
            "group_id", "names no group; take an id from GET /api/groups", code="unknown_group"
        )
