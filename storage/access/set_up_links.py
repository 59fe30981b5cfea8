"""Queries about the links on which users give themselves a password."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from storage.platform.database import Transaction
from storage.tables.access import SetUpLink, User


async def put(tx: Transaction, user_id: UUID, token_hash: str, lifetime: timedelta) -> datetime:
    """Make a user's link in place of the one they may have; gives when it expires."""
    values = {
        "token_hash": token_hash,
        "created_at": func.now(),
        "expires_at": func.now() + lifetime,
    }
    row = await tx.execute(
        insert(SetUpLink)
        .values(user_id=user_id, **values)
        .on_conflict_do_update(index_elements=[col(SetUpLink.user_id)], set_=values)
        .returning(col(SetUpLink.expires_at))
    )
    return row.scalar_one()


async def user_of(tx: Transaction, token_hash: str) -> User | None:
    """Whose link this is; None if it cannot be used: unknown, used, replaced, expired, disabled."""
    row = await tx.execute(
        select(User)
        .join(SetUpLink, col(SetUpLink.user_id) == col(User.id))
        .where(
            col(SetUpLink.token_hash) == token_hash,
            col(SetUpLink.expires_at) > func.now(),
            col(User.disabled_at).is_(None),
        )
    )
    return row.scalar_one_or_none()


async def expiry_of(tx: Transaction, user_id: UUID) -> datetime | None:
    """When the link expires that a user can still use; None if there is none."""
    row = await tx.execute(
        select(col(SetUpLink.expires_at)).where(
            col(SetUpLink.user_id) == user_id, col(SetUpLink.expires_at) > func.now()
        )
    )
    return row.scalar_one_or_none()


async def remove(tx: Transaction, user_id: UUID) -> None:
    """Make a user's link useless."""
    await tx.execute(delete(SetUpLink).where(col(SetUpLink.user_id) == user_id))
