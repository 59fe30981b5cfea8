"""Queries that find sequences and groups by name, for whoever goes there."""

from typing import NamedTuple
from uuid import UUID

from domain.platform.names import Named
from domain.statuses.sequences import SequenceState
from storage.contacts.contacts import escaped
from storage.platform.database import Transaction


class FoundSequence(NamedTuple):
    """A sequence to go to."""

    id: UUID
    name: str
    state: SequenceState


async def sequences(tx: Transaction, search: str, limit: int) -> list[FoundSequence]:
    """Find sequences by any part of the name, archived ones last."""
    sql = """
        SELECT id, name, state FROM sequences WHERE lower(name) LIKE lower(:pattern) ESCAPE '\\'
        ORDER BY state = 'archived', lower(name), id LIMIT :limit
    """
    return await tx.rows(FoundSequence, sql, pattern=f"%{escaped(search)}%", limit=limit)


async def groups(tx: Transaction, search: str, limit: int) -> list[Named]:
    """Find groups by any part of the name."""
    sql = """
        SELECT id, name FROM groups WHERE lower(name) LIKE lower(:pattern) ESCAPE '\\'
        ORDER BY lower(name), id LIMIT :limit
    """
    return await tx.rows(Named, sql, pattern=f"%{escaped(search)}%", limit=limit)
