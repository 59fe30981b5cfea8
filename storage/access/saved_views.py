"""Queries of the views of lists that users saved."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from storage.platform.database import Transaction
from storage.platform.rows import columns_of
from storage.tables.access import SavedView


@dataclass(frozen=True)
class SavedViewDetails:
    """Filters, order and columns of a list, as its address's ``query`` has them, and their name."""

    id: UUID
    page: str
    name: str
    query: str


_VIEWS = select(*columns_of(SavedViewDetails, SavedView))


async def find(tx: Transaction, user_id: UUID, page: str) -> list[SavedViewDetails]:
    """List a user's views of a page by name, in any case."""
    mine = _VIEWS.where(col(SavedView.user_id) == user_id, col(SavedView.page) == page)
    return await tx.rows(SavedViewDetails, mine.order_by(func.lower(col(SavedView.name))))


async def get(tx: Transaction, user_id: UUID, view_id: UUID) -> SavedViewDetails | None:
    """Read a view of a user's, if they have it."""
    mine = _VIEWS.where(col(SavedView.user_id) == user_id, col(SavedView.id) == view_id)
    return await tx.one(SavedViewDetails, mine)


async def add(tx: Transaction, user_id: UUID, page: str, name: str, query: str) -> UUID | None:
    """Save a view and give its id; None if the user has one of this name there, in any case."""
    statement = insert(SavedView).values(user_id=user_id, page=page, name=name, query=query)
    return await tx.value(UUID, statement.on_conflict_do_nothing().returning(col(SavedView.id)))


async def change(tx: Transaction, view_id: UUID, name: str, query: str) -> bool:
    """Change a view; False, without a change, if the user has another of this name there."""
    changed = update(SavedView).where(col(SavedView.id) == view_id).values(name=name, query=query)
    return await tx.unless_taken({"uq_saved_views_name"}, changed)


async def remove(tx: Transaction, user_id: UUID, view_id: UUID) -> bool:
    """Delete a view of a user's; False if they have no such view."""
    sql = "DELETE FROM saved_views WHERE id = :id AND user_id = :user_id"
    return await tx.count(sql, id=view_id, user_id=user_id) > 0
