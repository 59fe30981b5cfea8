"""Queries behind the pickers and filter dropdowns of a sequence."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, String, cast, exists, false, func, select
from sqlmodel import col

from domain.access.preferences import ADDED
from domain.access.preferences import Preference as Chosen
from domain.contacts.names import full_name
from domain.platform.names import Named
from domain.statuses.contacts import LineType
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.sequences import SequenceState
from storage.contacts.contacts import matches, opted_out
from storage.platform.database import Transaction
from storage.platform.rows import columns_of
from storage.tables.access import Preference
from storage.tables.contacts import Contact, Group
from storage.tables.enrollments import Enrollment


@dataclass(frozen=True)
class PickedContact:
    """A contact in a picker; ``opted_out`` for the whole deployment, ``active_here`` already."""

    id: UUID
    first_name: str
    last_name: str
    phone: str
    line_type: LineType | None
    opted_out: bool
    active_here: bool

    @property
    def name(self) -> str:
        """First and last name."""
        return full_name(self.first_name, self.last_name)


async def contacts(
    tx: Transaction, *, search: str, sequence_id: UUID | None, limit: int
) -> list[PickedContact]:
    """Find contacts by name or digits, sorted by name.

    Those whom a test of a text added are found only by a search.
    """
    active: ColumnElement[bool] = false()
    if sequence_id is not None:
        active = exists().where(
            col(Enrollment.contact_id) == col(Contact.id),
            col(Enrollment.sequence_id) == sequence_id,
            col(Enrollment.status) == EnrollmentStatus.ACTIVE,
        )
    query = (
        select(*columns_of(PickedContact, Contact, opted_out=opted_out(), active_here=active))
        .order_by(col(Contact.search_name), col(Contact.id))
        .limit(limit)
    )
    query = query.where(matches(search) if search else ~_added_by_test())
    return await tx.rows(PickedContact, query)


def _added_by_test() -> ColumnElement[bool]:
    kept = col(Preference.value)
    return exists().where(
        col(Preference.name) == Chosen.TEST_PHONE,
        kept["contact_id"].as_string() == cast(col(Contact.id), String),
        kept[ADDED].as_boolean(),
    )


async def enrolling_users(tx: Transaction, sequence_id: UUID) -> list[Named]:
    """List the users who enrolled contacts into a sequence, by name."""
    sql = """
        SELECT id, name FROM users u WHERE EXISTS (
            SELECT FROM enrollments WHERE sequence_id = :sequence_id AND enrolled_by = u.id
        )
        ORDER BY name, id
    """
    return await tx.rows(Named, sql, sequence_id=sequence_id)


async def groups(tx: Transaction, *, limit: int | None = None) -> list[Named]:
    """List groups by name, in any case."""
    query = (
        select(col(Group.id), col(Group.name))
        .order_by(func.lower(col(Group.name)), col(Group.id))
        .limit(limit)
    )
    return await tx.rows(Named, query)


async def sequences(tx: Transaction, states: Collection[SequenceState]) -> list[Named]:
    """List the sequences in some states by name, in any case."""
    sql = "SELECT id, name FROM sequences WHERE state = ANY(:states) ORDER BY lower(name), id"
    return await tx.rows(Named, sql, states=[state.value for state in states])


_FEW = 100

# Each condition reads a few rows of a group. A join of members and enrollments reads all of both.
_GROUPS_OF = f"""
    SELECT g.id, g.name FROM groups g
    WHERE (
        SELECT count(*) FROM (
            SELECT FROM group_members m WHERE m.group_id = g.id LIMIT {_FEW + 1}
        ) first
    ) > {_FEW} OR EXISTS (
        SELECT FROM (
            SELECT contact_id FROM group_members m WHERE m.group_id = g.id LIMIT {_FEW}
        ) member
        WHERE EXISTS (
            SELECT FROM enrollments e
            WHERE e.contact_id = member.contact_id AND e.sequence_id = :sequence_id
        )
    )
    ORDER BY lower(g.name), g.id
"""  # noqa: S608 - built from constants


async def groups_of(tx: Transaction, sequence_id: UUID) -> list[Named]:
    """List groups by name, without small ones that have nobody in the sequence.

    Whether a group of more than 100 has somebody there is not looked at.
    """
    return await tx.rows(Named, _GROUPS_OF, sequence_id=sequence_id)
