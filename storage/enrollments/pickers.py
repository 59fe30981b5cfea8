"""Queries behind the pickers and filter dropdowns of a sequence."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, exists, false, func, select
from sqlmodel import col

from domain.statuses.contacts import LineType
from domain.statuses.enrollments import EnrollmentStatus
from storage.contacts.contacts import matches, opted_out
from storage.platform.database import Transaction
from storage.tables.access import User
from storage.tables.contacts import Contact, Group, GroupMember
from storage.tables.enrollments import Enrollment


class PickedRow(NamedTuple):
    """A contact that may be picked."""

    id: UUID
    first_name: str
    last_name: str
    phone: str
    line_type: LineType | None
    opted_out: bool
    active_here: bool


class NamedRow(NamedTuple):
    """Something with a name."""

    id: UUID
    name: str


async def contacts(
    tx: Transaction, *, search: str, sequence_id: UUID | None, limit: int
) -> list[PickedRow]:
    """Find contacts by name or digits, by name; with who is active in a sequence already."""
    active: ColumnElement[bool] = false()
    if sequence_id is not None:
        active = exists().where(
            col(Enrollment.contact_id) == col(Contact.id),
            col(Enrollment.sequence_id) == sequence_id,
            col(Enrollment.status) == EnrollmentStatus.ACTIVE,
        )
    query = (
        select(
            col(Contact.id),
            col(Contact.first_name),
            col(Contact.last_name),
            col(Contact.phone),
            col(Contact.line_type),
            opted_out(),
            active,
        )
        .order_by(col(Contact.search_name), col(Contact.id))
        .limit(limit)
    )
    if search:
        query = query.where(matches(search))
    return [PickedRow(*row) for row in await tx.execute(query)]


async def enrolling_users(tx: Transaction, sequence_id: UUID) -> list[NamedRow]:
    """List the users who enrolled somebody into a sequence, by name."""
    did = exists().where(
        col(Enrollment.sequence_id) == sequence_id, col(Enrollment.enrolled_by) == col(User.id)
    )
    rows = await tx.execute(
        select(col(User.id), col(User.name)).where(did).order_by(col(User.name), col(User.id))
    )
    return [NamedRow(*row) for row in rows]


async def groups(tx: Transaction, *, limit: int) -> list[NamedRow]:
    """List groups by name, in whatever case."""
    rows = await tx.execute(
        select(col(Group.id), col(Group.name))
        .order_by(func.lower(col(Group.name)), col(Group.id))
        .limit(limit)
    )
    return [NamedRow(*row) for row in rows]


async def groups_present(tx: Transaction, sequence_id: UUID) -> list[NamedRow]:
    """List the groups with members who were enrolled into a sequence, by name."""
    # One member is enough: a join would walk through all of them.
    has_one = exists().where(
        col(GroupMember.group_id) == col(Group.id),
        col(Enrollment.contact_id) == col(GroupMember.contact_id),
        col(Enrollment.sequence_id) == sequence_id,
    )
    rows = await tx.execute(
        select(col(Group.id), col(Group.name))
        .where(has_one)
        .order_by(func.lower(col(Group.name)), col(Group.id))
    )
    return [NamedRow(*row) for row in rows]
