"""Queries of groups and their members."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from domain.platform.names import Named
from domain.platform.paging import Position
from storage.contacts.contacts import constraint_of
from storage.platform.database import Transaction
from storage.platform.rows import columns_of, paged
from storage.tables.contacts import Contact, Group, GroupMember


@dataclass(frozen=True, kw_only=True)
class GroupDetails:
    """A group; ``sort_key`` places it in the list by name."""

    id: UUID
    name: str
    member_count: int
    created_at: datetime
    sort_key: str


def _groups() -> Select[*tuple[Any, ...]]:
    members = (
        select(func.count())
        .where(col(GroupMember.group_id) == col(Group.id))
        .correlate(Group)
        .scalar_subquery()
    )
    by_name = func.lower(col(Group.name))
    return select(*columns_of(GroupDetails, Group, member_count=members, sort_key=by_name))


async def add(tx: Transaction, name: str) -> UUID | None:
    """Insert a group and give its id; None if the name is taken, in any case."""
    row = await tx.execute(
        insert(Group).values(name=name).on_conflict_do_nothing().returning(col(Group.id))
    )
    return row.scalar_one_or_none()


async def id_of_name(tx: Transaction, name: str) -> UUID | None:
    """Find the group with a name, in any case."""
    query = select(col(Group.id)).where(func.lower(col(Group.name)) == func.lower(name))
    return (await tx.execute(query)).scalar_one_or_none()


async def get(tx: Transaction, group_id: UUID) -> GroupDetails | None:
    """Read a group, if there is one."""
    query = _groups().where(col(Group.id) == group_id)
    row = (await tx.execute(query)).mappings().one_or_none()
    return None if row is None else GroupDetails(**row)


async def exists(tx: Transaction, group_id: UUID) -> bool:
    """Tell whether a group exists, and keep it from being deleted until the transaction ends."""
    query = (
        select(col(Group.id))
        .where(col(Group.id) == group_id)
        .with_for_update(key_share=True, read=True)
    )
    return (await tx.execute(query)).scalar_one_or_none() is not None


async def find(tx: Transaction, *, after: Position | None, limit: int) -> list[GroupDetails]:
    """List groups by name, in any case."""
    query = paged(_groups(), func.lower(col(Group.name)), col(Group.id), after).limit(limit)
    return [GroupDetails(**row) for row in (await tx.execute(query)).mappings()]


async def of_contact(tx: Transaction, contact_id: UUID) -> list[Named]:
    """List the groups that a contact is in, by name."""
    query = (
        select(col(Group.id), col(Group.name))
        .join(GroupMember, col(GroupMember.group_id) == col(Group.id))
        .where(col(GroupMember.contact_id) == contact_id)
        .order_by(func.lower(col(Group.name)), col(Group.id))
    )
    return [Named(*row) for row in await tx.execute(query)]


async def rename(tx: Transaction, group_id: UUID, name: str) -> bool:
    """Rename a group; False, without a change, if the name is taken."""
    try:
        async with tx.begin_nested():
            await tx.execute(update(Group).where(col(Group.id) == group_id).values(name=name))
    except IntegrityError as error:
        if constraint_of(error) == "uq_groups_name":
            return False
        raise
    return True


async def remove(tx: Transaction, group_id: UUID) -> bool:
    """Delete a group; False if there is none. Waits for transactions that add members."""
    row = await tx.execute(delete(Group).where(col(Group.id) == group_id).returning(col(Group.id)))
    return row.scalar_one_or_none() is not None


async def add_members(
    tx: Transaction, group_id: UUID, contact_ids: Sequence[UUID], user_id: UUID
) -> set[UUID]:
    """Add contacts to an existing group, and give those who were not in it before.

    Unknown contacts are left out.
    """
    if not contact_ids:
        return set()
    members = (
        select(literal(group_id), col(Contact.id), literal(user_id))
        .where(col(Contact.id) == func.any(list(contact_ids)))
        .order_by(col(Contact.id))  # so that two transactions do not deadlock
        .with_for_update(key_share=True, read=True)  # none is erased meanwhile
    )
    rows = await tx.execute(
        insert(GroupMember)
        .from_select(["group_id", "contact_id", "added_by"], members)
        .on_conflict_do_nothing()
        .returning(col(GroupMember.contact_id))
    )
    return set(rows.scalars())


async def remove_members(tx: Transaction, group_id: UUID, contact_ids: Sequence[UUID]) -> set[UUID]:
    """Remove contacts from a group, and give those who were in it."""
    rows = await tx.execute(
        delete(GroupMember)
        .where(
            col(GroupMember.group_id) == group_id,
            col(GroupMember.contact_id) == func.any(list(contact_ids)),
        )
        .returning(col(GroupMember.contact_id))
    )
    return set(rows.scalars())
