"""Queries about idempotency keys and the answers stored under them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from storage.platform.database import Transaction
from storage.tables.platform import IdempotencyKey


async def reserve(
    tx: Transaction,
    *,
    user_id: UUID,
    key: str,
    route: str,
    request_hash: str,
    kept_for: timedelta,
    abandoned_after: timedelta | None,
) -> datetime | None:
    """Claim a key for one request; return when, or None if it is claimed already.

    Waits for a transaction that is claiming it. A claim older than ``kept_for`` has expired; one of
    the same request without an answer can be taken over after ``abandoned_after``, if given.
    """
    expired = col(IdempotencyKey.created_at) < func.now() - kept_for
    abandoned = (
        (col(IdempotencyKey.status_code).is_(None))
        & (col(IdempotencyKey.route) == route)
        & (col(IdempotencyKey.request_hash) == request_hash)
        & (col(IdempotencyKey.created_at) < func.now() - abandoned_after)
        if abandoned_after is not None
        else literal(value=False)
    )
    claim = {
        "route": route,
        "request_hash": request_hash,
        "status_code": None,
        "answer": None,
        "created_at": func.now(),
    }
    row = await tx.execute(
        insert(IdempotencyKey)
        .values(user_id=user_id, key=key, **claim)
        .on_conflict_do_update(
            index_elements=["user_id", "key"], set_=claim, where=or_(expired, abandoned)
        )
        .returning(col(IdempotencyKey.created_at))
    )
    return row.scalar_one_or_none()


async def get(tx: Transaction, user_id: UUID, key: str) -> IdempotencyKey | None:
    """Read a key; None if it is unknown."""
    row = await tx.execute(
        select(IdempotencyKey).where(
            col(IdempotencyKey.user_id) == user_id, col(IdempotencyKey.key) == key
        )
    )
    return row.scalar_one_or_none()


async def keep_answer(
    tx: Transaction,
    user_id: UUID,
    key: str,
    reserved_at: datetime,
    status_code: int,
    answer: Mapping[str, Any],
) -> bool:
    """Store the answer; False if the claim was taken over."""
    kept = await tx.execute(
        update(IdempotencyKey)
        .where(
            col(IdempotencyKey.user_id) == user_id,
            col(IdempotencyKey.key) == key,
            col(IdempotencyKey.created_at) == reserved_at,
        )
        .values(status_code=status_code, answer=dict(answer))
        .returning(col(IdempotencyKey.key))
    )
    return kept.first() is not None


async def release(tx: Transaction, user_id: UUID, key: str, reserved_at: datetime) -> None:
    """Give up a claim that has no answer."""
    await tx.execute(
        delete(IdempotencyKey).where(
            col(IdempotencyKey.user_id) == user_id,
            col(IdempotencyKey.key) == key,
            col(IdempotencyKey.created_at) == reserved_at,
            col(IdempotencyKey.status_code).is_(None),
        )
    )
