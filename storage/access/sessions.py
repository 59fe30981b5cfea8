"""Queries about the sessions of people at browsers."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from domain.platform.paging import Position
from storage.platform.database import Transaction
from storage.tables.access import SignIn, User


class SessionHolder(NamedTuple):
    """A session that holds, its user, and whether its last use is worth noting again."""

    user: User
    session: SignIn
    is_stale: bool


async def add(tx: Transaction, lifetime: timedelta, values: Mapping[str, Any]) -> SignIn:
    """Begin a session."""
    row = await tx.execute(
        insert(SignIn).values(**values, expires_at=func.now() + lifetime).returning(SignIn)
    )
    return row.scalar_one()


async def holder_of(
    tx: Transaction, token_hash: str, *, idle: timedelta, stale_after: timedelta
) -> SessionHolder | None:
    """Who has a session; None if there is none, it is over, or its user is disabled."""
    row = await tx.execute(
        select(User, SignIn, col(SignIn.last_seen_at) < func.now() - stale_after)
        .join(SignIn, col(SignIn.user_id) == col(User.id))
        .where(col(SignIn.token_hash) == token_hash, *_open(idle), col(User.disabled_at).is_(None))
    )
    found = row.one_or_none()
    return None if found is None else SessionHolder(*found)


async def of_user(
    tx: Transaction, user_id: UUID, *, idle: timedelta, after: Position | None, limit: int
) -> list[SignIn]:
    """A user's open sessions, the newest first."""
    query = (
        select(SignIn)
        .where(col(SignIn.user_id) == user_id, *_open(idle))
        .order_by(col(SignIn.created_at).desc(), col(SignIn.id))
        .limit(limit)
    )
    if after:
        query = query.where(
            or_(
                col(SignIn.created_at) < after.value,
                (col(SignIn.created_at) == after.value) & (col(SignIn.id) > after.id),
            )
        )
    return list((await tx.execute(query)).scalars())


async def lock_open(tx: Transaction, session_id: UUID) -> bool:
    """Whether a session has not ended, which holds until the transaction ends."""
    query = (
        select(col(SignIn.id))
        .where(col(SignIn.id) == session_id, col(SignIn.ended_at).is_(None))
        .with_for_update(read=True)
    )
    return (await tx.execute(query)).scalar_one_or_none() is not None


async def note_use(tx: Transaction, session_id: UUID) -> None:
    """Write down that a session was used now."""
    await tx.execute(
        update(SignIn).where(col(SignIn.id) == session_id).values(last_seen_at=func.now())
    )


async def is_of(tx: Transaction, user_id: UUID, session_id: UUID) -> bool:
    """Whether a session is this user's, whatever its state."""
    query = select(col(SignIn.id)).where(
        col(SignIn.id) == session_id, col(SignIn.user_id) == user_id
    )
    return (await tx.execute(query)).scalar_one_or_none() is not None


async def end(tx: Transaction, session_id: UUID) -> bool:
    """End one session; False if it had ended."""
    row = await tx.execute(
        update(SignIn)
        .where(col(SignIn.id) == session_id, col(SignIn.ended_at).is_(None))
        .values(ended_at=func.now())
        .returning(col(SignIn.id))
    )
    return row.scalar_one_or_none() is not None


async def end_all(tx: Transaction, user_id: UUID, *, but: UUID | None = None) -> list[UUID]:
    """End every session of a user but one; gives those that had not ended."""
    query = update(SignIn).where(col(SignIn.user_id) == user_id, col(SignIn.ended_at).is_(None))
    if but is not None:
        query = query.where(col(SignIn.id) != but)
    rows = await tx.execute(query.values(ended_at=func.now()).returning(col(SignIn.id)))
    return list(rows.scalars())


async def forget(tx: Transaction, age: timedelta) -> None:
    """Drop sessions whose time was up this long ago."""
    await tx.execute(delete(SignIn).where(col(SignIn.expires_at) < func.now() - age))


def _open(idle: timedelta) -> tuple[ColumnElement[bool], ...]:
    return (
        col(SignIn.ended_at).is_(None),
        col(SignIn.expires_at) > func.now(),
        col(SignIn.last_seen_at) > func.now() - idle,
    )
