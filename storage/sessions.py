"""Queries about the sessions of people at browsers."""

from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from storage.access_tables import SignIn
from storage.database import Transaction
from storage.tables import User


class SessionHolder(NamedTuple):
    """A session that holds, its user, and whether its last use is worth noting again."""

    user: User
    session: SignIn
    is_stale: bool


async def add(tx: Transaction, user_id: UUID, token_hash: str, lifetime: timedelta) -> SignIn:
    """Begin a session."""
    row = await tx.execute(
        insert(SignIn)
        .values(user_id=user_id, token_hash=token_hash, expires_at=func.now() + lifetime)
        .returning(SignIn)
    )
    return row.scalar_one()


async def holder_of(
    tx: Transaction, token_hash: str, *, idle: timedelta, stale_after: timedelta
) -> SessionHolder | None:
    """Who has a session; None if there is none, it is over, or its user is disabled."""
    row = await tx.execute(
        select(User, SignIn, col(SignIn.last_seen_at) < func.now() - stale_after)
        .join(SignIn, col(SignIn.user_id) == col(User.id))
        .where(
            col(SignIn.token_hash) == token_hash,
            col(SignIn.ended_at).is_(None),
            col(SignIn.expires_at) > func.now(),
            col(SignIn.last_seen_at) > func.now() - idle,
            col(User.disabled_at).is_(None),
        )
    )
    found = row.one_or_none()
    return None if found is None else SessionHolder(*found)


async def note_use(tx: Transaction, session_id: UUID) -> None:
    """Write down that a session was used now."""
    await tx.execute(
        update(SignIn).where(col(SignIn.id) == session_id).values(last_seen_at=func.now())
    )


async def end(tx: Transaction, session_id: UUID) -> None:
    """End one session."""
    await tx.execute(
        update(SignIn)
        .where(col(SignIn.id) == session_id, col(SignIn.ended_at).is_(None))
        .values(ended_at=func.now())
    )


async def end_all(tx: Transaction, user_id: UUID) -> None:
    """End every session of a user."""
    await tx.execute(
        update(SignIn)
        .where(col(SignIn.user_id) == user_id, col(SignIn.ended_at).is_(None))
        .values(ended_at=func.now())
    )


async def forget(tx: Transaction, age: timedelta) -> None:
    """Drop sessions whose time was up this long ago."""
    await tx.execute(delete(SignIn).where(col(SignIn.expires_at) < func.now() - age))
