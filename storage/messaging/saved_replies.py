"""Queries of saved replies."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from domain.platform.paging import Position
from storage.platform.database import Transaction
from storage.platform.rows import columns_of, paged
from storage.tables.messaging import SavedReply

_NAME = func.lower(col(SavedReply.name))
_TAKEN = {"uq_saved_replies_name"}


@dataclass(frozen=True)
class SavedReplyRow:
    """A saved reply; ``owner_id`` is None for everybody's. ``sort_key`` is where lists have it."""

    id: UUID
    owner_id: UUID | None
    name: str
    body: str
    created_at: datetime
    updated_at: datetime
    sort_key: str


def _visible(user_id: UUID) -> Select[*tuple[Any, ...]]:
    """Select a user's own saved replies and everybody's."""
    return select(*columns_of(SavedReplyRow, SavedReply, sort_key=_NAME)).where(
        or_(col(SavedReply.owner_id).is_(None), col(SavedReply.owner_id) == user_id)
    )


async def find(
    tx: Transaction, user_id: UUID, *, after: Position | None = None, limit: int
) -> list[SavedReplyRow]:
    """List a user's own and everybody's by name."""
    query = paged(_visible(user_id), _NAME, col(SavedReply.id), after)
    return await tx.rows(SavedReplyRow, query.limit(limit))


async def get(tx: Transaction, user_id: UUID, reply_id: UUID) -> SavedReplyRow | None:
    """Read one that a user sees; None if there is none."""
    return await tx.one(SavedReplyRow, _visible(user_id).where(col(SavedReply.id) == reply_id))


async def add(tx: Transaction, values: Mapping[str, Any]) -> UUID | None:
    """Write one and give its id; None if its owner, or everybody, has one of that name."""
    reply_id = uuid4()
    statement = insert(SavedReply).values(id=reply_id, **values)
    return reply_id if await tx.unless_taken(_TAKEN, statement) else None


async def change(tx: Transaction, reply_id: UUID, values: Mapping[str, Any]) -> bool:
    """Change name or text; False if another one has the name."""
    statement = (
        update(SavedReply)
        .where(col(SavedReply.id) == reply_id)
        .values(**values, updated_at=func.clock_timestamp())
    )
    return await tx.unless_taken(_TAKEN, statement)


async def remove(tx: Transaction, reply_id: UUID) -> bool:
    """Delete one; False if it was gone."""
    return await tx.count("DELETE FROM saved_replies WHERE id = :id", id=reply_id) > 0


async def count(tx: Transaction, user_id: UUID) -> int:
    """Count those that a user sees."""
    sql = "SELECT count(*) FROM saved_replies WHERE owner_id IS NULL OR owner_id = :user_id"
    return await tx.value(int, sql, user_id=user_id) or 0
