"""Named sets of contacts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain import names
from domain.errors import ConflictError, InvalidFieldError, NotFoundError
from domain.paging import Page, Position
from services import audit
from storage import contacts, groups
from storage.database import Database, Transaction
from storage.groups import GroupRow

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


class Groups:
    """Makes groups and says who is in them."""

    def __init__(self, database: Database) -> None:
        self._database = database

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
                holder = await groups.id_of_name(tx, called)
                raise ConflictError(
                    "group_taken",
                    "another group has this name; use that group, or give another name",
                    **({"group_id": str(holder)} if holder else {}),
                )
            await audit.record(tx, "group.create", "group", [group_id])
            return await _details(tx, group_id)

    async def get(self, group_id: UUID) -> GroupDetails:
        """Give one group.

        Raises:
            NotFoundError: There is none with this id.
        """
        async with self._database.transaction() as tx:
            return await _details(tx, group_id)

    async def find(self, *, after: Position | None = None, limit: int = 50) -> Page[GroupDetails]:
        """List groups by name."""
        async with self._database.transaction() as tx:
            rows = await groups.find(tx, after=after, limit=limit + 1)
        last = rows[limit - 1].group if len(rows) > limit else None
        return Page(
            [GroupDetails.of(row) for row in rows[:limit]],
            Position(last.name, last.id) if last else None,
        )

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


async def _details(tx: Transaction, group_id: UUID) -> GroupDetails:
    row = await groups.get(tx, group_id)
    if row is None:
        raise NotFoundError("group", group_id)
    return GroupDetails.of(row)
