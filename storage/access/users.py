"""Queries about users."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from domain.platform.paging import Position
from domain.statuses.access import Role
from storage.platform.database import Transaction
from storage.platform.rows import paged
from storage.tables.access import User


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A user who can sign in, and the session or token of theirs that a request shows.

    Attributes:
        expires_at: Of the session or token, UTC; None for never.
        is_stale: Whether its last use is to be noted again.
    """

    user_id: UUID
    email: str
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None
    is_stale: bool


async def add(tx: Transaction, values: Mapping[str, Any]) -> User | None:
    """Insert a user; None if the email address is taken, in whatever case."""
    return await tx.scalar(insert(User).values(**values).on_conflict_do_nothing().returning(User))


async def get(tx: Transaction, user_id: UUID) -> User | None:
    """Read one user."""
    return await tx.scalar(select(User).where(col(User.id) == user_id))


async def lock(tx: Transaction, user_id: UUID, *, shared: bool = False) -> User | None:
    """Read one user, and keep everybody else from changing them until the transaction ends."""
    query = select(User).where(col(User.id) == user_id)
    return await tx.scalar(query.with_for_update(read=shared))


async def lock_admins(tx: Transaction) -> list[UUID]:
    """List who can manage users, and keep them from being changed until the transaction ends."""
    query = select(col(User.id)).where(
        col(User.role) == Role.ADMIN, col(User.disabled_at).is_(None)
    )
    return await tx.column(query.order_by(col(User.id)).with_for_update())


async def change(tx: Transaction, user_id: UUID, values: Mapping[str, Any]) -> User:
    """Change a user who exists."""
    row = await tx.execute(
        update(User)
        .where(col(User.id) == user_id)
        .values(**values)
        .returning(User)
        .execution_options(populate_existing=True)
    )
    return row.scalar_one()


async def by_email(tx: Transaction, email: str) -> User | None:
    """Read the user with an email address, in whatever case."""
    return await tx.scalar(select(User).where(func.lower(col(User.email)) == func.lower(email)))


async def compared(tx: Transaction, email: str) -> str:
    """Write an email address as ``by_email`` compares it; Python lowers other letters."""
    lowered: str = (await tx.execute(select(func.lower(email)))).scalar_one()
    return lowered


async def find(tx: Transaction, *, after: Position | None, limit: int) -> list[User]:
    """List users in the order they were made."""
    return await tx.column(
        paged(select(User), col(User.created_at), col(User.id), after).limit(limit)
    )


async def names_of(tx: Transaction, user_ids: Collection[UUID]) -> dict[UUID, str]:
    """Give the names of users, disabled ones too, by id."""
    rows = await tx.run("SELECT id, name FROM users WHERE id = ANY(:ids)", ids=list(user_ids))
    return {row.id: row.name for row in rows}


async def known_ids(tx: Transaction, user_ids: Collection[UUID]) -> set[UUID]:
    """Find which of these ids are users'."""
    return set(await tx.column("SELECT id FROM users WHERE id = ANY(:ids)", ids=user_ids))


async def active_ids(tx: Transaction, user_ids: Collection[UUID]) -> set[UUID]:
    """Find which of these ids are of users who are not disabled."""
    sql = "SELECT id FROM users WHERE id = ANY(:ids) AND disabled_at IS NULL"
    return set(await tx.column(sql, ids=user_ids))


async def ids_by_email(tx: Transaction, emails: Collection[str]) -> dict[str, UUID]:
    """Find the users with these addresses, in whatever case; by the address as given."""
    sql = """
        SELECT given.email, u.id FROM unnest(CAST(:emails AS text[])) AS given (email)
        JOIN users u ON lower(u.email) = lower(given.email)
    """
    return {row.email: row.id for row in await tx.run(sql, emails=emails)}


async def emails(tx: Transaction) -> dict[UUID, str]:
    """Read the address of every user."""
    return {row.id: row.email for row in await tx.run("SELECT id, email FROM users")}
