"""Queries of the templates that users saved."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select
from sqlmodel import col

from domain.statuses.sequences import SequenceKind
from storage.platform.database import Transaction
from storage.platform.rows import columns_of
from storage.tables.access import User
from storage.tables.sequences import SequenceTemplate


@dataclass(frozen=True)
class TemplateRecord:
    """A template as it is stored; ``content`` is as ``TemplateContent.dump`` writes it."""

    id: UUID
    name: str
    description: str
    kind: SequenceKind
    content: Mapping[str, Any]
    created_at: datetime
    created_by_name: str


_TEMPLATES = select(
    *columns_of(TemplateRecord, SequenceTemplate, created_by_name=col(User.name))
).join(User, col(User.id) == col(SequenceTemplate.created_by))


async def insert_template(tx: Transaction, values: Mapping[str, Any]) -> bool:
    """Insert a template, by column name; False if the name is taken."""
    statement = insert(SequenceTemplate).values(**values)
    return await tx.unless_taken(["uq_sequence_templates_name"], statement)


async def find(tx: Transaction, *, limit: int) -> list[TemplateRecord]:
    """List templates by name."""
    by_name = func.lower(col(SequenceTemplate.name))
    return await tx.rows(TemplateRecord, _TEMPLATES.order_by(by_name).limit(limit))


async def get(tx: Transaction, template_id: UUID) -> TemplateRecord | None:
    """Read a template, if there is one."""
    return await tx.one(TemplateRecord, _TEMPLATES.where(col(SequenceTemplate.id) == template_id))


async def id_of_name(tx: Transaction, name: str) -> UUID | None:
    """Find the template with a name, in any case."""
    sql = "SELECT id FROM sequence_templates WHERE lower(name) = lower(:name)"
    return await tx.value(UUID, sql, name=name)


async def remove(tx: Transaction, template_id: UUID) -> bool:
    """Delete a template; False if there is none."""
    return await tx.count("DELETE FROM sequence_templates WHERE id = :id", id=template_id) > 0
