"""Queries about API tokens."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from domain.platform.paging import Position
from storage.platform.database import Transaction
from storage.tables.access import ApiToken, User


class TokenHolder(NamedTuple):
    """A valid token's user, and whether its last use is worth noting again."""

    user: User
    token: ApiToken
    is_stale: bool


async def add(tx: Transaction, values: Mapping[str, Any]) -> ApiToken:
    """Insert a token."""
    row = await tx.execute(insert(ApiToken).values(**values).returning(ApiToken))
    return row.scalar_one()


async def of_user(
    tx: Transaction, user_id: UUID, *, after: Position | None, limit: int
) -> list[ApiToken]:
    """A user's tokens that are not revoked, the newest first."""
    query = (
        select(ApiToken)
        .where(col(ApiToken.user_id) == user_id, col(ApiToken.revoked_at).is_(None))
        .order_by(col(ApiToken.created_at).desc(), col(ApiToken.id))
        .limit(limit)
    )
    if after:
        query = query.where(
            or_(
                col(ApiToken.created_at) < after.value,
                (col(ApiToken.created_at) == after.value) & (col(ApiToken.id) > after.id),
            )
        )
    return list((await tx.execute(query)).scalars())


async def lock_valid(tx: Transaction, token_id: UUID) -> bool:
    """Whether a token is valid, which it stays until the transaction ends."""
    query = (
        select(col(ApiToken.id))
        .where(col(ApiToken.id) == token_id, *_valid())
        .with_for_update(read=True)
    )
    return (await tx.execute(query)).scalar_one_or_none() is not None


async def is_of(tx: Transaction, user_id: UUID, token_id: UUID) -> bool:
    """Whether a token is this user's, whatever its state."""
    query = select(col(ApiToken.id)).where(
        col(ApiToken.id) == token_id, col(ApiToken.user_id) == user_id
    )
    return (await tx.execute(query)).scalar_one_or_none() is not None


async def revoke(tx: Transaction, token_id: UUID) -> bool:
    """Make a token useless from now on; False if it is already."""
    row = await tx.execute(
        update(ApiToken)
        .where(col(ApiToken.id) == token_id, col(ApiToken.revoked_at).is_(None))
        .values(revoked_at=func.now())
        .returning(col(ApiToken.id))
    )
    return row.scalar_one_or_none() is not None


async def revoke_all(tx: Transaction, user_id: UUID) -> list[UUID]:
    """Make every token of a user useless from now on; gives those that were not."""
    rows = await tx.execute(
        update(ApiToken)
        .where(col(ApiToken.user_id) == user_id, col(ApiToken.revoked_at).is_(None))
        .values(revoked_at=func.now())
        .returning(col(ApiToken.id))
    )
    return list(rows.scalars())


async def holder_of(
    tx: Transaction, token_hash: str, *, stale_after: timedelta
) -> TokenHolder | None:
    """Who holds a token; None if it is unknown, expired or revoked, or its user disabled."""
    is_stale = or_(
        col(ApiToken.last_used_at).is_(None), col(ApiToken.last_used_at) < func.now() - stale_after
    )
    row = await tx.execute(
        select(User, ApiToken, is_stale)
        .join(ApiToken, col(ApiToken.user_id) == col(User.id))
        .where(col(ApiToken.token_hash) == token_hash, *_valid(), col(User.disabled_at).is_(None))
    )
    found = row.one_or_none()
    return None if found is None else TokenHolder(*found)


async def note_use(tx: Transaction, token_id: UUID) -> None:
    """Write down that a token was used now."""
    await tx.execute(
        update(ApiToken).where(col(ApiToken.id) == token_id).values(last_used_at=func.now())
    )


def _valid() -> tuple[ColumnElement[bool], ...]:
    return (
        col(ApiToken.revoked_at).is_(None),
        or_(col(ApiToken.expires_at).is_(None), col(ApiToken.expires_at) > func.now()),
    )
