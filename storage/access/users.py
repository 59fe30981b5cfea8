"""Queries about users."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from domain.platform.paging import Position
from domain.statuses.access import Role
from storage.platform.database import Transaction
from storage.tables.access import User


async def add(tx: Transaction, values: Mapping[str, Any]) -> User | None:
    """Insert a user; None if the e-mail address is taken, in whatever case."""
    row = await tx.execute(insert(User).values(**values).on_conflict_do_nothing().returning(User))
    return row.scalar_one_or_none()


async def get(tx: Transaction, user_id: UUID) -> User | None:
    """One user."""
    return (await tx.execute(select(User).where(col(User.id) == user_id))).scalar_one_or_none()


async def lock(tx: Transaction, user_id: UUID, *, shared: bool = False) -> User | None:
    """One user, who nobody else can change until the transaction ends."""
    query = select(User).where(col(User.id) == user_id).with_for_update(read=shared)
    return (await tx.execute(query)).scalar_one_or_none()


async def lock_admins(tx: Transaction) -> list[UUID]:
    """Everyone who can manage users; none of them can be changed until the transaction ends."""
    query = (
        select(col(User.id))
        .where(col(User.role) == Role.ADMIN, col(User.disabled_at).is_(None))
        .order_by(col(User.id))
        .with_for_update()
    )
    return list((await tx.execute(query)).scalars())


async def change(tx: Transaction, user_id: UUID, values: Mapping[str, Any]) -> User:
    """Change a user who is there."""
    row = await tx.execute(
        update(User)
        .where(col(User.id) == user_id)
        .values(**values)
        .returning(User)
        .execution_options(populate_existing=True)
    )
    return row.scalar_one()


async def by_email(tx: Transaction, email: str) -> User | None:
    """The user with an e-mail address, in whatever case."""
    query = select(User).where(func.lower(col(User.email)) == func.lower(email))
    return (await tx.execute(query)).scalar_one_or_none()


async def compared(tx: Transaction, email: str) -> str:
    """An e-mail address as ``by_email`` compares it; Python has other small letters."""
    lowered: str = (await tx.execute(select(func.lower(email)))).scalar_one()
    return lowered


async def find(tx: Transaction, *, after: Position | None, limit: int) -> list[User]:
    """Users in the order they were made."""
    query = select(User).order_by(col(User.created_at), col(User.id)).limit(limit)
    if after:
        query = query.where(
            or_(
                col(User.created_at) > after.value,
                (col(User.created_at) == after.value) & (col(User.id) > after.id),
            )
        )
    return list((await tx.execute(query)).scalars())
