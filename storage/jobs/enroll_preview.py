"""Queries of enrollment previews."""

from collections.abc import Sequence as Many
from uuid import UUID

from domain.contacts.names import full_name
from storage.platform.database import Transaction


async def members(tx: Transaction, group_id: UUID, *, after: UUID | None, limit: int) -> list[UUID]:
    """List a group's members by id, after the one given."""
    sql = """
        SELECT contact_id FROM group_members WHERE group_id = :group_id
        AND contact_id > coalesce(CAST(:after AS uuid), '00000000-0000-0000-0000-000000000000')
        ORDER BY contact_id LIMIT :limit
    """
    return await tx.column(sql, group_id=group_id, after=after, limit=limit)


async def names(tx: Transaction, contact_ids: Many[UUID]) -> dict[UUID, str]:
    """Read contacts' names."""
    sql = "SELECT id, first_name, last_name FROM contacts WHERE id = ANY(:ids)"
    found = await tx.run(sql, ids=contact_ids)
    return {row.id: full_name(row.first_name, row.last_name) for row in found}
