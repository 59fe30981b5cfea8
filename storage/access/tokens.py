"""Queries about API tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Interval, bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from domain.platform.paging import Position
from storage.access.users import Holder
from storage.platform.database import Transaction
from storage.platform.fixed import Fixed
from storage.platform.rows import columns_of, paged
from storage.tables.access import ApiToken, User


@dataclass(frozen=True, kw_only=True)
class TokenHolder(Holder):
    """A valid token and its user."""

    token_id: UUID
    scopes: Sequence[str]


def _valid() -> tuple[ColumnElement[bool], ...]:
    return (
        col(ApiToken.revoked_at).is_(None),
        or_(col(ApiToken.expires_at).is_(None), col(ApiToken.expires_at) > func.now()),
    )


_HOLDER = Fixed(
    select(
        *columns_of(
            TokenHolder,
            User,
            user_id=col(User.id),
            token_id=col(ApiToken.id),
            scopes=col(ApiToken.scopes),
            expires_at=col(ApiToken.expires_at),
            is_stale=or_(
                col(ApiToken.last_used_at).is_(None),
                col(ApiToken.last_used_at) < func.now() - bindparam("stale_after", type_=Interval),
            ),
        )
    )
    .join(ApiToken, col(ApiToken.user_id) == col(User.id))
    .where(
        col(ApiToken.token_hash) == bindparam("token_hash"),
        *_valid(),
        col(User.disabled_at).is_(None),
    )
)


async def add(tx: Transaction, values: Mapping[str, Any]) -> ApiToken:
    """Insert a token."""
    return (await tx.execute(insert(ApiToken).values(**values).returning(ApiToken))).scalar_one()


async def of_user(
    tx: Transaction, user_id: UUID, *, after: Position | None, limit: int
) -> list[ApiToken]:
    """List a user's tokens that are not revoked, the newest first."""
    query = select(ApiToken).where(
        col(ApiToken.user_id) == user_id, col(ApiToken.revoked_at).is_(None)
    )
    page = paged(query, col(ApiToken.created_at), col(ApiToken.id), after, down=True)
    return await tx.column(page.limit(limit))


async def lock_valid(tx: Transaction, token_id: UUID) -> bool:
    """Keep a token valid until the transaction ends; False if it is not valid."""
    query = select(col(ApiToken.id)).where(col(ApiToken.id) == token_id, *_valid())
    return await tx.scalar(query.with_for_update(read=True)) is not None


async def get(tx: Transaction, user_id: UUID, token_id: UUID) -> ApiToken | None:
    """Read a token of this user, valid or not."""
    own = col(ApiToken.id) == token_id, col(ApiToken.user_id) == user_id
    return await tx.scalar(select(ApiToken).where(*own))


async def revoke(tx: Transaction, token_id: UUID) -> bool:
    """Revoke a token; False if it was revoked already."""
    return bool(await _revoke(tx, col(ApiToken.id) == token_id))


async def revoke_all(tx: Transaction, user_id: UUID) -> list[UUID]:
    """Revoke every token of a user; return those that were not revoked."""
    return await _revoke(tx, col(ApiToken.user_id) == user_id)


async def _revoke(tx: Transaction, which: ColumnElement[bool]) -> list[UUID]:
    query = update(ApiToken).where(which, col(ApiToken.revoked_at).is_(None))
    return await tx.column(query.values(revoked_at=func.now()).returning(col(ApiToken.id)))


async def holder_of(
    tx: Transaction, token_hash: str, *, stale_after: timedelta
) -> TokenHolder | None:
    """Read a valid token; None if it is unknown, expired or revoked, or its user disabled."""
    return await tx.one(TokenHolder, _HOLDER, token_hash=token_hash, stale_after=stale_after)


async def note_use(tx: Transaction, token_id: UUID) -> None:
    """Note that a token was used now."""
    await tx.run("UPDATE api_tokens SET last_used_at = now() WHERE id = :id", id=token_id)
