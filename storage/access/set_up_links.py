"""Queries about the links on which users set their password."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from storage.platform.database import Transaction
from storage.tables.access import SetUpLink, User


async def put(tx: Transaction, user_id: UUID, token_hash: str, lifetime: timedelta) -> datetime:
    """Replace a user's link, if they have one, by a new one; return when it expires."""
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
    """Read a link's user; None if it cannot be used any more, or its user is disabled."""
    return await tx.scalar(
        select(User)
        .join(SetUpLink, col(SetUpLink.user_id) == col(User.id))
        .where(
            col(SetUpLink.token_hash) == token_hash,
            col(SetUpLink.expires_at) > func.now(),
            col(User.disabled_at).is_(None),
        )
    )


async def expiry_of(tx: Transaction, user_id: UUID) -> datetime | None:
    """Read when a user's link expires; None if they have none that can be used."""
    usable = col(SetUpLink.user_id) == user_id, col(SetUpLink.expires_at) > func.now()
    return await tx.scalar(select(col(SetUpLink.expires_at)).where(*usable))


async def remove(tx: Transaction, user_id: UUID) -> None:
    """Remove a user's link."""
    await tx.execute(delete(SetUpLink).where(col(SetUpLink.user_id) == user_id))
