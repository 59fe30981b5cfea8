"""Queries about users and their API tokens."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from domain.paging import Position
from domain.statuses import Role
from storage.database import Transaction
from storage.tables import ApiToken, User


class TokenHolder(NamedTuple):
    """A valid token's user, and whether its last use is worth noting again."""

    user: User
    token: ApiToken
    is_stale: bool


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


async def add_token(tx: Transaction, values: Mapping[str, Any]) -> ApiToken:
    """Insert a token."""
    row = await tx.execute(insert(ApiToken).values(**values).returning(ApiToken))
    return row.scalar_one()


async def tokens_of(
    tx: Transaction, user_id: UUID, *, after: Position | None, limit: int
) -> list[ApiToken]:
    """A user's tokens, revoked and expired ones too, the newest first."""
    query = (
        select(ApiToken)
        .where(col(ApiToken.user_id) == user_id)
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


async def has_token(tx: Transaction, user_id: UUID, token_id: UUID) -> bool:
    """Whether a token is this user's, whatever its state."""
    query = select(col(ApiToken.id)).where(
        col(ApiToken.id) == token_id, col(ApiToken.user_id) == user_id
    )
    return (await tx.execute(query)).scalar_one_or_none() is not None


async def revoke_token(tx: Transaction, token_id: UUID) -> bool:
    """Make a token useless from now on; False if it is already."""
    row = await tx.execute(
        update(ApiToken)
        .where(col(ApiToken.id) == token_id, col(ApiToken.revoked_at).is_(None))
        .values(revoked_at=func.now())
        .returning(col(ApiToken.id))
    )
    return row.scalar_one_or_none() is not None


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
        .where(
            col(ApiToken.token_hash) == token_hash,
            col(ApiToken.revoked_at).is_(None),
            or_(col(ApiToken.expires_at).is_(None), col(ApiToken.expires_at) > func.now()),
            col(User.disabled_at).is_(None),
        )
    )
    found = row.one_or_none()
    return None if found is None else TokenHolder(*found)


async def note_use(tx: Transaction, token_id: UUID) -> None:
    """Write down that a token was used now."""
    await tx.execute(
        update(ApiToken).where(col(ApiToken.id) == token_id).values(last_used_at=func.now())
    )
