"""Queries of groups and their members."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from domain.platform.names import Named
from domain.platform.paging import Position
from storage.platform.database import Transaction
from storage.platform.rows import columns_of, paged
from storage.tables.contacts import Group, GroupMember


@dataclass(frozen=True, kw_only=True)
class GroupDetails:
    """A group; ``sort_key`` places it in the list by name."""

    id: UUID
    name: str
    member_count: int
    created_at: datetime
    sort_key: str


@cache
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
    query = insert(Group).values(name=name).on_conflict_do_nothing().returning(col(Group.id))
    return await tx.value(UUID, query)


async def id_of_name(tx: Transaction, name: str) -> UUID | None:
    """Find the group with a name, in any case."""
    sql = "SELECT id FROM groups WHERE lower(name) = lower(:name)"
    return await tx.value(UUID, sql, name=name)


async def get(tx: Transaction, group_id: UUID) -> GroupDetails | None:
    """Read a group, if there is one."""
    return await tx.one(GroupDetails, _groups().where(col(Group.id) == group_id))


async def exists(tx: Transaction, group_id: UUID) -> bool:
    """Tell whether a group exists, and keep it from being deleted until the transaction ends."""
    sql = "SELECT id FROM groups WHERE id = :id FOR KEY SHARE"
    return await tx.value(UUID, sql, id=group_id) is not None


async def find(tx: Transaction, *, after: Position | None, limit: int) -> list[GroupDetails]:
    """List groups by name, in any case."""
    query = paged(_groups(), func.lower(col(Group.name)), col(Group.id), after).limit(limit)
    return await tx.rows(GroupDetails, query)


async def of_contact(tx: Transaction, contact_id: UUID) -> list[Named]:
    """List the groups that a contact is in, by name."""
    sql = """
        SELECT g.id, g.name FROM groups g JOIN group_members m ON m.group_id = g.id
        WHERE m.contact_id = :contact_id ORDER BY lower(g.name), g.id
    """
    return await tx.rows(Named, sql, contact_id=contact_id)


async def rename(tx: Transaction, group_id: UUID, name: str) -> bool:
    """Rename a group; False, without a change, if the name is taken."""
    renamed = update(Group).where(col(Group.id) == group_id).values(name=name)
    return await tx.unless_taken({"uq_groups_name"}, renamed)


async def remove(tx: Transaction, group_id: UUID) -> bool:
    """Delete a group; False if there is none. Waits for transactions that add members."""
    return await tx.count("DELETE FROM groups WHERE id = :id", id=group_id) > 0


async def add_members(
    tx: Transaction, group_id: UUID, contact_ids: Sequence[UUID], user_id: UUID | None
) -> set[UUID]:
    """Add contacts to an existing group, and give those who were not in it before.

    Unknown contacts are left out. ``user_id`` is None if they add themselves.
    """
    # In one order, so that two transactions do not deadlock; locked, so that none is erased.
    sql = """
        INSERT INTO group_members (group_id, contact_id, added_by)
        SELECT :group_id, id, CAST(:user_id AS uuid) FROM contacts WHERE id = ANY(:ids)
        ORDER BY id FOR KEY SHARE
        ON CONFLICT DO NOTHING RETURNING contact_id
    """
    return set(await tx.column(sql, group_id=group_id, user_id=user_id, ids=contact_ids))


class Adding(NamedTuple):
    """Who put contacts into a group, and when at the earliest and the latest."""

    user_id: UUID
    since: datetime
    until: datetime


async def take_back_members(
    tx: Transaction, group_id: UUID, contact_ids: Sequence[UUID], by: Adding
) -> set[UUID]:
    """Remove those who are in a group because they were added so, and give them."""
    sql = """
        DELETE FROM group_members WHERE group_id = :group_id AND contact_id = ANY(:ids)
        AND added_by = :user_id AND added_at BETWEEN :since AND :until
        RETURNING contact_id
    """
    return set(await tx.column(sql, group_id=group_id, ids=contact_ids, **by._asdict()))


async def remove_members(tx: Transaction, group_id: UUID, contact_ids: Sequence[UUID]) -> set[UUID]:
    """Remove contacts from a group, and give those who were in it."""
    sql = """
        DELETE FROM group_members WHERE group_id = :group_id AND contact_id = ANY(:ids)
        RETURNING contact_id
    """
    return set(await tx.column(sql, group_id=group_id, ids=contact_ids))
