"""Queries about the sessions of people at browsers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Interval,
    bindparam,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from domain.platform.paging import Position
from storage.access.users import Holder
from storage.platform.database import Transaction
from storage.platform.fixed import Fixed
from storage.platform.rows import columns_of, paged
from storage.tables.access import SignIn, User


@dataclass(frozen=True, kw_only=True)
class SessionHolder(Holder):
    """An open session and its user."""

    session_id: UUID


def _open(idle: timedelta | BindParameter[timedelta]) -> tuple[ColumnElement[bool], ...]:
    return (
        col(SignIn.ended_at).is_(None),
        col(SignIn.expires_at) > func.now(),
        col(SignIn.last_seen_at) > func.now() - idle,
    )


_HOLDER = Fixed(
    select(
        *columns_of(
            SessionHolder,
            User,
            user_id=col(User.id),
            session_id=col(SignIn.id),
            expires_at=col(SignIn.expires_at),
            is_stale=col(SignIn.last_seen_at)
            < func.now() - bindparam("stale_after", type_=Interval),
        )
    )
    .join(SignIn, col(SignIn.user_id) == col(User.id))
    .where(
        col(SignIn.token_hash) == bindparam("token_hash"),
        *_open(bindparam("idle", type_=Interval)),
        col(User.disabled_at).is_(None),
    )
)


async def add(tx: Transaction, lifetime: timedelta, values: Mapping[str, Any]) -> SignIn:
    """Begin a session."""
    expires_at = func.now() + lifetime
    query = insert(SignIn).values(**values, expires_at=expires_at).returning(SignIn)
    return (await tx.execute(query)).scalar_one()


async def holder_of(
    tx: Transaction, token_hash: str, *, idle: timedelta, stale_after: timedelta
) -> SessionHolder | None:
    """Read an open session; None if it is unknown or over, or its user disabled."""
    return await tx.one(
        SessionHolder, _HOLDER, token_hash=token_hash, idle=idle, stale_after=stale_after
    )


async def of_user(
    tx: Transaction, user_id: UUID, *, idle: timedelta, after: Position | None, limit: int
) -> list[SignIn]:
    """List a user's open sessions, the newest first."""
    query = select(SignIn).where(col(SignIn.user_id) == user_id, *_open(idle))
    page = paged(query, col(SignIn.created_at), col(SignIn.id), after, down=True)
    return await tx.column(page.limit(limit))


async def lock_open(tx: Transaction, session_id: UUID) -> bool:
    """Keep a session from ending until the transaction does; False if it has ended."""
    query = select(col(SignIn.id)).where(
        col(SignIn.id) == session_id, col(SignIn.ended_at).is_(None)
    )
    return await tx.scalar(query.with_for_update(read=True)) is not None


async def note_use(tx: Transaction, session_id: UUID) -> None:
    """Note that a session was used now."""
    await tx.run("UPDATE sessions SET last_seen_at = now() WHERE id = :id", id=session_id)


async def is_of(tx: Transaction, user_id: UUID, session_id: UUID) -> bool:
    """Tell whether a session is this user's, open or not."""
    own = col(SignIn.id) == session_id, col(SignIn.user_id) == user_id
    return await tx.scalar(select(col(SignIn.id)).where(*own)) is not None


async def end(tx: Transaction, session_id: UUID) -> bool:
    """End one session; False if it had ended."""
    return bool(await _end(tx, col(SignIn.id) == session_id))


async def end_all(tx: Transaction, user_id: UUID, *, but: UUID | None = None) -> list[UUID]:
    """End every session of a user but one; return those that had not ended."""
    return await _end(tx, col(SignIn.user_id) == user_id, col(SignIn.id).is_distinct_from(but))


async def _end(tx: Transaction, *which: ColumnElement[bool]) -> list[UUID]:
    query = update(SignIn).where(*which, col(SignIn.ended_at).is_(None))
    return await tx.column(query.values(ended_at=func.now()).returning(col(SignIn.id)))


async def forget(tx: Transaction, age: timedelta) -> None:
    """Remove sessions that expired this long ago."""
    await tx.execute(delete(SignIn).where(col(SignIn.expires_at) < func.now() - age))
