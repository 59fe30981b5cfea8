"""Queries of the fields of contacts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Text, cast, func, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlmodel import col

from domain.contacts.fields import FieldSpec
from domain.platform.paging import Position
from storage.platform.database import Transaction
from storage.platform.rows import columns_of, paged
from storage.tables.contacts import Contact, ContactField

PAGE = 1_000
"""Most contacts that one transaction looks at for a value of a field that is being deleted."""

VALUES = """(
    c.fields - ARRAY(SELECT CAST(key AS text) FROM contact_fields WHERE removed_at IS NOT NULL)
)"""
"""SQL: the values of fields of a contact ``c``, but none of fields that are being deleted."""


@dataclass(frozen=True, kw_only=True)
class FieldDetails(FieldSpec):
    """A field of contacts."""

    id: UUID
    created_at: datetime


_FIELDS = select(*columns_of(FieldDetails, ContactField)).where(
    col(ContactField.removed_at).is_(None)
)


@cache
def values() -> ColumnElement[Any]:
    """Select a contact's values of fields, but none of fields that are being deleted."""
    removed = select(cast(col(ContactField.key), Text)).where(
        col(ContactField.removed_at).is_not(None)
    )
    gone = func.array(removed.scalar_subquery())
    return col(Contact.fields).op("-", return_type=JSONB())(gone)


async def add(tx: Transaction, values: Mapping[str, Any]) -> UUID | None:
    """Insert a field and give its id; None if the key is taken."""
    query = insert(ContactField).values(**values).on_conflict_do_nothing()
    return await tx.value(UUID, query.returning(col(ContactField.id)))


async def get(tx: Transaction, field_id: UUID) -> FieldDetails | None:
    """Read a field, if there is one."""
    return await tx.one(FieldDetails, _FIELDS.where(col(ContactField.id) == field_id))


async def removed_keys(tx: Transaction) -> list[str]:
    """List the keys of fields that are being deleted."""
    return await tx.column("SELECT key FROM contact_fields WHERE removed_at IS NOT NULL")


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


async def remove(tx: Transaction, field_id: UUID) -> None:
    """Hide a field and all its values; ``clear_page`` deletes them."""
    await tx.run("UPDATE contact_fields SET removed_at = now() WHERE id = :id", id=field_id)


async def clear_page(
    tx: Transaction, field_id: UUID, after: UUID | None
) -> tuple[int, UUID | None]:
    """Delete the values that the next contacts have of a field that is being deleted.

    Gives how many had one, and the last contact of the page; None if it was the last page, and the
    field is gone. Contacts count as unchanged: ``updated_at`` stays.
    """
    sql = """
        SELECT id FROM contacts WHERE id > coalesce(CAST(:after AS uuid), CAST(:first AS uuid))
        ORDER BY id LIMIT :limit
    """
    ids = await tx.column(sql, after=after, first=UUID(int=0), limit=PAGE)
    sql = """
        UPDATE contacts c SET fields = c.fields - CAST(f.key AS text) FROM contact_fields f
        WHERE f.id = :field_id AND c.id = ANY(ARRAY(
            SELECT id FROM contacts WHERE id = ANY(:ids) AND jsonb_exists(fields, f.key)
            ORDER BY id FOR NO KEY UPDATE
        ))
    """
    cleared = await tx.count(sql, field_id=field_id, ids=ids)
    if len(ids) == PAGE:
        return cleared, ids[-1]
    await tx.run("DELETE FROM contact_fields WHERE id = :id", id=field_id)
    return cleared, None
