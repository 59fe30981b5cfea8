"""Queries of enrollment previews."""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from typing import NamedTuple
from uuid import UUID

from domain.contacts.names import full_name
from domain.sequences.texts import Value
from storage.contacts.fields import VALUES
from storage.platform.database import Transaction


async def members(tx: Transaction, group_id: UUID, *, after: UUID | None, limit: int) -> list[UUID]:
    """List a group's members by id, after the one given."""
    sql = """
        SELECT contact_id FROM group_members WHERE group_id = :group_id
        AND contact_id > coalesce(CAST(:after AS uuid), '00000000-0000-0000-0000-000000000000')
        ORDER BY contact_id LIMIT :limit
    """
    return await tx.column(sql, group_id=group_id, after=after, limit=limit)


class Person(NamedTuple):
    """What texts may say of a contact."""

    id: UUID
    first_name: str
    last_name: str
    phone: str
    fields: Mapping[str, Value]

    @property
    def name(self) -> str:
        """First and last name."""
        return full_name(self.first_name, self.last_name)


async def people(tx: Transaction, contact_ids: Many[UUID]) -> dict[UUID, Person]:
    """Read what texts may say of contacts, by id."""
    sql = f"""
        SELECT id, first_name, last_name, phone, {VALUES} AS fields FROM contacts c
        WHERE id = ANY(:ids)
    """  # noqa: S608 - built from constants
    return {row.id: row for row in await tx.rows(Person, sql, ids=contact_ids)}
