"""Queries of enrollment previews."""

from collections.abc import Sequence as Many
from uuid import UUID

from sqlalchemy import func, select
from sqlmodel import col

from domain.contacts.names import full_name
from storage.platform.database import Transaction
from storage.tables.contacts import Contact, GroupMember


async def members(tx: Transaction, group_id: UUID, *, after: UUID | None, limit: int) -> list[UUID]:
    """List a group's members by id, after the one given."""
    query = (
        select(col(GroupMember.contact_id))
        .where(col(GroupMember.group_id) == group_id)
        .order_by(col(GroupMember.contact_id))
        .limit(limit)
    )
    if after is not None:
        query = query.where(col(GroupMember.contact_id) > after)
    return list(await tx.scalars(query))


async def names(tx: Transaction, contact_ids: Many[UUID]) -> dict[UUID, str]:
    """Read contacts' names."""
    found = await tx.execute(
        select(col(Contact.id), col(Contact.first_name), col(Contact.last_name)).where(
            col(Contact.id) == func.any(list(contact_ids))
        )
    )
    return {row[0]: full_name(row[1], row[2]) for row in found}
