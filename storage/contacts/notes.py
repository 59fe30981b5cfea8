"""Queries of notes about contacts."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from domain.platform.paging import Position
from storage.platform.database import Transaction
from storage.platform.rows import columns_of, paged
from storage.tables.access import User
from storage.tables.contacts import ContactNote


@dataclass(frozen=True)
class NoteRow:
    """What a user wrote about a contact."""

    id: UUID
    contact_id: UUID
    author_id: UUID
    author_name: str
    body: str
    created_at: datetime


@cache
def _notes() -> Select[*tuple[Any, ...]]:
    return select(*columns_of(NoteRow, ContactNote, author_name=col(User.name))).join(
        User, col(User.id) == col(ContactNote.author_id)
    )


async def add(tx: Transaction, contact_id: UUID, author_id: UUID, body: str) -> UUID:
    """Write a note; give its id."""
    note_id = uuid4()
    values = {"id": note_id, "contact_id": contact_id, "author_id": author_id, "body": body}
    await tx.execute(insert(ContactNote).values(**values))
    return note_id


async def get(tx: Transaction, contact_id: UUID, note_id: UUID) -> NoteRow | None:
    """Read one note about a contact; None if there is none."""
    one = col(ContactNote.contact_id) == contact_id, col(ContactNote.id) == note_id
    return await tx.one(NoteRow, _notes().where(*one))


async def find(
    tx: Transaction,
    contact_id: UUID,
    *,
    since: datetime | None = None,
    before: datetime | None = None,
    after: Position | None = None,
    limit: int,
) -> list[NoteRow]:
    """List notes about a contact, the latest first, of a stretch of time if asked."""
    query = _notes().where(col(ContactNote.contact_id) == contact_id)
    if since is not None:
        query = query.where(col(ContactNote.created_at) >= since)
    if before is not None:
        query = query.where(col(ContactNote.created_at) < before)
    query = paged(query, col(ContactNote.created_at), col(ContactNote.id), after, down=True)
    return await tx.rows(NoteRow, query.limit(limit))


async def remove(tx: Transaction, note_id: UUID) -> bool:
    """Delete a note; False if it was gone."""
    return await tx.count("DELETE FROM contact_notes WHERE id = :id", id=note_id) > 0
