"""Queries of the fields of contacts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from domain.contacts.fields import FieldSpec
from domain.platform.paging import Position
from storage.platform.database import Transaction
from storage.platform.rows import columns_of, paged
from storage.tables.contacts import ContactField


@dataclass(frozen=True, kw_only=True)
class FieldDetails(FieldSpec):
    """A field of contacts."""

    id: UUID
    created_at: datetime


_FIELDS = select(*columns_of(FieldDetails, ContactField))


async def add(tx: Transaction, values: Mapping[str, Any]) -> UUID | None:
    """Insert a field and give its id; None if the key is taken."""
    query = insert(ContactField).values(**values).on_conflict_do_nothing()
    return await tx.value(UUID, query.returning(col(ContactField.id)))


async def get(tx: Transaction, field_id: UUID) -> FieldDetails | None:
    """Read a field, if there is one."""
    return await tx.one(FieldDetails, _FIELDS.where(col(ContactField.id) == field_id))


async def find(
    tx: Transaction, *, after: Position | None = None, limit: int | None = None
) -> list[FieldDetails]:
    """List fields by key."""
    query = paged(_FIELDS, col(ContactField.key), col(ContactField.id), after)
    return await tx.rows(FieldDetails, query.limit(limit))


async def rename(tx: Transaction, field_id: UUID, label: str) -> bool:
    """Change a field's label; False if there is no such field."""
    sql = "UPDATE contact_fields SET label = :label WHERE id = :id"
    return await tx.count(sql, id=field_id, label=label) > 0


async def remove(tx: Transaction, field_id: UUID, key: str) -> int:
    """Delete a field with the values that contacts have; return how many had one.

    Contacts count as unchanged: ``updated_at`` stays.
    """
    await tx.run("DELETE FROM contact_fields WHERE id = :id", id=field_id)
    sql = """
        UPDATE contacts SET fields = fields - CAST(:key AS text) WHERE id = ANY(ARRAY(
            SELECT id FROM contacts WHERE jsonb_exists(fields, :key)
            ORDER BY id FOR NO KEY UPDATE
        ))
    """
    return await tx.count(sql, key=key)
