"""Queries about groups and who is in them."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Select, Text, delete, func, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from domain.platform.paging import Position
from storage.contacts.contacts import constraint_of
from storage.platform.database import Transaction
from storage.tables.contacts import Contact, Group, GroupMember


class GroupRow(NamedTuple):
    """A group and how many contacts are in it."""

    group: Group
    member_count: int


def _rows() -> Select[Group, int]:
    members = (
        select(func.count())
        .where(col(GroupMember.group_id) == col(Group.id))
        .correlate(Group)
        .scalar_subquery()
    )
    return select(Group, members)


async def add(tx: Transaction, name: str) -> UUID | None:
    """Insert a group; None if the name is taken, in whatever case."""
    row = await tx.execute(
        insert(Group).values(name=name).on_conflict_do_nothing().returning(col(Group.id))
    )
    return row.scalar_one_or_none()


async def id_of_name(tx: Transaction, name: str) -> UUID | None:
    """Which group has a name, in whatever case."""
    query = select(col(Group.id)).where(func.lower(col(Group.name)) == func.lower(name))
    return (await tx.execute(query)).scalar_one_or_none()


async def get(tx: Transaction, group_id: UUID) -> GroupRow | None:
    """One group."""
    row = (await tx.execute(_rows().where(col(Group.id) == group_id))).one_or_none()
    return None if row is None else GroupRow(*row)


async def exists(tx: Transaction, group_id: UUID) -> bool:
    """Whether there is such a group; it stays until the transaction ends."""
    query = (
        select(col(Group.id))
        .where(col(Group.id) == group_id)
        .with_for_update(key_share=True, read=True)
    )
    return (await tx.execute(query)).scalar_one_or_none() is not None


async def find(tx: Transaction, *, after: Position | None, limit: int) -> list[GroupRow]:
    """Groups by name, in whatever case."""
    key = func.lower(col(Group.name))
    query = _rows().order_by(key, col(Group.id)).limit(limit)
    if after:
        query = query.where(
            tuple_(key, col(Group.id))
            > tuple_(func.lower(literal(after.value, Text)), literal(after.id))
        )
    return [GroupRow(*row) for row in await tx.execute(query)]


async def of_contact(tx: Transaction, contact_id: UUID) -> list[Group]:
    """The groups that a contact is in, by name."""
    query = (
        select(Group)
        .join(GroupMember, col(GroupMember.group_id) == col(Group.id))
        .where(col(GroupMember.contact_id) == contact_id)
        .order_by(func.lower(col(Group.name)), col(Group.id))
    )
    return list(await tx.scalars(query))


async def rename(tx: Transaction, group_id: UUID, name: str) -> bool:
    """Give a group another name; False, and nothing happened, if the name is taken."""
    try:
        async with tx.begin_nested():
            await tx.execute(
                update(Group)
                .where(col(Group.id) == group_id)
                .values(name=name)
                .execution_options(synchronize_session=False)
            )
    except IntegrityError as error:
        if constraint_of(error) == "uq_groups_name":
            return False
        raise
    return True


async def remove(tx: Transaction, group_id: UUID) -> bool:
    """Delete a group; False if there is none. Waits for whoever puts somebody into it."""
    row = await tx.execute(delete(Group).where(col(Group.id) == group_id).returning(col(Group.id)))
    return row.scalar_one_or_none() is not None


async def add_members(
    tx: Transaction, group_id: UUID, contact_ids: Sequence[UUID], user_id: UUID
) -> set[UUID]:
    """Put contacts into a group; those that were not in it before.

    Ids that are no contact's are left out. The group must exist.
    """
    members = (
        select(literal(group_id), col(Contact.id), literal(user_id))
        .where(col(Contact.id) == func.any(list(contact_ids)))
        .order_by(col(Contact.id))  # two at once take their locks in the same order
        .with_for_update(key_share=True, read=True)  # none of them is being erased
    )
    rows = await tx.execute(
        insert(GroupMember)
        .from_select(["group_id", "contact_id", "added_by"], members)
        .on_conflict_do_nothing()
        .returning(col(GroupMember.contact_id))
    )
    return set(rows.scalars())


async def remove_members(tx: Transaction, group_id: UUID, contact_ids: Sequence[UUID]) -> set[UUID]:
    """Take contacts out of a group; those that were in it."""
    rows = await tx.execute(
        delete(GroupMember)
        .where(
            col(GroupMember.group_id) == group_id,
            col(GroupMember.contact_id) == func.any(list(contact_ids)),
        )
        .returning(col(GroupMember.contact_id))
    )
    return set(rows.scalars())
